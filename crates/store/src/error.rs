//! What can go wrong in storage.

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

/// A failure of the database, or of what it returned.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was written; the same call may succeed later.
    #[error("the database could not take the write: {0}")]
    TryAgain(String),
    /// The connection was lost before the answer to a statement that commits by itself: it may be
    /// committed, or still run.
    #[error("the answer of the database was lost: {0}")]
    AnswerLost(String),
    /// A statement failed.
    #[error(transparent)]
    Database(DbErr),
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

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if passes(&error) {
            Self::TryAgain(error.to_string())
        } else {
            Self::Database(error)
        }
    }
}

/// Whether the same statement may succeed later: the connection was lost or could not be had, or
/// PostgreSQL gave the statement up for another, for a limit of time, or because it stops.
fn passes(error: &DbErr) -> bool {
    let cause = match error {
        DbErr::ConnectionAcquire(_) => return true,
        DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause) => cause,
        _ => return false,
    };
    let RuntimeErr::SqlxError(cause) = cause else {
        return false;
    };
    match cause.as_ref() {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => {
            let state = cause.code().filter(|_| {
                let postgres = cause.try_downcast_ref::<sqlx::postgres::PgDatabaseError>();
                postgres.is_some()
            });
            state.is_some_and(|state| {
                // Lost connection, lack of resources, the operator stops or cancels, a limit of
                // idle time; serialization, deadlock, a lock that was not to be had.
                ["08", "53", "57", "25P03", "40001", "40P01", "55P03"]
                    .iter()
                    .any(|class| state.starts_with(class))
            })
        }
        _ => false,
    }
}

/// Whether a connection was cut, by the server or on the way, so that another one may do. Of a
/// statement that commits by itself it is then not known whether it did: the server may say that it
/// stops between the commit and the end of the answer.
pub(crate) fn was_cut(error: &DbErr) -> bool {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return false;
    };
    let RuntimeErr::SqlxError(cause) = cause else {
        return false;
    };
    let stops = |code: &str| code.starts_with("08") || code.starts_with("57P") || code == "25P03";
    let told = cause
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let broke = matches!(
        cause.as_ref(),
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed
    );
    broke || told.is_some_and(|code| stops(&code))
}

impl Error {
    /// What names the unique index that a write ran into: its columns on SQLite, such as
    /// `users.account_id, users.user_name_folded`, its own name on PostgreSQL, such as
    /// `users_user_name`; `None` for any other failure.
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
