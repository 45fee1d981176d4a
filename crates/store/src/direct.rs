//! Writes of one statement each on PostgreSQL, beside the lane: nobody waits for anybody but for who
//! writes the same row.
//!
//! Such a statement checks all that it rests on by itself, since nothing orders it among others. It
//! takes no lock: who changes what such statements decide by waits, once that is committed, until
//! none runs any more that may have decided by what was before ([`Direct::settle`]).

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::database::Postgres;
use crate::error::{Error, was_cut};
use crate::postgres;

/// Connections of a process: fewer lose throughput while commits wait for the disk, more only cost.
const CONNECTIONS: u32 = 12;
/// How long the writes of a moment are waited for: more than one may take (`statement_timeout`).
const LONGEST: Duration = Duration::from_secs(15);
/// How often they are looked for.
const LOOK: Duration = Duration::from_millis(2);

/// The writes beside the lane of one process.
#[derive(Clone, Debug)]
pub struct Direct {
    pool: DatabaseConnection,
    wake: watch::Sender<u64>,
    /// Names the connections of every process's writes beside this schema's lane.
    name: String,
}

impl Direct {
    pub(crate) async fn open(database: &Postgres, wake: watch::Sender<u64>) -> Result<Self, Error> {
        let name = format!("rollcall direct {}", database.schema().unwrap_or_default());
        let pool = postgres::connect(database, &name, 0..=CONNECTIONS, false).await?;
        Ok(Self { pool, wake, name })
    }

    /// Runs one statement, which is committed with its end; its one row.
    ///
    /// # Errors
    /// What the database says; [`Error::AnswerLost`] leaves it open whether the statement was
    /// committed.
    pub async fn run(&self, statement: Statement) -> Result<QueryResult, Error> {
        let row = match self.pool.query_one_raw(statement).await {
            Err(error) if was_cut(&error) => return Err(Error::AnswerLost(error.to_string())),
            row => row?,
        };
        self.wake
            .send_modify(|count| *count = count.wrapping_add(1));
        row.ok_or(Error::Corrupt("answer"))
    }

    /// Runs one statement that tells no follower anything.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn note(&self, statement: Statement) -> Result<(), Error> {
        self.pool.execute_raw(statement).await?;
        Ok(())
    }

    /// Waits until no statement beside the lane runs any more, of any process, that had begun
    /// before this call: whatever it wrote is committed.
    ///
    /// # Errors
    /// What the database says; [`Error::TryAgain`] when one runs for longer than any may.
    pub(crate) async fn settle(&self, reader: &DatabaseConnection) -> Result<(), Error> {
        let until = Instant::now() + LONGEST;
        let begun = self.running(reader).await?;
        let mut running = begun.clone();
        while running.iter().any(|one| begun.contains(one)) {
            if Instant::now() > until {
                let why = "writes that had begun before do not end".to_owned();
                return Err(Error::TryAgain(why));
            }
            tokio::time::sleep(LOOK).await;
            running = self.running(reader).await?;
        }
        Ok(())
    }

    /// The transactions that run on connections of this name: process and beginning.
    async fn running(&self, reader: &DatabaseConnection) -> Result<Vec<(i32, String)>, Error> {
        let sql = "SELECT pid, xact_start::text AS begun FROM pg_stat_activity \
                   WHERE datname = current_database() AND application_name = left($1, 63) \
                   AND xact_start IS NOT NULL";
        let values = [self.name.as_str().into()];
        let rows = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = reader.query_all_raw(rows).await?;
        rows.iter()
            .map(|row| Ok((row.try_get("", "pid")?, row.try_get("", "begun")?)))
            .collect()
    }

    pub(crate) async fn close(&self) {
        if let Err(error) = self.pool.clone().close().await {
            tracing::warn!(%error, "closing the writes beside the lane");
        }
    }
}
