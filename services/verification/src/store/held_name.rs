//! Names that are proven, each held by one claim.

use rollcall_store::{Error, Tx};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, EntityTrait};

use crate::claim::Claim;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "held_names")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub account_id: String,
        pub domain_id: Uuid,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity};

/// Makes the claim the one verified holder of its name; `false` if another one is.
///
/// # Errors
/// What the database says.
pub(crate) async fn hold(tx: &Tx, claim: &Claim) -> Result<bool, Error> {
    let row = ActiveModel {
        name: Set(claim.name.to_string()),
        account_id: Set(claim.account.to_string()),
        domain_id: Set(claim.id.to_uuid()),
    };
    let rows = Entity::insert(row)
        .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(rows == 1)
}
