//! Addresses of users: the primary one is a column of the user; further ones are rows (rare).

use rollcall_scim as scim;
use rollcall_store::{Error, Tx};
use rollcall_types::fold;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::user::User;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_emails")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i64,
        pub value_folded: String,
        pub type_folded: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity};

/// The primary address, or the first.
pub(super) fn primary(attributes: &scim::User) -> Option<&scim::MultiValue> {
    let at = attributes.primary_email_index()?;
    attributes.emails.get(at)
}

/// The addresses of a user but for the primary one, folded as they are stored: place, value and
/// type.
pub(super) fn further(user: &User) -> Vec<(i64, String, Option<String>)> {
    let first = user.attributes.primary_email_index();
    let emails = user.attributes.emails.iter().enumerate();
    let further = emails.filter(|(position, _)| Some(*position) != first);
    let fold = |(position, email): (usize, &scim::MultiValue)| {
        let position = i64::try_from(position).unwrap_or(i64::MAX);
        let type_ = email.type_.as_deref().map(fold::fold);
        (position, fold::fold(&email.value), type_)
    };
    further.map(fold).collect()
}

/// Stores the further addresses of a user that has none stored: one statement, since a user has
/// 200 at most.
pub(super) async fn insert(tx: &Tx, user: &User) -> Result<(), Error> {
    let further = further(user).into_iter();
    Entity::insert_many(further.map(|email| write(user, email)))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn write(user: &User, (position, value, type_): (i64, String, Option<String>)) -> ActiveModel {
    ActiveModel {
        account_id: Set(user.account.to_string()),
        user_id: Set(user.id.to_uuid()),
        position: Set(position),
        value_folded: Set(value),
        type_folded: Set(type_),
    }
}

/// Replaces the further addresses of a user.
pub(super) async fn replace(tx: &Tx, user: &User) -> Result<(), Error> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(user.account.as_str()))
        .filter(Column::UserId.eq(user.id.to_uuid()))
        .exec(tx)
        .await?;
    insert(tx, user).await
}
