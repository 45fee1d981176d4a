//! Users of provisioning: what was last taken of each.

use rollcall_store::feed::{NewChange, Op, append};
use rollcall_store::{Error, Tx};
use rollcall_types::{AccountId, ConnectionId, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement, Value};

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

use row::{Column, Entity, Model};

// What `put` runs is SQL text, since a first start runs it for every user that there is: with
// statements that sea-orm builds, a user took 88 us of processor time instead of 60. The load into
// memory gained nothing by text.
const FIND: &str = "SELECT account_id, user_id, access, connection_id, roles, version, generation \
    FROM followed_users WHERE account_id = $1 AND user_id = $2";
const SAVE: &str = "INSERT INTO followed_users \
    (account_id, user_id, access, connection_id, roles, version, generation) \
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, user_id) DO UPDATE SET \
    access = excluded.access, connection_id = excluded.connection_id, roles = excluded.roles, \
    version = excluded.version, generation = excluded.generation";

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
    let present = find(tx, &input.account, id).await?;
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

async fn find(tx: &Tx, account: &AccountId, id: UserId) -> Result<Option<Model>, Error> {
    let values: [Value; 2] = [account.as_str().into(), id.to_uuid().into()];
    let find = Statement::from_sql_and_values(tx.get_database_backend(), FIND, values);
    Ok(Entity::find().from_raw_sql(find).one(tx).await?)
}

async fn save(
    tx: &Tx,
    input: &Input,
    id: UserId,
    user: &UserInput,
    generation: i64,
) -> Result<(), Error> {
    let values: [Value; 7] = [
        input.account.as_str().into(),
        id.to_uuid().into(),
        i32::from(user.access).into(),
        user.connection.map(ConnectionId::to_uuid).into(),
        user.roles.as_ref().map(super::to_json).transpose()?.into(),
        input.version.into(),
        generation.into(),
    ];
    let save = Statement::from_sql_and_values(tx.get_database_backend(), SAVE, values);
    tx.execute_raw(save).await?;
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
    let deleted = Entity::delete_by_id((account.to_string(), id.to_uuid()))
        .exec(tx)
        .await?;
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
