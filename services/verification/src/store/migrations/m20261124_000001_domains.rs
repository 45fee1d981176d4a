//! The first schema: claims, who holds a name, and the feed.
//!
//! The columns of `domains` are what is searched by; `record` is the whole claim. `next_check_at`
//! is set exactly while checks go on, so that the index on it holds the open claims and nothing
//! else. `held_names` makes "at most one verified holder of a name" a constraint.

use rollcall_store::feed;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The same text for SQLite and PostgreSQL, but for the type of ids.
const STATEMENTS: [&str; 5] = [
    "CREATE TABLE domains (
        account_id TEXT NOT NULL,
        domain_id {uuid} NOT NULL,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        version BIGINT NOT NULL,
        change_seq BIGINT NOT NULL,
        next_check_at TEXT,
        fence BIGINT NOT NULL,
        lease_until TEXT,
        record TEXT NOT NULL,
        PRIMARY KEY (account_id, domain_id))",
    "CREATE UNIQUE INDEX domains_name ON domains (account_id, name)",
    "CREATE INDEX domains_due ON domains (next_check_at) WHERE next_check_at IS NOT NULL",
    "CREATE TABLE held_names (
        name TEXT NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL,
        domain_id {uuid} NOT NULL,
        FOREIGN KEY (account_id, domain_id) REFERENCES domains (account_id, domain_id))",
    "CREATE UNIQUE INDEX held_names_domain ON held_names (account_id, domain_id)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let uuid = match manager.get_database_backend() {
            DbBackend::Postgres => "UUID",
            _ => "BLOB",
        };
        for statement in STATEMENTS {
            let statement = statement.replace("{uuid}", uuid);
            let connection = manager.get_connection();
            connection.execute_unprepared(&statement).await?;
        }
        feed::create_table(manager).await
    }
}
