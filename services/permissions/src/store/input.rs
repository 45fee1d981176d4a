//! What is taken from provisioning's feed. Each change of it is also a change of the service's
//! own feed, so that memory needs nothing else.
//!
//! Each names where the stream of this process continues from, since another process may follow
//! into the same tables.

use rollcall_store::follow::{self, Followed};
use rollcall_store::{Error, Tx};
use rollcall_types::Timestamp;

use super::change::Origin;
use super::{connection, user};
use crate::input::{Input, Resource};

/// The name of the feed.
pub(crate) const SOURCE: &str = "provisioning";

/// Begins a new generation.
///
/// # Errors
/// What the database says.
pub(crate) async fn reset(tx: &Tx, from: &str) -> Result<(), Error> {
    let place = follow::load_at(tx, SOURCE, from).await?;
    let place = Followed {
        cursor: String::new(),
        generation: place.generation + 1,
        ..place
    };
    follow::save(tx, SOURCE, &place).await
}

/// Applies a page of changes.
///
/// # Errors
/// What the database says.
pub(crate) async fn apply(
    tx: &Tx,
    origin: &Origin,
    inputs: &[Input],
    from: &str,
    cursor: String,
) -> Result<(), Error> {
    let place = follow::load_at(tx, SOURCE, from).await?;
    for input in inputs {
        apply_one(tx, origin, input, place.generation).await?;
    }
    follow::save(tx, SOURCE, &Followed { cursor, ..place }).await
}

async fn apply_one(tx: &Tx, origin: &Origin, input: &Input, generation: i64) -> Result<(), Error> {
    let account = &input.account;
    match &input.resource {
        Resource::User(id, Some(user)) => user::put(tx, origin, input, *id, user, generation).await,
        Resource::User(id, None) => user::delete(tx, origin, account, *id).await,
        Resource::Connection(id, true) => connection::put(tx, origin, input, *id, generation).await,
        Resource::Connection(id, false) => connection::delete(tx, origin, account, *id).await,
    }
}

/// Drops what older generations left.
///
/// # Errors
/// What the database says.
pub(crate) async fn snapshot_end(
    tx: &Tx,
    origin: &Origin,
    from: &str,
    cursor: String,
) -> Result<(), Error> {
    let place = follow::load_at(tx, SOURCE, from).await?;
    user::delete_older(tx, origin, place.generation).await?;
    connection::delete_older(tx, origin, place.generation).await?;
    follow::save(tx, SOURCE, &Followed { cursor, ..place }).await
}

/// Notes how far the feed is.
///
/// # Errors
/// What the database says.
pub(crate) async fn progress(
    tx: &Tx,
    from: &str,
    cursor: String,
    through: Timestamp,
) -> Result<(), Error> {
    let place = follow::load_at(tx, SOURCE, from).await?;
    let place = Followed {
        cursor,
        through: Some(through),
        ..place
    };
    follow::save(tx, SOURCE, &place).await
}
