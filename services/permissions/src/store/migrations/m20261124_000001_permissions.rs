//! The first schema: the catalogue, permission sets, the switch, and what is taken from
//! provisioning's feed: projections with the generation that last mentioned each row, and how far
//! the feed is applied.

use rollcall_store::schema::compare_bytes;
use rollcall_store::{feed, follow};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, integer, text, text_null, timestamp_with_time_zone as time,
    timestamp_with_time_zone_null as time_null, uuid, uuid_null,
};

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            catalogue(),
            permission_sets(),
            managements(),
            followed_connections(),
            followed_users(),
        ] {
            manager.create_table(table).await?;
        }
        let tables = [
            "permission_sets",
            "managements",
            "followed_connections",
            "followed_users",
        ];
        compare_bytes(manager, &tables.map(|table| (table, "account_id"))).await?;
        manager.create_index(permission_sets_name()).await?;
        feed::create_table(manager).await?;
        follow::create_table(manager).await
    }
}

fn catalogue() -> TableCreateStatement {
    Table::create()
        .table("catalogue")
        .col(big_integer("id").primary_key().check(Expr::col("id").eq(1)))
        .col(big_integer("version"))
        .col(text("groups_json"))
        .take()
}

fn permission_sets() -> TableCreateStatement {
    Table::create()
        .table("permission_sets")
        .col(text("account_id"))
        .col(uuid("permission_set_id"))
        .col(text("name"))
        .col(text("description"))
        .col(text("permission_keys"))
        .col(big_integer("version"))
        .col(time("create_time"))
        .col(time("update_time"))
        .primary_key(Index::create().col("account_id").col("permission_set_id"))
        .take()
}

fn permission_sets_name() -> IndexCreateStatement {
    Index::create()
        .name("permission_sets_name")
        .table("permission_sets")
        .col("account_id")
        .col("name")
        .unique()
        .take()
}

fn managements() -> TableCreateStatement {
    Table::create()
        .table("managements")
        .col(text("account_id").primary_key())
        .col(uuid("connection_id"))
        .col(boolean("enabled"))
        .col(time_null("enable_time"))
        .col(big_integer("version"))
        .take()
}

fn followed_connections() -> TableCreateStatement {
    Table::create()
        .table("followed_connections")
        .col(text("account_id").primary_key())
        .col(uuid("connection_id"))
        .col(big_integer("version"))
        .col(big_integer("generation"))
        .take()
}

fn followed_users() -> TableCreateStatement {
    Table::create()
        .table("followed_users")
        .col(text("account_id"))
        .col(uuid("user_id"))
        .col(integer("access"))
        .col(uuid_null("connection_id"))
        .col(text_null("roles"))
        .col(big_integer("version"))
        .col(big_integer("generation"))
        .primary_key(Index::create().col("account_id").col("user_id"))
        .take()
}
