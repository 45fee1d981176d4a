//! Users of provisioning: what was last taken of each.

use rollcall_store::feed::{NewChange, Op, append};
use rollcall_store::{Error, Tx};
use rollcall_types::{AccountId, ConnectionId, UserId};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::change::{Kind, Origin};
use crate::input::Input;
use crate::resolve::UserInput;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "followed_users")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        pub access: i32,
        pub connection_id: Option<Uuid>,
        pub roles: Option<String>,
        pub version: i64,
        pub generation: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn read(row: &Model) -> Result<UserInput, Error> {
    let roles = row.roles.as_deref();
    Ok(UserInput {
        access: row.access.into(),
        connection: row.connection_id.map(ConnectionId::from_uuid),
        roles: roles
            .map(|json| super::from_json(json, "roles"))
            .transpose()?,
    })
}

fn key(account: &AccountId, id: UserId) -> (String, sea_orm::prelude::Uuid) {
    (account.to_string(), id.to_uuid())
}

/// Every user, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn all(
    db: &impl ConnectionTrait,
) -> Result<Vec<(AccountId, UserId, UserInput)>, Error> {
    let rows = Entity::find().all(db).await?;
    rows.iter()
        .map(|row| {
            let account = super::account(&row.account_id)?;
            Ok((account, UserId::from_uuid(row.user_id), read(row)?))
        })
        .collect()
}

/// Takes what the feed says of a user, unless something newer was taken.
pub(super) async fn put(
    tx: &Tx,
    origin: &Origin,
    input: &Input,
    id: UserId,
    user: &UserInput,
    generation: i64,
) -> Result<(), Error> {
    let present = Entity::find_by_id(key(&input.account, id)).one(tx).await?;
    if let Some(row) = &present {
        // Versions of two generations are not comparable: the feed may have been restored.
        if row.generation == generation && row.version > input.version {
            return Ok(());
        }
    }
    save(tx, input, id, user, generation).await?;
    let before = present.as_ref().map(read).transpose()?;
    if before.as_ref() == Some(user) {
        return Ok(());
    }
    let before = before.as_ref().map(super::to_json).transpose()?;
    let id = id.to_string();
    let change = NewChange {
        version: input.version,
        before: &before.unwrap_or_default(),
        after: &super::to_json(user)?,
        ..origin.change(&input.account, Kind::User, &id)
    };
    append(tx, change).await?;
    Ok(())
}

async fn save(
    tx: &Tx,
    input: &Input,
    id: UserId,
    user: &UserInput,
    generation: i64,
) -> Result<(), Error> {
    let row = ActiveModel {
        account_id: Set(input.account.to_string()),
        user_id: Set(id.to_uuid()),
        access: Set(user.access.into()),
        connection_id: Set(user.connection.map(ConnectionId::to_uuid)),
        roles: Set(user.roles.as_ref().map(super::to_json).transpose()?),
        version: Set(input.version),
        generation: Set(generation),
    };
    let mut conflict = OnConflict::columns([Column::AccountId, Column::UserId]);
    conflict.update_columns([
        Column::Access,
        Column::ConnectionId,
        Column::Roles,
        Column::Version,
        Column::Generation,
    ]);
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
        let account = super::account(&row.account_id)?;
        delete(tx, origin, &account, UserId::from_uuid(row.user_id)).await?;
    }
    Ok(())
}

/// Deletes a user.
pub(super) async fn delete(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: UserId,
) -> Result<(), Error> {
    let deleted = Entity::delete_by_id(key(account, id)).exec(tx).await?;
    if deleted.rows_affected > 0 {
        let id = id.to_string();
        let change = NewChange {
            op: Op::Deleted,
            ..origin.change(account, Kind::User, &id)
        };
        append(tx, change).await?;
    }
    Ok(())
}
