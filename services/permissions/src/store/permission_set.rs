//! Permission sets.

use rollcall_store::feed::{NewChange, Op, append};
use rollcall_store::{ChangeId, Error as StoreError, Tx};
use rollcall_types::{AccountId, PermissionSetId, Timestamp};
use sea_orm::prelude::{Expr, Uuid};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
};

use super::change::{Kind, Origin};
use super::{catalogue, from_json, to_json};
use crate::catalogue::Catalogue;
use crate::error::Error;
use crate::etag;
use crate::permission_set::{Content, PermissionSet, Update};

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "permission_sets")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub permission_set_id: Uuid,
        pub name: String,
        pub description: String,
        pub permission_keys: String,
        pub version: i64,
        pub create_time: DateTimeUtc,
        pub update_time: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn read(row: Model) -> Result<PermissionSet, StoreError> {
    Ok(PermissionSet {
        account: super::account(&row.account_id)?,
        id: PermissionSetId::from_uuid(row.permission_set_id),
        content: Content {
            name: row.name,
            description: row.description,
            permission_keys: keys(&row.permission_keys)?,
        },
        version: row.version,
        create_time: Timestamp::new(row.create_time),
        update_time: Timestamp::new(row.update_time),
    })
}

fn write(set: &PermissionSet) -> Result<ActiveModel, StoreError> {
    Ok(ActiveModel {
        account_id: Set(set.account.to_string()),
        permission_set_id: Set(set.id.to_uuid()),
        name: Set(set.content.name.clone()),
        description: Set(set.content.description.clone()),
        permission_keys: Set(to_json(&set.content.permission_keys)?),
        version: Set(set.version),
        create_time: Set(set.create_time.to_chrono()),
        update_time: Set(set.update_time.to_chrono()),
    })
}

fn keys(json: &str) -> Result<Vec<String>, StoreError> {
    from_json(json, "permission keys")
}

fn key(account: &AccountId, id: PermissionSetId) -> (String, Uuid) {
    (account.to_string(), id.to_uuid())
}

fn of(account: &AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account.as_str()))
}

/// Finds a set of the account.
///
/// # Errors
/// What the database says.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
    id: PermissionSetId,
) -> Result<Option<PermissionSet>, StoreError> {
    let row = Entity::find_by_id(key(account, id)).one(db).await?;
    row.map(read).transpose()
}

/// The id of the set with exactly that name, as text; empty if there is none.
///
/// # Errors
/// What the database says.
pub(crate) async fn holder(
    db: &impl ConnectionTrait,
    account: &AccountId,
    name: &str,
) -> Result<String, StoreError> {
    let holder: Option<Uuid> = named(account, name)
        .select_only()
        .column(Column::PermissionSetId)
        .into_tuple()
        .one(db)
        .await?;
    Ok(holder
        .map(|id| PermissionSetId::from_uuid(id).to_string())
        .unwrap_or_default())
}

/// The account's sets after the id `after`, in order of their creation.
///
/// # Errors
/// What the database says.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    account: &AccountId,
    after: Option<PermissionSetId>,
    limit: u64,
) -> Result<Vec<PermissionSet>, StoreError> {
    let rows = page(account, after).limit(limit).all(db).await?;
    rows.into_iter().map(read).collect()
}

fn named(account: &AccountId, name: &str) -> Select<Entity> {
    of(account).filter(Column::Name.eq(name))
}

fn page(account: &AccountId, after: Option<PermissionSetId>) -> Select<Entity> {
    let after = after.map(PermissionSetId::to_uuid).unwrap_or_default();
    of(account)
        .filter(Column::PermissionSetId.gt(after))
        .order_by_asc(Column::PermissionSetId)
}

/// Every set of every account, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<PermissionSet>, StoreError> {
    let rows = Entity::find().all(db).await?;
    rows.into_iter().map(read).collect()
}

/// Up to `limit` sets that hold one of `wanted`: the id of each, and the first such key.
///
/// Reads every set of every account: it is asked rarely, and the product waits for it.
pub(super) async fn holding(
    tx: &Tx,
    wanted: &[&str],
    limit: usize,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows: Vec<(Uuid, String)> = Entity::find()
        .select_only()
        .columns([Column::PermissionSetId, Column::PermissionKeys])
        .order_by_asc(Column::AccountId)
        .order_by_asc(Column::PermissionSetId)
        .into_tuple()
        .all(tx)
        .await?;
    let mut uses = Vec::new();
    for (id, held) in rows {
        let held = keys(&held)?;
        if let Some(key) = held.into_iter().find(|key| wanted.contains(&key.as_str())) {
            uses.push((PermissionSetId::from_uuid(id).to_string(), key));
        }
        if uses.len() == limit {
            break;
        }
    }
    Ok(uses)
}

/// Creates a set; returns it and the change.
///
/// # Errors
/// [`Error::Invalid`], [`Error::LimitReached`], [`Error::NameTaken`].
pub(crate) async fn create(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: PermissionSetId,
    content: Content,
    limit: usize,
) -> Result<(PermissionSet, ChangeId), Error> {
    content.check(None, &catalogue::load(tx).await?, "permission_set")?;
    refuse_id_as_name(tx, account, id, &content.name, "permission_set").await?;
    let count = of(account).count(tx).await?;
    if usize::try_from(count).unwrap_or(usize::MAX) >= limit {
        return Err(Error::LimitReached { limit });
    }
    let set = PermissionSet {
        account: account.clone(),
        id,
        content,
        version: 1,
        create_time: origin.time,
        update_time: origin.time,
    };
    Entity::insert(write(&set)?)
        .exec_without_returning(tx)
        .await
        .map_err(|error| name_taken(error.into(), &set.content))?;
    let change = note(tx, origin, &set, None).await?;
    Ok((set, change))
}

/// Changes several sets at once; returns them in the order of the updates, and
/// the last change, if there was one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::Invalid`], [`Error::NameTaken`].
pub(crate) async fn update(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    updates: &[Update],
) -> Result<(Vec<PermissionSet>, Option<ChangeId>), Error> {
    let known = catalogue::load(tx).await?;
    let mut pairs = Vec::with_capacity(updates.len());
    for (at, update) in updates.iter().enumerate() {
        let field = format!("updates[{at}].permission_set");
        let before = require(tx, account, update.id).await?;
        let after = updated(tx, origin, &before, update, &known, &field).await?;
        pairs.push((before, after));
    }
    free_names(tx, &pairs).await?;
    let mut change = None;
    for (before, after) in &pairs {
        if after.version != before.version {
            replace(tx, after).await?;
            change = Some(note(tx, origin, after, Some(&before.content)).await?);
        }
    }
    let sets = pairs.into_iter().map(|(_, after)| after).collect();
    Ok((sets, change))
}

/// The set as the update leaves it: with its version if that changes nothing.
async fn updated(
    tx: &Tx,
    origin: &Origin,
    before: &PermissionSet,
    update: &Update,
    known: &Catalogue,
    field: &str,
) -> Result<PermissionSet, Error> {
    etag::check(&update.etag, before.version)?;
    let content = update.apply(&before.content);
    content.check(Some(&before.content), known, field)?;
    if content.name != before.content.name {
        refuse_id_as_name(tx, &before.account, before.id, &content.name, field).await?;
    }
    if content == before.content {
        return Ok(before.clone());
    }
    Ok(PermissionSet {
        content,
        version: before.version + 1,
        update_time: origin.time,
        ..before.clone()
    })
}

/// Names that are exchanged would meet half-way: each set that is renamed first gets a name that
/// no set can have, since a control character is refused in a name.
async fn free_names(tx: &Tx, pairs: &[(PermissionSet, PermissionSet)]) -> Result<(), StoreError> {
    let renamed = |(before, after): &&(PermissionSet, PermissionSet)| {
        before.content.name != after.content.name
    };
    for (set, _) in pairs.iter().filter(renamed) {
        let free = Expr::val(format!("\u{1}{}", set.id));
        Entity::update_many()
            .col_expr(Column::Name, free)
            .filter(Column::AccountId.eq(set.account.as_str()))
            .filter(Column::PermissionSetId.eq(set.id.to_uuid()))
            .exec(tx)
            .await?;
    }
    Ok(())
}

async fn replace(tx: &Tx, set: &PermissionSet) -> Result<(), Error> {
    Entity::update(write(set)?)
        .exec_without_returning(tx)
        .await
        .map_err(|error| name_taken(error.into(), &set.content))?;
    Ok(())
}

/// Deletes a set; returns the change.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`].
pub(crate) async fn delete(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: PermissionSetId,
    expected: &str,
) -> Result<ChangeId, Error> {
    let set = require(tx, account, id).await?;
    etag::check(expected, set.version)?;
    Entity::delete_by_id(key(account, id)).exec(tx).await?;
    let id = id.to_string();
    let change = NewChange {
        op: Op::Deleted,
        version: set.version + 1,
        before: &to_json(&set.content)?,
        ..origin.change(account, Kind::PermissionSet, &id)
    };
    Ok(append(tx, change).await?)
}

async fn require(
    tx: &Tx,
    account: &AccountId,
    id: PermissionSetId,
) -> Result<PermissionSet, Error> {
    let not_found = || Error::NotFound {
        kind: "permission_set",
        id: id.to_string(),
    };
    find(tx, account, id).await?.ok_or_else(not_found)
}

/// A role's value that equals both a name and an id would mean two things (P-03).
async fn refuse_id_as_name(
    tx: &Tx,
    account: &AccountId,
    own: PermissionSetId,
    name: &str,
    field: &str,
) -> Result<(), Error> {
    let Ok(id) = PermissionSetId::parse(name) else {
        return Ok(());
    };
    if id == own || find(tx, account, id).await?.is_some() {
        return Err(Error::field(
            &format!("{field}.name"),
            "is the id of a permission set",
        ));
    }
    Ok(())
}

/// Appends what a set now is.
async fn note(
    tx: &Tx,
    origin: &Origin,
    set: &PermissionSet,
    before: Option<&Content>,
) -> Result<ChangeId, Error> {
    let paths = match before {
        Some(before) => set.content.changed_paths(before),
        None => "name description permission_keys".to_owned(),
    };
    let before = before.map(to_json).transpose()?;
    let id = set.id.to_string();
    let change = NewChange {
        version: set.version,
        changed_paths: &paths,
        before: &before.unwrap_or_default(),
        after: &to_json(&set.content)?,
        ..origin.change(&set.account, Kind::PermissionSet, &id)
    };
    Ok(append(tx, change).await?)
}

fn name_taken(error: StoreError, content: &Content) -> Error {
    if error.unique_violation().is_some() {
        Error::NameTaken {
            name: content.name.clone(),
            holder: String::new(),
        }
    } else {
        Error::Internal(error)
    }
}

#[cfg(test)]
mod tests {
    use rollcall_store::Store;
    use rollcall_types::OsEntropy;
    use sea_orm::{DbBackend, QueryTrait};

    use super::*;
    use crate::store::Migrator;

    #[tokio::test]
    async fn the_list_and_the_look_up_by_name_walk_an_index_and_sort_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("permissions.db");
        let store = Store::open::<Migrator>(&path.into(), &OsEntropy)
            .await
            .unwrap();
        let account = AccountId::parse("acme").unwrap();
        let key = "sqlite_autoindex_permission_sets_1 (account_id=? AND permission_set_id>?)";
        let name = "permission_sets_name (account_id=? AND name=?)";

        for (query, index) in [(page(&account, None), key), (named(&account, "a"), name)] {
            let mut query = query.build(DbBackend::Sqlite);
            query.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
            let rows = store.reader().query_all_raw(query).await.unwrap();
            let plan: Vec<String> = rows
                .iter()
                .map(|row| row.try_get("", "detail").unwrap())
                .collect();
            assert_eq!(
                plan,
                [format!("SEARCH permission_sets USING INDEX {index}")]
            );
        }
    }
}
