//! The schema, one file a migration.

use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m20261124_000001_domains;

/// All migrations in order.
#[derive(Debug)]
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261124_000001_domains::Migration)]
    }
}
