//! The first schema: the catalogue, permission sets, the switch, and what is taken from
//! provisioning's feed. Ids are text, so that their order is the same in both engines.

use sea_orm_migration::prelude::*;

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261124_000001_permissions"
    }
}

const TABLES: [&str; 6] = [
    "CREATE TABLE catalogue (
        id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
        version BIGINT NOT NULL,
        groups_json TEXT NOT NULL
    )",
    "CREATE TABLE permission_sets (
        account_id TEXT NOT NULL,
        permission_set_id TEXT NOT NULL,
        name TEXT NOT NULL,
        description TEXT NOT NULL,
        permission_keys TEXT NOT NULL,
        version BIGINT NOT NULL,
        create_time TEXT NOT NULL,
        update_time TEXT NOT NULL,
        PRIMARY KEY (account_id, permission_set_id),
        UNIQUE (account_id, name)
    )",
    "CREATE TABLE managements (
        account_id TEXT NOT NULL PRIMARY KEY,
        connection_id TEXT NOT NULL,
        enabled BIGINT NOT NULL,
        enable_time TEXT,
        version BIGINT NOT NULL
    )",
    // What follows is taken from provisioning: projections with the generation that last
    // mentioned each row, and how far the feed is applied.
    "CREATE TABLE followed_connections (
        account_id TEXT NOT NULL PRIMARY KEY,
        connection_id TEXT NOT NULL,
        version BIGINT NOT NULL,
        generation BIGINT NOT NULL
    )",
    "CREATE TABLE followed_users (
        account_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        access BIGINT NOT NULL,
        connection_id TEXT,
        roles TEXT,
        version BIGINT NOT NULL,
        generation BIGINT NOT NULL,
        PRIMARY KEY (account_id, user_id)
    )",
    "CREATE TABLE applied_positions (
        source TEXT NOT NULL PRIMARY KEY,
        epoch TEXT,
        position BIGINT NOT NULL,
        complete BIGINT NOT NULL
    )",
];

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.get_connection().execute_unprepared(table).await?;
        }
        rollcall_store::feed::create_table(manager).await?;
        rollcall_store::follow::create_table(manager).await
    }
}
