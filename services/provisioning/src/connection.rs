//! Connections and their static bearer tokens (C-02 to C-04).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use rollcall_types::credential::SecretHash;
use rollcall_types::{AccountId, ConnectionId, Credential, Timestamp, TokenId};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How long a token lives if nothing else was said.
pub const DEFAULT_LIFE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How long a token may live (SEC-TOK-03).
pub const LONGEST_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);
/// How far in the future a revocation may lie (SEC-TOK-04).
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many tokens of a connection live at once (SEC-TOK-04).
pub const LIVE_TOKENS: usize = 2;
/// How long ended tokens are listed.
pub const LISTED: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How long a read may trust a token that was looked up (SEC-TOK-06).
const CACHED: Duration = Duration::from_secs(5);

/// An installed connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// When it was installed.
    pub installed: Timestamp,
    /// Rises by one a change.
    pub version: i64,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The connection that it opens.
    pub connection: ConnectionId,
    /// What its creator called it.
    pub label: String,
    /// The caller that made it.
    pub creator: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it expires by itself.
    pub expires: Timestamp,
    /// When it was or will be revoked.
    pub ends: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

impl Token {
    /// Whether the token opens anything at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.end()
    }

    /// The moment from which it opens nothing.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.ends
            .map_or(self.expires, |ends| ends.min(self.expires))
    }

    /// The end that `RevokeToken` gives it; `None` if it stays as it is.
    ///
    /// # Errors
    /// [`Error::InvalidField`] for a time beyond 30 days, or after the end that it has.
    pub fn revoke(
        &self,
        at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Error> {
        if !self.is_live(now) {
            return Ok(None);
        }
        let at = at.unwrap_or(now).max(now);
        if at > now.plus(LONGEST_OVERLAP) {
            return Err(Error::field("end_time", "at most 30 days from now"));
        }
        if at > self.end() {
            return Err(Error::field(
                "end_time",
                "an end may be brought forward, not back",
            ));
        }
        Ok((self.ends != Some(at)).then_some(at))
    }
}

/// The end of a new token.
///
/// # Errors
/// [`Error::InvalidField`] for a time that is past or more than two years away (SEC-TOK-03).
pub fn expiry(asked: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Error> {
    match asked {
        None => Ok(now.plus(DEFAULT_LIFE)),
        Some(at) if at <= now => Err(Error::field("expire_time", "must be in the future")),
        Some(at) if at > now.plus(LONGEST_LIFE) => {
            Err(Error::field("expire_time", "at most two years from now"))
        }
        Some(at) => Ok(at),
    }
}

/// Whom a credential speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account.
    pub account: AccountId,
    /// Its connection.
    pub connection: ConnectionId,
}

/// A token as it was looked up, with what it must present.
#[derive(Clone, Debug)]
pub struct Known {
    /// Whom it speaks for.
    pub principal: Principal,
    /// The hash of its secret.
    pub hash: SecretHash,
    /// The moment from which it opens nothing.
    pub end: Timestamp,
}

impl Known {
    /// Whether `credential` is this token and lives. Unknown, expired and revoked look alike.
    #[must_use]
    pub fn admits(&self, credential: &Credential, now: Timestamp) -> Option<Principal> {
        (self.hash == credential.secret_hash() && now < self.end).then(|| self.principal.clone())
    }
}

/// Tokens that reads have looked up, for at most five seconds. Only found ones are kept, so that
/// guesses fill nothing.
#[derive(Debug)]
pub struct TokenCache {
    tokens: Cache<TokenId, (Reading, Known)>,
    /// How often a token was forgotten.
    forgotten: AtomicU64,
}

/// A look-up that has begun: what it finds counts as long as no token is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading(u64);

impl Default for TokenCache {
    fn default() -> Self {
        let tokens = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(CACHED)
            .build();
        Self {
            tokens,
            forgotten: AtomicU64::new(0),
        }
    }
}

impl TokenCache {
    /// The token, if it was looked up within five seconds.
    #[must_use]
    pub fn get(&self, id: TokenId) -> Option<Known> {
        let (reading, known) = self.tokens.get(&id)?;
        (reading == self.reading()).then_some(known)
    }

    /// Begins a look-up; to be called before the database is asked.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading(self.forgotten.load(Ordering::SeqCst))
    }

    /// Keeps a token that was looked up; in vain if one was forgotten since, which may be this one,
    /// read before its revocation.
    pub fn put(&self, reading: Reading, id: TokenId, known: Known) {
        self.tokens.insert(id, (reading, known));
    }

    /// Forgets every token at once, on the replica that revoked one (C-03). The others are looked
    /// up again.
    pub fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }
}

/// How precisely the last use of a token is known (SEC-TOK-05).
pub const USE_NOTED: Duration = Duration::from_secs(60);

/// When this process last noted the use of a token. Clones share it.
#[derive(Clone, Debug)]
pub struct Uses(Cache<TokenId, Timestamp>);

impl Default for Uses {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).build())
    }
}

impl Uses {
    /// Whether a use is to be noted, since a minute has passed; then it counts as noted.
    #[must_use]
    pub fn is_due(&self, id: TokenId, now: Timestamp) -> bool {
        let noted = self.0.get(&id);
        let is_due = noted.is_none_or(|noted| now.since(noted) >= USE_NOTED);
        if is_due {
            self.0.insert(id, now);
        }
        is_due
    }

    /// The use of a token could not be noted.
    pub fn forget(&self, id: TokenId) {
        self.0.invalidate(&id);
    }
}

#[cfg(test)]
mod tests {
    use rollcall_types::{Clock, SystemClock};

    use super::*;

    fn token(now: Timestamp) -> Token {
        let id = "0193a1b2-0000-7000-8000-00000000000a";
        Token {
            id: id.parse().unwrap(),
            connection: id.parse().unwrap(),
            label: "okta".to_owned(),
            creator: "dev".to_owned(),
            created: now,
            expires: now.plus(DEFAULT_LIFE),
            ends: None,
            last_used: None,
        }
    }

    #[test] // rule: SEC-TOK-05 (part)
    fn the_use_of_a_token_is_noted_at_most_once_a_minute() {
        let (uses, now) = (Uses::default(), SystemClock.now());
        let id: TokenId = "0193a1b2-0000-7000-8000-00000000000a".parse().unwrap();
        let other: TokenId = "0193a1b2-0000-7000-8000-00000000000b".parse().unwrap();
        let at = |second| now.plus(Duration::from_secs(second));

        let noted = [0, 1, 59, 60, 61, 200].map(|second| uses.is_due(id, at(second)));

        assert_eq!(noted, [true, false, false, true, false, true]);
        assert!(uses.is_due(other, at(1)));
        uses.forget(id);
        assert!(
            uses.is_due(id, at(201)),
            "what could not be stored is tried again"
        );
    }

    #[test] // rule: SEC-TOK-03 (part)
    fn a_token_always_ends_and_opens_nothing_from_then_on() {
        let now = SystemClock.now();
        let token = token(now);
        assert!(token.is_live(now));
        assert!(!token.is_live(token.expires));

        assert_eq!(expiry(None, now).unwrap(), now.plus(DEFAULT_LIFE));
        assert!(expiry(Some(now), now).is_err());
        assert!(expiry(Some(now.plus(LONGEST_LIFE + Duration::from_secs(1))), now).is_err());
    }

    #[test] // rule: C-03 (part)
    fn an_end_may_be_brought_forward_not_back() {
        let now = SystemClock.now();
        let hour = Duration::from_hours(1);
        let mut token = token(now);

        token.ends = token.revoke(Some(now.plus(hour)), now).unwrap();

        assert!(token.is_live(now) && !token.is_live(now.plus(hour)));
        assert!(token.revoke(Some(now.plus(2 * hour)), now).is_err());
        assert_eq!(token.revoke(None, now).unwrap(), Some(now));
        assert_eq!(
            token.revoke(None, now.plus(hour)).unwrap(),
            None,
            "ended: stays as it is"
        );
        assert!(
            token
                .revoke(Some(now.plus(LONGEST_OVERLAP + hour)), now)
                .is_err()
        );
    }

    #[test] // rule: C-03 (part)
    fn a_token_that_is_revoked_while_it_is_looked_up_is_not_kept() {
        let id: TokenId = "0193a1b2-0000-7000-8000-00000000000a".parse().unwrap();
        let known = Known {
            principal: Principal {
                account: AccountId::parse("acme").unwrap(),
                connection: "0193a1b2-0000-7000-8000-00000000000b".parse().unwrap(),
            },
            hash: SecretHash::from_bytes(&[0; 32]).unwrap(),
            end: SystemClock.now().plus(DEFAULT_LIFE),
        };
        let cache = TokenCache::default();

        let reading = cache.reading();
        cache.forget();
        cache.put(reading, id, known.clone());
        assert!(cache.get(id).is_none());

        cache.put(cache.reading(), id, known);
        assert!(cache.get(id).is_some());
        cache.forget();
        assert!(cache.get(id).is_none());
    }
}
