//! A service's store: readers, writes that follow one another, and the epoch of its feed.

use std::fmt;
use std::time::Duration;

use futures::future::BoxFuture;
use rollcall_types::Entropy;
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait;
use tokio::sync::watch;

use crate::database::Database;
use crate::direct::Direct;
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
    Postgres(Lane, Direct),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database and brings its schema up to date, or waits until its owner has
    /// ([`Postgres::as_found`](crate::Postgres::as_found)); a file that is not there is made.
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
                if database.migrates() {
                    postgres::migrate::<M>(database, None).await?;
                }
                let reader = postgres::readers(database).await?;
                if !database.migrates() {
                    postgres::wait_for_schema::<M>(&reader).await;
                }
                let epoch = postgres::epoch(&reader).await?;
                let lane = Lane::open(database).await?;
                let direct = Direct::open(database, lane.wake().clone()).await?;
                let writes = Writes::Postgres(lane, direct);
                Ok(Self {
                    reader,
                    writes,
                    epoch,
                })
            }
        }
    }

    /// Brings a schema up to date, as its owner, and lets `user` use it: read and write everything,
    /// but change nothing in the feed, which is the audit log too.
    ///
    /// # Errors
    /// What the database says.
    pub async fn migrate<M: MigratorTrait>(
        database: &Database,
        user: Option<&str>,
    ) -> Result<(), Error> {
        match database {
            Database::File(path) => {
                let connection = sqlite::connect(path, 1, false).await?;
                let migrated = sqlite::migrate::<M>(&connection).await;
                connection.close().await?;
                migrated
            }
            Database::Postgres(database) => postgres::migrate::<M>(database, user).await,
        }
    }

    /// The migrations that a schema of PostgreSQL lacks. A file is brought up to date by who opens
    /// it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn missing<M: MigratorTrait>(database: &Database) -> Result<Vec<String>, Error> {
        let Database::Postgres(database) = database else {
            return Ok(Vec::new());
        };
        let reader = postgres::readers(database).await?;
        let missing = postgres::missing::<M>(&reader).await;
        reader.close().await?;
        missing
    }

    /// The readers' pool.
    #[must_use]
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Runs `work` on a transaction and answers after its COMMIT. These writes see one another: each
    /// begins after the one before it has ended. Beside them on PostgreSQL go those of
    /// [`direct`](Self::direct), so a row that those write is locked before it is read.
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
            Writes::Postgres(lane, _) => lane.run(work).await,
        }
    }

    /// Writes of one statement each, which take no turn: PostgreSQL's alone, since on SQLite there
    /// is one writer.
    #[must_use]
    pub fn direct(&self) -> Option<&Direct> {
        match &self.writes {
            Writes::Sqlite(..) => None,
            Writes::Postgres(_, direct) => Some(direct),
        }
    }

    /// Waits until every write is committed that decided by what had been committed before the last
    /// one of this store's lane. On SQLite that is so.
    ///
    /// # Errors
    /// What the database says; [`Error::TryAgain`] when a write doesn't end.
    pub async fn settle(&self) -> Result<(), Error> {
        match self.direct() {
            None => Ok(()),
            Some(direct) => direct.settle(&self.reader).await,
        }
    }

    /// How many writes wait for the one that is running, on SQLite.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn queued(&self) -> Option<usize> {
        match &self.writes {
            Writes::Sqlite(writer, _) => Some(writer.queued()),
            Writes::Postgres(..) => None,
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
            Writes::Postgres(lane, _) => Wake {
                commits: lane.wake().subscribe(),
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
            Writes::Postgres(lane, direct) => {
                direct.close().await;
                lane.close().await;
            }
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
