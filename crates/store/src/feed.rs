//! The change feed: one append-only table per service, written in the transaction of the change
//! (U-12). Its reader, from snapshot to changes, is [`watch`].
//!
//! On SQLite there is one writer, so the order of `seq` is the order of commit.

use futures::TryStreamExt;
use rollcall_types::{AccountId, Actor, ActorKind, RequestId, Timestamp};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Statement,
};
use sea_orm_migration::SchemaManager;
use sea_orm_migration::prelude::{Index, Table};
use sea_orm_migration::schema::{
    big_integer, big_pk_auto, text, timestamp_with_time_zone, uuid_null,
};

use crate::Tx;
use crate::error::Error;
use crate::schema;

mod stream;

pub use stream::{Accounts, MAX_AGE, Mark, ResetCause, Rows, Watch, WatchError, watch};

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "changes")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub seq: i64,
        pub account_id: String,
        pub kind: i64,
        pub resource_id: String,
        pub op: i64,
        pub version: i64,
        pub time: DateTimeUtc,
        pub actor_kind: i64,
        pub actor_id: String,
        pub request_id: Option<Uuid>,
        pub changed_paths: String,
        pub before: String,
        pub after: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{Column, Entity, Model};

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

/// One change as it was read.
#[derive(Clone, Debug)]
pub struct Change {
    /// Its position; `None` for a row of the snapshot.
    pub position: Option<i64>,
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
    manager.create_index(index).await
}

/// Appends a change and returns its position, which the row of the resource must store too.
///
/// A raw statement: every write of every service is one, and an `ActiveModel` costs twice as much.
///
/// # Errors
/// What the database says.
pub async fn append(tx: &Tx, change: NewChange<'_>) -> Result<i64, Error> {
    let values = vec![
        change.account.as_str().into(),
        i64::from(change.kind).into(),
        change.resource.into(),
        i64::from(change.op == Op::Deleted).into(),
        change.version.into(),
        change.time.to_chrono().into(),
        change.actor.kind.number().into(),
        change.actor.id.as_str().into(),
        change.request.map(RequestId::to_uuid).into(),
        change.changed_paths.into(),
        change.before.into(),
        change.after.into(),
    ];
    let statement = Statement::from_sql_and_values(
        tx.get_database_backend(),
        "INSERT INTO changes (account_id, kind, resource_id, op, version, time, actor_kind, \
         actor_id, request_id, changed_paths, before, after) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING seq",
        values,
    );
    let row = tx
        .query_one_raw(statement)
        .await?
        .ok_or(Error::Corrupt("position"))?;
    Ok(row.try_get("", "seq")?)
}

/// The position of the newest change; 0 in an empty feed.
///
/// # Errors
/// What the database says.
pub async fn last_position(db: &impl ConnectionTrait) -> Result<i64, Error> {
    let last = newest().into_tuple::<Option<i64>>().one(db).await?;
    Ok(last.flatten().unwrap_or(0))
}

fn newest() -> Select<Entity> {
    Entity::find()
        .select_only()
        .column_as(Column::Seq.max(), "last")
}

/// Reads changes after `after` up to `until`, at most [`PAGE`] of them.
///
/// # Errors
/// What the database says.
pub async fn read(
    db: &impl ConnectionTrait,
    account: Option<&AccountId>,
    kinds: &[u8],
    after: i64,
    until: i64,
) -> Result<Vec<Change>, Error> {
    let rows = page(account, kinds, after, until).all(db).await?;
    rows.into_iter().map(change).collect()
}

/// Reads changes after `after` up to `until` as [`read`] does, but ends with [`PAGE_BYTES`] of
/// text; and the position up to which there is nothing else.
async fn read_page(
    db: &DatabaseConnection,
    account: Option<&AccountId>,
    kinds: &[u8],
    after: i64,
    until: i64,
) -> Result<(Vec<Change>, i64), Error> {
    let query = page(account, kinds, after, until);
    let mut rows = query.stream(db).await?;
    let mut changes = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        let position = row.seq;
        let change = change(row)?;
        bytes += change.bytes();
        changes.push(change);
        if bytes >= PAGE_BYTES || changes.len() as u64 == PAGE {
            return Ok((changes, position));
        }
    }
    Ok((changes, until))
}

fn page(account: Option<&AccountId>, kinds: &[u8], after: i64, until: i64) -> Select<Entity> {
    let kinds = kinds.iter().map(|kind| i64::from(*kind));
    let mut query = Entity::find()
        .filter(Column::Seq.gt(after))
        .filter(Column::Seq.lte(until))
        .filter(Column::Kind.is_in(kinds));
    if let Some(account) = account {
        query = query.filter(Column::AccountId.eq(account.as_str()));
    }
    query.order_by_asc(Column::Seq).limit(PAGE)
}

fn change(row: Model) -> Result<Change, Error> {
    let actor = ActorKind::from_number(row.actor_kind).ok_or(Error::Corrupt("actor"))?;
    Ok(Change {
        position: Some(row.seq),
        account: AccountId::parse(&row.account_id).map_err(|_| Error::Corrupt("account id"))?,
        kind: u8::try_from(row.kind).map_err(|_| Error::Corrupt("kind"))?,
        resource: row.resource_id,
        op: if row.op == 1 {
            Op::Deleted
        } else {
            Op::Upserted
        },
        version: row.version,
        time: Timestamp::new(row.time),
        actor: Some(Actor {
            kind: actor,
            id: row.actor_id,
        }),
        request: row.request_id.map(RequestId::from_uuid),
        changed_paths: row.changed_paths,
        before: row.before,
        after: row.after,
    })
}

#[cfg(test)]
mod tests {
    use rollcall_types::OsEntropy;
    use sea_orm::{DbBackend, QueryTrait};
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

        for (query, index) in [
            (newest(), "SEARCH changes"),
            (
                page(None, &[1, 3], 7, 9),
                "INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ),
            (
                page(Some(&acme), &[1, 3], 7, 9),
                "INDEX changes_account (account_id=? AND seq>? AND seq<?)",
            ),
        ] {
            let mut query = query.build(DbBackend::Sqlite);
            query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
            let rows = store.reader().query_all_raw(query).await.unwrap();
            let plan: String = rows[0].try_get("", "detail").unwrap();
            assert!(rows.len() == 1 && plan.contains(index), "{plan}");
        }
    }
}
