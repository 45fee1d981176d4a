//! The cursor of a feed that a service follows, stored in its own database.

use rollcall_types::Timestamp;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};
use sea_orm_migration::SchemaManager;
use sea_orm_migration::prelude::Table;
use sea_orm_migration::schema::{big_integer, text, timestamp_with_time_zone_null};

use crate::error::Error;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "follows")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source: String,
        pub cursor: String,
        pub generation: i64,
        pub through: Option<DateTimeUtc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

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
    let table = Table::create()
        .table("follows")
        .col(text("source").primary_key())
        .col(text("cursor"))
        .col(big_integer("generation"))
        .col(timestamp_with_time_zone_null("through"))
        .take();
    manager.create_table(table).await
}

fn read(row: Model) -> Followed {
    Followed {
        cursor: row.cursor,
        generation: row.generation,
        through: row.through.map(Timestamp::new),
    }
}

fn write(source: &str, place: &Followed) -> ActiveModel {
    ActiveModel {
        source: Set(source.to_owned()),
        cursor: Set(place.cursor.clone()),
        generation: Set(place.generation),
        through: Set(place.through.map(Timestamp::to_chrono)),
    }
}

/// Reads where the service is in the feed `source`.
///
/// # Errors
/// What the database says.
pub async fn load(db: &impl ConnectionTrait, source: &str) -> Result<Followed, Error> {
    let row = Entity::find_by_id(source).one(db).await?;
    Ok(row.map(read).unwrap_or_default())
}

/// Stores where the service is, in the transaction that applies what came.
///
/// # Errors
/// What the database says.
pub async fn save(db: &impl ConnectionTrait, source: &str, place: &Followed) -> Result<(), Error> {
    let mut conflict = OnConflict::column(Column::Source);
    conflict.update_columns([Column::Cursor, Column::Generation, Column::Through]);
    Entity::insert(write(source, place))
        .on_conflict(conflict)
        .exec_without_returning(db)
        .await?;
    Ok(())
}
