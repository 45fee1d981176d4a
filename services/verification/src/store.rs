//! Claims in the database: the only place that knows SQL.

mod migrations;
mod snapshot;

use rollcall_rpc::pb::common::v1::{Actor, ActorKind};
use rollcall_store::feed::{self, NewChange, Op};
use rollcall_store::{Error as StoreError, Tx};
use rollcall_types::{AccountId, DomainId, DomainName, RequestId, Timestamp};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

pub(crate) use migrations::Migrator;
pub(crate) use snapshot::Snapshot;

use crate::claim::Claim;
use crate::error::Error;

/// The feed's number for domains.
pub(crate) const KIND: u8 = 1;
/// The columns of a row as [`read`] takes them.
const COLUMNS: &str = "record, fence";

/// A claim with the number of its last check.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) claim: Claim,
    /// Rises with every check that begins and every renewal: a check may store its verdict only
    /// while the number is still its own.
    pub(crate) fence: i64,
}

/// Who changes a claim, for the feed.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    pub(crate) actor: Actor,
    pub(crate) request: Option<RequestId>,
}

impl Author {
    /// The schedule.
    pub(crate) fn system() -> Self {
        Self {
            actor: Actor {
                kind: ActorKind::System.into(),
                id: String::new(),
            },
            request: None,
        }
    }
}

/// What a change does to the check that may be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// Leaves it alone.
    Keep,
    /// It is the check itself, which ends.
    Release,
    /// Makes its verdict void.
    Revoke,
}

fn statement(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

fn read(row: &QueryResult) -> Result<Row, StoreError> {
    let record: String = row.try_get("", "record")?;
    Ok(Row {
        claim: serde_json::from_str(&record).map_err(|_| StoreError::Corrupt("domain"))?,
        fence: row.try_get("", "fence")?,
    })
}

fn record(claim: &Claim) -> Result<String, StoreError> {
    serde_json::to_string(claim).map_err(|_| StoreError::Corrupt("domain"))
}

fn time(time: Option<Timestamp>) -> Value {
    time.map(Timestamp::to_rfc3339_micros).into()
}

/// Finds a claim of an account by its id.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
    id: DomainId,
) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM domains WHERE account_id = $1 AND domain_id = $2");
    let values = vec![account.as_str().into(), id.to_uuid().into()];
    let row = db.query_one_raw(statement(db, &sql, values)).await?;
    row.as_ref().map(read).transpose()
}

/// Finds a claim of an account by its name.
pub(crate) async fn find_name(
    db: &impl ConnectionTrait,
    account: &AccountId,
    name: &DomainName,
) -> Result<Option<Row>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM domains WHERE account_id = $1 AND name = $2");
    let values = vec![account.as_str().into(), name.as_str().into()];
    let row = db.query_one_raw(statement(db, &sql, values)).await?;
    row.as_ref().map(read).transpose()
}

/// The claims of an account after the id `after`, in order of their creation.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    account: &AccountId,
    after: Option<DomainId>,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM domains WHERE account_id = $1 AND domain_id > $2 \
         ORDER BY domain_id LIMIT $3"
    );
    let values = vec![
        account.as_str().into(),
        after.map(DomainId::to_uuid).unwrap_or_default().into(),
        limit.into(),
    ];
    let rows = db.query_all_raw(statement(db, &sql, values)).await?;
    rows.iter().map(read).collect()
}

/// How many domains an account has: all, and those that are not verified.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<(i64, i64), StoreError> {
    let sql = "SELECT COUNT(*) AS all_rows, \
               COUNT(CASE WHEN state <> 'VERIFIED' THEN 1 END) AS unverified \
               FROM domains WHERE account_id = $1";
    let row = db.query_one_raw(statement(db, sql, vec![account.as_str().into()]));
    let row = row.await?.ok_or(StoreError::Corrupt("count"))?;
    Ok((row.try_get("", "all_rows")?, row.try_get("", "unverified")?))
}

/// Stores a new claim and tells the feed.
pub(crate) async fn insert(tx: &Tx, claim: &Claim, author: &Author) -> Result<(), StoreError> {
    let position = append(tx, claim, None, &["state", "challenge"], author).await?;
    let sql = "INSERT INTO domains (account_id, domain_id, name, state, version, change_seq, \
               next_check_at, fence, lease_until, record) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, NULL, $8)";
    let values = vec![
        claim.account.as_str().into(),
        claim.id.to_uuid().into(),
        claim.name.as_str().into(),
        claim.state.name().into(),
        claim.version.into(),
        position.into(),
        time(claim.next_check),
        record(claim)?.into(),
    ];
    tx.execute_raw(statement(tx, sql, values)).await?;
    Ok(())
}

/// Replaces `before` by `after`, by compare-and-set on the version. What the feed should know of
/// raises the version and is told in the same transaction. Returns what is stored now.
pub(crate) async fn replace(
    tx: &Tx,
    before: &Claim,
    mut after: Claim,
    lease: Lease,
    author: &Author,
    now: Timestamp,
) -> Result<Claim, Error> {
    let paths = after.changed_paths(before);
    let mut position = None;
    if !paths.is_empty() {
        after.version = before.version + 1;
        after.updated = now;
        position = Some(append(tx, &after, Some(before), &paths, author).await?);
    }
    let lease = match lease {
        Lease::Keep => "",
        Lease::Release => ", lease_until = NULL",
        Lease::Revoke => ", lease_until = NULL, fence = fence + 1",
    };
    let sql = format!(
        "UPDATE domains SET state = $4, version = $5, change_seq = COALESCE($6, change_seq), \
         next_check_at = $7, record = $8{lease} \
         WHERE account_id = $1 AND domain_id = $2 AND version = $3"
    );
    let values = vec![
        after.account.as_str().into(),
        after.id.to_uuid().into(),
        before.version.into(),
        after.state.name().into(),
        after.version.into(),
        position.into(),
        time(after.next_check),
        record(&after)?.into(),
    ];
    let done = tx.execute_raw(statement(tx, &sql, values)).await?;
    if done.rows_affected() == 0 {
        return Err(Error::Contended);
    }
    Ok(after)
}

async fn append(
    tx: &Tx,
    after: &Claim,
    before: Option<&Claim>,
    paths: &[&str],
    author: &Author,
) -> Result<i64, StoreError> {
    let before = before.map(|claim| {
        serde_json::json!({
            "state": claim.state,
            "generation": claim.challenge.generation(),
            "last_check": claim.last_check,
        })
        .to_string()
    });
    let change = NewChange {
        account: &after.account,
        kind: KIND,
        resource: &after.id.to_string(),
        op: Op::Upserted,
        version: after.version,
        time: after.updated,
        actor: (author.actor.kind, &author.actor.id),
        request: author.request,
        changed_paths: &paths.join(" "),
        before: before.as_deref().unwrap_or_default(),
        after: &record(after)?,
    };
    feed::append(tx, change).await
}

/// Makes the account the one verified holder of the name; `false` if another account is.
pub(crate) async fn hold(tx: &Tx, claim: &Claim) -> Result<bool, StoreError> {
    let sql = "INSERT INTO held_names (name, account_id, domain_id) VALUES ($1, $2, $3) \
               ON CONFLICT (name) DO NOTHING";
    let values = vec![
        claim.name.as_str().into(),
        claim.account.as_str().into(),
        claim.id.to_uuid().into(),
    ];
    let done = tx.execute_raw(statement(tx, sql, values)).await?;
    Ok(done.rows_affected() == 1)
}

/// Begins a check of one row, whatever was running there before.
pub(crate) async fn lease(
    tx: &Tx,
    account: &AccountId,
    id: DomainId,
    until: Timestamp,
) -> Result<Option<Row>, StoreError> {
    let sql = format!(
        "UPDATE domains SET fence = fence + 1, lease_until = $3 \
         WHERE account_id = $1 AND domain_id = $2 RETURNING {COLUMNS}"
    );
    let values = vec![
        account.as_str().into(),
        id.to_uuid().into(),
        until.to_rfc3339_micros().into(),
    ];
    let row = tx.query_one_raw(statement(tx, &sql, values)).await?;
    row.as_ref().map(read).transpose()
}

/// Begins a check of up to `limit` rows that are due and that nobody checks.
pub(crate) async fn lease_due(
    tx: &Tx,
    now: Timestamp,
    until: Timestamp,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let sql = format!(
        "UPDATE domains SET fence = fence + 1, lease_until = $2 \
         WHERE (account_id, domain_id) IN (SELECT account_id, domain_id FROM domains \
         WHERE next_check_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) \
         ORDER BY next_check_at LIMIT $3) RETURNING {COLUMNS}"
    );
    let values = vec![
        now.to_rfc3339_micros().into(),
        until.to_rfc3339_micros().into(),
        limit.into(),
    ];
    let rows = tx.query_all_raw(statement(tx, &sql, values)).await?;
    rows.iter().map(read).collect()
}

/// When the next row is due that nobody checks.
pub(crate) async fn earliest(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT next_check_at FROM domains WHERE next_check_at IS NOT NULL \
               AND (lease_until IS NULL OR lease_until <= $1) ORDER BY next_check_at LIMIT 1";
    let values = vec![now.to_rfc3339_micros().into()];
    first_time(db, statement(db, sql, values)).await
}

/// How many claims are open, and the time since which the oldest is due, if one is.
pub(crate) async fn work(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<(i64, Option<Timestamp>), StoreError> {
    let sql = "SELECT COUNT(*) AS pending FROM domains WHERE next_check_at IS NOT NULL";
    let row = db.query_one_raw(statement(db, sql, Vec::new())).await?;
    let pending = row.ok_or(StoreError::Corrupt("count"))?;
    let sql = "SELECT next_check_at FROM domains WHERE next_check_at <= $1 \
               ORDER BY next_check_at LIMIT 1";
    let values = vec![now.to_rfc3339_micros().into()];
    let oldest = first_time(db, statement(db, sql, values)).await?;
    Ok((pending.try_get("", "pending")?, oldest))
}

async fn first_time(
    db: &impl ConnectionTrait,
    statement: Statement,
) -> Result<Option<Timestamp>, StoreError> {
    let Some(row) = db.query_one_raw(statement).await? else {
        return Ok(None);
    };
    let text: String = row.try_get("", "next_check_at")?;
    let time = Timestamp::parse(&text).ok_or(StoreError::Corrupt("time"))?;
    Ok(Some(time))
}
