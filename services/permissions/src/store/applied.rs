//! How far a feed is applied.

use rollcall_store::{Epoch, Error, Tx};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

use crate::input::Applied;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "applied_positions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub source: String,
        pub epoch: Option<String>,
        pub position: i64,
        pub complete: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn read(row: &Model) -> Applied {
    Applied {
        epoch: row.epoch.as_deref().and_then(Epoch::parse),
        position: row.position,
        complete: row.complete,
    }
}

/// How far the feed `source` is applied.
///
/// # Errors
/// What the database says.
pub(crate) async fn load(db: &impl ConnectionTrait, source: &str) -> Result<Applied, Error> {
    let row = Entity::find_by_id(source).one(db).await?;
    Ok(row.as_ref().map(read).unwrap_or_default())
}

/// Stores it, in the transaction that applies what came.
///
/// # Errors
/// What the database says.
pub(super) async fn save(tx: &Tx, source: &str, applied: Applied) -> Result<(), Error> {
    let row = ActiveModel {
        source: Set(source.to_owned()),
        epoch: Set(applied.epoch.map(|epoch| epoch.to_string())),
        position: Set(applied.position),
        complete: Set(applied.complete),
    };
    let mut conflict = OnConflict::column(Column::Source);
    conflict.update_columns([Column::Epoch, Column::Position, Column::Complete]);
    Entity::insert(row)
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
