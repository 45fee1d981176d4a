//! Ids, one type each, so that two can't be swapped.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

use crate::{Clock, Entropy};

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// An account id outside its rule.
    #[error("an account id is 1 to 128 of A-Z a-z 0-9 . _ - and neither \".\" nor \"..\"")]
    Account,
    /// An id of ours that is not the text of a UUID.
    #[error("not an id")]
    Uuid,
}

/// One customer of the product: the id that the product chose, compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// Parses an account id.
    ///
    /// # Errors
    /// [`ParseIdError::Account`] unless it is 1 to 128 of `A-Za-z0-9._-` and not `.` or `..`.
    pub fn parse(text: &str) -> Result<Self, ParseIdError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let whole = (1..=128).contains(&text.len()) && text.bytes().all(fits);
        if whole && text != "." && text != ".." {
            Ok(Self(text.into()))
        } else {
            Err(ParseIdError::Account)
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccountId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID that storage or [`IdSource`] gave.
            #[must_use]
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as a UUID, for storage.
            #[must_use]
            pub fn to_uuid(self) -> Uuid {
                self.0
            }

            /// Parses the text form: lower case with hyphens, and nothing else, so that one id
            /// has one spelling (SCIM compares ids with exact case: RFC 7643, section 3.1).
            ///
            /// # Errors
            /// [`ParseIdError::Uuid`] for any other text.
            pub fn parse(text: &str) -> Result<Self, ParseIdError> {
                let uuid = Uuid::try_parse(text).map_err(|_| ParseIdError::Uuid)?;
                let mut buffer = Uuid::encode_buffer();
                if uuid.hyphenated().encode_lower(&mut buffer) == text {
                    Ok(Self(uuid))
                } else {
                    Err(ParseIdError::Uuid)
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }
    )*};
}

uuid_id! {
    /// An account's Okta app integration.
    ConnectionId,
    /// An email domain that an account claims.
    DomainId,
    /// A permission set.
    PermissionSetId,
    /// A bearer token's look-up id.
    TokenId,
    /// A user; also its SCIM `id`.
    UserId,
}

/// Makes UUIDv7 ids that rise strictly within one process, also within one millisecond, so that
/// order by id is the order of creation.
#[derive(Debug)]
pub struct IdSource {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    last: Mutex<u64>,
}

impl IdSource {
    /// A source on the given clock and random bytes.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            last: Mutex::new(0),
        }
    }

    /// The next id (RFC 9562, section 5.7; `rand_a` is method 3 of section 6.2: the fraction of
    /// the millisecond, moved on by one where it would repeat).
    #[must_use]
    pub fn next(&self) -> Uuid {
        let now = self.clock.now();
        let micros = u64::from(now.to_chrono().timestamp_subsec_micros() % 1_000);
        let ticks = (now.unix_millis() << 12) | (micros * 4096 / 1000);
        let ticks = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = ticks.max(*last + 1);
            *last
        };
        let mut random = [0; 10];
        self.entropy.fill(&mut random[2..]);
        let [.., high, low] = (ticks & 0xfff).to_be_bytes();
        random[0] = high;
        random[1] = low;
        Builder::from_unix_timestamp_millis(ticks >> 12, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OsEntropy, SystemClock};

    #[test] // rule: A-01 (part)
    fn an_account_id_is_the_products_text_within_its_alphabet() {
        let longest = "a".repeat(128);
        for good in ["acme", "A.b_c-9", "...", longest.as_str()] {
            assert_eq!(AccountId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(129)] {
            assert_eq!(AccountId::parse(bad), Err(ParseIdError::Account), "{bad:?}");
        }
        for letter in (0..=0x7f_u8).map(char::from) {
            let is_of_it = letter.is_ascii_alphanumeric() || "._-".contains(letter);
            let text = format!("a{letter}");
            assert_eq!(AccountId::parse(&text).is_ok(), is_of_it, "{text:?}");
        }
        assert_ne!(AccountId::parse("Acme"), AccountId::parse("acme"));
    }

    #[test]
    fn one_id_has_one_spelling() {
        let text = "0193a1b2-0000-7000-8000-00000000000a";
        assert_eq!(UserId::parse(text).unwrap().to_string(), text);
        assert!(UserId::parse(&text.to_uppercase()).is_err());
        assert!(UserId::parse(&text.replace('-', "")).is_err());
    }

    #[test]
    fn ids_rise_strictly_and_are_version_7() {
        let ids = IdSource::new(Arc::new(SystemClock), Arc::new(OsEntropy));
        let made: Vec<Uuid> = (0..10_000).map(|_| ids.next()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }
}
