//! Accounts.

use rollcall_store::feed::{self, NewChange, Op};
use rollcall_store::{ChangeId, Error, Position, Tx};
use rollcall_types::{AccountId, Timestamp};
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect};

use super::{Origin, kind, record};
use crate::account::{Account, Entry, PricingModel, Stored, changed_paths};

#[expect(
    clippy::disallowed_methods,
    clippy::struct_field_names,
    unreachable_pub,
    reason = "what sea-orm generates, and the columns' own names"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "accounts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        pub display_name: String,
        pub subscriptions: String,
        pub pricing_model: String,
        pub sso_enabled: bool,
        pub seats: String,
        pub version: i64,
        pub created: DateTimeUtc,
        pub updated: DateTimeUtc,
        pub change_seq: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn entry(row: &Model) -> Result<Entry, Error> {
    Ok(Entry {
        id: super::account_id(&row.account_id)?,
        stored: Stored {
            account: Account {
                display_name: row.display_name.clone(),
                subscriptions: record::from_text(&row.subscriptions, "subscriptions")?,
                pricing_model: match row.pricing_model.as_str() {
                    "SEATS_BASED" => PricingModel::SeatsBased,
                    _ => PricingModel::PermissionSetSeats,
                },
                sso_enabled: row.sso_enabled,
                seats: record::from_text(&row.seats, "seats")?,
            },
            version: row.version,
            created: Timestamp::new(row.created),
            updated: Timestamp::new(row.updated),
        },
    })
}

/// The account, if there is one.
///
/// # Errors
/// What the database says.
pub async fn find(db: &impl ConnectionTrait, id: &AccountId) -> Result<Option<Entry>, Error> {
    Entity::find_by_id(id.as_str())
        .one(db)
        .await?
        .as_ref()
        .map(entry)
        .transpose()
}

/// Accounts in order of their ids, after `after`; of `only`, if it names some.
///
/// # Errors
/// What the database says.
pub async fn list(
    db: &impl ConnectionTrait,
    only: Option<&[AccountId]>,
    after: &str,
    limit: u64,
) -> Result<Vec<Entry>, Error> {
    let mut query = Entity::find().filter(Column::AccountId.gt(after));
    if let Some(only) = only {
        query = query.filter(Column::AccountId.is_in(only.iter().map(AccountId::as_str)));
    }
    let rows = query
        .order_by_asc(Column::AccountId)
        .limit(limit)
        .all(db)
        .await?;
    rows.iter().map(entry).collect()
}

/// The accounts of a snapshot.
pub(super) async fn snapshot(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    after: &str,
    position: &Position,
) -> Result<Vec<Entry>, Error> {
    let mut query = Entity::find()
        .filter(Column::AccountId.gt(after))
        .filter(feed::is_committed_by(position, "accounts.change_seq"));
    if let Some(only) = only {
        query = query.filter(Column::AccountId.eq(only.as_str()));
    }
    let rows = query
        .order_by_asc(Column::AccountId)
        .limit(feed::PAGE)
        .all(db)
        .await?;
    rows.iter().map(entry).collect()
}

/// Stores the account and its change; which change it is.
///
/// # Errors
/// What the database says.
pub async fn save(
    tx: &Tx,
    id: &AccountId,
    before: Option<&Stored>,
    after: &Stored,
    origin: &Origin,
) -> Result<ChangeId, Error> {
    let change = NewChange {
        account: id,
        kind: kind::ACCOUNT,
        resource: id.as_str(),
        op: Op::Upserted,
        version: after.version,
        delta: 0,
        time: origin.time,
        actor: &origin.actor,
        request: origin.request,
        changed_paths: &changed_paths(before.map(|stored| &stored.account), &after.account)
            .join(" "),
        before: &before.map(record::to_text).transpose()?.unwrap_or_default(),
        after: &record::to_text(after)?,
    };
    let change = feed::append(tx, change).await?;
    let account = &after.account;
    let row = ActiveModel {
        account_id: Set(id.to_string()),
        display_name: Set(account.display_name.clone()),
        subscriptions: Set(record::to_text(&account.subscriptions)?),
        pricing_model: Set(match account.pricing_model {
            PricingModel::PermissionSetSeats => "PERMISSION_SET_SEATS".to_owned(),
            PricingModel::SeatsBased => "SEATS_BASED".to_owned(),
        }),
        sso_enabled: Set(account.sso_enabled),
        seats: Set(record::to_text(&account.seats)?),
        version: Set(after.version),
        created: Set(after.created.to_chrono()),
        updated: Set(after.updated.to_chrono()),
        change_seq: Set(change.seq),
    };
    let mut conflict = OnConflict::column(Column::AccountId);
    conflict.update_columns([
        Column::DisplayName,
        Column::Subscriptions,
        Column::PricingModel,
        Column::SsoEnabled,
        Column::Seats,
        Column::Version,
        Column::Updated,
        Column::ChangeSeq,
    ]);
    Entity::insert(row)
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    if before.is_none() {
        super::user::count::begin(tx, id).await?;
    }
    Ok(change)
}
