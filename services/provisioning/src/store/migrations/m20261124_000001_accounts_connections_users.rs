//! The first schema: accounts, one installed connection each, its tokens, users with the columns
//! that are filtered by, the projection of verified domains, and the feed.
//!
//! Keys begin with the account. userName is unique by its folded form; externalId is unique per
//! connection. `change_seq` is the position of a row's last change, for snapshots of the feed.

use sea_orm_migration::prelude::*;

/// See the module.
#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// The statements, the same text for SQLite and PostgreSQL. (The binary type of ids differs and is
/// filled in.)
const TABLES: &[&str] = &[
    "CREATE TABLE accounts (
        account_id TEXT NOT NULL PRIMARY KEY,
        display_name TEXT NOT NULL,
        subscriptions TEXT NOT NULL,
        pricing_model TEXT NOT NULL,
        sso_enabled BOOLEAN NOT NULL,
        seats TEXT NOT NULL,
        version BIGINT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        change_seq BIGINT NOT NULL)",
    "CREATE TABLE connections (
        account_id TEXT NOT NULL REFERENCES accounts (account_id),
        connection_id {uuid} NOT NULL,
        state TEXT NOT NULL,
        installed TEXT NOT NULL,
        version BIGINT NOT NULL,
        change_seq BIGINT NOT NULL,
        PRIMARY KEY (account_id, connection_id))",
    "CREATE UNIQUE INDEX connections_installed ON connections (account_id) WHERE state = 'CONNECTED'",
    "CREATE TABLE tokens (
        account_id TEXT NOT NULL,
        token_id {uuid} NOT NULL,
        connection_id {uuid} NOT NULL,
        secret_hash {bytes} NOT NULL,
        label TEXT NOT NULL,
        creator TEXT NOT NULL,
        created TEXT NOT NULL,
        expires TEXT NOT NULL,
        ends TEXT,
        PRIMARY KEY (account_id, token_id),
        FOREIGN KEY (account_id, connection_id) REFERENCES connections (account_id, connection_id))",
    "CREATE UNIQUE INDEX tokens_look_up ON tokens (token_id)",
    "CREATE TABLE users (
        account_id TEXT NOT NULL REFERENCES accounts (account_id),
        user_id {uuid} NOT NULL,
        user_name_folded TEXT NOT NULL,
        email_folded TEXT,
        email_type_folded TEXT,
        email_domain TEXT,
        external_id TEXT,
        roles TEXT,
        active_sent BOOLEAN,
        active BOOLEAN NOT NULL,
        admitted BOOLEAN NOT NULL,
        since TEXT NOT NULL,
        connection_id {uuid},
        version BIGINT NOT NULL,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        change_seq BIGINT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (account_id, user_id))",
    "CREATE UNIQUE INDEX users_user_name ON users (account_id, user_name_folded)",
    "CREATE INDEX users_email ON users (account_id, email_folded)",
    "CREATE UNIQUE INDEX users_external_id ON users (account_id, connection_id, external_id)
        WHERE external_id IS NOT NULL",
    "CREATE INDEX users_held ON users (account_id, email_domain, user_id) WHERE admitted = FALSE",
    "CREATE TABLE user_emails (
        account_id TEXT NOT NULL,
        user_id {uuid} NOT NULL,
        position BIGINT NOT NULL,
        value_folded TEXT NOT NULL,
        type_folded TEXT,
        PRIMARY KEY (account_id, user_id, position),
        FOREIGN KEY (account_id, user_id) REFERENCES users (account_id, user_id) ON DELETE CASCADE)",
    "CREATE INDEX user_emails_value ON user_emails (account_id, value_folded)",
    "CREATE TABLE user_counts (
        account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (account_id),
        users BIGINT NOT NULL)",
    "CREATE TABLE domains (
        account_id TEXT NOT NULL,
        name TEXT NOT NULL,
        domain_id TEXT NOT NULL,
        state TEXT NOT NULL,
        version BIGINT NOT NULL,
        generation BIGINT NOT NULL,
        PRIMARY KEY (account_id, name))",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sqlite = manager.get_database_backend() == sea_orm::DbBackend::Sqlite;
        let (uuid, bytes) = if sqlite {
            ("BLOB", "BLOB")
        } else {
            ("UUID", "BYTEA")
        };
        for table in TABLES {
            let text = table.replace("{uuid}", uuid).replace("{bytes}", bytes);
            manager.get_connection().execute_unprepared(&text).await?;
        }
        rollcall_store::feed::create_table(manager).await?;
        rollcall_store::follow::create_table(manager).await
    }
}
