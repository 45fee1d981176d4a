//! The service's tables, and the only place that knows SQL.
//!
//! Functions take the account first: no resource is reached but through its account.
//!
//! Tables have private entities and typed queries. What runs for each request of Okta (the token,
//! its domain, users), and what the release of users asks for, are raw statements, since an
//! `ActiveModel` costs twice the whole statement; so `users` has no entity.

pub mod account;
pub mod connection;
pub mod domain;
mod email;
mod filter;
mod migrations;
#[cfg(test)]
mod plan;
pub mod record;
pub mod snapshot;
pub mod token;
pub mod user;

use rollcall_store::Error;
use rollcall_types::{AccountId, Actor, ActorKind, ConnectionId, RequestId, Timestamp};
use sea_orm::{ConnectionTrait, Statement, Value};

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
            kind: ActorKind::Connection,
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
        Self {
            actor: Actor::system(),
            request: None,
            time,
        }
    }
}

/// A raw statement.
fn statement(
    db: &impl ConnectionTrait,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// The account of a row.
fn account_id(text: &str) -> Result<AccountId, Error> {
    AccountId::parse(text).map_err(|_| Error::Corrupt("account id"))
}
