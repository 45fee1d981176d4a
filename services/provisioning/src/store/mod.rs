//! The service's tables, and the only place that knows SQL.
//!
//! Functions take the account first: no resource is reached but through its account.

pub mod account;
pub mod connection;
pub mod domain;
mod filter;
mod migrations;
pub mod record;
pub mod snapshot;
pub mod user;

use rollcall_rpc::pb::common::v1::{Actor, ActorKind};
use rollcall_types::{ConnectionId, RequestId, Timestamp};

pub use migrations::Migrator;

/// Kinds of resource in the feed: the numbers of `rollcall.provisioning.v1.ResourceKind`.
pub mod kind {
    /// Accounts.
    pub const ACCOUNT: u8 = 1;
    /// Connections.
    pub const CONNECTION: u8 = 2;
    /// Users.
    pub const USER: u8 = 3;
}

/// Who makes a change, on which request, when.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// On which request; absent for background work.
    pub request: Option<RequestId>,
    /// When.
    pub time: Timestamp,
}

impl Origin {
    /// A change that Okta makes.
    #[must_use]
    pub fn connection(id: ConnectionId, request: Option<RequestId>, time: Timestamp) -> Self {
        let actor = Actor {
            kind: ActorKind::Connection.into(),
            id: id.to_string(),
        };
        Self {
            actor,
            request,
            time,
        }
    }

    /// A change that Rollcall makes by itself.
    #[must_use]
    pub fn system(time: Timestamp) -> Self {
        let actor = Actor {
            kind: ActorKind::System.into(),
            id: String::new(),
        };
        Self {
            actor,
            request: None,
            time,
        }
    }
}
