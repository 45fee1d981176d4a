//! What migrations of several services need.

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;

/// Makes text columns compare by their bytes on PostgreSQL, as SQLite compares all: whatever the
/// collation of the database, pages and cursors walk keys in one order. Each is a table and a
/// column.
///
/// # Errors
/// What the database says.
pub async fn compare_bytes(
    manager: &SchemaManager<'_>,
    columns: &[(&str, &str)],
) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    for (table, column) in columns {
        let sql =
            format!("ALTER TABLE \"{table}\" ALTER COLUMN \"{column}\" TYPE text COLLATE \"C\"");
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}
