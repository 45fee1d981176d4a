//! Where a feed stands, and which of its changes are before that.

use std::fmt;

use rollcall_types::{Entropy, base32};

use crate::snapshot::Snapshot;

/// Which life of a database's feed: another after a restore from a backup, so that positions of
/// two lives are never compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch([u8; 8]);

impl Epoch {
    /// A new epoch.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// The epoch that a text names.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let mut bytes = [0; 8];
        for (byte, digested) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *digested;
        }
        Self(bytes)
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        base32::decode::<8>(text).map(Self)
    }

    pub(crate) fn to_bytes(self) -> [u8; 8] {
        self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32::encode(&self.0))
    }
}

/// The service whose feed a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Source {
    /// Accounts, connections, users.
    Provisioning = 1,
    /// Permission sets and management.
    Permissions = 2,
    /// Domains.
    Verification = 3,
}

/// How many transactions are few to look through.
const NEAR: u64 = 1000;

/// Names one change of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId {
    /// The transaction that made it; 0 on SQLite, where nobody needs it.
    pub xid: u64,
    /// Its number: of two changes of one resource the later one has the greater.
    pub seq: i64,
}

/// A moment of a feed: which changes were committed by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// SQLite, whose one writer numbers changes as it commits them: those up to this one.
    Sequence(i64),
    /// PostgreSQL, where a number is drawn before its transaction commits: those of the
    /// transactions that this snapshot sees.
    Snapshot(Snapshot),
}

impl Default for Position {
    /// Before everything.
    fn default() -> Self {
        Self::Sequence(0)
    }
}

impl Position {
    /// Whether the change was committed by then.
    #[must_use]
    pub fn covers(&self, change: ChangeId) -> bool {
        match self {
            Self::Sequence(last) => change.seq <= *last,
            Self::Snapshot(snapshot) => snapshot.sees(change.xid),
        }
    }

    /// Whether everything that had been committed by the other moment had been by this one.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sequence(own), Self::Sequence(other)) => own >= other,
            (Self::Snapshot(own), Self::Snapshot(other)) => own.includes(other),
            _ => false,
        }
    }

    /// Whether this can't have been before `now` in the same life of the feed.
    #[must_use]
    pub fn is_beyond(&self, now: &Self) -> bool {
        match (self, now) {
            (Self::Sequence(own), Self::Sequence(now)) => own > now,
            (Self::Snapshot(own), Self::Snapshot(now)) => own.is_beyond(now),
            _ => true,
        }
    }

    /// Whether so little is between the two that a reader can as well begin at the other one.
    pub(crate) fn is_near(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Snapshot(own), Self::Snapshot(other)) => {
                own.xmax().abs_diff(other.xmax()) < NEAR && own.xmin().abs_diff(other.xmin()) < NEAR
            }
            (Self::Sequence(own), Self::Sequence(other)) => own == other,
            _ => false,
        }
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('x') {
            Some(snapshot) => Snapshot::parse_short(snapshot).map(Self::Snapshot),
            None => text.parse().ok().map(Self::Sequence),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(last) => write!(f, "{last}"),
            Self::Snapshot(snapshot) => write!(f, "x{}", snapshot.to_short()),
        }
    }
}

/// How far a reader of changes is: at a moment, or on its way from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Everything committed by this moment is read.
    pub whole: Position,
    /// Of what was committed between it and a later moment, everything up to a number is read.
    pub part: Option<(Position, i64)>,
}

impl Reached {
    /// Everything up to a moment.
    #[must_use]
    pub fn whole(whole: Position) -> Self {
        Self { whole, part: None }
    }

    /// Whether the change is read.
    #[must_use]
    pub fn covers(&self, change: ChangeId) -> bool {
        let part = self.part.as_ref();
        self.whole.covers(change)
            || part.is_some_and(|(to, last)| to.covers(change) && change.seq <= *last)
    }

    /// Whether this can't have been before `now` in the same life of the feed.
    #[must_use]
    pub fn is_beyond(&self, now: &Position) -> bool {
        let part = self.part.as_ref();
        self.whole.is_beyond(now) || part.is_some_and(|(to, _)| to.is_beyond(now))
    }

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let whole = Position::parse(words.next()?)?;
        let part = match (words.next(), words.next(), words.next()) {
            (None, ..) => None,
            (Some(to), Some(last), None) => Some((Position::parse(to)?, last.parse().ok()?)),
            _ => return None,
        };
        Some(Self { whole, part })
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.part {
            None => write!(f, "{}", self.whole),
            Some((to, last)) => write!(f, "{} {to} {last}", self.whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Position {
        Position::Snapshot(Snapshot::parse(text).unwrap())
    }

    fn change(xid: u64, seq: i64) -> ChangeId {
        ChangeId { xid, seq }
    }

    #[test]
    fn a_reader_on_its_way_has_read_what_was_committed_by_then_up_to_a_number() {
        let reached = Reached {
            whole: snapshot("10:12:10"),
            part: Some((snapshot("11:20:11,15"), 7)),
        };

        assert!(reached.covers(change(9, 100)), "seen from the first");
        assert!(reached.covers(change(10, 7)), "came late, and was read");
        assert!(reached.covers(change(12, 3)));
        assert!(!reached.covers(change(12, 8)), "after the number");
        assert!(!reached.covers(change(15, 3)), "not committed by then");
        assert!(!reached.covers(change(20, 3)));
    }

    #[test]
    fn every_place_of_a_reader_comes_back_from_its_text() {
        for reached in [
            Reached::default(),
            Reached::whole(Position::Sequence(i64::MAX)),
            Reached::whole(snapshot("10:20:10,15,19")),
            Reached {
                whole: snapshot("7:7:"),
                part: Some((snapshot("7:18446744073709551615:"), 42)),
            },
        ] {
            assert_eq!(Reached::parse(&reached.to_string()), Some(reached));
        }
        for torn in ["", "a", "x1", "x1:2", "1 2", "1 2 3 4", "x5:1:9"] {
            assert_eq!(Reached::parse(torn), None, "{torn}");
        }
    }
}
