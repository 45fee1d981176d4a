//! How SQLite runs a query, for tests.

use rollcall_store::Store;
use rollcall_types::{AccountId, OsEntropy};
use sea_orm::{ConnectionTrait, Statement};
use tempfile::TempDir;

use super::Migrator;

/// A database of its own, empty but for its tables.
pub(super) async fn open_store() -> (Store, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("provisioning.db");
    let store = Store::open::<Migrator>(&path.into(), &OsEntropy)
        .await
        .unwrap();
    (store, folder)
}

pub(super) fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

/// The steps of a query: which index is searched by which columns, and what is sorted.
pub(super) async fn plan(store: &Store, mut query: Statement) -> String {
    query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
    let rows = store.reader().query_all_raw(query).await.unwrap();
    let details = rows.iter().map(|row| row.try_get("", "detail").unwrap());
    details.collect::<Vec<String>>().join("; ")
}
