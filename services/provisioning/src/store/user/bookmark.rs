//! Where the pages of an import begin: the last user of the page before, so that a page costs the
//! same wherever it is, and users of the pages before who are deleted meanwhile push nobody out of
//! it.
//!
//! Shared by every process, remembered by each. Nothing depends on it but time: without it the
//! users before the page are passed over on the key's index.

use std::time::Duration;

use moka::sync::Cache;
use rollcall_store::{Error, Store};
use rollcall_types::{AccountId, ConnectionId, Timestamp};
use sea_orm::prelude::Uuid;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use crate::store::statement;

/// How long a bookmark serves: an import asks for its pages one after the other.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// How many a process remembers.
const REMEMBERED: u64 = 10_000;

/// A page of an import: `startIndex` in the list of all users (RFC 7644, section 3.4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    connection: ConnectionId,
    start_index: i64,
    /// The last user of the page before, as far as this process knows, and since when.
    last: Option<(Uuid, Timestamp)>,
    now: Timestamp,
}

impl Import {
    /// The condition's bound and the number of users that are passed over, as expressions.
    pub(super) fn sql(self, values: &mut Vec<Value>) -> (String, String) {
        let n = values.len();
        let old = self.now.minus(LIFE);
        // What another process has noted since is of a later import.
        let since = self.last.map_or(old, |(_, noted)| noted.max(old));
        values.extend([
            self.last.map(|(last, _)| last).into(),
            self.connection.to_uuid().into(),
            self.start_index.into(),
            since.to_chrono().into(),
            Uuid::nil().into(),
        ]);
        let [last, connection, index, since, nobody] =
            [1, 2, 3, 4, 5].map(|i| format!("${}", n + i));
        let noted = format!(
            "FROM page_bookmarks b WHERE b.account_id = $1 AND b.connection_id = {connection} \
             AND b.start_index = {index} AND b.noted > {since}"
        );
        let after = format!("COALESCE((SELECT b.last_user {noted}), {last}, {nobody})");
        let offset = format!(
            "(CASE WHEN {last} IS NOT NULL OR EXISTS (SELECT 1 {noted}) THEN 0 ELSE {index} - 1 END)"
        );
        (after, offset)
    }
}

/// What this process remembers.
#[derive(Debug)]
pub struct Bookmarks(Cache<(AccountId, ConnectionId, i64), (Uuid, Timestamp)>);

impl Default for Bookmarks {
    fn default() -> Self {
        let bookmarks = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(LIFE)
            .build();
        Self(bookmarks)
    }
}

impl Bookmarks {
    /// The page of the connection's import that begins at `start_index`, counted from 1.
    #[must_use]
    pub fn page(
        &self,
        account: &AccountId,
        connection: ConnectionId,
        start_index: i64,
        now: Timestamp,
    ) -> Import {
        let last = match start_index {
            ..=1 => Some((Uuid::nil(), now)),
            _ => self.0.get(&(account.clone(), connection, start_index)),
        };
        Import {
            connection,
            start_index,
            last,
            now,
        }
    }

    /// Remembers that `last` is the last user of a page of `count`, and stores it; what can't be
    /// stored is found another way.
    pub fn note(&self, store: &Store, account: &AccountId, page: Import, count: usize, last: Uuid) {
        let next = page.start_index + i64::try_from(count).unwrap_or(i64::MAX);
        self.0
            .insert((account.clone(), page.connection, next), (last, page.now));
        let (store, account) = (store.clone(), account.clone());
        tokio::spawn(async move {
            let values = [
                account.as_str().into(),
                page.connection.to_uuid().into(),
                next.into(),
                last.into(),
                page.now.to_chrono().into(),
            ];
            if let Err(error) = save(&store, values).await {
                tracing::debug!(%error, "where a page of an import ends is not stored");
            }
        });
    }
}

const SAVE: &str = "INSERT INTO page_bookmarks (account_id, connection_id, start_index, last_user, \
     noted) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (account_id, connection_id, start_index) \
     DO UPDATE SET last_user = excluded.last_user, noted = excluded.noted";

async fn save(store: &Store, values: [Value; 5]) -> Result<(), Error> {
    if let Some(direct) = store.direct() {
        let save = Statement::from_sql_and_values(DbBackend::Postgres, SAVE, values);
        return direct.note(save).await;
    }
    let saved = store.write(move |tx| {
        Box::pin(async move {
            tx.execute_raw(statement(tx, SAVE, values)).await?;
            Ok(())
        })
    });
    saved.await
}
