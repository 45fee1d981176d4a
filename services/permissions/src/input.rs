//! What is taken from provisioning's feed.

use rollcall_store::Epoch;
use rollcall_types::{AccountId, ConnectionId, Timestamp, UserId};

use crate::resolve::UserInput;

/// One change of provisioning, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// The account.
    pub(crate) account: AccountId,
    /// The resource's version; compared within one generation only.
    pub(crate) version: i64,
    /// What it is about.
    pub(crate) resource: Resource,
}

/// The resource of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// A user, as it now is; `None` when it is gone.
    User(UserId, Option<UserInput>),
    /// A connection, and whether it is installed.
    Connection(ConnectionId, bool),
}

/// How far the feed has been applied: the greatest position seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// In which life of provisioning's feed; `None` before the first change.
    pub(crate) epoch: Option<Epoch>,
    /// The position.
    pub(crate) position: i64,
    /// Whether no snapshot is under way: until its end, what is gone may still be here.
    pub(crate) complete: bool,
}

impl Applied {
    /// Whether the change at `position` is applied.
    pub(crate) fn covers(&self, epoch: Epoch, position: i64) -> bool {
        self.complete && self.epoch == Some(epoch) && position <= self.position
    }

    /// Notes that the change at `position` is applied.
    pub(crate) fn note(&mut self, epoch: Epoch, position: i64) {
        if self.epoch == Some(epoch) {
            self.position = self.position.max(position);
        } else {
            self.epoch = Some(epoch);
            self.position = position;
        }
    }
}

/// What memory holds: everything up to here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The position in the service's own feed.
    pub(crate) position: i64,
    /// How far provisioning's feed is applied.
    pub(crate) applied: Applied,
    /// Every change of provisioning committed before this time is in.
    pub(crate) through: Option<Timestamp>,
}
