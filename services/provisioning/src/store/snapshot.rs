//! The state that a snapshot of the feed is made of.

use futures::future::BoxFuture;
use rollcall_store::feed::{Change, Op, Rows};
use rollcall_store::{Error, Position};
use rollcall_types::{AccountId, Timestamp};
use sea_orm::DatabaseConnection;
use uuid::Uuid;

use super::{account, connection, kind, record, user};

/// Accounts, connections and users as rows of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct State;

impl Rows for State {
    fn page<'a>(
        &'a self,
        db: &'a DatabaseConnection,
        kind: u8,
        account: Option<&'a AccountId>,
        key: &'a str,
        position: &'a Position,
    ) -> BoxFuture<'a, Result<Vec<(String, Change)>, Error>> {
        Box::pin(async move {
            match kind {
                kind::ACCOUNT => accounts(db, account, key, position).await,
                kind::CONNECTION => connections(db, account, key, position).await,
                kind::USER => users(db, account, key, position).await,
                _ => Ok(Vec::new()),
            }
        })
    }
}

fn row(
    account: AccountId,
    kind: u8,
    resource: String,
    version: i64,
    time: Timestamp,
    after: String,
) -> Change {
    Change {
        id: None,
        account,
        kind,
        resource,
        op: Op::Upserted,
        version,
        time,
        actor: None,
        request: None,
        changed_paths: String::new(),
        before: String::new(),
        after,
    }
}

async fn accounts(
    db: &DatabaseConnection,
    only: Option<&AccountId>,
    key: &str,
    position: &Position,
) -> Result<Vec<(String, Change)>, Error> {
    let page = account::snapshot(db, only, key, position).await?;
    page.into_iter()
        .map(|entry| {
            let id = entry.id.to_string();
            let (version, time) = (entry.stored.version, entry.stored.updated);
            let after = record::to_text(&entry.stored)?;
            Ok((
                id.clone(),
                row(entry.id, kind::ACCOUNT, id, version, time, after),
            ))
        })
        .collect()
}

async fn connections(
    db: &DatabaseConnection,
    only: Option<&AccountId>,
    key: &str,
    position: &Position,
) -> Result<Vec<(String, Change)>, Error> {
    let page = connection::snapshot(db, only, split(key)?, position).await?;
    page.into_iter()
        .map(|(account, connection)| {
            let id = connection.id.to_string();
            let key = format!("{account} {id}");
            let installed = connection.installed;
            let after = record::to_text(&connection::ConnectionRecord { installed })?;
            Ok((
                key,
                row(
                    account,
                    kind::CONNECTION,
                    id,
                    connection.version,
                    installed,
                    after,
                ),
            ))
        })
        .collect()
}

async fn users(
    db: &DatabaseConnection,
    only: Option<&AccountId>,
    key: &str,
    position: &Position,
) -> Result<Vec<(String, Change)>, Error> {
    let page = user::snapshot(db, only, split(key)?, position).await?;
    page.into_iter()
        .map(|user| {
            let id = user.id.to_string();
            let key = format!("{} {id}", user.account);
            let after = record::user_to_text(&user)?;
            let account = user.account.clone();
            Ok((
                key,
                row(account, kind::USER, id, user.version, user.updated, after),
            ))
        })
        .collect()
}

/// `account uuid` as its two parts; an empty key is before everything.
fn split(key: &str) -> Result<(&str, Uuid), Error> {
    if key.is_empty() {
        return Ok(("", Uuid::nil()));
    }
    let (account, id) = key.split_once(' ').ok_or(Error::Corrupt("cursor"))?;
    Ok((account, id.parse().map_err(|_| Error::Corrupt("cursor"))?))
}
