//! Connections and tokens.

use rollcall_store::feed::{self, NewChange, Op};
use rollcall_store::{Error, Tx};
use rollcall_types::credential::SecretHash;
use rollcall_types::{AccountId, ConnectionId, Credential, Timestamp, TokenId};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Origin, kind, record};
use crate::connection::{Connection, Known, Principal, Token};

/// What the feed keeps of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// When it was installed.
    pub installed: Timestamp,
}

fn statement<const N: usize>(
    db: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

fn time(row: &QueryResult, column: &str) -> Result<Timestamp, Error> {
    let text: String = row.try_get("", column)?;
    Timestamp::parse(&text).ok_or(Error::Corrupt("time"))
}

/// The installed connection of the account.
///
/// # Errors
/// What the database says.
pub async fn installed(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Option<Connection>, Error> {
    let query = statement(
        db,
        "SELECT connection_id, installed, version FROM connections \
         WHERE account_id = $1 AND state = 'CONNECTED'",
        [account.as_str().into()],
    );
    let row = db.query_one_raw(query).await?;
    row.as_ref().map(connection).transpose()
}

fn connection(row: &QueryResult) -> Result<Connection, Error> {
    Ok(Connection {
        id: ConnectionId::from_uuid(row.try_get::<Uuid>("", "connection_id")?),
        installed: time(row, "installed")?,
        version: row.try_get("", "version")?,
    })
}

/// Stores a new connection and its change; the change's position.
///
/// # Errors
/// What the database says; a unique violation when one is installed already.
pub async fn insert(
    tx: &Tx,
    account: &AccountId,
    connection: &Connection,
    origin: &Origin,
) -> Result<i64, Error> {
    let change = NewChange {
        account,
        kind: kind::CONNECTION,
        resource: &connection.id.to_string(),
        op: Op::Upserted,
        version: connection.version,
        time: origin.time,
        actor: (origin.actor.kind, &origin.actor.id),
        request: origin.request,
        changed_paths: "",
        before: "",
        after: &record::to_text(&ConnectionRecord {
            installed: connection.installed,
        })?,
    };
    let position = feed::append(tx, change).await?;
    let insert = statement(
        tx,
        "INSERT INTO connections (account_id, connection_id, state, installed, version, change_seq) \
         VALUES ($1, $2, 'CONNECTED', $3, $4, $5)",
        [
            account.as_str().into(),
            connection.id.to_uuid().into(),
            connection.installed.to_rfc3339_micros().into(),
            connection.version.into(),
            position.into(),
        ],
    );
    tx.execute_raw(insert).await?;
    Ok(position)
}

/// The connections of a snapshot, each with its account.
pub(super) async fn snapshot(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    after: (&str, Uuid),
    position: i64,
) -> Result<Vec<(AccountId, Connection)>, Error> {
    let filter = if only.is_some() {
        "AND account_id = $4"
    } else {
        ""
    };
    let sql = format!(
        "SELECT account_id, connection_id, installed, version FROM connections \
         WHERE (account_id, connection_id) > ($1, $2) AND change_seq <= $3 {filter} \
         ORDER BY account_id, connection_id LIMIT {}",
        feed::PAGE
    );
    let mut values: Vec<Value> = vec![after.0.into(), after.1.into(), position.into()];
    values.extend(only.map(|account| account.as_str().into()));
    let query = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let rows = db.query_all_raw(query).await?;
    rows.iter()
        .map(|row| {
            let account: String = row.try_get("", "account_id")?;
            let account = AccountId::parse(&account).map_err(|_| Error::Corrupt("account id"))?;
            Ok((account, connection(row)?))
        })
        .collect()
}

/// How many users the connection manages, and how many of them are held.
///
/// # Errors
/// What the database says.
pub async fn counts(
    db: &impl ConnectionTrait,
    account: &AccountId,
    connection: ConnectionId,
) -> Result<(i64, i64), Error> {
    let query = statement(
        db,
        "SELECT COUNT(*) AS managed, \
         COALESCE(SUM(CASE WHEN active AND NOT admitted THEN 1 ELSE 0 END), 0) AS held \
         FROM users WHERE account_id = $1 AND connection_id = $2",
        [account.as_str().into(), connection.to_uuid().into()],
    );
    let row = db
        .query_one_raw(query)
        .await?
        .ok_or(Error::Corrupt("count"))?;
    Ok((row.try_get("", "managed")?, row.try_get("", "held")?))
}

/// Looks a presented token up by its id, with its connection, which must be installed.
///
/// # Errors
/// What the database says.
pub async fn look_up(
    db: &impl ConnectionTrait,
    credential: &Credential,
) -> Result<Option<Known>, Error> {
    let query = statement(
        db,
        "SELECT t.account_id, t.connection_id, t.secret_hash, t.expires, t.ends FROM tokens t \
         JOIN connections c ON c.account_id = t.account_id AND c.connection_id = t.connection_id \
         WHERE t.token_id = $1 AND c.state = 'CONNECTED'",
        [credential.id().to_uuid().into()],
    );
    let Some(row) = db.query_one_raw(query).await? else {
        return Ok(None);
    };
    let account: String = row.try_get("", "account_id")?;
    let hash: Vec<u8> = row.try_get("", "secret_hash")?;
    let expires = time(&row, "expires")?;
    let ends: Option<String> = row.try_get("", "ends")?;
    let ends = ends.as_deref().and_then(Timestamp::parse);
    Ok(Some(Known {
        principal: Principal {
            account: AccountId::parse(&account).map_err(|_| Error::Corrupt("account id"))?,
            connection: ConnectionId::from_uuid(row.try_get::<Uuid>("", "connection_id")?),
        },
        hash: SecretHash::from_bytes(&hash).ok_or(Error::Corrupt("token"))?,
        end: ends.map_or(expires, |ends| ends.min(expires)),
    }))
}

/// The tokens of the account in order of their creation, after `after`.
///
/// # Errors
/// What the database says.
pub async fn tokens(
    db: &impl ConnectionTrait,
    account: &AccountId,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Token>, Error> {
    let query = statement(
        db,
        "SELECT token_id, connection_id, label, creator, created, expires, ends FROM tokens \
         WHERE account_id = $1 AND token_id > $2 ORDER BY token_id LIMIT $3",
        [
            account.as_str().into(),
            after.into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ],
    );
    db.query_all_raw(query).await?.iter().map(token).collect()
}

/// One token of the account.
///
/// # Errors
/// What the database says.
pub async fn find_token(
    db: &impl ConnectionTrait,
    account: &AccountId,
    id: TokenId,
) -> Result<Option<Token>, Error> {
    let query = statement(
        db,
        "SELECT token_id, connection_id, label, creator, created, expires, ends FROM tokens \
         WHERE account_id = $1 AND token_id = $2",
        [account.as_str().into(), id.to_uuid().into()],
    );
    db.query_one_raw(query)
        .await?
        .as_ref()
        .map(token)
        .transpose()
}

fn token(row: &QueryResult) -> Result<Token, Error> {
    let ends: Option<String> = row.try_get("", "ends")?;
    Ok(Token {
        id: TokenId::from_uuid(row.try_get::<Uuid>("", "token_id")?),
        connection: ConnectionId::from_uuid(row.try_get::<Uuid>("", "connection_id")?),
        label: row.try_get("", "label")?,
        creator: row.try_get("", "creator")?,
        created: time(row, "created")?,
        expires: time(row, "expires")?,
        ends: ends.as_deref().and_then(Timestamp::parse),
    })
}

/// Stores a new token with the hash of its secret.
///
/// # Errors
/// What the database says.
pub async fn insert_token(
    tx: &Tx,
    account: &AccountId,
    token: &Token,
    hash: &SecretHash,
) -> Result<(), Error> {
    let insert = statement(
        tx,
        "INSERT INTO tokens (account_id, token_id, connection_id, secret_hash, label, creator, \
         created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            account.as_str().into(),
            token.id.to_uuid().into(),
            token.connection.to_uuid().into(),
            hash.as_bytes().to_vec().into(),
            token.label.as_str().into(),
            token.creator.as_str().into(),
            token.created.to_rfc3339_micros().into(),
            token.expires.to_rfc3339_micros().into(),
        ],
    );
    tx.execute_raw(insert).await?;
    Ok(())
}

/// Stores the end of a token.
///
/// # Errors
/// What the database says.
pub async fn end_token(
    tx: &Tx,
    account: &AccountId,
    id: TokenId,
    at: Timestamp,
) -> Result<(), Error> {
    let update = statement(
        tx,
        "UPDATE tokens SET ends = $3 WHERE account_id = $1 AND token_id = $2",
        [
            account.as_str().into(),
            id.to_uuid().into(),
            at.to_rfc3339_micros().into(),
        ],
    );
    tx.execute_raw(update).await?;
    Ok(())
}
