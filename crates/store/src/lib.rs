//! Storage: one SQLite file per service, with one batching writer, four readers, migrations and
//! the change feed.
//!
//! Each service writes its own entities and statements; what is here is the machinery that all of
//! them share, and nothing of what they store.

pub mod cursor;
pub mod error;
pub mod feed;
pub mod follow;
pub mod page;
pub mod position;
pub mod sqlite;
mod writer;

pub use error::Error;
pub use position::{ChangeToken, Epoch, TokenKey};
pub use sqlite::Store;
/// What a write closure works on.
pub type Tx = sea_orm::DatabaseTransaction;
