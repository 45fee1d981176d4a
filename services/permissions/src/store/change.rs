//! The service's own feed: what memory is kept in step with, and the audit log.

use rollcall_store::feed::{self, Change, NewChange, Op, Wanted};
use rollcall_store::{Error, Position, Reached};
use rollcall_types::{AccountId, Actor, RequestId, Timestamp};
use sea_orm::DatabaseConnection;

/// The kinds of resource in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A permission set.
    PermissionSet = 1,
    /// The switch of an account.
    Management = 2,
    /// The catalogue, under [`PRODUCT`].
    Catalogue = 3,
    /// Internal: a user of provisioning.
    User = 4,
    /// Internal: a connection of provisioning.
    Connection = 5,
}

impl Kind {
    /// The kind of a number.
    pub(crate) fn of(number: u8) -> Option<Self> {
        ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

const ALL: [Kind; 5] = [
    Kind::PermissionSet,
    Kind::Management,
    Kind::Catalogue,
    Kind::User,
    Kind::Connection,
];

/// Stands for the account in changes that concern the whole product.
pub(crate) const PRODUCT: &str = "-";

/// Who makes a change, when, and by which request.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Who.
    pub(crate) actor: Actor,
    /// By which request; absent for background work.
    pub(crate) request: Option<RequestId>,
    /// When.
    pub(crate) time: Timestamp,
}

impl Origin {
    /// A change with this origin, to be filled in.
    pub(crate) fn change<'a>(
        &'a self,
        account: &'a AccountId,
        kind: Kind,
        resource: &'a str,
    ) -> NewChange<'a> {
        NewChange {
            account,
            kind: kind as u8,
            resource,
            op: Op::Upserted,
            version: 0,
            delta: 0,
            time: self.time,
            actor: &self.actor,
            request: self.request,
            changed_paths: "",
            before: "",
            after: "",
        }
    }
}

/// Every change after a moment up to another one.
///
/// # Errors
/// What the database says.
pub(crate) async fn read(
    db: &DatabaseConnection,
    after: Position,
    until: &Position,
) -> Result<Vec<Change>, Error> {
    let kinds = ALL.map(|kind| kind as u8);
    let wanted = Wanted {
        account: None,
        kinds: &kinds,
    };
    let mut reached = Reached::whole(after);
    let mut changes = Vec::new();
    while reached.whole != *until {
        let (page, next) = feed::read(db, wanted, &reached, until).await?;
        changes.extend(page);
        reached = next;
    }
    Ok(changes)
}
