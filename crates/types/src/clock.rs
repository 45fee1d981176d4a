//! Time, injected.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

/// A moment in UTC with microseconds, the finest that both database engines keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    /// Takes a moment, cutting what is finer than a microsecond.
    #[must_use]
    pub fn new(time: DateTime<Utc>) -> Self {
        Self(time.trunc_subsecs(6))
    }

    /// The moment as chrono's type.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        self.0
    }

    /// Milliseconds since 1970-01-01T00:00:00Z; 0 for earlier moments.
    #[must_use]
    pub fn unix_millis(self) -> u64 {
        u64::try_from(self.0.timestamp_millis()).unwrap_or(0)
    }

    /// The moment `span` later, cut to the microsecond, or the last representable one.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let later = chrono::TimeDelta::from_std(span)
            .ok()
            .and_then(|delta| self.0.checked_add_signed(delta));
        Self::new(later.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }

    /// The moment `span` earlier, cut to the microsecond, or the first representable one.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let earlier = chrono::TimeDelta::from_std(span)
            .ok()
            .and_then(|delta| self.0.checked_sub_signed(delta));
        Self::new(earlier.unwrap_or(DateTime::<Utc>::MIN_UTC))
    }

    /// How much later this moment is than `earlier`; zero if it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or_default()
    }

    /// Reads a time with a zone (RFC 3339).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|time| Self::new(time.to_utc()))
    }

    /// The form of SCIM's dateTime and of our JSON: `2026-11-24T09:10:11.123456Z`
    /// (RFC 7643, section 2.3.5).
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system's clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::new(Utc::now())
    }
}

/// A clock that moves only when told to, for tests of rules about time.
#[derive(Debug)]
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    /// A clock that stands at `start`.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock on by `span`.
    pub fn advance(&self, span: Duration) {
        let mut now = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *now = now.plus(span);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
