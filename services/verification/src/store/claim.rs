//! Claims: the table `domains`.

use rollcall_store::feed::{self, NewChange, Op};
use rollcall_store::{ChangeId, Error as StoreError, Position, Tx};
use rollcall_types::{AccountId, Actor, DomainId, DomainName, RequestId, Timestamp};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::prelude::{DateTimeUtc, Expr};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, UpdateMany,
};

use super::KIND;
use crate::claim::Claim;
use crate::error::Error;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "domains")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub domain_id: Uuid,
        pub name: String,
        pub state: String,
        pub version: i64,
        pub change_seq: i64,
        pub next_check_at: Option<DateTimeUtc>,
        pub fence: i64,
        pub lease_until: Option<DateTimeUtc>,
        pub record: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

const KEY: [Column; 2] = [Column::AccountId, Column::DomainId];

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
            actor: Actor::system(),
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

fn read(row: &Model) -> Result<Row, StoreError> {
    Ok(Row {
        claim: serde_json::from_str(&row.record).map_err(|_| StoreError::Corrupt("domain"))?,
        fence: row.fence,
    })
}

/// The columns that change with a claim; the change in the feed only if it `moved`.
fn write(claim: &Claim, moved: Option<ChangeId>) -> Result<ActiveModel, StoreError> {
    Ok(ActiveModel {
        state: Set(claim.state.name().to_owned()),
        version: Set(claim.version),
        change_seq: moved.map_or(NotSet, |change| Set(change.seq)),
        next_check_at: Set(claim.next_check.map(Timestamp::to_chrono)),
        record: Set(record(claim)?),
        ..ActiveModel::default()
    })
}

/// The whole claim as text.
pub(super) fn record(claim: &Claim) -> Result<String, StoreError> {
    serde_json::to_string(claim).map_err(|_| StoreError::Corrupt("domain"))
}

/// Finds a claim of an account by its id.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
    id: DomainId,
) -> Result<Option<Row>, StoreError> {
    let key = (account.to_string(), id.to_uuid());
    let row = Entity::find_by_id(key).one(db).await?;
    row.as_ref().map(read).transpose()
}

/// Finds a claim of an account by its name.
pub(crate) async fn find_name(
    db: &impl ConnectionTrait,
    account: &AccountId,
    name: &DomainName,
) -> Result<Option<Row>, StoreError> {
    let row = of(account)
        .filter(Column::Name.eq(name.as_str()))
        .one(db)
        .await?;
    row.as_ref().map(read).transpose()
}

/// The claims of an account after the id `after`, in order of their creation.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    account: &AccountId,
    after: Option<DomainId>,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let rows = page(account, after).limit(limit).all(db).await?;
    rows.iter().map(read).collect()
}

/// The claims of a snapshot in order of account and id, after those of `after`, each with its
/// last change at or before `position`.
pub(super) async fn snapshot(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    after: (&str, Option<DomainId>),
    position: &Position,
) -> Result<Vec<Claim>, StoreError> {
    let rows = snapshot_page(only, after, position).all(db).await?;
    rows.iter().map(|row| Ok(read(row)?.claim)).collect()
}

/// How many domains an account has: all, and those that are not verified.
pub(crate) async fn count(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<(i64, i64), StoreError> {
    let unverified = Expr::case(Column::State.ne("VERIFIED"), 1);
    let counts = of(account)
        .select_only()
        .column_as(Column::DomainId.count(), "domains")
        .column_as(Expr::expr(unverified).count(), "unverified")
        .into_tuple()
        .one(db)
        .await?;
    counts.ok_or(StoreError::Corrupt("count"))
}

/// Stores a new claim and tells the feed.
pub(crate) async fn insert(tx: &Tx, claim: &Claim, author: &Author) -> Result<(), StoreError> {
    let change = append(tx, claim, None, &["state", "challenge"], author).await?;
    let row = ActiveModel {
        account_id: Set(claim.account.to_string()),
        domain_id: Set(claim.id.to_uuid()),
        name: Set(claim.name.to_string()),
        fence: Set(0),
        ..write(claim, Some(change))?
    };
    Entity::insert(row).exec_without_returning(tx).await?;
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
    let mut change = None;
    if !paths.is_empty() {
        after.version = before.version + 1;
        after.updated = now;
        change = Some(append(tx, &after, Some(before), &paths, author).await?);
    }
    let mut row = write(&after, change)?;
    if lease != Lease::Keep {
        row.lease_until = Set(None);
    }
    let mut update = Entity::update_many()
        .set(row)
        .filter(Column::AccountId.eq(after.account.as_str()))
        .filter(Column::DomainId.eq(after.id.to_uuid()))
        .filter(Column::Version.eq(before.version));
    if lease == Lease::Revoke {
        update = update.col_expr(Column::Fence, next_fence());
    }
    if update.exec(tx).await?.rows_affected == 0 {
        return Err(Error::Contended);
    }
    Ok(after)
}

/// Begins a check of one row, whatever was running there before.
pub(crate) async fn lease(
    tx: &Tx,
    account: &AccountId,
    id: DomainId,
    until: Timestamp,
) -> Result<Option<Row>, StoreError> {
    let rows = begin_check(until)
        .filter(Column::AccountId.eq(account.as_str()))
        .filter(Column::DomainId.eq(id.to_uuid()))
        .exec_with_returning(tx)
        .await?;
    rows.first().map(read).transpose()
}

/// Begins a check of up to `limit` rows that are due and that nobody checks.
pub(crate) async fn lease_due(
    tx: &Tx,
    now: Timestamp,
    until: Timestamp,
    limit: u64,
) -> Result<Vec<Row>, StoreError> {
    let rows = begin_due(now, until, limit).exec_with_returning(tx).await?;
    rows.iter().map(read).collect()
}

/// When the next row is due that nobody checks.
pub(crate) async fn earliest(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let due = waiting(now)
        .select_only()
        .column(Column::NextCheckAt)
        .into_tuple()
        .one(db)
        .await?;
    Ok(due.map(Timestamp::new))
}

/// How many claims are open, and the time since which the oldest is due, if one is.
pub(crate) async fn work(
    db: &impl ConnectionTrait,
    now: Timestamp,
) -> Result<(i64, Option<Timestamp>), StoreError> {
    let counted = open_work().into_tuple::<(i64, Option<DateTimeUtc>)>();
    let (pending, first) = counted.one(db).await?.ok_or(StoreError::Corrupt("count"))?;
    let oldest = first.map(Timestamp::new).filter(|due| *due <= now);
    Ok((pending, oldest))
}

async fn append(
    tx: &Tx,
    after: &Claim,
    before: Option<&Claim>,
    paths: &[&str],
    author: &Author,
) -> Result<ChangeId, StoreError> {
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
        delta: 0,
        time: after.updated,
        actor: &author.actor,
        request: author.request,
        changed_paths: &paths.join(" "),
        before: before.as_deref().unwrap_or_default(),
        after: &record(after)?,
    };
    feed::append(tx, change).await
}

fn of(account: &AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account.as_str()))
}

fn page(account: &AccountId, after: Option<DomainId>) -> Select<Entity> {
    let after = after.map(DomainId::to_uuid).unwrap_or_default();
    of(account)
        .filter(Column::DomainId.gt(after))
        .order_by_asc(Column::DomainId)
}

fn snapshot_page(
    only: Option<&AccountId>,
    (account, id): (&str, Option<DomainId>),
    position: &Position,
) -> Select<Entity> {
    let rest = if let Some(only) = only {
        page(only, id)
    } else {
        let id = id.map(DomainId::to_uuid).unwrap_or_default();
        let after = Expr::tuple([Expr::val(account), Expr::val(id)]);
        Entity::find()
            .filter(Expr::tuple(KEY.map(Expr::col)).gt(after))
            .order_by_asc(Column::AccountId)
            .order_by_asc(Column::DomainId)
    };
    rest.filter(feed::is_committed_by(position, "domains.change_seq"))
        .limit(feed::PAGE)
}

/// The open rows that nobody checks, those first that are due first.
fn waiting(now: Timestamp) -> Select<Entity> {
    let over = Column::LeaseUntil.lte(now.to_chrono());
    Entity::find()
        .filter(Column::NextCheckAt.is_not_null())
        .filter(Column::LeaseUntil.is_null().or(over))
        .order_by_asc(Column::NextCheckAt)
}

/// The number of the open rows, and when the first of them is due.
fn open_work() -> Select<Entity> {
    Entity::find()
        .filter(Column::NextCheckAt.is_not_null())
        .select_only()
        .column_as(Column::NextCheckAt.count(), "pending")
        .column_as(Column::NextCheckAt.min(), "first")
}

fn begin_check(until: Timestamp) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Fence, next_fence())
        .col_expr(Column::LeaseUntil, Expr::val(until.to_chrono()))
}

fn begin_due(now: Timestamp, until: Timestamp, limit: u64) -> UpdateMany<Entity> {
    let due = waiting(now)
        .filter(Column::NextCheckAt.lte(now.to_chrono()))
        .select_only()
        .columns(KEY)
        .limit(limit)
        .into_query();
    begin_check(until).filter(Expr::tuple(KEY.map(Expr::col)).in_subquery(due))
}

fn next_fence() -> Expr {
    Expr::col(Column::Fence).add(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rollcall_store::Store;
    use rollcall_types::{Clock, IdSource, OsEntropy, SystemClock};
    use sea_orm::{DbBackend, Statement};

    use super::*;
    use crate::challenge::Challenge;
    use crate::store::Migrator;

    async fn open_store(folder: &tempfile::TempDir) -> Store {
        let path = folder.path().join("verification.db");
        Store::open::<Migrator>(&path.into(), &OsEntropy)
            .await
            .unwrap()
    }

    fn acme() -> AccountId {
        AccountId::parse("acme").unwrap()
    }

    /// How SQLite runs a query.
    async fn plan(store: &Store, mut query: Statement) -> String {
        query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows = store.reader().query_all_raw(query).await.unwrap();
        let details = rows.iter().map(|row| row.try_get("", "detail").unwrap());
        details.collect::<Vec<String>>().join("; ")
    }

    #[tokio::test]
    async fn every_list_and_the_schedule_walk_an_index_and_sort_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(&folder).await;
        let now = SystemClock.now();
        let sqlite = DbBackend::Sqlite;
        let key = "INDEX sqlite_autoindex_domains_1 (account_id=? AND domain_id>?)";
        let keys = "INDEX sqlite_autoindex_domains_1 ((account_id,domain_id)>(?,?))";
        let due = "INDEX domains_due";

        for (query, index) in [
            (page(&acme(), None).build(sqlite), key),
            (
                snapshot_page(None, ("", None), &Position::Sequence(7)).build(sqlite),
                keys,
            ),
            (
                snapshot_page(Some(&acme()), ("", None), &Position::Sequence(7)).build(sqlite),
                key,
            ),
            (waiting(now).build(sqlite), due),
            (begin_due(now, now, 9).build(sqlite), due),
            (open_work().build(sqlite), due),
        ] {
            let plan = plan(&store, query).await;
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("B-TREE"), "{plan}");
        }
    }

    #[tokio::test]
    async fn rows_come_due_in_the_order_of_time_however_many_digits_a_time_has() {
        let folder = tempfile::tempdir().unwrap();
        let store = open_store(&folder).await;
        let ids = IdSource::new(
            std::sync::Arc::new(SystemClock),
            std::sync::Arc::new(OsEntropy),
        );
        let second = Timestamp::parse("2026-11-24T09:00:00Z").unwrap();
        let micros = [1_000_000, 1_001, 0, 120, 1_000, 120_000, 119_999];
        let mut times = micros.map(|micros| second.plus(Duration::from_micros(micros)));
        for (at, time) in times.into_iter().enumerate() {
            let name = DomainName::parse(&format!("acme{at}.com")).unwrap();
            let challenge = Challenge::first("rollcall", &OsEntropy, time);
            let claim = Claim::new(
                acme(),
                DomainId::from_uuid(ids.next()),
                name,
                challenge,
                time,
            );
            let stored: Result<(), StoreError> = store
                .write(move |tx| {
                    Box::pin(async move { insert(tx, &claim, &Author::system()).await })
                })
                .await;
            stored.unwrap();
        }

        let waiting = waiting(second).all(store.reader()).await.unwrap();
        let work = work(store.reader(), second).await.unwrap();
        let until = times[3];
        let due = store
            .write(move |tx| Box::pin(lease_due(tx, until, until, 9)))
            .await;
        let due: Vec<Row> = due.unwrap();

        times.sort();
        let due_at = |row: &Model| row.next_check_at.map(Timestamp::new);
        assert_eq!(waiting.iter().filter_map(due_at).collect::<Vec<_>>(), times);
        assert_eq!(work, (7, Some(second)));
        assert_eq!(due.len(), 2);
    }
}
