//! The cursor of a feed that a service follows, stored in its own database.

use rollcall_types::Timestamp;
use sea_orm::sea_query::{Alias, ColumnDef};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::SchemaManager;

use crate::error::Error;

/// Where a service is in a feed that it follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// The cursor; empty before the first batch.
    pub cursor: String,
    /// Rises with every reset; rows of older generations go at the end of the snapshot.
    pub generation: i64,
    /// Every change committed before this time is applied; absent before the first snapshot ended.
    pub through: Option<Timestamp>,
}

/// Creates the table `follows`.
///
/// # Errors
/// What the database says.
pub async fn create_table(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let name = Alias::new;
    let mut table = sea_orm_migration::prelude::Table::create();
    table
        .table(name("follows"))
        .col(
            ColumnDef::new(name("source"))
                .text()
                .not_null()
                .primary_key(),
        )
        .col(ColumnDef::new(name("cursor")).text().not_null())
        .col(ColumnDef::new(name("generation")).big_integer().not_null())
        .col(ColumnDef::new(name("through")).text());
    manager.create_table(table).await
}

/// Reads where the service is in the feed `source`.
///
/// # Errors
/// What the database says.
pub async fn load(db: &impl ConnectionTrait, source: &str) -> Result<Followed, Error> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "SELECT cursor, generation, through FROM follows WHERE source = $1",
        [source.into()],
    );
    let Some(row) = db.query_one_raw(statement).await? else {
        return Ok(Followed::default());
    };
    let through: Option<String> = row.try_get("", "through")?;
    Ok(Followed {
        cursor: row.try_get("", "cursor")?,
        generation: row.try_get("", "generation")?,
        through: through.as_deref().and_then(Timestamp::parse),
    })
}

/// Stores where the service is, in the transaction that applies what came.
///
/// # Errors
/// What the database says.
pub async fn save(db: &impl ConnectionTrait, source: &str, place: &Followed) -> Result<(), Error> {
    let statement = Statement::from_sql_and_values(
        db.get_database_backend(),
        "INSERT INTO follows (source, cursor, generation, through) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (source) DO UPDATE SET cursor = excluded.cursor, \
         generation = excluded.generation, through = excluded.through",
        [
            source.into(),
            place.cursor.as_str().into(),
            place.generation.into(),
            place.through.map(Timestamp::to_rfc3339_micros).into(),
        ],
    );
    db.execute_raw(statement).await?;
    Ok(())
}
