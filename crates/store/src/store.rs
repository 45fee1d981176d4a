//! A service's store: readers, writes that follow one another, and the epoch of its feed.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use rollcall_types::Entropy;
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait;
use tokio::sync::watch;

use crate::database::Database;
use crate::error::Error;
use crate::position::{Epoch, Position};
use crate::postgres::{self, Lane};
use crate::writer::Writer;
use crate::{Tx, feed, sqlite};

/// A service's own database. Clones share it.
#[derive(Clone)]
pub struct Store {
    reader: DatabaseConnection,
    writes: Writes,
    epoch: Epoch,
}

#[derive(Clone)]
enum Writes {
    Sqlite(Writer, watch::Receiver<u64>),
    Postgres(Lane),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and brings its schema up to date; a file that is not there is made.
    ///
    /// Must be called inside a tokio runtime: SQLite's writer is a task of it, and ends when the
    /// last clone is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] for the epoch file, else what the database says.
    pub async fn open<M: MigratorTrait>(
        database: &Database,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        match database {
            Database::File(path) => {
                let connection = sqlite::connect(path, 1, false).await?;
                sqlite::migrate::<M>(&connection).await?;
                let epoch = sqlite::epoch(path, entropy)?;
                let reader = sqlite::connect(path, 4, true).await?;
                let (writer, wake) = Writer::spawn(connection);
                Ok(Self {
                    reader,
                    writes: Writes::Sqlite(writer, wake),
                    epoch,
                })
            }
            Database::Postgres(database) => {
                postgres::migrate::<M>(database).await?;
                let reader = postgres::readers(database).await?;
                let epoch = postgres::epoch(&reader).await?;
                let writes = Writes::Postgres(Lane::open(database).await?);
                Ok(Self {
                    reader,
                    writes,
                    epoch,
                })
            }
        }
    }

    /// The readers' pool.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Runs `work` on a transaction and answers after its COMMIT. Writes see one another: each
    /// begins after the one before it has ended.
    ///
    /// An error from `work` undoes what it did and nothing else. On SQLite what waits shares one
    /// transaction, each piece in a SAVEPOINT.
    ///
    /// # Errors
    /// What `work` returned, or [`Error::TryAgain`] when it could not be committed: then nothing
    /// was written, unless PostgreSQL was lost while it committed and for ten seconds after.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    {
        match &self.writes {
            Writes::Sqlite(writer, _) => writer.run(work).await,
            Writes::Postgres(lane) => lane.run(work).await,
        }
    }

    /// How many writes wait for the one that is running, on SQLite.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn queued(&self) -> Option<usize> {
        match &self.writes {
            Writes::Sqlite(writer, _) => Some(writer.queued()),
            Writes::Postgres(_) => None,
        }
    }

    /// Rings after each COMMIT.
    #[must_use]
    pub fn wake(&self) -> Wake {
        match &self.writes {
            Writes::Sqlite(_, commits) => Wake {
                commits: commits.clone(),
                poll: None,
            },
            Writes::Postgres(lane) => Wake {
                commits: lane.wake(),
                poll: Some(POLL),
            },
        }
    }

    /// The epoch of this database's feed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The present moment of the feed.
    ///
    /// # Errors
    /// What the database says.
    pub async fn now(&self) -> Result<Position, Error> {
        feed::now(&self.reader).await
    }

    /// Ends the writes after what waits, and closes the readers.
    pub async fn close(&self) {
        match &self.writes {
            Writes::Sqlite(writer, _) => writer.close().await,
            Writes::Postgres(lane) => lane.close().await,
        }
        if let Err(error) = self.reader.clone().close().await {
            tracing::warn!(%error, "closing the database");
        }
    }
}

/// How often to look for what other processes have committed: well under a hundredth of a core
/// for each who looks.
const POLL: Duration = Duration::from_millis(100);

/// Tells that something may have been committed.
#[derive(Clone, Debug)]
pub struct Wake {
    /// The commits of this process.
    commits: watch::Receiver<u64>,
    /// How often other processes may have committed; `None` where there are none.
    poll: Option<Duration>,
}

impl Wake {
    /// Takes every commit up to now as seen.
    pub fn mark_unchanged(&mut self) {
        self.commits.mark_unchanged();
    }

    /// How often this process has committed, all of it taken as seen.
    #[must_use]
    pub fn seen(&mut self) -> u64 {
        *self.commits.borrow_and_update()
    }

    /// Waits for a commit that is not yet seen, or until other processes may have committed.
    ///
    /// # Errors
    /// [`Error::TryAgain`] once there will be none any more.
    pub async fn changed(&mut self) -> Result<(), Error> {
        let changed = self.commits.changed();
        let changed = match self.poll {
            None => changed.await,
            Some(poll) => tokio::time::timeout(poll, changed).await.unwrap_or(Ok(())),
        };
        changed.map_err(|_| Error::TryAgain("the writer has stopped".to_owned()))
    }
}
