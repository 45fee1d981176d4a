//! Opening a service's SQLite file: WAL, synchronous FULL, one writer, four readers.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rollcall_types::Entropy;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;

use crate::Tx;
use crate::error::Error;
use crate::position::Epoch;

pub(crate) async fn connect(
    path: &Path,
    connections: u32,
    read_only: bool,
) -> Result<DatabaseConnection, Error> {
    let mut options = ConnectOptions::new(format!("sqlite://{}", path.display()));
    options
        .min_connections(connections)
        .max_connections(connections)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |options| {
            options
                .create_if_missing(!read_only)
                .foreign_keys(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(5))
                .pragma("query_only", if read_only { "ON" } else { "OFF" })
        });
    Ok(Database::connect(options).await?)
}

/// sea-orm-migration takes no lock and SQLite's migrations run outside a transaction by default:
/// one IMMEDIATE transaction around all of them is both.
pub(crate) async fn migrate<M: MigratorTrait>(
    connection: &DatabaseConnection,
) -> Result<(), Error> {
    let tx = begin(connection).await?;
    M::up(&tx, None).await?;
    tx.commit().await?;
    Ok(())
}

/// The only way to begin a transaction on SQLite: IMMEDIATE, since a deferred one that reads and
/// then writes is lost to "database is locked" at once.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that begins a transaction"
)]
pub(crate) async fn begin(connection: &DatabaseConnection) -> Result<Tx, Error> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    Ok(connection.begin_with_options(options).await?)
}

/// Replaces a connection of which a transaction was lost: whether SQLite ended it or not can't be
/// told from outside, and a new connection has none.
pub(crate) async fn renew(connection: &DatabaseConnection) {
    let closed = match connection.get_sqlite_connection_pool().acquire().await {
        Ok(old) => old.close().await,
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        tracing::warn!(%error, "replacing the writer's connection");
    }
}

/// The epoch stands in a file beside the database, so that it is not part of a backup of it.
pub(crate) fn epoch(database: &Path, entropy: &dyn Entropy) -> Result<Epoch, Error> {
    let path = PathBuf::from(format!("{}.epoch", database.display()));
    let io = |source| Error::Io {
        path: path.display().to_string(),
        source,
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Epoch::parse(text.trim()).ok_or(Error::Corrupt("epoch")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let epoch = Epoch::generate(entropy);
            write_whole(&path, &format!("{epoch}\n")).map_err(io)?;
            Ok(epoch)
        }
        Err(error) => Err(io(error)),
    }
}

/// Writes a file that is there whole or not at all, also after a power cut: half an epoch would
/// keep the service from ever starting again.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension("epoch.part");
    let mut file = File::create(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}
