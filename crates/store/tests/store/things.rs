//! What a service would have: a table whose every change is in the feed.

use futures::future::BoxFuture;
use rollcall_store::feed::{self, Change, NewChange, Op, Rows};
use rollcall_store::{ChangeId, Error, Position, Tx};
use rollcall_types::{AccountId, Actor, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, DeriveMigrationName, Statement, Value};
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager, async_trait};

/// The columns of a thing that name it: account, kind, id.
pub(crate) type Key = (String, u8, String);

const TABLES: &[&str] = &[
    "CREATE TABLE things (
        account_id TEXT NOT NULL,
        kind BIGINT NOT NULL,
        id TEXT NOT NULL,
        value TEXT NOT NULL,
        version BIGINT NOT NULL,
        change_seq BIGINT NOT NULL,
        PRIMARY KEY (account_id, kind, id))",
    "CREATE TABLE parents (id TEXT NOT NULL PRIMARY KEY)",
    // Checked by COMMIT alone: a row without its parent makes COMMIT fail.
    "CREATE TABLE children (
        parent TEXT NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
];

/// The schema.
pub(crate) struct Migrator;

#[derive(DeriveMigrationName)]
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
        for table in TABLES {
            manager.get_connection().execute_unprepared(table).await?;
        }
        feed::create_table(manager).await
    }
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::parse(name).unwrap()
}

pub(crate) fn time() -> Timestamp {
    Timestamp::parse("2026-11-24T09:00:00Z").unwrap()
}

fn statement(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// The version that the next change of a thing has: also a deleted one's versions go on.
async fn next_version(tx: &Tx, (account, kind, id): &Key) -> Result<i64, Error> {
    let sql = "SELECT COALESCE(MAX(version), 0) + 1 AS next FROM changes \
               WHERE account_id = $1 AND kind = $2 AND resource_id = $3";
    let values = vec![account.into(), i64::from(*kind).into(), id.into()];
    let row = tx.query_one_raw(statement(tx, sql, values)).await?;
    Ok(row.unwrap().try_get("", "next")?)
}

async fn append(tx: &Tx, key: &Key, op: Op, version: i64, value: &str) -> Result<ChangeId, Error> {
    let change = NewChange {
        account: &account(&key.0),
        kind: key.1,
        resource: &key.2,
        op,
        version,
        delta: 0,
        time: time(),
        actor: &Actor::system(),
        request: None,
        changed_paths: "value",
        before: "",
        after: value,
    };
    feed::append(tx, change).await
}

/// Stores a thing and its change; which change it is.
pub(crate) async fn put(tx: &Tx, key: &Key, value: &str) -> Result<ChangeId, Error> {
    let version = next_version(tx, key).await?;
    let change = append(tx, key, Op::Upserted, version, value).await?;
    let sql = "INSERT INTO things (account_id, kind, id, value, version, change_seq) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (account_id, kind, id) DO UPDATE SET \
               value = excluded.value, version = excluded.version, \
               change_seq = excluded.change_seq";
    let (account, kind, id) = key;
    let kind = i64::from(*kind);
    let values = vec![
        account.into(),
        kind.into(),
        id.into(),
        value.into(),
        version.into(),
        change.seq.into(),
    ];
    tx.execute_raw(statement(tx, sql, values)).await?;
    Ok(change)
}

/// Deletes a thing, if there is one, and appends its change.
pub(crate) async fn delete(tx: &Tx, key: &Key) -> Result<(), Error> {
    let sql = "DELETE FROM things WHERE account_id = $1 AND kind = $2 AND id = $3";
    let (account, kind, id) = key;
    let values = vec![account.into(), i64::from(*kind).into(), id.into()];
    let gone = tx.execute_raw(statement(tx, sql, values)).await?;
    if gone.rows_affected() > 0 {
        let version = next_version(tx, key).await?;
        append(tx, key, Op::Deleted, version, "").await?;
    }
    Ok(())
}

/// What a thing holds, if there is one.
pub(crate) async fn value(db: &impl ConnectionTrait, key: &Key) -> Option<String> {
    let sql = "SELECT value FROM things WHERE account_id = $1 AND kind = $2 AND id = $3";
    let (account, kind, id) = key;
    let values = vec![account.into(), i64::from(*kind).into(), id.into()];
    let row = db.query_one_raw(statement(db, sql, values)).await.unwrap();
    row.map(|row| row.try_get("", "value").unwrap())
}

/// Every thing of an account (or all), of some kinds: key, value and version.
pub(crate) async fn all(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    kinds: &[u8],
) -> Vec<(Key, String, i64)> {
    let sql = "SELECT account_id, kind, id, value, version FROM things \
               ORDER BY account_id, kind, id";
    let rows = db.query_all_raw(statement(db, sql, Vec::new())).await;
    rows.unwrap()
        .iter()
        .map(|row| {
            let kind: i64 = row.try_get("", "kind").unwrap();
            let kind = u8::try_from(kind).unwrap();
            let account = row.try_get("", "account_id").unwrap();
            let key = (account, kind, row.try_get("", "id").unwrap());
            let value = row.try_get("", "value").unwrap();
            (key, value, row.try_get("", "version").unwrap())
        })
        .filter(|((account, kind, _), ..)| {
            kinds.contains(kind) && only.is_none_or(|only| only.as_str() == account)
        })
        .collect()
}

/// The ids of all things.
pub(crate) async fn ids(db: &impl ConnectionTrait) -> Vec<String> {
    let all = all(db, None, &[1, 2]).await;
    all.into_iter().map(|((_, _, id), ..)| id).collect()
}

/// The things as a snapshot, a few a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) page: u64,
}

impl Rows for State {
    fn page<'a>(
        &'a self,
        db: &'a DatabaseConnection,
        kind: u8,
        only: Option<&'a AccountId>,
        key: &'a str,
        position: &'a Position,
    ) -> BoxFuture<'a, Result<Vec<(String, Change)>, Error>> {
        Box::pin(async move {
            let (after, id) = key.split_once(' ').unwrap_or_default();
            let (committed, position) = feed::committed_by(position, "things.change_seq", 4);
            let sql = format!(
                "SELECT account_id, id, value, version FROM things \
                 WHERE kind = $1 AND (account_id, id) > ($2, $3) AND {committed} \
                 AND ($5 IS NULL OR account_id = $5) ORDER BY account_id, id LIMIT $6"
            );
            let values = vec![
                i64::from(kind).into(),
                after.into(),
                id.into(),
                position,
                only.map(AccountId::as_str).into(),
                self.page.into(),
            ];
            let rows = db.query_all_raw(statement(db, &sql, values)).await?;
            rows.iter()
                .map(|row| {
                    let name: String = row.try_get("", "account_id")?;
                    let id: String = row.try_get("", "id")?;
                    let change = Change {
                        id: None,
                        account: account(&name),
                        kind,
                        resource: id.clone(),
                        op: Op::Upserted,
                        version: row.try_get("", "version")?,
                        time: time(),
                        actor: None,
                        request: None,
                        changed_paths: String::new(),
                        before: String::new(),
                        after: row.try_get("", "value")?,
                    };
                    Ok((format!("{name} {id}"), change))
                })
                .collect()
        })
    }
}
