//! The switches.

use rollcall_store::feed::{NewChange, append};
use rollcall_store::{Error as StoreError, Tx};
use rollcall_types::{AccountId, ConnectionId, Timestamp};
use sea_orm::{ConnectionTrait, QueryResult};

use super::change::{Kind, Origin};
use super::{account, id, number, sql};
use crate::error::Error;
use crate::management::Switch;

const COLUMNS: &str = "account_id, connection_id, enabled, enable_time, version";

fn read(row: &QueryResult) -> Result<Switch, StoreError> {
    let enable_time: Option<String> = row.try_get("", "enable_time")?;
    Ok(Switch {
        connection: id(row, "connection_id")?,
        enabled: number(row, "enabled")? == 1,
        enable_time: enable_time.as_deref().and_then(Timestamp::parse),
        version: number(row, "version")?,
    })
}

/// The account's switch, if it was ever set.
///
/// # Errors
/// What the database says.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Option<Switch>, StoreError> {
    let statement = sql(
        db,
        &format!("SELECT {COLUMNS} FROM managements WHERE account_id = $1"),
        [account.as_str().into()],
    );
    db.query_one_raw(statement)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// Every switch, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<(AccountId, Switch)>, StoreError> {
    let statement = sql(db, &format!("SELECT {COLUMNS} FROM managements"), []);
    let rows = db.query_all_raw(statement).await?;
    rows.iter()
        .map(|row| Ok((account(row)?, read(row)?)))
        .collect()
}

/// Turns the switch; returns it as it now is, if it was ever set, and the position of the change.
///
/// # Errors
/// What the database says.
pub(crate) async fn turn(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    connection: ConnectionId,
    enabled: bool,
) -> Result<(Option<Switch>, Option<i64>), Error> {
    let before = find(tx, account).await?;
    let Some(after) = Switch::turn(before.as_ref(), connection, enabled, origin.time) else {
        return Ok((before, None));
    };
    let statement = sql(
        tx,
        &format!(
            "INSERT INTO managements ({COLUMNS}) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account_id) DO UPDATE SET connection_id = excluded.connection_id, \
             enabled = excluded.enabled, enable_time = excluded.enable_time, \
             version = excluded.version"
        ),
        [
            account.as_str().into(),
            after.connection.to_string().into(),
            i64::from(after.enabled).into(),
            after.enable_time.map(Timestamp::to_rfc3339_micros).into(),
            after.version.into(),
        ],
    );
    tx.execute_raw(statement).await?;
    let old = before
        .as_ref()
        .map(serde_json::to_string)
        .transpose()?
        .unwrap_or_default();
    let new = serde_json::to_string(&after)?;
    let change = NewChange {
        version: after.version,
        changed_paths: "enabled",
        before: &old,
        after: &new,
        ..origin.change(account, Kind::Management, account.as_str())
    };
    let position = append(tx, change).await?;
    Ok((Some(after), Some(position)))
}
