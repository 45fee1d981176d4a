//! The catalogue's one row.

use rollcall_store::feed::{NewChange, append};
use rollcall_store::{Error as StoreError, Tx};
use rollcall_types::AccountId;
use sea_orm::ConnectionTrait;

use super::change::{Kind, Origin, PRODUCT};
use super::{number, sql, text};
use crate::catalogue::{Catalogue, Group, keys};
use crate::error::Error;
use crate::etag;

/// How many sets that hold a dropped key are named at most.
const NAMED: usize = 100;

/// Reads the catalogue; the empty one before the first was put.
///
/// # Errors
/// What the database says.
pub(crate) async fn load(db: &impl ConnectionTrait) -> Result<Catalogue, StoreError> {
    let statement = sql(
        db,
        "SELECT version, groups_json FROM catalogue WHERE id = 1",
        [],
    );
    let Some(row) = db.query_one_raw(statement).await? else {
        return Ok(Catalogue::default());
    };
    Ok(Catalogue {
        version: number(&row, "version")?,
        groups: parse(&text(&row, "groups_json")?)?,
    })
}

/// Reads the groups that a row or a change holds.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(crate) fn parse(json: &str) -> Result<Vec<Group>, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Corrupt("catalogue"))
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
    let present = load(tx).await?;
    etag::check(expected, present.version)?;
    if present.groups == groups {
        return Ok(present);
    }
    let after = keys(&groups);
    let before = present.keys();
    let dropped: Vec<&str> = before
        .keys()
        .copied()
        .filter(|key| !after.contains_key(key))
        .collect();
    if !dropped.is_empty() {
        refuse_in_use(tx, &dropped).await?;
    }
    let json = serde_json::to_string(&groups)?;
    let version = present.version + 1;
    let statement = sql(
        tx,
        "INSERT INTO catalogue (id, version, groups_json) VALUES (1, $1, $2) \
         ON CONFLICT (id) DO UPDATE SET version = excluded.version, \
         groups_json = excluded.groups_json",
        [version.into(), json.as_str().into()],
    );
    tx.execute_raw(statement).await?;
    let product = AccountId::parse(PRODUCT).map_err(|_| StoreError::Corrupt("account id"))?;
    let old = if present.version == 0 {
        String::new()
    } else {
        serde_json::to_string(&present.groups)?
    };
    let change = NewChange {
        version,
        changed_paths: "groups",
        before: &old,
        after: &json,
        ..origin.change(&product, Kind::Catalogue, "catalogue")
    };
    append(tx, change).await?;
    Ok(Catalogue { version, groups })
}

/// Reads every set: dropping a key is rare, and the product waits for it.
async fn refuse_in_use(tx: &Tx, dropped: &[&str]) -> Result<(), Error> {
    let text_of_all = "SELECT permission_set_id, permission_keys FROM permission_sets \
                       ORDER BY account_id, permission_set_id";
    let mut uses = Vec::new();
    for row in tx.query_all_raw(sql(tx, text_of_all, [])).await? {
        let held: Vec<String> = serde_json::from_str(&text(&row, "permission_keys")?)
            .map_err(|_| StoreError::Corrupt("permission keys"))?;
        if let Some(key) = held.into_iter().find(|key| dropped.contains(&key.as_str())) {
            uses.push((text(&row, "permission_set_id")?, key));
        }
        if uses.len() == NAMED {
            break;
        }
    }
    if uses.is_empty() {
        Ok(())
    } else {
        Err(Error::KeyInUse(uses))
    }
}
