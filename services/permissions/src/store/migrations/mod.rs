//! The schema, one migration a step.

use sea_orm_migration::prelude::*;

mod m20261124_000001_permissions;

/// Every migration, oldest first.
pub(crate) struct Migrator;

#[sea_orm_migration::async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261124_000001_permissions::Migration)]
    }
}
