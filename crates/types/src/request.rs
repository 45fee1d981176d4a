//! The id and the number of a request (G-03).

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::base32;
use crate::id::{IdSource, ParseIdError};

/// The key of one request: a UUIDv7, returned as `X-Request-Id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Uuid);

impl RequestId {
    /// A new id.
    #[must_use]
    pub fn new(ids: &IdSource) -> Self {
        Self(ids.next())
    }

    /// Takes a UUID that storage gave.
    #[must_use]
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID, for storage.
    #[must_use]
    pub fn to_uuid(self) -> Uuid {
        self.0
    }

    /// The number that people read aloud and type: the last 40 bits, which are random, in
    /// Crockford's alphabet. A look-up, not a key.
    #[must_use]
    pub fn number(self) -> RequestNumber {
        let bytes = self.0.as_bytes();
        RequestNumber(base32::encode_crockford(&bytes[11..]))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text)
            .map(Self)
            .map_err(|_| ParseIdError::Uuid)
    }
}

/// Eight letters of Crockford's base32, shown as `R-7K3M-9QFA`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestNumber(String);

impl fmt::Display for RequestNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at(4);
        write!(f, "R-{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: G-03 (part)
    fn a_request_number_is_the_random_end_of_the_id_in_eight_letters_to_read_aloud() {
        for (id, number) in [
            ("0193a1b2-0000-7000-8000-0039d07a6cfe", "R-7787-MV7Y"),
            ("0193a1b2-0000-7000-8000-000000000000", "R-0000-0000"),
            ("ffffffff-ffff-7fff-bfff-ff0000000001", "R-0000-0001"),
            ("0193a1b2-0000-7000-8000-00ffffffffff", "R-ZZZZ-ZZZZ"),
        ] {
            let id: RequestId = id.parse().unwrap();
            assert_eq!(id.number().to_string(), number);
        }
    }
}
