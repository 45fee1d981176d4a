//! A service's schema in PostgreSQL: pools, migrations, and the lane in which writes follow one
//! another.
//!
//! Writes that decide by what they read take one advisory lock of the schema before they read, so
//! that they see one another as they do on SQLite, whatever process they come from. The lock is
//! taken by a statement of its own: the snapshot of a statement that waits for a lock which it
//! calls itself is older than the lock. Writes beside the lane ([`Direct`](crate::Direct)) see to
//! themselves.

use std::ops::RangeInclusive;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement,
    TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::watch;

use crate::Tx;
use crate::database::Postgres;
use crate::error::{Error, was_cut};
use crate::position::Epoch;

/// What the server knows connections by.
const NAME: &str = "rollcall";
/// Connections of a process for reads; more than about two a core only costs.
const READERS: u32 = 4;
/// Connections of a process for writes. One works, one waits for its turn in the database, so that
/// the lane is handed over without a pause; whoever else waits does so for a connection.
const WRITERS: u32 = 2;
/// How long a call waits for a connection.
const ACQUIRE: Duration = Duration::from_secs(5);
/// After how long without use a connection is tried before it is used.
const IDLE: Duration = Duration::from_secs(1);
/// How often a schema that is not up to date is looked at.
const SCHEMA: Duration = Duration::from_secs(1);
/// What the server does to statements and transactions of ours that hang.
const LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// A transaction that others of the schema wait for, and its number.
const LOCK: &str = "SELECT pg_current_xact_id()::text AS xid FROM \
     (SELECT pg_advisory_xact_lock(hashtextextended('rollcall ' || current_schema(), 0))) AS turn";

/// How long the fate of a COMMIT whose answer was lost is asked for, and how often.
const FATE: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_millis(100);

/// The readers' pool.
pub(crate) async fn readers(database: &Postgres) -> Result<DatabaseConnection, Error> {
    connect(database, NAME, 1..=READERS, true).await
}

/// A pool whose connections the server knows by `name`.
pub(crate) async fn connect(
    database: &Postgres,
    name: &str,
    connections: RangeInclusive<u32>,
    read_only: bool,
) -> Result<DatabaseConnection, Error> {
    let name = name.to_owned();
    let schema = database.schema().map(str::to_owned);
    let mut options = ConnectOptions::new(database.url());
    options
        .min_connections(*connections.start())
        .max_connections(*connections.end())
        .acquire_timeout(ACQUIRE)
        // A round trip where it matters little; what a connection that has just died fails with is
        // answered with "try again".
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(IDLE)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            settings(options, &name, schema.as_deref(), read_only)
        });
    Ok(sea_orm::Database::connect(options).await?)
}

fn settings(
    options: PgConnectOptions,
    name: &str,
    schema: Option<&str>,
    read_only: bool,
) -> PgConnectOptions {
    let read_only = if read_only { "on" } else { "off" };
    let options = options
        .application_name(name)
        .statement_cache_capacity(256)
        .options(LIMITS)
        .options([("default_transaction_read_only", read_only)]);
    match schema {
        Some(schema) => options.options([("search_path", schema)]),
        None => options,
    }
}

/// Brings the schema up to date, and lets `user` use it; safe when two do so at once.
pub(crate) async fn migrate<M: MigratorTrait>(
    database: &Postgres,
    user: Option<&str>,
) -> Result<(), Error> {
    let connection = connect(database, NAME, 1..=1, false).await?;
    let migrated = migrate_on::<M>(&connection, database.schema(), user).await;
    connection.close().await?;
    migrated
}

/// The migrations that the schema lacks.
pub(crate) async fn missing<M: MigratorTrait>(
    db: &DatabaseConnection,
) -> Result<Vec<String>, Error> {
    let sql = "SELECT version FROM seaql_migrations";
    let rows = Statement::from_string(DbBackend::Postgres, sql);
    let applied = match db.query_all_raw(rows).await {
        Ok(rows) => rows
            .iter()
            .map(|row| row.try_get("", "version"))
            .collect::<Result<Vec<String>, _>>()?,
        // There is no table, so nothing was ever done.
        Err(error) if error.to_string().contains("does not exist") => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let wanted = M::migrations();
    let wanted = wanted.iter().map(|migration| migration.name().to_owned());
    Ok(wanted.filter(|name| !applied.contains(name)).collect())
}

/// Waits until every migration of this program is there. One that is older than the schema is
/// content: migrations leave what it knows in place.
pub(crate) async fn wait_for_schema<M: MigratorTrait>(db: &DatabaseConnection) {
    let mut told = false;
    loop {
        let why = match missing::<M>(db).await {
            Ok(missing) if missing.is_empty() => return,
            Ok(missing) => format!("it lacks {}", missing.join(", ")),
            Err(error) => error.to_string(),
        };
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(
                why,
                "waiting for the schema: run `rollcall migrate` as its owner"
            );
        }
        tokio::time::sleep(SCHEMA).await;
    }
}

async fn migrate_on<M: MigratorTrait>(
    connection: &DatabaseConnection,
    schema: Option<&str>,
    user: Option<&str>,
) -> Result<(), Error> {
    let tx = begin(connection).await?;
    // A migration takes as long as it takes, and so does waiting for another one.
    tx.execute_unprepared("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    tx.execute_unprepared("SELECT pg_advisory_xact_lock(hashtextextended('rollcall migrate', 0))")
        .await?;
    if let Some(schema) = schema {
        tx.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)))
            .await?;
    }
    M::up(&tx, None).await?;
    if let (Some(schema), Some(user)) = (schema, user) {
        let (schema, user) = (quoted(schema), quoted(user));
        tx.execute_unprepared(&format!(
            "GRANT USAGE ON SCHEMA {schema} TO {user}; \
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {user}; \
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {user}; \
             REVOKE INSERT, UPDATE, DELETE ON {schema}.seaql_migrations FROM {user}; \
             REVOKE UPDATE, DELETE ON {schema}.changes FROM {user}"
        ))
        .await?;
    }
    tx.commit().await?;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The epoch of the schema's feed. Sequences and transaction numbers belong to one server, one
/// database of it and one timeline: what was restored, or promoted, has another epoch.
pub(crate) async fn epoch(db: &DatabaseConnection) -> Result<Epoch, Error> {
    let sql = "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS server, \
               left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline, \
               (SELECT oid::text FROM pg_database WHERE datname = current_database()) AS base, \
               (SELECT oid::text FROM pg_namespace WHERE nspname = current_schema()) AS schema";
    let row = db
        .query_one_raw(Statement::from_string(DbBackend::Postgres, sql))
        .await?
        .ok_or(Error::Corrupt("epoch"))?;
    let part = |name| row.try_get::<String>("", name);
    let (server, timeline) = (part("server")?, part("timeline")?);
    let (base, schema) = (part("base")?, part("schema")?);
    Ok(Epoch::of(&format!("{server} {timeline} {base} {schema}")))
}

/// The writes of one process.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pool: DatabaseConnection,
    wake: watch::Sender<u64>,
}

impl Lane {
    pub(crate) async fn open(database: &Postgres) -> Result<Self, Error> {
        Ok(Self {
            pool: connect(database, NAME, 1..=WRITERS, false).await?,
            wake: watch::Sender::new(0),
        })
    }

    /// Rings after each commit.
    pub(crate) fn wake(&self) -> &watch::Sender<u64> {
        &self.wake
    }

    /// Runs `work` in a transaction of its own, after those before it and before those after it.
    pub(crate) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, E>>,
    {
        let (tx, xid) = self.enter().await?;
        // In a block of its own, so that a panic before the first await is caught too.
        let outcome = AssertUnwindSafe(async { work(&tx).await }).catch_unwind();
        let outcome = outcome.await.unwrap_or_else(|_| {
            tracing::error!("a write panicked; it was rolled back");
            Err(Error::TryAgain("the write panicked".to_owned()).into())
        });
        match outcome {
            Ok(value) => {
                if let Err(error) = tx.commit().await {
                    let error = Error::from(error);
                    if !matches!(error, Error::TryAgain(_)) || !self.has_committed(xid).await {
                        return Err(error.into());
                    }
                }
                self.wake
                    .send_modify(|count| *count = count.wrapping_add(1));
                Ok(value)
            }
            Err(error) => {
                // What the connection was lost with is rolled back by the server.
                drop(tx.rollback().await);
                Err(error)
            }
        }
    }

    /// Begins a transaction, and waits for its turn; and its number. A connection of the pool that
    /// was lost since it was used last is passed over: nothing was done on it yet.
    async fn enter(&self) -> Result<(Tx, u64), Error> {
        let mut lost = 0;
        loop {
            let entered = async {
                let tx = begin(&self.pool).await?;
                let xid = take_lock(&tx).await?;
                Ok::<_, DbErr>((tx, xid))
            };
            match entered.await {
                Err(error) if lost < WRITERS && was_cut(&error) => lost += 1,
                entered => {
                    let (tx, xid) = entered?;
                    let xid = xid.parse();
                    return Ok((tx, xid.map_err(|_| Error::Corrupt("transaction number"))?));
                }
            }
        }
    }

    /// Whether a transaction was committed whose COMMIT was not answered, so that nobody is told to
    /// repeat what is done; `false` also if that can't be found out in time.
    async fn has_committed(&self, xid: u64) -> bool {
        let sql = format!("SELECT pg_xact_status('{xid}'::xid8) AS fate");
        let asked = async {
            loop {
                let row = Statement::from_string(DbBackend::Postgres, sql.as_str());
                let row = match self.pool.query_one_raw(row).await {
                    // Its number was never used: a crash has lost all trace of it, and another
                    // transaction will get the number.
                    Err(error) if error.to_string().contains("in the future") => return false,
                    row => row.ok().flatten(),
                };
                let fate = row.and_then(|row| row.try_get::<String>("", "fate").ok());
                match fate.as_deref() {
                    Some("committed") => return true,
                    Some("aborted") => return false,
                    // The server has not noticed yet that we are gone, or is not back.
                    _ => tokio::time::sleep(ASK).await,
                }
            }
        };
        tokio::time::timeout(FATE, asked).await.unwrap_or(false)
    }

    pub(crate) async fn close(&self) {
        if let Err(error) = self.pool.clone().close().await {
            tracing::warn!(%error, "closing the writers");
        }
    }
}

/// Waits for the lane; the number of the transaction.
async fn take_lock(tx: &Tx) -> Result<String, DbErr> {
    let lock = Statement::from_string(DbBackend::Postgres, LOCK);
    let row = tx.query_one_raw(lock).await?;
    row.map_or(Ok(String::new()), |row| row.try_get("", "xid"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that begins a transaction of PostgreSQL"
)]
async fn begin(connection: &DatabaseConnection) -> Result<Tx, DbErr> {
    connection.begin().await
}
