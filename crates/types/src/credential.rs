//! The form of a static bearer token (SEC-TOK-01):
//! `rollcall_<id: 26>_<secret: 52><CRC-32: 7>`, all in lower-case base32.
//!
//! The prefix is for secret scanners, the id finds the token's row, the secret is 256 random bits,
//! and the checksum lets a mistyped token be refused without asking a database.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{Entropy, SecretString, TokenId, base32};

/// A regular expression that matches every token, for secret scanners.
pub const PATTERN: &str = "rollcall_[a-z2-7]{26}_[a-z2-7]{59}";

const PREFIX: &str = "rollcall_";

/// SHA-256 of a token's secret: all that is stored of it (SEC-TOK-02).
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Takes the bytes that storage gave; `None` unless there are 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes, for storage.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Compares in constant time.
impl PartialEq for SecretHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SecretHash {}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A token as a client presents it: its form is right and its checksum fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    id: TokenId,
    hash: SecretHash,
}

impl Credential {
    /// Makes a token of `id` with a fresh secret. The text is shown once and never stored.
    #[must_use]
    pub fn generate(id: TokenId, entropy: &dyn Entropy) -> (Self, SecretString) {
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        let mut text = format!(
            "{PREFIX}{}_{}",
            base32::encode(id.to_uuid().as_bytes()),
            base32::encode(&secret)
        );
        let sum = crc32fast::hash(text.as_bytes());
        text.push_str(&base32::encode(&sum.to_be_bytes()));
        (
            Self {
                id,
                hash: hash(&secret),
            },
            text.into(),
        )
    }

    /// Reads a presented token; `None` if its form or checksum is wrong, without further work.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (id, rest) = rest.split_at_checked(26)?;
        let rest = rest.strip_prefix('_')?;
        let (secret, sum) = rest.split_at_checked(52)?;
        let sum = u32::from_be_bytes(base32::decode::<4>(sum)?);
        let covered = text.get(..text.len() - 7)?;
        if crc32fast::hash(covered.as_bytes()) != sum {
            return None;
        }
        let id = TokenId::from_uuid(Uuid::from_bytes(base32::decode::<16>(id)?));
        Some(Self {
            id,
            hash: hash(&base32::decode::<32>(secret)?),
        })
    }

    /// The look-up id.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The hash of the secret.
    #[must_use]
    pub fn secret_hash(&self) -> SecretHash {
        self.hash
    }
}

/// What lists show of a token: the prefix and the end of the look-up id, `rollcall_…7q2m`.
#[must_use]
pub fn display(id: TokenId) -> String {
    let text = base32::encode(id.to_uuid().as_bytes());
    format!("{PREFIX}…{}", &text[text.len() - 4..])
}

/// SHA-256 of `secret`, for tokens whose text is random enough to need no slower hash.
#[must_use]
pub fn hash(secret: &[u8]) -> SecretHash {
    SecretHash(Sha256::digest(secret).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExposeSecret, OsEntropy};

    fn token() -> (Credential, String) {
        let id = TokenId::parse("0193a1b2-0000-7000-8000-00000000000a").unwrap();
        let (credential, text) = Credential::generate(id, &OsEntropy);
        (credential, text.expose_secret().to_owned())
    }

    #[test] // rule: SEC-TOK-01
    fn a_token_has_its_published_form() {
        let (credential, text) = token();

        assert_eq!(text.len(), 9 + 26 + 1 + 59);
        let (id, rest) = text
            .strip_prefix("rollcall_")
            .unwrap()
            .split_once('_')
            .unwrap();
        assert_eq!((id.len(), rest.len()), (26, 59));
        assert!(
            id.chars()
                .chain(rest.chars())
                .all(|c| matches!(c, 'a'..='z' | '2'..='7'))
        );
        assert_eq!(Credential::parse(&text), Some(credential));
    }

    #[test] // rule: SEC-TOK-01
    fn a_changed_letter_anywhere_is_refused_by_form_or_checksum() {
        let (_, text) = token();

        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let spoiled = String::from_utf8(bytes).unwrap();
            assert_eq!(Credential::parse(&spoiled), None, "letter {at}");
        }
        assert_eq!(Credential::parse(""), None);
        assert_eq!(Credential::parse("rollcall_é"), None);
        assert_eq!(Credential::parse(&text.to_uppercase()), None);
    }

    #[test] // rule: SEC-TOK-02
    fn neither_secret_nor_hash_is_printed() {
        let (credential, text) = token();
        let printed = format!("{credential:?}");
        assert!(printed.contains("[redacted]") && !printed.contains(&text[36..60]));
    }
}
