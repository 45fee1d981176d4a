//! The schema, step by step.

mod m20261124_000001_accounts_connections_users;

use sea_orm_migration::{MigrationTrait, MigratorTrait, async_trait};

/// Every migration of the service, in order.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(
            m20261124_000001_accounts_connections_users::Migration,
        )]
    }
}
