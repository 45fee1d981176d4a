//! The switches.

use rollcall_store::feed::{NewChange, append};
use rollcall_store::{ChangeId, Error as StoreError, Tx};
use rollcall_types::{AccountId, ConnectionId, Timestamp};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

use super::change::{Kind, Origin};
use crate::error::Error;
use crate::management::Switch;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "managements")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        pub connection_id: Uuid,
        pub enabled: bool,
        pub enable_time: Option<DateTimeUtc>,
        pub version: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn read(row: &Model) -> Switch {
    Switch {
        connection: ConnectionId::from_uuid(row.connection_id),
        enabled: row.enabled,
        enable_time: row.enable_time.map(Timestamp::new),
        version: row.version,
    }
}

fn write(account: &AccountId, switch: &Switch) -> ActiveModel {
    ActiveModel {
        account_id: Set(account.to_string()),
        connection_id: Set(switch.connection.to_uuid()),
        enabled: Set(switch.enabled),
        enable_time: Set(switch.enable_time.map(Timestamp::to_chrono)),
        version: Set(switch.version),
    }
}

/// The account's switch, if it was ever set.
///
/// # Errors
/// What the database says.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Option<Switch>, StoreError> {
    let row = Entity::find_by_id(account.as_str()).one(db).await?;
    Ok(row.as_ref().map(read))
}

/// Every switch, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<(AccountId, Switch)>, StoreError> {
    let rows = Entity::find().all(db).await?;
    rows.iter()
        .map(|row| Ok((super::account(&row.account_id)?, read(row))))
        .collect()
}

/// Turns the switch; returns it as it now is, if it was ever set, and the change.
///
/// # Errors
/// What the database says.
pub(crate) async fn turn(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    connection: ConnectionId,
    enabled: bool,
) -> Result<(Option<Switch>, Option<ChangeId>), Error> {
    let before = find(tx, account).await?;
    let Some(after) = Switch::turn(before.as_ref(), connection, enabled, origin.time) else {
        return Ok((before, None));
    };
    save(tx, account, &after).await?;
    let before = before.as_ref().map(super::to_json).transpose()?;
    let change = NewChange {
        version: after.version,
        changed_paths: "enabled",
        before: &before.unwrap_or_default(),
        after: &super::to_json(&after)?,
        ..origin.change(account, Kind::Management, account.as_str())
    };
    let change = append(tx, change).await?;
    Ok((Some(after), Some(change)))
}

async fn save(tx: &Tx, account: &AccountId, switch: &Switch) -> Result<(), StoreError> {
    let mut conflict = OnConflict::column(Column::AccountId);
    conflict.update_columns([
        Column::ConnectionId,
        Column::Enabled,
        Column::EnableTime,
        Column::Version,
    ]);
    Entity::insert(write(account, switch))
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
