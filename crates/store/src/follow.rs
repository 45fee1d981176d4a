//! The cursor of a feed that a service follows, stored in its own database.

use std::sync::{Mutex, PoisonError};

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

/// Where the stream of one process continues from. Others may follow the same feed into the same
/// tables: whoever applies what comes first goes on, the others begin again from there.
#[derive(Debug, Default)]
pub struct Continued(Mutex<String>);

impl Continued {
    /// The stream continues from here.
    pub fn from(&self, cursor: &str) {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cursor.clone_into(&mut own);
    }

    /// Where it continues from.
    #[must_use]
    pub fn cursor(&self) -> String {
        let own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        own.clone()
    }
}

/// Reads where the service is, which must be where the stream continues from.
///
/// # Errors
/// [`Error::TryAgain`] when another process has gone on; else what the database says.
pub async fn load_at(
    db: &impl ConnectionTrait,
    source: &str,
    cursor: &str,
) -> Result<Followed, Error> {
    let place = load(db, source).await?;
    if place.cursor == cursor {
        return Ok(place);
    }
    let why = "another process has gone on from there".to_owned();
    Err(Error::TryAgain(why))
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
