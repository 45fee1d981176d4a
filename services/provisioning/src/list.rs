//! What Okta lists: look-ups by filter, and the pages of an import (RFC 7644, section 3.4.2).

use std::time::Duration;

use moka::sync::Cache;
use rollcall_types::{AccountId, Timestamp};

use crate::Shared;
use crate::connection::Principal;
use crate::error::Error;
use crate::store::user::count::{self, Count};
use crate::store::user::{self, Condition, Row, Slice};

/// Which results of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The first, counted from 1.
    pub(crate) start_index: i64,
    /// How many at most; none for the number of results alone.
    pub(crate) count: u64,
}

impl Wanted {
    fn skip(self) -> u64 {
        u64::try_from(self.start_index - 1).unwrap_or(0)
    }
}

/// The accounts whose number of users was shortened just now.
#[derive(Debug)]
pub(crate) struct Folding(Cache<AccountId, ()>);

impl Folding {
    const PAUSE: Duration = Duration::from_secs(1);
}

impl Default for Folding {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(10_000);
        Self(cache.time_to_live(Self::PAUSE).build())
    }
}

impl Shared {
    /// The users that match, in order of their creation, and how many there are.
    ///
    /// # Errors
    /// What storage says.
    pub(crate) async fn list(
        &self,
        principal: &Principal,
        condition: &Condition,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<(Vec<Row>, i64), Error> {
        if condition.is_everything() {
            self.import(principal, condition, wanted, now).await
        } else {
            self.look_up(principal, condition, wanted).await
        }
    }

    /// A look-up mostly finds one user or none: then what it finds is all there is, and nothing is
    /// counted.
    async fn look_up(
        &self,
        principal: &Principal,
        condition: &Condition,
        wanted: Wanted,
    ) -> Result<(Vec<Row>, i64), Error> {
        let (reader, account) = (self.store.reader(), &principal.account);
        let mut rows = Vec::new();
        if wanted.count > 0 {
            let slice = Slice::Skip(wanted.skip());
            rows = user::list(reader, account, condition, slice, wanted.count).await?;
            let found = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if wanted.skip() == 0 && found < wanted.count {
                return Ok((rows, i64::try_from(found).unwrap_or(i64::MAX)));
            }
        }
        let total = count::count(reader, account, condition).await?.users;
        Ok((rows, total))
    }

    /// A page of all users. What it has cost is kept for later: how many users there are, and where
    /// the page ends.
    async fn import(
        &self,
        principal: &Principal,
        condition: &Condition,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<(Vec<Row>, i64), Error> {
        let (reader, account) = (self.store.reader(), &principal.account);
        let counted = count::count(reader, account, condition).await?;
        self.fold(principal, counted);
        if wanted.count == 0 || wanted.start_index > counted.users {
            return Ok((Vec::new(), counted.users));
        }
        let (bookmarks, connection) = (&self.bookmarks, principal.connection);
        let page = bookmarks.page(account, connection, wanted.start_index, now);
        let slice = Slice::Import(page);
        let rows = user::list(reader, account, condition, slice, wanted.count).await?;
        if let Some(last) = rows.last() {
            let last = last.id.to_uuid();
            bookmarks.note(&self.store, account, page, rows.len(), last);
        }
        Ok((rows, counted.users))
    }

    /// Shortens what the number of users is made of, beside the answer, and at most once in
    /// [`Folding::PAUSE`]: a long transaction anywhere on the server makes it vain.
    fn fold(&self, principal: &Principal, counted: Count) {
        let account = &principal.account;
        if !counted.is_long() || self.folding.0.contains_key(account) {
            return;
        }
        self.folding.0.insert(account.clone(), ());
        let (store, account) = (self.store.clone(), account.clone());
        tokio::spawn(async move {
            if let Err(error) = count::fold(&store, account).await {
                tracing::debug!(%error, "the number of users is not folded");
            }
        });
    }
}
