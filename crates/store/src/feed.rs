//! The change feed: one append-only table per service, written in the transaction of the change
//! (U-12). Its reader, from snapshot to changes, is [`watch`].
//!
//! On SQLite there is one writer, so the order of `seq` is the order of commit. On PostgreSQL a
//! `seq` is drawn, and a transaction gets its number, before it commits: neither orders commits. A
//! reader goes from snapshot to snapshot, and between two of them by `seq`, which is drawn when a
//! resource's row is won, so that the changes of one resource stay in order.

use futures::TryStreamExt;
use rollcall_types::{AccountId, Actor, ActorKind, RequestId, Timestamp};
use sea_orm::prelude::{DateTimeUtc, Uuid};
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement, Value,
};
use sea_orm_migration::SchemaManager;
use sea_orm_migration::prelude::{Index, Table};
use sea_orm_migration::schema::{
    big_integer, big_pk_auto, text, timestamp_with_time_zone, uuid_null,
};

use crate::Tx;
use crate::error::Error;
use crate::position::{ChangeId, Position, Reached};
use crate::schema;
use crate::snapshot::Snapshot;

mod stream;

pub use stream::{Accounts, MAX_AGE, Mark, ResetCause, Rows, Watch, WatchError, watch};

/// How many changes one page holds at most.
pub const PAGE: u64 = 1000;

/// With how much text a page ends, be it as few as one row: what a page becomes on the wire fits
/// into the 4 MiB that a client takes if nobody tells it otherwise.
pub const PAGE_BYTES: usize = 2 * 1024 * 1024;

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// The resource is now as the change says.
    Upserted,
    /// The resource is gone.
    Deleted,
}

/// One change to append.
#[derive(Clone, Debug)]
pub struct NewChange<'a> {
    /// The account.
    pub account: &'a AccountId,
    /// The service's number for the kind of resource.
    pub kind: u8,
    /// The resource's id.
    pub resource: &'a str,
    /// What happened.
    pub op: Op,
    /// The resource's version after it.
    pub version: i64,
    /// By how much the number of resources grew that the service counts from its feed.
    pub delta: i64,
    /// When, by the clock of the statement.
    pub time: Timestamp,
    /// Who did it.
    pub actor: &'a Actor,
    /// The request that did it; absent for background work.
    pub request: Option<RequestId>,
    /// The paths that changed, separated by spaces.
    pub changed_paths: &'a str,
    /// The changed attributes before, as JSON text; empty for a new resource.
    pub before: &'a str,
    /// The whole resource after, as the service's own text.
    pub after: &'a str,
}

/// The columns of a change but for its `seq` and its transaction, in the order of
/// [`NewChange::values`].
pub const COLUMNS: &str = "account_id, kind, resource_id, op, version, delta, time, actor_kind, \
     actor_id, request_id, changed_paths, before, after";

impl NewChange<'_> {
    /// What is stored of it, in the order of [`COLUMNS`].
    #[must_use]
    pub fn values(&self) -> [Value; 13] {
        [
            self.account.as_str().into(),
            i64::from(self.kind).into(),
            self.resource.into(),
            i64::from(self.op == Op::Deleted).into(),
            self.version.into(),
            self.delta.into(),
            self.time.to_chrono().into(),
            self.actor.kind.number().into(),
            self.actor.id.as_str().into(),
            self.request.map(RequestId::to_uuid).into(),
            self.changed_paths.into(),
            self.before.into(),
            self.after.into(),
        ]
    }
}

/// One change as it was read.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which change it is; `None` for a row of the snapshot.
    pub id: Option<ChangeId>,
    /// The account.
    pub account: AccountId,
    /// The service's number for the kind of resource.
    pub kind: u8,
    /// The resource's id.
    pub resource: String,
    /// What happened.
    pub op: Op,
    /// The resource's version after it.
    pub version: i64,
    /// When.
    pub time: Timestamp,
    /// Who did it; `None` for a row of the snapshot.
    pub actor: Option<Actor>,
    /// The request that did it.
    pub request: Option<RequestId>,
    /// The paths that changed, separated by spaces.
    pub changed_paths: String,
    /// The changed attributes before, as JSON text.
    pub before: String,
    /// The whole resource after.
    pub after: String,
}

impl Change {
    /// How much text it holds.
    fn bytes(&self) -> usize {
        let short = self.resource.len() + self.changed_paths.len();
        short + self.before.len() + self.after.len()
    }
}

/// Creates the table and its index; called from a service's first migration.
///
/// # Errors
/// What the database says.
pub async fn create_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("changes")
        .col(big_pk_auto("seq"))
        .col(text("account_id"))
        .col(big_integer("kind"))
        .col(text("resource_id"))
        .col(big_integer("op"))
        .col(big_integer("version"))
        .col(big_integer("delta").default(0))
        .col(timestamp_with_time_zone("time"))
        .col(big_integer("actor_kind"))
        .col(text("actor_id"))
        .col(uuid_null("request_id"))
        .col(text("changed_paths"))
        .col(text("before"))
        .col(text("after"))
        .take();
    manager.create_table(table).await?;
    schema::compare_bytes(manager, &[("changes", "account_id")]).await?;
    let index = Index::create()
        .name("changes_account")
        .table("changes")
        .col("account_id")
        .col("seq")
        .take();
    manager.create_index(index).await?;
    if manager.get_database_backend() == DbBackend::Postgres {
        // The transaction of the change: what a snapshot tells apart.
        let sql = "ALTER TABLE changes ADD xid xid8 NOT NULL DEFAULT pg_current_xact_id()";
        manager.get_connection().execute_unprepared(sql).await?;
        let sql = "CREATE INDEX changes_xid ON changes (xid, seq)";
        manager.get_connection().execute_unprepared(sql).await?;
        // What a number of resources is made of, beside what was folded already.
        let sql = "CREATE INDEX changes_delta ON changes (account_id, xid) INCLUDE (delta) \
                   WHERE delta <> 0";
        manager.get_connection().execute_unprepared(sql).await?;
    }
    Ok(())
}

/// Appends a change and returns its name; the row of the resource must store its `seq` too.
///
/// A raw statement: every write of every service is one, and an `ActiveModel` costs twice as much.
///
/// # Errors
/// What the database says.
pub async fn append(tx: &Tx, change: NewChange<'_>) -> Result<ChangeId, Error> {
    let backend = tx.get_database_backend();
    let sql = format!(
        "INSERT INTO changes ({COLUMNS}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING {}",
        id_columns(backend)
    );
    let row = tx
        .query_one_raw(Statement::from_sql_and_values(
            backend,
            sql,
            change.values(),
        ))
        .await?
        .ok_or(Error::Corrupt("change"))?;
    id(&row)
}

/// What names a change, among its columns.
#[must_use]
pub fn id_columns(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "seq, xid::text AS xid",
        _ => "seq, '0' AS xid",
    }
}

/// Reads what [`id_columns`] selects.
///
/// # Errors
/// [`Error::Corrupt`] for what is no change.
pub fn id(row: &QueryResult) -> Result<ChangeId, Error> {
    let xid: String = row.try_get("", "xid")?;
    Ok(ChangeId {
        xid: xid.parse().map_err(|_| Error::Corrupt("xid"))?,
        seq: row.try_get("", "seq")?,
    })
}

/// The present moment.
///
/// # Errors
/// What the database says.
pub async fn now(db: &impl ConnectionTrait) -> Result<Position, Error> {
    let backend = db.get_database_backend();
    let row = db
        .query_one_raw(Statement::from_string(backend, moment(backend)))
        .await?
        .ok_or(Error::Corrupt("position"))?;
    if backend == DbBackend::Postgres {
        let text: String = row.try_get("", "now")?;
        let snapshot = Snapshot::parse(&text).ok_or(Error::Corrupt("snapshot"))?;
        return Ok(Position::Snapshot(snapshot));
    }
    let last: Option<i64> = row.try_get("", "now")?;
    Ok(Position::Sequence(last.unwrap_or(0)))
}

fn moment(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "SELECT pg_current_snapshot()::text AS now",
        _ => "SELECT MAX(seq) AS now FROM changes",
    }
}

/// Whether the last change of a row had been committed at a moment: a condition on the column that
/// holds its `seq`, with one parameter, `$n`.
///
/// A change that is no longer there was dropped long ago, so it had been.
#[must_use]
pub fn committed_by(position: &Position, column: &str, n: usize) -> (String, Value) {
    match position {
        Position::Sequence(last) => (format!("{column} <= ${n}"), (*last).into()),
        Position::Snapshot(snapshot) => {
            // A subquery for each row, which no planner can turn into a join with all changes.
            let sql = format!(
                "COALESCE((SELECT pg_visible_in_snapshot(c.xid, (SELECT ${n}::pg_snapshot)) \
                 FROM changes c WHERE c.seq = {column}), TRUE)"
            );
            (sql, snapshot.to_string().into())
        }
    }
}

/// [`committed_by`] as a condition of a typed query.
#[must_use]
pub fn is_committed_by(position: &Position, column: &'static str) -> SimpleExpr {
    match position {
        Position::Sequence(last) => Expr::cust(format!("{column} <= {last}")),
        Position::Snapshot(_) => {
            let (sql, value) = committed_by(position, column, 1);
            Expr::cust_with_values(sql, [value])
        }
    }
}

/// Which changes a reader wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of one account; `None` for all.
    pub account: Option<&'a AccountId>,
    /// Of these kinds.
    pub kinds: &'a [u8],
}

/// Reads what was committed after `reached` up to the moment `until`, in an order that keeps the
/// changes of each resource in theirs, at most [`PAGE`] changes and no more after [`PAGE_BYTES`] of
/// text; and how far that is. `until` must be what a reader that is on its way goes to.
///
/// # Errors
/// What the database says.
pub async fn read(
    db: &DatabaseConnection,
    wanted: Wanted<'_>,
    reached: &Reached,
    until: &Position,
) -> Result<(Vec<Change>, Reached), Error> {
    let page = page(db.get_database_backend(), wanted, reached, until)?;
    let mut rows = sea_orm::StreamTrait::stream_raw(db, page).await?;
    let mut changes = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let change = change(&row)?;
        bytes += change.bytes();
        let seq = change.id.map_or(0, |id| id.seq);
        changes.push(change);
        if bytes >= PAGE_BYTES || changes.len() as u64 == PAGE {
            return Ok((changes, part(reached, until, seq)));
        }
    }
    Ok((changes, Reached::whole(until.clone())))
}

/// Where a reader is that has read up to the change `seq` on its way to `until`.
fn part(reached: &Reached, until: &Position, seq: i64) -> Reached {
    match until {
        Position::Sequence(_) => Reached::whole(Position::Sequence(seq)),
        Position::Snapshot(_) => Reached {
            whole: reached.whole.clone(),
            part: Some((until.clone(), seq)),
        },
    }
}

fn page(
    backend: DbBackend,
    wanted: Wanted<'_>,
    reached: &Reached,
    until: &Position,
) -> Result<Statement, Error> {
    let mut values: Vec<Value> = Vec::new();
    let span = match (&reached.whole, until) {
        (Position::Snapshot(after), Position::Snapshot(until)) => {
            let last = reached.part.as_ref().map_or(0, |(_, last)| *last);
            values.extend([
                after.xmin().to_string().into(),
                until.xmax().to_string().into(),
                last.into(),
                after.to_string().into(),
                until.to_string().into(),
            ]);
            // Each snapshot is read once, not for each row.
            "xid >= $1::xid8 AND xid < $2::xid8 AND seq > $3 \
             AND NOT pg_visible_in_snapshot(xid, (SELECT $4::pg_snapshot)) \
             AND pg_visible_in_snapshot(xid, (SELECT $5::pg_snapshot))"
        }
        (Position::Sequence(after), Position::Sequence(until)) => {
            values.extend([(*after).into(), (*until).into()]);
            "seq > $1 AND seq <= $2"
        }
        // Of two engines.
        _ => return Err(Error::Corrupt("position")),
    };
    let kinds: Vec<String> = wanted.kinds.iter().map(u8::to_string).collect();
    let mut account = String::new();
    if let Some(only) = wanted.account {
        values.push(only.as_str().into());
        account = format!(" AND account_id = ${}", values.len());
    }
    let sql = format!(
        "SELECT {}, {COLUMNS} FROM changes WHERE {span} AND kind IN ({}){account} \
         ORDER BY seq LIMIT {PAGE}",
        id_columns(backend),
        kinds.join(", ")
    );
    Ok(Statement::from_sql_and_values(backend, sql, values))
}

fn change(row: &QueryResult) -> Result<Change, Error> {
    let actor = ActorKind::from_number(row.try_get("", "actor_kind")?);
    let account: String = row.try_get("", "account_id")?;
    let kind: i64 = row.try_get("", "kind")?;
    let op: i64 = row.try_get("", "op")?;
    let request: Option<Uuid> = row.try_get("", "request_id")?;
    Ok(Change {
        id: Some(id(row)?),
        account: AccountId::parse(&account).map_err(|_| Error::Corrupt("account id"))?,
        kind: u8::try_from(kind).map_err(|_| Error::Corrupt("kind"))?,
        resource: row.try_get("", "resource_id")?,
        op: if op == 1 { Op::Deleted } else { Op::Upserted },
        version: row.try_get("", "version")?,
        time: Timestamp::new(row.try_get::<DateTimeUtc>("", "time")?),
        actor: Some(Actor {
            kind: actor.ok_or(Error::Corrupt("actor"))?,
            id: row.try_get("", "actor_id")?,
        }),
        request: request.map(RequestId::from_uuid),
        changed_paths: row.try_get("", "changed_paths")?,
        before: row.try_get("", "before")?,
        after: row.try_get("", "after")?,
    })
}

#[cfg(test)]
mod tests {
    use rollcall_types::OsEntropy;
    use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

    use super::*;
    use crate::Store;

    struct Migrator;

    #[derive(sea_orm::DeriveMigrationName)]
    struct Migration;

    #[async_trait::async_trait]
    impl MigratorTrait for Migrator {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            vec![Box::new(Migration)]
        }
    }

    #[async_trait::async_trait]
    impl MigrationTrait for Migration {
        async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
            create_table(manager).await
        }
    }

    #[tokio::test]
    async fn every_read_walks_an_index_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changes.db");
        let store = Store::open::<Migrator>(&path.into(), &OsEntropy)
            .await
            .unwrap();
        let acme = AccountId::parse("acme").unwrap();

        let sqlite = DbBackend::Sqlite;
        let of = |account| {
            let kinds = &[1, 3];
            let after = Reached::whole(Position::Sequence(7));
            page(
                sqlite,
                Wanted { account, kinds },
                &after,
                &Position::Sequence(9),
            )
            .unwrap()
        };
        for (mut query, index) in [
            (
                Statement::from_string(sqlite, moment(sqlite)),
                "SEARCH changes",
            ),
            (of(None), "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (
                of(Some(&acme)),
                "INDEX changes_account (account_id=? AND seq>? AND seq<?)",
            ),
        ] {
            query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
            let rows = store.reader().query_all_raw(query).await.unwrap();
            let plan: String = rows[0].try_get("", "detail").unwrap();
            assert!(rows.len() == 1 && plan.contains(index), "{plan}");
        }
    }
}
