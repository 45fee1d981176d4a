//! The catalogue's one row.

use rollcall_store::feed::{NewChange, append};
use rollcall_store::{Error as StoreError, Tx};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait};

use super::change::{Kind, Origin, PRODUCT};
use super::permission_set;
use crate::catalogue::{Catalogue, Group, keys};
use crate::error::Error;
use crate::etag;

/// How many sets that hold a dropped key are named at most.
const NAMED: usize = 100;
/// The id of the row.
const ID: i64 = 1;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "catalogue")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        pub version: i64,
        pub groups_json: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn read(row: &Model) -> Result<Catalogue, StoreError> {
    Ok(Catalogue {
        version: row.version,
        groups: parse(&row.groups_json)?,
    })
}

/// Reads the catalogue; the empty one before the first was put.
///
/// # Errors
/// What the database says.
pub(crate) async fn load(db: &impl ConnectionTrait) -> Result<Catalogue, StoreError> {
    let row = Entity::find_by_id(ID).one(db).await?;
    Ok(row.as_ref().map(read).transpose()?.unwrap_or_default())
}

/// Reads the groups that a row or a change holds.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn parse(json: &str) -> Result<Vec<Group>, StoreError> {
    super::from_json(json, "catalogue")
}

/// Replaces the catalogue; the same groups again change nothing.
///
/// # Errors
/// [`Error::VersionMismatch`]; [`Error::KeyInUse`] when a set holds a key that would be dropped.
pub(crate) async fn put(
    tx: &Tx,
    origin: &Origin,
    groups: Vec<Group>,
    expected: &str,
) -> Result<Catalogue, Error> {
    let before = load(tx).await?;
    etag::check(expected, before.version)?;
    if before.groups == groups {
        return Ok(before);
    }
    refuse_in_use(tx, &dropped(&before, &groups)).await?;
    let after = Catalogue {
        version: before.version + 1,
        groups,
    };
    let json = super::to_json(&after.groups)?;
    save(tx, after.version, &json).await?;
    note(tx, origin, &before, after.version, &json).await?;
    Ok(after)
}

/// The keys that `after` no longer has.
fn dropped<'a>(before: &'a Catalogue, after: &[Group]) -> Vec<&'a str> {
    let after = keys(after);
    let before = before.keys().into_keys();
    before.filter(|key| !after.contains_key(key)).collect()
}

async fn refuse_in_use(tx: &Tx, dropped: &[&str]) -> Result<(), Error> {
    if dropped.is_empty() {
        return Ok(());
    }
    let uses = permission_set::holding(tx, dropped, NAMED).await?;
    if uses.is_empty() {
        Ok(())
    } else {
        Err(Error::KeyInUse(uses))
    }
}

async fn save(tx: &Tx, version: i64, groups: &str) -> Result<(), StoreError> {
    let row = ActiveModel {
        id: Set(ID),
        version: Set(version),
        groups_json: Set(groups.to_owned()),
    };
    let mut conflict = OnConflict::column(Column::Id);
    conflict.update_columns([Column::Version, Column::GroupsJson]);
    Entity::insert(row)
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Appends what the catalogue now is.
async fn note(
    tx: &Tx,
    origin: &Origin,
    before: &Catalogue,
    version: i64,
    groups: &str,
) -> Result<(), StoreError> {
    let product = super::account(PRODUCT)?;
    let before = if before.version == 0 {
        String::new()
    } else {
        super::to_json(&before.groups)?
    };
    let change = NewChange {
        version,
        changed_paths: "groups",
        before: &before,
        after: groups,
        ..origin.change(&product, Kind::Catalogue, "catalogue")
    };
    append(tx, change).await?;
    Ok(())
}
