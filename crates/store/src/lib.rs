//! Storage: a SQLite file or a schema of PostgreSQL per service, with readers, writes that follow
//! one another, migrations and the change feed.
//!
//! Each service writes its own entities and statements; what is here is the machinery that all of
//! them share, and nothing of what they store.

pub mod cursor;
pub mod database;
mod direct;
pub mod error;
pub mod feed;
pub mod follow;
pub mod page;
pub mod position;
mod postgres;
pub mod schema;
pub mod snapshot;
mod sqlite;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod writer;

pub use database::{Database, Postgres};
pub use direct::Direct;
pub use error::Error;
pub use position::{ChangeId, Epoch, Position, Reached};
pub use store::{Store, Wake};
pub use token::{ChangeToken, TokenKey};
/// What a write closure works on.
pub type Tx = sea_orm::DatabaseTransaction;
