//! Permission sets.

use std::collections::HashMap;

use rollcall_store::feed::{NewChange, Op, append};
use rollcall_store::page::Page;
use rollcall_store::{Error as StoreError, Tx};
use rollcall_types::{AccountId, PermissionSetId};
use sea_orm::{ConnectionTrait, QueryResult};

use super::change::{Kind, Origin};
use super::{account, catalogue, id, number, sql, text, time};
use crate::error::Error;
use crate::etag;
use crate::permission_set::{Content, PermissionSet, Update};

const COLUMNS: &str = "account_id, permission_set_id, name, description, permission_keys, \
                       version, create_time, update_time";

fn read(row: &QueryResult) -> Result<PermissionSet, StoreError> {
    let keys = text(row, "permission_keys")?;
    Ok(PermissionSet {
        account: account(row)?,
        id: id(row, "permission_set_id")?,
        content: Content {
            name: text(row, "name")?,
            description: text(row, "description")?,
            permission_keys: serde_json::from_str(&keys)
                .map_err(|_| StoreError::Corrupt("permission keys"))?,
        },
        version: number(row, "version")?,
        create_time: time(row, "create_time")?,
        update_time: time(row, "update_time")?,
    })
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
    let statement = sql(
        db,
        &format!(
            "SELECT {COLUMNS} FROM permission_sets WHERE account_id = $1 AND permission_set_id = $2"
        ),
        [account.as_str().into(), id.to_string().into()],
    );
    db.query_one_raw(statement)
        .await?
        .as_ref()
        .map(read)
        .transpose()
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
    let statement = sql(
        db,
        "SELECT permission_set_id FROM permission_sets WHERE account_id = $1 AND name = $2",
        [account.as_str().into(), name.into()],
    );
    let row = db.query_one_raw(statement).await?;
    Ok(row
        .map(|row| text(&row, "permission_set_id"))
        .transpose()?
        .unwrap_or_default())
}

/// One page of the account's sets, in order of their creation.
///
/// # Errors
/// What the database says.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    account: &AccountId,
    page: &Page,
) -> Result<Vec<PermissionSet>, StoreError> {
    let statement = sql(
        db,
        &format!(
            "SELECT {COLUMNS} FROM permission_sets \
             WHERE account_id = $1 AND permission_set_id > $2 \
             ORDER BY permission_set_id LIMIT $3"
        ),
        [
            account.as_str().into(),
            page.after.as_str().into(),
            i64::try_from(page.size).unwrap_or(i64::MAX).into(),
        ],
    );
    db.query_all_raw(statement)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Every set of every account, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<PermissionSet>, StoreError> {
    let statement = sql(db, &format!("SELECT {COLUMNS} FROM permission_sets"), []);
    db.query_all_raw(statement)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Creates a set; returns it and the position of the change.
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
) -> Result<(PermissionSet, i64), Error> {
    content.check(None, &catalogue::load(tx).await?, "permission_set")?;
    refuse_id_as_name(tx, account, id, &content.name, "permission_set").await?;
    let counted = sql(
        tx,
        "SELECT COUNT(*) AS count FROM permission_sets WHERE account_id = $1",
        [account.as_str().into()],
    );
    let count = tx
        .query_one_raw(counted)
        .await?
        .map_or(Ok(0), |row| number(&row, "count"))?;
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
    let statement = sql(
        tx,
        &format!("INSERT INTO permission_sets ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"),
        [
            account.as_str().into(),
            id.to_string().into(),
            set.content.name.as_str().into(),
            set.content.description.as_str().into(),
            serde_json::to_string(&set.content.permission_keys)?.into(),
            set.version.into(),
            set.create_time.to_rfc3339_micros().into(),
            set.update_time.to_rfc3339_micros().into(),
        ],
    );
    tx.execute_raw(statement)
        .await
        .map_err(|error| name_taken(error.into(), &set.content))?;
    let position = note(tx, origin, &set, None).await?;
    Ok((set, position))
}

/// Changes several sets at once; returns them in the order of the updates, and the position of
/// the last change, if there was one.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`], [`Error::Invalid`], [`Error::NameTaken`].
pub(crate) async fn update(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    updates: &[Update],
) -> Result<(Vec<PermissionSet>, Option<i64>), Error> {
    let known = catalogue::load(tx).await?;
    let mut before = HashMap::new();
    let mut sets = Vec::with_capacity(updates.len());
    for (at, update) in updates.iter().enumerate() {
        let field = format!("updates[{at}].permission_set");
        let set = require(tx, account, update.id).await?;
        etag::check(&update.etag, set.version)?;
        let content = update.apply(&set.content);
        content.check(Some(&set.content), &known, &field)?;
        if content.name != set.content.name {
            refuse_id_as_name(tx, account, set.id, &content.name, &field).await?;
        }
        let after = if content == set.content {
            set.clone()
        } else {
            PermissionSet {
                content,
                version: set.version + 1,
                update_time: origin.time,
                ..set.clone()
            }
        };
        before.insert(set.id, set);
        sets.push(after);
    }
    // Names that are exchanged would meet half-way: each first gets one that no set can have,
    // since a control character is refused in a name.
    for set in &sets {
        if before
            .get(&set.id)
            .is_some_and(|old| old.content.name != set.content.name)
        {
            let statement = sql(
                tx,
                "UPDATE permission_sets SET name = $3 \
                 WHERE account_id = $1 AND permission_set_id = $2",
                [
                    account.as_str().into(),
                    set.id.to_string().into(),
                    format!("\u{1}{}", set.id).into(),
                ],
            );
            tx.execute_raw(statement).await?;
        }
    }
    let mut position = None;
    for set in &sets {
        let old = before.get(&set.id).filter(|old| old.version != set.version);
        if let Some(old) = old {
            write(tx, set).await?;
            position = Some(note(tx, origin, set, Some(&old.content)).await?);
        }
    }
    Ok((sets, position))
}

async fn write(tx: &Tx, set: &PermissionSet) -> Result<(), Error> {
    let statement = sql(
        tx,
        "UPDATE permission_sets SET name = $3, description = $4, permission_keys = $5, \
         version = $6, update_time = $7 WHERE account_id = $1 AND permission_set_id = $2",
        [
            set.account.as_str().into(),
            set.id.to_string().into(),
            set.content.name.as_str().into(),
            set.content.description.as_str().into(),
            serde_json::to_string(&set.content.permission_keys)?.into(),
            set.version.into(),
            set.update_time.to_rfc3339_micros().into(),
        ],
    );
    tx.execute_raw(statement)
        .await
        .map_err(|error| name_taken(error.into(), &set.content))?;
    Ok(())
}

/// Deletes a set; returns the position of the change.
///
/// # Errors
/// [`Error::NotFound`], [`Error::VersionMismatch`].
pub(crate) async fn delete(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: PermissionSetId,
    expected: &str,
) -> Result<i64, Error> {
    let set = require(tx, account, id).await?;
    etag::check(expected, set.version)?;
    let statement = sql(
        tx,
        "DELETE FROM permission_sets WHERE account_id = $1 AND permission_set_id = $2",
        [account.as_str().into(), id.to_string().into()],
    );
    tx.execute_raw(statement).await?;
    let before = serde_json::to_string(&set.content)?;
    let id = id.to_string();
    let change = NewChange {
        op: Op::Deleted,
        version: set.version + 1,
        before: &before,
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
) -> Result<i64, Error> {
    let paths = match before {
        Some(before) => set.content.changed_paths(before),
        None => "name description permission_keys".to_owned(),
    };
    let before = before
        .map(serde_json::to_string)
        .transpose()?
        .unwrap_or_default();
    let after = serde_json::to_string(&set.content)?;
    let id = set.id.to_string();
    let change = NewChange {
        version: set.version,
        changed_paths: &paths,
        before: &before,
        after: &after,
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
