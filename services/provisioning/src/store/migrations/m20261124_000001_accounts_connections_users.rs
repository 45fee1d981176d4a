//! The first schema: accounts, one installed connection each, its tokens, users with the columns
//! that are filtered by, the projection of verified domains, and the feed.
//!
//! Keys begin with the account. userName is unique by its folded form; externalId is unique per
//! connection. `change_seq` is the position of a row's last change, for snapshots of the feed.

use rollcall_store::schema::compare_bytes;
use rollcall_store::{feed, follow};
use sea_orm::{ConnectionTrait, DbBackend};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, blob, boolean, boolean_null, text, text_null, timestamp_with_time_zone as time,
    timestamp_with_time_zone_null as time_null, uuid, uuid_null,
};

/// See the module.
#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            accounts(),
            connections(),
            tokens(),
            users(),
            user_emails(),
            user_counts(),
            page_bookmarks(),
            domains(),
        ] {
            manager.create_table(table).await?;
        }
        let tables = [
            "accounts",
            "connections",
            "tokens",
            "users",
            "user_emails",
            "user_counts",
            "page_bookmarks",
            "domains",
        ];
        compare_bytes(manager, &tables.map(|table| (table, "account_id"))).await?;
        for index in [
            connections_installed(),
            tokens_look_up(),
            users_user_name(),
            users_email(),
            users_external_id(),
            users_held(),
            user_emails_value(),
        ] {
            manager.create_index(index).await?;
        }
        feed::create_table(manager).await?;
        follow::create_table(manager).await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            for sql in POSTGRES {
                manager.get_connection().execute_unprepared(sql).await?;
            }
        }
        Ok(())
    }
}

const POSTGRES: [&str; 2] = [
    // What came before this transaction is in the number, what came since is in the feed.
    "ALTER TABLE user_counts ADD horizon xid8 NOT NULL DEFAULT '0'",
    // Losing it costs time alone.
    "ALTER TABLE page_bookmarks SET UNLOGGED",
];

fn accounts() -> TableCreateStatement {
    Table::create()
        .table("accounts")
        .col(text("account_id").primary_key())
        .col(text("display_name"))
        .col(text("subscriptions"))
        .col(text("pricing_model"))
        .col(boolean("sso_enabled"))
        .col(text("seats"))
        .col(big_integer("version"))
        .col(time("created"))
        .col(time("updated"))
        .col(big_integer("change_seq"))
        .take()
}

fn connections() -> TableCreateStatement {
    Table::create()
        .table("connections")
        .col(text("account_id"))
        .col(uuid("connection_id"))
        .col(text("state"))
        .col(time("installed"))
        .col(big_integer("version"))
        .col(big_integer("change_seq"))
        .primary_key(Index::create().col("account_id").col("connection_id"))
        .foreign_key(&mut of_account("connections"))
        .take()
}

fn connections_installed() -> IndexCreateStatement {
    Index::create()
        .name("connections_installed")
        .table("connections")
        .col("account_id")
        .unique()
        .and_where(Expr::col("state").eq("CONNECTED"))
        .take()
}

fn tokens() -> TableCreateStatement {
    let connection = ("account_id", "connection_id");
    Table::create()
        .table("tokens")
        .col(text("account_id"))
        .col(uuid("token_id"))
        .col(uuid("connection_id"))
        .col(blob("secret_hash"))
        .col(text("label"))
        .col(text("creator"))
        .col(time("created"))
        .col(time("expires"))
        .col(time_null("ends"))
        .col(time_null("last_used"))
        .primary_key(Index::create().col("account_id").col("token_id"))
        .foreign_key(
            ForeignKey::create()
                .from("tokens", connection)
                .to("connections", connection),
        )
        .take()
}

fn tokens_look_up() -> IndexCreateStatement {
    Index::create()
        .name("tokens_look_up")
        .table("tokens")
        .col("token_id")
        .unique()
        .take()
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(text("account_id"))
        .col(uuid("user_id"))
        .col(text("user_name_folded"))
        .col(text_null("email_folded"))
        .col(text_null("email_type_folded"))
        .col(text_null("email_domain"))
        .col(text_null("external_id"))
        .col(text_null("roles"))
        .col(boolean_null("active_sent"))
        .col(boolean("active"))
        .col(boolean("admitted"))
        .col(time("since"))
        .col(uuid_null("connection_id"))
        .col(big_integer("version"))
        .col(time("created"))
        .col(time("updated"))
        .col(big_integer("change_seq"))
        .col(text("document"))
        .primary_key(Index::create().col("account_id").col("user_id"))
        .foreign_key(&mut of_account("users"))
        .take()
}

fn users_user_name() -> IndexCreateStatement {
    Index::create()
        .name("users_user_name")
        .table("users")
        .col("account_id")
        .col("user_name_folded")
        .unique()
        .take()
}

fn users_email() -> IndexCreateStatement {
    Index::create()
        .name("users_email")
        .table("users")
        .col("account_id")
        .col("email_folded")
        .take()
}

fn users_external_id() -> IndexCreateStatement {
    Index::create()
        .name("users_external_id")
        .table("users")
        .col("account_id")
        .col("connection_id")
        .col("external_id")
        .unique()
        .and_where(Expr::col("external_id").is_not_null())
        .take()
}

fn users_held() -> IndexCreateStatement {
    Index::create()
        .name("users_held")
        .table("users")
        .col("account_id")
        .col("email_domain")
        .col("user_id")
        .and_where(Expr::col("admitted").eq(false))
        .take()
}

fn user_emails() -> TableCreateStatement {
    let user = ("account_id", "user_id");
    Table::create()
        .table("user_emails")
        .col(text("account_id"))
        .col(uuid("user_id"))
        .col(big_integer("position"))
        .col(text("value_folded"))
        .col(text_null("type_folded"))
        .primary_key(
            Index::create()
                .col("account_id")
                .col("user_id")
                .col("position"),
        )
        .foreign_key(
            ForeignKey::create()
                .from("user_emails", user)
                .to("users", user)
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}

fn user_emails_value() -> IndexCreateStatement {
    Index::create()
        .name("user_emails_value")
        .table("user_emails")
        .col("account_id")
        .col("value_folded")
        .take()
}

fn user_counts() -> TableCreateStatement {
    Table::create()
        .table("user_counts")
        .col(text("account_id").primary_key())
        .col(big_integer("users"))
        .foreign_key(&mut of_account("user_counts"))
        .take()
}

fn page_bookmarks() -> TableCreateStatement {
    Table::create()
        .table("page_bookmarks")
        .col(text("account_id"))
        .col(uuid("connection_id"))
        .col(big_integer("start_index"))
        .col(uuid("last_user"))
        .col(time("noted"))
        .primary_key(
            Index::create()
                .col("account_id")
                .col("connection_id")
                .col("start_index"),
        )
        .take()
}

fn domains() -> TableCreateStatement {
    Table::create()
        .table("domains")
        .col(text("account_id"))
        .col(text("name"))
        .col(uuid("domain_id"))
        .col(time_null("verified_since"))
        .col(big_integer("version"))
        .col(big_integer("generation"))
        .primary_key(Index::create().col("account_id").col("name"))
        .take()
}

fn of_account(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, "account_id")
        .to("accounts", "account_id")
        .take()
}
