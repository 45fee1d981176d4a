//! What is taken from provisioning's feed. Each change of it is also a change of the service's
//! own feed, so that memory needs nothing else.

use rollcall_store::feed::{NewChange, Op, append};
use rollcall_store::follow::{self, Followed};
use rollcall_store::{Epoch, Error, Tx};
use rollcall_types::{AccountId, ConnectionId, UserId};
use sea_orm::{ConnectionTrait, QueryResult};

use super::change::{Kind, Origin};
use super::{account, id, number, sql, text};
use crate::input::{Applied, Input, Resource};
use crate::resolve::UserInput;

/// The name of the feed.
pub(crate) const SOURCE: &str = "provisioning";

/// A connection as it was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Its id.
    pub(crate) id: ConnectionId,
    /// Its version.
    pub(crate) version: i64,
}

/// How far the feed is applied.
///
/// # Errors
/// What the database says.
pub(crate) async fn applied(db: &impl ConnectionTrait) -> Result<Applied, Error> {
    let statement = sql(
        db,
        "SELECT epoch, position, complete FROM applied_positions WHERE source = $1",
        [SOURCE.into()],
    );
    let Some(row) = db.query_one_raw(statement).await? else {
        return Ok(Applied::default());
    };
    let epoch: Option<String> = row.try_get("", "epoch")?;
    Ok(Applied {
        epoch: epoch.as_deref().and_then(Epoch::parse),
        position: number(&row, "position")?,
        complete: number(&row, "complete")? == 1,
    })
}

async fn set_applied(tx: &Tx, applied: Applied) -> Result<(), Error> {
    let statement = sql(
        tx,
        "INSERT INTO applied_positions (source, epoch, position, complete) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (source) DO UPDATE SET epoch = excluded.epoch, \
         position = excluded.position, complete = excluded.complete",
        [
            SOURCE.into(),
            applied.epoch.map(|epoch| epoch.to_string()).into(),
            applied.position.into(),
            i64::from(applied.complete).into(),
        ],
    );
    tx.execute_raw(statement).await?;
    Ok(())
}

/// Begins a new generation.
///
/// # Errors
/// What the database says.
pub(crate) async fn reset(tx: &Tx) -> Result<(), Error> {
    let place = follow::load(tx, SOURCE).await?;
    let place = Followed {
        cursor: String::new(),
        generation: place.generation + 1,
        ..place
    };
    follow::save(tx, SOURCE, &place).await?;
    set_applied(tx, Applied::default()).await
}

/// Applies a page of changes; `newest` is the greatest position in it, if it has any.
///
/// # Errors
/// What the database says.
pub(crate) async fn apply(
    tx: &Tx,
    origin: &Origin,
    inputs: &[Input],
    newest: Option<(Epoch, i64)>,
    cursor: String,
) -> Result<(), Error> {
    let place = follow::load(tx, SOURCE).await?;
    for input in inputs {
        match &input.resource {
            Resource::User(id, Some(user)) => {
                put_user(tx, origin, input, *id, user, place.generation).await?;
            }
            Resource::User(id, None) => delete_user(tx, origin, &input.account, *id).await?,
            Resource::Connection(id, installed) => {
                set_connection(tx, origin, input, *id, *installed, place.generation).await?;
            }
        }
    }
    if let Some((epoch, position)) = newest {
        let mut applied = applied(tx).await?;
        applied.note(epoch, position);
        set_applied(tx, applied).await?;
    }
    follow::save(tx, SOURCE, &Followed { cursor, ..place }).await
}

/// Drops what older generations left.
///
/// # Errors
/// What the database says.
pub(crate) async fn snapshot_end(tx: &Tx, origin: &Origin, cursor: String) -> Result<(), Error> {
    let place = follow::load(tx, SOURCE).await?;
    let older = |table: &str, id: &str| {
        let text = format!("SELECT account_id, {id} FROM {table} WHERE generation < $1");
        sql(tx, &text, [place.generation.into()])
    };
    for row in tx.query_all_raw(older("followed_users", "user_id")).await? {
        delete_user(tx, origin, &account(&row)?, id(&row, "user_id")?).await?;
    }
    for row in tx
        .query_all_raw(older("followed_connections", "connection_id"))
        .await?
    {
        delete_connection(tx, origin, &account(&row)?, id(&row, "connection_id")?).await?;
    }
    set_applied(
        tx,
        Applied {
            complete: true,
            ..applied(tx).await?
        },
    )
    .await?;
    follow::save(tx, SOURCE, &Followed { cursor, ..place }).await
}

/// Notes how far the feed is.
///
/// # Errors
/// What the database says.
pub(crate) async fn progress(
    tx: &Tx,
    cursor: String,
    through: rollcall_types::Timestamp,
) -> Result<(), Error> {
    let place = follow::load(tx, SOURCE).await?;
    let place = Followed {
        cursor,
        through: Some(through),
        ..place
    };
    follow::save(tx, SOURCE, &place).await
}

fn read_user(row: &QueryResult) -> Result<UserInput, Error> {
    let connection: Option<String> = row.try_get("", "connection_id")?;
    let roles: Option<String> = row.try_get("", "roles")?;
    let access = i32::try_from(number(row, "access")?).map_err(|_| Error::Corrupt("access"))?;
    Ok(UserInput {
        access: access.into(),
        connection: connection
            .map(|id| ConnectionId::parse(&id))
            .transpose()
            .map_err(|_| Error::Corrupt("connection id"))?,
        roles: roles
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(|_| Error::Corrupt("roles"))?,
    })
}

/// Every user, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn users(
    db: &impl ConnectionTrait,
) -> Result<Vec<(AccountId, UserId, UserInput)>, Error> {
    let text = "SELECT account_id, user_id, access, connection_id, roles FROM followed_users";
    let rows = db.query_all_raw(sql(db, text, [])).await?;
    rows.iter()
        .map(|row| Ok((account(row)?, id(row, "user_id")?, read_user(row)?)))
        .collect()
}

/// Every connection, for memory.
///
/// # Errors
/// What the database says.
pub(crate) async fn connections(
    db: &impl ConnectionTrait,
) -> Result<Vec<(AccountId, ConnectionId)>, Error> {
    let text = "SELECT account_id, connection_id FROM followed_connections";
    let rows = db.query_all_raw(sql(db, text, [])).await?;
    rows.iter()
        .map(|row| Ok((account(row)?, id(row, "connection_id")?)))
        .collect()
}

/// The account's connection as it was last seen.
///
/// # Errors
/// What the database says.
pub(crate) async fn connection(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Option<Connection>, Error> {
    let statement = sql(
        db,
        "SELECT connection_id, version FROM followed_connections WHERE account_id = $1",
        [account.as_str().into()],
    );
    let row = db.query_one_raw(statement).await?;
    row.map(|row| {
        Ok(Connection {
            id: id(&row, "connection_id")?,
            version: number(&row, "version")?,
        })
    })
    .transpose()
}

async fn put_user(
    tx: &Tx,
    origin: &Origin,
    input: &Input,
    id: UserId,
    user: &UserInput,
    generation: i64,
) -> Result<(), Error> {
    let account = input.account.as_str();
    let id = id.to_string();
    let present = sql(
        tx,
        "SELECT access, connection_id, roles, version, generation FROM followed_users \
         WHERE account_id = $1 AND user_id = $2",
        [account.into(), id.as_str().into()],
    );
    let row = tx.query_one_raw(present).await?;
    let before = match &row {
        Some(row) => {
            // Versions of two generations are not comparable: the feed may have been restored.
            let same = number(row, "generation")? == generation;
            if same && number(row, "version")? > input.version {
                return Ok(());
            }
            Some(read_user(row)?)
        }
        None => None,
    };
    let roles = user.roles.as_ref().map(json).transpose()?;
    let statement = sql(
        tx,
        "INSERT INTO followed_users (account_id, user_id, access, connection_id, roles, version, \
         generation) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id, user_id) \
         DO UPDATE SET access = excluded.access, connection_id = excluded.connection_id, \
         roles = excluded.roles, version = excluded.version, generation = excluded.generation",
        [
            account.into(),
            id.as_str().into(),
            i64::from(i32::from(user.access)).into(),
            user.connection.map(|id| id.to_string()).into(),
            roles.into(),
            input.version.into(),
            generation.into(),
        ],
    );
    tx.execute_raw(statement).await?;
    if before.as_ref() == Some(user) {
        return Ok(());
    }
    let before = before.as_ref().map(json).transpose()?.unwrap_or_default();
    let after = json(user)?;
    let change = NewChange {
        version: input.version,
        before: &before,
        after: &after,
        ..origin.change(&input.account, Kind::User, &id)
    };
    append(tx, change).await?;
    Ok(())
}

async fn delete_user(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: UserId,
) -> Result<(), Error> {
    let id = id.to_string();
    let statement = sql(
        tx,
        "DELETE FROM followed_users WHERE account_id = $1 AND user_id = $2",
        [account.as_str().into(), id.as_str().into()],
    );
    if tx.execute_raw(statement).await?.rows_affected() > 0 {
        let change = NewChange {
            op: Op::Deleted,
            ..origin.change(account, Kind::User, &id)
        };
        append(tx, change).await?;
    }
    Ok(())
}

async fn set_connection(
    tx: &Tx,
    origin: &Origin,
    input: &Input,
    id: ConnectionId,
    installed: bool,
    generation: i64,
) -> Result<(), Error> {
    let account = &input.account;
    if !installed {
        return delete_connection(tx, origin, account, id).await;
    }
    let present = sql(
        tx,
        "SELECT connection_id, version, generation FROM followed_connections \
         WHERE account_id = $1",
        [account.as_str().into()],
    );
    let mut before = String::new();
    if let Some(row) = tx.query_one_raw(present).await? {
        before = text(&row, "connection_id")?;
        let same = before == id.to_string() && number(&row, "generation")? == generation;
        if same && number(&row, "version")? > input.version {
            return Ok(());
        }
    }
    let id = id.to_string();
    let statement = sql(
        tx,
        "INSERT INTO followed_connections (account_id, connection_id, version, generation) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (account_id) \
         DO UPDATE SET connection_id = excluded.connection_id, version = excluded.version, \
         generation = excluded.generation",
        [
            account.as_str().into(),
            id.as_str().into(),
            input.version.into(),
            generation.into(),
        ],
    );
    tx.execute_raw(statement).await?;
    if before != id {
        let change = NewChange {
            version: input.version,
            before: &before,
            after: &id,
            ..origin.change(account, Kind::Connection, &id)
        };
        append(tx, change).await?;
    }
    Ok(())
}

async fn delete_connection(
    tx: &Tx,
    origin: &Origin,
    account: &AccountId,
    id: ConnectionId,
) -> Result<(), Error> {
    let id = id.to_string();
    let statement = sql(
        tx,
        "DELETE FROM followed_connections WHERE account_id = $1 AND connection_id = $2",
        [account.as_str().into(), id.as_str().into()],
    );
    if tx.execute_raw(statement).await?.rows_affected() > 0 {
        let change = NewChange {
            op: Op::Deleted,
            ..origin.change(account, Kind::Connection, &id)
        };
        append(tx, change).await?;
    }
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt("value"))
}
