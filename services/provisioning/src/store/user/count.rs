//! How many users an account has.
//!
//! On SQLite, where there is one writer, a row that every write counts up or down. On PostgreSQL
//! such a row would put all writes of an account in a queue: there the row says how many there were
//! at a horizon, what came since is added up from the feed, and whoever counts moves the horizon on
//! when that has become long.

use rollcall_store::{Error, Store, Tx};
use rollcall_types::AccountId;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::Condition;
use crate::store::statement;

/// From how many changes on since the horizon it is moved.
const LONG: i64 = 500;

/// How many users match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// The number.
    pub users: i64,
    /// How many changes it was made of.
    pub since_horizon: i64,
}

impl Count {
    /// Whether the horizon is to be moved.
    #[must_use]
    pub fn is_long(self) -> bool {
        self.since_horizon >= LONG
    }
}

/// Counts the users that match.
///
/// # Errors
/// What the database says.
pub async fn count(
    db: &impl ConnectionTrait,
    account: &AccountId,
    condition: &Condition,
) -> Result<Count, Error> {
    let row = db.query_one_raw(total(db, account, condition)).await?;
    row.map_or(
        Ok(Count {
            users: 0,
            since_horizon: 0,
        }),
        |row| {
            Ok(Count {
                users: row.try_get("", "n")?,
                since_horizon: row.try_get("", "since_horizon")?,
            })
        },
    )
}

pub(super) fn total(
    db: &impl ConnectionTrait,
    account: &AccountId,
    condition: &Condition,
) -> Statement {
    let mut values: Vec<Value> = vec![account.as_str().into()];
    let sql = if !condition.is_everything() {
        let wanted = condition.sql(&mut values);
        format!(
            "SELECT COUNT(*) AS n, {ZERO} AS since_horizon FROM users u \
             WHERE u.account_id = $1{wanted}"
        )
    } else if db.get_database_backend() == DbBackend::Postgres {
        SUM.to_owned()
    } else {
        format!("SELECT users AS n, {ZERO} AS since_horizon FROM user_counts WHERE account_id = $1")
    };
    statement(db, sql, values)
}

/// Of the type that both engines read as 64 bits.
const ZERO: &str = "CAST(0 AS BIGINT)";

const SUM: &str = "SELECT b.users + d.n AS n, d.since_horizon FROM user_counts b, LATERAL \
     (SELECT COALESCE(SUM(delta), 0)::bigint AS n, COUNT(*) AS since_horizon FROM changes c \
     WHERE c.account_id = b.account_id AND c.xid >= b.horizon AND c.delta <> 0) d \
     WHERE b.account_id = $1";

/// Begins the count of an account's users.
///
/// # Errors
/// What the database says.
pub async fn begin(tx: &Tx, account: &AccountId) -> Result<(), Error> {
    let sql = "INSERT INTO user_counts (account_id, users) VALUES ($1, 0)";
    tx.execute_raw(statement(tx, sql, [account.as_str().into()]))
        .await?;
    Ok(())
}

/// Counts a change of the transaction, where the feed doesn't.
pub(super) async fn by(tx: &Tx, account: &AccountId, delta: i64) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        return Ok(());
    }
    let sql = "UPDATE user_counts SET users = users + $2 WHERE account_id = $1";
    let values = [account.as_str().into(), delta.into()];
    tx.execute_raw(statement(tx, sql, values)).await?;
    Ok(())
}

/// Moves the horizon to where every transaction has ended; safe when several do so at once.
///
/// # Errors
/// What the database says.
pub async fn fold(store: &Store, account: AccountId) -> Result<(), Error> {
    let folded = store.write(move |tx| {
        Box::pin(async move {
            let values = [account.as_str().into()];
            tx.execute_raw(statement(tx, FOLD, values)).await?;
            Ok::<_, Error>(())
        })
    });
    folded.await
}

const FOLD: &str = "WITH ended AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS h) \
     UPDATE user_counts b SET horizon = ended.h, users = b.users + \
     (SELECT COALESCE(SUM(c.delta), 0) FROM changes c WHERE c.account_id = b.account_id \
     AND c.xid >= b.horizon AND c.xid < ended.h AND c.delta <> 0) \
     FROM ended WHERE b.account_id = $1 AND b.horizon < ended.h";
