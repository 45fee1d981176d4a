//! Connections of provisioning: the one that an account has installed, as it was last seen.

use rollcall_store::feed::{NewChange, Op, append};
use rollcall_store::{Error, Tx};
use rollcall_types::{AccountId, ConnectionId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::change::{Kind, Origin};
use crate::input::Input;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "followed_connections")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        pub connection_id: Uuid,
        pub version: i64,
        pub generation: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

/// A connection as it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Its id.
    pub(crate) id: ConnectionId,
    /// Its version.
    pub(crate) version: i64,
}

fn read(row: &Model) -> Connection {
    Connection {
        id: ConnectionId::from_uuid(row.connection_id),
        version: row.version,
    }
}

/// The account's connection.
///
/// # Errors
/// What the database says.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Option<Connection>, Error> {
    let row = Entity::find_by_id(account.as_str()).one(db).await?;
    Ok(row.as_ref().map(read))
}

/// Every connection, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn all(
    db: &impl ConnectionTrait,
) -> Result<Vec<(AccountId, ConnectionId)>, Error> {
    let rows = Entity::find().all(db).await?;
    rows.iter()
        .map(|row| Ok((super::account(&row.account_id)?, read(row).id)))
        .collect()
}

/// Takes what the feed says of an installed connection, unless something newer was taken.
pub(super) async fn put(
    tx: &Tx,
    origin: &Origin,
    input: &Input,
    id: ConnectionId,
    generation: i64,
) -> Result<(), Error> {
    let account = &input.account;
    let present = Entity::find_by_id(account.as_str()).one(tx).await?;
    if let Some(row) = &present {
        let same = row.connection_id == id.to_uuid() && row.generation == generation;
        if same && row.version > input.version {
            return Ok(());
        }
    }
    save(tx, input, id, generation).await?;
    let before = present.as_ref().map(|row| read(row).id);
    if before == Some(id) {
        return Ok(());
    }
    let before = before.map(|id| id.to_string()).unwrap_or_default();
    let id = id.to_string();
    let change = NewChange {
        version: input.version,
        before: &before,
        after: &id,
        ..origin.change(account, Kind::Connection, &id)
    };
    append(tx, change).await?;
    Ok(())
}

async fn save(tx: &Tx, input: &Input, id: ConnectionId, generation: i64) -> Result<(), Error> {
    let row = ActiveModel {
        account_id: Set(input.account.to_string()),
        connection_id: Set(id.to_uuid()),
        version: Set(input.version),
        generation: Set(generation),
    };
    let mut conflict = OnConflict::column(Column::AccountId);
    conflict.update_columns([Column::ConnectionId, Column::Version, Column::Generation]);
    Entity::insert(row)
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Deletes what generations before this one left.
pub(super) async fn delete_older(tx: &Tx, origin: &Origin, generation: i64) -> Result<(), Error> {
    let older = Entity::find().filter(Column::Generation.lt(generation));
    for row in older.all(tx).await? {
        delete(tx, origin, &super::account(&row.account_id)?, read(&row).id).await?;
    }
    Ok(())
}

/// Deletes the connection, if it is still the account's.
pub(super) async fn delete(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: ConnectionId,
) -> Result<(), Error> {
    let deleted = Entity::delete_by_id(account.as_str())
        .filter(Column::ConnectionId.eq(id.to_uuid()))
        .exec(tx)
        .await?;
    if deleted.rows_affected > 0 {
        let id = id.to_string();
        let change = NewChange {
            op: Op::Deleted,
            ..origin.change(account, Kind::Connection, &id)
        };
        append(tx, change).await?;
    }
    Ok(())
}
