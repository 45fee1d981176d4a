//! Where the proof of a domain stands, and what moves it (domain-verification, section 5).

use std::time::Duration;

use rollcall_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::challenge::Place;

/// How long a domain is checked often before it is shown as failed.
pub(crate) const WINDOW: Duration = Duration::from_hours(48);

/// Where the proof stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum State {
    /// Checked often.
    Pending {
        /// When the 48 h began.
        since: Timestamp,
    },
    /// Proven.
    Verified {
        /// When.
        at: Timestamp,
        /// Where the value was found.
        by: Place,
    },
    /// The 48 h have passed; checked slowly.
    Failed {
        /// When the 48 h began.
        since: Timestamp,
    },
    /// The value is too old.
    Expired,
}

impl State {
    /// A claim that begins.
    pub(crate) fn begin(now: Timestamp) -> Self {
        Self::Pending { since: now }
    }

    /// When the present 48 h began; `None` if the domain is not checked.
    pub(crate) fn attempt(self) -> Option<Timestamp> {
        match self {
            Self::Pending { since } | Self::Failed { since } => Some(since),
            Self::Verified { .. } | Self::Expired => None,
        }
    }

    /// After a check that found the value at `found`, or did not find it.
    pub(crate) fn checked(self, found: Option<Place>, now: Timestamp) -> Self {
        match (self, found) {
            (Self::Pending { .. } | Self::Failed { .. }, Some(by)) => {
                Self::Verified { at: now, by }
            }
            (Self::Pending { since }, None) if now >= since.plus(WINDOW) => Self::Failed { since },
            _ => self,
        }
    }

    /// After a person pressed *Verify*: a failed domain gets a new 48 h.
    pub(crate) fn pressed(self, now: Timestamp) -> Self {
        match self {
            Self::Failed { .. } => Self::begin(now),
            _ => self,
        }
    }

    /// Once the value has expired.
    pub(crate) fn aged(self, expires: Timestamp, now: Timestamp) -> Self {
        match self {
            Self::Pending { .. } | Self::Failed { .. } if now >= expires => Self::Expired,
            _ => self,
        }
    }

    /// With a new value; `None` for a verified domain, whose value can't be renewed yet.
    pub(crate) fn renewed(self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Pending { .. } | Self::Failed { .. } | Self::Expired => Some(Self::begin(now)),
            Self::Verified { .. } => None,
        }
    }

    /// The state's name, as storage and logs have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending { .. } => "PENDING",
            Self::Verified { .. } => "VERIFIED",
            Self::Failed { .. } => "FAILED",
            Self::Expired => "EXPIRED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::LIFETIME;

    fn start() -> Timestamp {
        Timestamp::parse("2026-11-24T09:00:00Z").unwrap()
    }

    fn after(hours: u64) -> Timestamp {
        start().plus(Duration::from_hours(hours))
    }

    const FOUND: Option<Place> = Some(Place::AtDomain);

    #[test] // rule: D-03 (part)
    fn each_row_of_section_5_that_is_built() {
        let pending = State::begin(start());
        let failed = State::Failed { since: start() };
        let verified = |hours| State::Verified {
            at: after(hours),
            by: Place::AtDomain,
        };
        let expires = start().plus(LIFETIME);

        // pending or failed, a match
        assert_eq!(pending.checked(FOUND, after(1)), verified(1));
        assert_eq!(failed.checked(FOUND, after(50)), verified(50));
        // pending, 48 h without a match
        assert_eq!(pending.checked(None, after(47)), pending);
        assert_eq!(pending.checked(None, after(48)), failed);
        assert_eq!(failed.checked(None, after(60)), failed);
        // failed, a person presses Verify
        assert_eq!(failed.pressed(after(60)), State::begin(after(60)));
        assert_eq!(
            pending.pressed(after(1)),
            pending,
            "never restarts the 48 h"
        );
        // pending or failed, 30 d since the value was made
        assert_eq!(failed.aged(expires, after(719)), failed);
        assert_eq!(failed.aged(expires, after(720)), State::Expired);
        assert_eq!(pending.aged(expires, after(720)), State::Expired);
        // pending, failed or expired, RenewChallenge
        for state in [pending, failed, State::Expired] {
            assert_eq!(state.renewed(after(800)), Some(State::begin(after(800))));
        }
        // verified is not looked at again
        assert_eq!(verified(1).checked(None, after(900)), verified(1));
        assert_eq!(verified(1).aged(expires, after(900)), verified(1));
        assert_eq!(verified(1).pressed(after(900)), verified(1));
        assert_eq!(verified(1).renewed(after(900)), None);
    }

    #[test]
    fn an_expired_domain_is_not_verified_by_a_late_match() {
        assert_eq!(State::Expired.checked(FOUND, after(721)), State::Expired);
    }
}
