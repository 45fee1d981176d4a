//! What is taken from provisioning's feed.

use rollcall_store::cursor::{Cursor, Place};
use rollcall_store::position::Source;
use rollcall_store::{ChangeId, Epoch, Position, Reached};
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

/// How far the feed is applied: as far as the cursor says that is stored with what came. Unknown
/// while a snapshot is under way, since until its end what is gone may still be here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied(Option<(Epoch, Reached)>);

impl Applied {
    /// Reads a cursor of provisioning's feed.
    pub(crate) fn of(cursor: &str) -> Self {
        let cursor = Cursor::parse(cursor).filter(|it| it.source == Source::Provisioning);
        Self(cursor.and_then(|cursor| match cursor.place {
            Place::Changes(reached) => Some((cursor.epoch, reached)),
            Place::Snapshot { .. } | Place::CatchUp(_) => None,
        }))
    }

    /// Whether a change of provisioning is applied.
    pub(crate) fn covers(&self, epoch: Epoch, change: ChangeId) -> bool {
        let applied = self.0.as_ref();
        applied.is_some_and(|(own, reached)| *own == epoch && reached.covers(change))
    }
}

/// What memory holds: everything up to here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// The moment of the service's own feed.
    pub(crate) position: Position,
    /// How far provisioning's feed is applied.
    pub(crate) applied: Applied,
    /// Every change of provisioning committed before this time is in.
    pub(crate) through: Option<Timestamp>,
}
