//! The first schema: claims, who holds a name, and the feed.
//!
//! The columns of `domains` are what is searched by; `record` is the whole claim. `next_check_at`
//! is set exactly while checks go on, so that the index on it holds the open claims and nothing
//! else. `held_names` makes "at most one verified holder of a name" a constraint.

use rollcall_store::feed;
use rollcall_store::schema::compare_bytes;
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, text, timestamp_with_time_zone_null as time_null, uuid,
};

/// See the module.
#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(domains()).await?;
        for index in [domains_name(), domains_due()] {
            manager.create_index(index).await?;
        }
        manager.create_table(held_names()).await?;
        let tables = ["domains", "held_names"];
        compare_bytes(manager, &tables.map(|table| (table, "account_id"))).await?;
        manager.create_index(held_names_domain()).await?;
        feed::create_table(manager).await
    }
}

fn domains() -> TableCreateStatement {
    Table::create()
        .table("domains")
        .col(text("account_id"))
        .col(uuid("domain_id"))
        .col(text("name"))
        .col(text("state"))
        .col(big_integer("version"))
        .col(big_integer("change_seq"))
        .col(time_null("next_check_at"))
        .col(big_integer("fence"))
        .col(time_null("lease_until"))
        .col(text("record"))
        .primary_key(Index::create().col("account_id").col("domain_id"))
        .take()
}

fn domains_name() -> IndexCreateStatement {
    Index::create()
        .name("domains_name")
        .table("domains")
        .col("account_id")
        .col("name")
        .unique()
        .take()
}

fn domains_due() -> IndexCreateStatement {
    Index::create()
        .name("domains_due")
        .table("domains")
        .col("next_check_at")
        .and_where(Expr::col("next_check_at").is_not_null())
        .take()
}

fn held_names() -> TableCreateStatement {
    let domain = ("account_id", "domain_id");
    Table::create()
        .table("held_names")
        .col(text("name").primary_key())
        .col(text(domain.0))
        .col(uuid(domain.1))
        .foreign_key(
            ForeignKey::create()
                .from("held_names", domain)
                .to("domains", domain),
        )
        .take()
}

fn held_names_domain() -> IndexCreateStatement {
    Index::create()
        .name("held_names_domain")
        .table("held_names")
        .col("account_id")
        .col("domain_id")
        .unique()
        .take()
}
