//! Where a follower is in a feed, as opaque text with a checksum.

use std::collections::BTreeSet;

use rollcall_types::{AccountId, base32};

use crate::feed::Accounts;
use crate::position::{Epoch, Position, Reached, Source};

/// A place in one feed, for one choice of accounts and kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Whose feed.
    pub source: Source,
    /// Which life of the feed.
    pub epoch: Epoch,
    /// A hash of accounts and kinds.
    pub filter: u32,
    /// Where.
    pub place: Place,
}

/// Before, in or after the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the snapshot that began at `position`, after the row `key` of the kind at `kind` in the
    /// order of the feed's kinds.
    Snapshot {
        /// The moment at which the snapshot began.
        position: Position,
        /// Which kind.
        kind: u8,
        /// The last row sent; empty before the first.
        key: String,
    },
    /// The snapshot's rows are sent; its end is not, since changes made during the scan go first.
    CatchUp(Reached),
    /// In the changes.
    Changes(Reached),
}

/// Marks a cursor of this form.
const VERSION: u8 = 3;

const SOURCES: [Source; 3] = [
    Source::Provisioning,
    Source::Permissions,
    Source::Verification,
];

impl Cursor {
    /// The text of the cursor.
    #[must_use]
    pub fn to_text(&self) -> String {
        let place = match &self.place {
            Place::Snapshot {
                position,
                kind,
                key,
            } => format!("s {position} {kind} {key}"),
            Place::CatchUp(reached) => format!("e {reached}"),
            Place::Changes(reached) => format!("c {reached}"),
        };
        let source = self.source as u8;
        let body = format!("{VERSION} {source} {} {} {place}", self.epoch, self.filter);
        let sum = crc32fast::hash(body.as_bytes());
        base32::encode(&[body.as_bytes(), &sum.to_be_bytes()].concat())
    }

    /// Reads a cursor; `None` for a torn text or one that is no cursor.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // 16 KiB is the most that a cursor may have (api.md, section 4).
        if text.len() > 16 * 1024 {
            return None;
        }
        let bytes = base32::decode_all(text)?;
        let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if crc32fast::hash(body).to_be_bytes() != sum {
            return None;
        }
        let body = std::str::from_utf8(body).ok()?;
        let mut words = body.splitn(6, ' ');
        if words.next()? != VERSION.to_string() {
            return None;
        }
        let source: u8 = words.next()?.parse().ok()?;
        let source = SOURCES.into_iter().find(|one| *one as u8 == source)?;
        let epoch = Epoch::parse(words.next()?)?;
        let filter = words.next()?.parse().ok()?;
        let form = words.next()?;
        let rest = words.next()?;
        let place = match form {
            "s" => {
                let mut parts = rest.splitn(3, ' ');
                Place::Snapshot {
                    position: Position::parse(parts.next()?)?,
                    kind: parts.next()?.parse().ok()?,
                    key: parts.next()?.to_owned(),
                }
            }
            "e" => Place::CatchUp(Reached::parse(rest)?),
            "c" => Place::Changes(Reached::parse(rest)?),
            _ => return None,
        };
        Some(Self {
            source,
            epoch,
            filter,
            place,
        })
    }
}

/// The hash of a choice of accounts and kinds.
#[must_use]
pub fn filter_hash(accounts: &Accounts, kinds: &[u8]) -> u32 {
    // No account id has a space or an asterisk.
    let accounts = match accounts {
        Accounts::All => "*".to_owned(),
        Accounts::One(account) => account.to_string(),
        Accounts::Among(accounts) => {
            let names: BTreeSet<&str> = accounts.iter().map(AccountId::as_str).collect();
            let names: Vec<&str> = names.into_iter().collect();
            format!(" {}", names.join(" "))
        }
    };
    crc32fast::hash(&[accounts.as_bytes(), &[0], kinds].concat())
}

#[cfg(test)]
mod tests {
    use rollcall_types::OsEntropy;

    use super::*;

    #[test]
    fn every_place_comes_back_and_a_torn_cursor_does_not() {
        let epoch = Epoch::generate(&OsEntropy);
        let snapshot = Position::parse("x7:9:1,3").unwrap();
        let places = [
            Place::Snapshot {
                position: Position::Sequence(7),
                kind: 2,
                key: "acme 0193 x".to_owned(),
            },
            Place::Snapshot {
                position: snapshot.clone(),
                kind: 0,
                key: String::new(),
            },
            Place::CatchUp(Reached::whole(Position::Sequence(9))),
            Place::Changes(Reached {
                whole: snapshot.clone(),
                part: Some((snapshot, i64::MAX)),
            }),
        ];
        for (place, source) in places.into_iter().zip(SOURCES.into_iter().cycle()) {
            let cursor = Cursor {
                source,
                epoch,
                filter: filter_hash(&Accounts::One(AccountId::parse("acme").unwrap()), &[1, 3]),
                place,
            };
            let text = cursor.to_text();
            assert_eq!(Cursor::parse(&text), Some(cursor));
            assert_eq!(Cursor::parse(&text[..text.len() - 3]), None);
            assert_eq!(
                Cursor::parse(&text.replacen(&text[2..3], "7", 1).replacen('a', "b", 1)),
                None
            );
        }
        assert_eq!(Cursor::parse(""), None);
        assert_eq!(Cursor::parse("häh"), None);
    }

    #[test] // rule: G-01 (part)
    fn each_choice_of_accounts_and_kinds_has_its_own_hash_whatever_its_order() {
        let among = |names: &[&str]| {
            let names = names.iter().map(|name| AccountId::parse(name).unwrap());
            Accounts::Among(names.collect())
        };
        let one = Accounts::One(AccountId::parse("acme").unwrap());
        let choices = [
            (Accounts::All, &[1, 3][..]),
            (Accounts::All, &[1]),
            (one, &[1]),
            (among(&["acme"]), &[1]),
            (among(&["globex"]), &[1]),
            (among(&["acme", "globex"]), &[1]),
            (among(&[]), &[1]),
        ];

        let hashes: BTreeSet<u32> = choices
            .iter()
            .map(|(accounts, kinds)| filter_hash(accounts, kinds))
            .collect();

        assert_eq!(hashes.len(), choices.len());
        assert_eq!(
            filter_hash(&among(&["globex", "acme"]), &[1]),
            filter_hash(&among(&["acme", "globex"]), &[1])
        );
    }
}
