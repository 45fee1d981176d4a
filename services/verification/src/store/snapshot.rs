//! The state of all claims, for those who begin to follow the feed.

use futures::future::BoxFuture;
use rollcall_store::feed::{Change, Op, Rows};
use rollcall_store::{Error, Position};
use rollcall_types::{AccountId, DomainId};
use sea_orm::DatabaseConnection;

use super::{KIND, claim};
use crate::claim::Claim;

/// The rows of `domains`, in order of account and id.
#[derive(Debug)]
pub(crate) struct Snapshot;

impl Rows for Snapshot {
    fn page<'a>(
        &'a self,
        db: &'a DatabaseConnection,
        kind: u8,
        account: Option<&'a AccountId>,
        key: &'a str,
        position: &'a Position,
    ) -> BoxFuture<'a, Result<Vec<(String, Change)>, Error>> {
        Box::pin(async move {
            if kind != KIND {
                return Ok(Vec::new());
            }
            let claims = claim::snapshot(db, account, parse(key)?, position).await?;
            claims.iter().map(row).collect()
        })
    }
}

/// A claim with its key.
fn row(claim: &Claim) -> Result<(String, Change), Error> {
    let key = format!("{} {}", claim.account, claim.id);
    let change = Change {
        id: None,
        account: claim.account.clone(),
        kind: KIND,
        resource: claim.id.to_string(),
        op: Op::Upserted,
        version: claim.version,
        time: claim.updated,
        actor: None,
        request: None,
        changed_paths: String::new(),
        before: String::new(),
        after: claim::record(claim)?,
    };
    Ok((key, change))
}

/// The account and the id of a key; before everything for the empty one.
fn parse(key: &str) -> Result<(&str, Option<DomainId>), Error> {
    if key.is_empty() {
        return Ok(("", None));
    }
    let corrupt = Error::Corrupt("key");
    let Some((account, id)) = key.split_once(' ') else {
        return Err(corrupt);
    };
    let id = DomainId::parse(id).map_err(|_| corrupt)?;
    Ok((account, Some(id)))
}
