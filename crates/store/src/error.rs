//! What can go wrong in storage.

use sea_orm::{DbErr, SqlErr};

/// A failure of the database, or of what it returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was written; the same call may succeed later.
    #[error("the database could not take the write: {0}")]
    TryAgain(String),
    /// A statement failed.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// A stored value is not of its type: the file was changed by something else.
    #[error("a stored {0} can't be read")]
    Corrupt(&'static str),
    /// The folder or a file beside the database can't be used.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// The columns of the unique index that a write ran into, as SQLite names them, such as
    /// `users.account_id, users.user_name_folded`; `None` for any other failure.
    #[must_use]
    pub fn unique_violation(&self) -> Option<String> {
        let Self::Database(error) = self else {
            return None;
        };
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(columns)) => Some(columns),
            _ => None,
        }
    }
}
