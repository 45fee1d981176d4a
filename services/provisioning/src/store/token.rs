//! Tokens of connections.

use rollcall_store::{Error, Store, Tx};
use rollcall_types::credential::SecretHash;
use rollcall_types::{AccountId, ConnectionId, Credential, Timestamp, TokenId};
use sea_orm::prelude::{DateTimeUtc, Expr, Uuid};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, Statement,
};

use crate::connection::{Known, Principal, Token, USE_NOTED};

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tokens")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub token_id: Uuid,
        pub connection_id: Uuid,
        pub secret_hash: Vec<u8>,
        pub label: String,
        pub creator: String,
        pub created: DateTimeUtc,
        pub expires: DateTimeUtc,
        pub ends: Option<DateTimeUtc>,
        pub last_used: Option<DateTimeUtc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

fn read(row: Model) -> Token {
    Token {
        id: TokenId::from_uuid(row.token_id),
        connection: ConnectionId::from_uuid(row.connection_id),
        label: row.label,
        creator: row.creator,
        created: Timestamp::new(row.created),
        expires: Timestamp::new(row.expires),
        ends: row.ends.map(Timestamp::new),
        last_used: row.last_used.map(Timestamp::new),
    }
}

fn write(account: &AccountId, token: &Token, hash: &SecretHash) -> ActiveModel {
    ActiveModel {
        account_id: Set(account.to_string()),
        token_id: Set(token.id.to_uuid()),
        connection_id: Set(token.connection.to_uuid()),
        secret_hash: Set(hash.as_bytes().to_vec()),
        label: Set(token.label.clone()),
        creator: Set(token.creator.clone()),
        created: Set(token.created.to_chrono()),
        expires: Set(token.expires.to_chrono()),
        ends: Set(token.ends.map(Timestamp::to_chrono)),
        last_used: Set(token.last_used.map(Timestamp::to_chrono)),
    }
}

/// Looks a presented token up by its id, with its connection, which must be installed.
///
/// # Errors
/// What the database says.
pub async fn look_up(
    db: &impl ConnectionTrait,
    credential: &Credential,
) -> Result<Option<Known>, Error> {
    let query = of_installed(db, credential.id());
    let row = db.query_one_raw(query).await?;
    row.as_ref().map(known).transpose()
}

fn of_installed(db: &impl ConnectionTrait, id: TokenId) -> Statement {
    let sql =
        format!("SELECT {COLUMNS} {OF_CONNECTION} WHERE t.token_id = $1 AND c.state = 'CONNECTED'");
    super::statement(db, sql, [id.to_uuid().into()])
}

/// What [`known`] reads.
pub(super) const COLUMNS: &str = "t.account_id AS token_account, t.connection_id AS \
     token_connection, t.secret_hash, t.expires, t.ends";
/// Tokens `t` with their connections `c`.
pub(super) const OF_CONNECTION: &str = "FROM tokens t JOIN connections c \
     ON c.account_id = t.account_id AND c.connection_id = t.connection_id";

pub(super) fn known(row: &QueryResult) -> Result<Known, Error> {
    let account: String = row.try_get("", "token_account")?;
    let connection: Uuid = row.try_get("", "token_connection")?;
    let hash: Vec<u8> = row.try_get("", "secret_hash")?;
    let expires: DateTimeUtc = row.try_get("", "expires")?;
    let ends: Option<DateTimeUtc> = row.try_get("", "ends")?;
    Ok(Known {
        principal: Principal {
            account: super::account_id(&account)?,
            connection: ConnectionId::from_uuid(connection),
        },
        hash: SecretHash::from_bytes(&hash).ok_or(Error::Corrupt("token"))?,
        end: Timestamp::new(ends.map_or(expires, |ends| ends.min(expires))),
    })
}

/// The tokens of the account in order of their creation, after `after`.
///
/// # Errors
/// What the database says.
pub async fn list(
    db: &impl ConnectionTrait,
    account: &AccountId,
    after: Uuid,
    limit: u64,
) -> Result<Vec<Token>, Error> {
    let rows = Entity::find()
        .filter(Column::AccountId.eq(account.as_str()))
        .filter(Column::TokenId.gt(after))
        .order_by_asc(Column::TokenId)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(read).collect())
}

/// One token of the account.
///
/// # Errors
/// What the database says.
pub async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
    id: TokenId,
) -> Result<Option<Token>, Error> {
    let key = (account.to_string(), id.to_uuid());
    let row = Entity::find_by_id(key).one(db).await?;
    Ok(row.map(read))
}

/// Stores a new token with the hash of its secret.
///
/// # Errors
/// What the database says.
pub async fn insert(
    tx: &Tx,
    account: &AccountId,
    token: &Token,
    hash: &SecretHash,
) -> Result<(), Error> {
    Entity::insert(write(account, token, hash))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Notes that a token was used, unless that was noted within a minute before.
///
/// # Errors
/// What the database says.
pub async fn note_use(store: &Store, id: TokenId, now: Timestamp) -> Result<(), Error> {
    let before = now.minus(USE_NOTED);
    let values = [
        id.to_uuid().into(),
        now.to_chrono().into(),
        before.to_chrono().into(),
    ];
    if let Some(direct) = store.direct() {
        let note = Statement::from_sql_and_values(DbBackend::Postgres, NOTE_USE, values);
        return direct.note(note).await;
    }
    let noted = store.write(move |tx| {
        Box::pin(async move {
            tx.execute_raw(super::statement(tx, NOTE_USE, values))
                .await?;
            Ok(())
        })
    });
    noted.await
}

const NOTE_USE: &str = "UPDATE tokens SET last_used = $2 WHERE token_id = $1 \
     AND (last_used IS NULL OR last_used <= $3)";

/// When a connection last called with one of its tokens.
///
/// # Errors
/// What the database says.
pub async fn last_use(
    db: &impl ConnectionTrait,
    account: &AccountId,
    connection: ConnectionId,
) -> Result<Option<Timestamp>, Error> {
    let last = Entity::find()
        .select_only()
        .column_as(Column::LastUsed.max(), "last")
        .filter(Column::AccountId.eq(account.as_str()))
        .filter(Column::ConnectionId.eq(connection.to_uuid()))
        .into_tuple::<Option<DateTimeUtc>>()
        .one(db)
        .await?;
    Ok(last.flatten().map(Timestamp::new))
}

/// Stores the end of a token.
///
/// # Errors
/// What the database says.
pub async fn end(tx: &Tx, account: &AccountId, id: TokenId, at: Timestamp) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::Ends, Expr::val(at.to_chrono()))
        .filter(Column::AccountId.eq(account.as_str()))
        .filter(Column::TokenId.eq(id.to_uuid()))
        .exec(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{open_store, plan};

    #[tokio::test]
    async fn a_token_is_looked_up_by_its_index() {
        let (store, _folder) = open_store().await;
        let id = TokenId::from_uuid(Uuid::nil());

        let plan = plan(&store, of_installed(store.reader(), id)).await;

        assert!(plan.contains("t USING INDEX tokens_look_up"), "{plan}");
        assert!(plan.contains("c USING INDEX"), "{plan}");
    }
}
