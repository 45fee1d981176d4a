//! Sealed tokens that name one change of one feed.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rollcall_types::{Entropy, base32};

use crate::position::{ChangeId, Epoch, Source};

/// One change of one feed: what `at_least` of a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeToken {
    /// Whose feed.
    pub source: Source,
    /// Which life of it.
    pub epoch: Epoch,
    /// Which change.
    pub change: ChangeId,
}

/// Seals change tokens (AES-256-GCM): a client learns nothing from one and can make none.
/// Provisioning and permissions share the key.
pub struct TokenKey {
    key: LessSafeKey,
    /// Seals nothing any more, but still opens.
    previous: Option<LessSafeKey>,
    entropy: std::sync::Arc<dyn Entropy>,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

const PLAIN: usize = 1 + 8 + 8 + 8;
const SEALED: usize = NONCE_LEN + PLAIN + 16;

impl TokenKey {
    /// A key of 256 bits.
    ///
    /// # Panics
    /// Never: 32 bytes are what AES-256 takes.
    #[must_use]
    pub fn new(bytes: &[u8; 32], entropy: std::sync::Arc<dyn Entropy>) -> Self {
        Self {
            key: key(bytes),
            previous: None,
            entropy,
        }
    }

    /// The same, which also opens what the key before it sealed.
    #[must_use]
    pub fn with_previous(self, bytes: Option<&[u8; 32]>) -> Self {
        Self {
            previous: bytes.map(key),
            ..self
        }
    }

    /// The text of a token.
    #[must_use]
    pub fn seal(&self, token: ChangeToken) -> String {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut data = Vec::with_capacity(SEALED);
        data.push(token.source as u8);
        data.extend_from_slice(&token.epoch.to_bytes());
        data.extend_from_slice(&token.change.xid.to_be_bytes());
        data.extend_from_slice(&token.change.seq.to_be_bytes());
        let sealed = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut data,
        );
        // Sealing fails only for plaintexts of gigabytes.
        let Ok(tag) = sealed else {
            return String::new();
        };
        base32::encode(&[&nonce[..], &data, tag.as_ref()].concat())
    }

    /// Reads a token; `None` for any text that this key did not seal.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<ChangeToken> {
        let sealed = base32::decode::<SEALED>(text)?;
        let keys = [Some(&self.key), self.previous.as_ref()];
        keys.into_iter().flatten().find_map(|key| open(key, sealed))
    }
}

#[expect(clippy::expect_used, reason = "32 bytes are what AES-256 takes")]
fn key(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes"))
}

fn open(key: &LessSafeKey, mut sealed: [u8; SEALED]) -> Option<ChangeToken> {
    let (nonce, data) = sealed.split_at_mut(NONCE_LEN);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = key.open_in_place(nonce, Aad::empty(), data).ok()?;
    let (source, rest) = plain.split_first()?;
    let (epoch, rest) = rest.split_at_checked(8)?;
    let (xid, seq) = rest.split_at_checked(8)?;
    let source = match source {
        1 => Source::Provisioning,
        2 => Source::Permissions,
        3 => Source::Verification,
        _ => return None,
    };
    Some(ChangeToken {
        source,
        epoch: Epoch::from_bytes(epoch.try_into().ok()?),
        change: ChangeId {
            xid: u64::from_be_bytes(xid.try_into().ok()?),
            seq: i64::from_be_bytes(seq.try_into().ok()?),
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rollcall_types::OsEntropy;

    use super::*;

    #[test]
    fn a_token_is_opened_by_its_key_only_and_unchanged_only() {
        let key = TokenKey::new(&[7; 32], Arc::new(OsEntropy));
        let epoch = Epoch::generate(&OsEntropy);
        let token = ChangeToken {
            source: Source::Provisioning,
            epoch,
            change: ChangeId { xid: 7, seq: 42 },
        };

        let text = key.seal(token);

        assert_eq!(key.open(&text), Some(token));
        assert_ne!(
            key.seal(token),
            text,
            "two tokens of one change don't look alike"
        );
        assert_eq!(
            TokenKey::new(&[8; 32], Arc::new(OsEntropy)).open(&text),
            None
        );
        let next = TokenKey::new(&[8; 32], Arc::new(OsEntropy)).with_previous(Some(&[7; 32]));
        assert_eq!(
            next.open(&text),
            Some(token),
            "a key is followed by another"
        );
        assert_eq!(key.open(&next.seal(token)), None);
        assert_eq!(key.open(""), None);
        assert_eq!(key.open(&text[1..]), None);
        let flipped = text.replacen(
            &text[20..21],
            if &text[20..21] == "a" { "b" } else { "a" },
            1,
        );
        assert_eq!(key.open(&flipped), None);
        assert_eq!(Epoch::parse(&epoch.to_string()), Some(epoch));
    }
}
