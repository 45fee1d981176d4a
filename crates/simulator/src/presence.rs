//! Whether the service is there: one clock for everything that a run does at the same time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::report::Ended;

/// What all calls of a run together know of the service.
#[derive(Default)]
pub(crate) struct Presence(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// A service that never answered is not waited for.
    has_answered: bool,
    /// When the first call found nobody, since the last answer.
    away_since: Option<Instant>,
    ended: Option<Ended>,
}

/// What to do about a call that found nobody.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Try again: the service has been away for this long.
    Again(Duration),
    /// With this call the run is over.
    Ends,
    /// It is over already.
    Over,
}

impl Presence {
    /// Notes an answer, whatever it says.
    pub(crate) fn answered(&self) {
        let mut known = self.known();
        known.has_answered = true;
        known.away_since = None;
    }

    /// Lets a service that is just starting be waited for, too.
    pub(crate) fn expect_start(&self) {
        self.known().has_answered = true;
    }

    /// Notes that a call found nobody at `now`; the run ends once that lasts as long as `limit`.
    pub(crate) fn missed(&self, now: Instant, limit: Duration, reason: &str) -> Missed {
        let mut known = self.known();
        if known.ended.is_some() {
            return Missed::Over;
        }
        let since = *known.away_since.get_or_insert(now);
        let away = now.saturating_duration_since(since);
        if known.has_answered && away < limit {
            return Missed::Again(away);
        }
        known.ended = Some(if known.has_answered {
            Ended::Away(limit)
        } else {
            Ended::Unreachable(reason.to_owned())
        });
        Missed::Ends
    }

    /// Ends the run: the service knows the token no more than any other.
    pub(crate) fn refused(&self) {
        self.known().ended.get_or_insert(Ended::TokenRefused);
    }

    /// Whether the run is over before its last step.
    pub(crate) fn is_over(&self) -> bool {
        self.known().ended.is_some()
    }

    /// Why it was, if it was.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.known().ended.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn the_clock_is_shared_by_all_calls_and_an_answer_resets_it() {
        let presence = Presence::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let missed = |seconds| presence.missed(after(seconds), LIMIT, "refused");
        presence.answered();

        assert_eq!(missed(0), Missed::Again(Duration::ZERO));
        assert_eq!(missed(29), Missed::Again(Duration::from_secs(29)));
        presence.answered();
        assert_eq!(missed(30), Missed::Again(Duration::ZERO));
        assert_eq!(missed(59), Missed::Again(Duration::from_secs(29)));
        assert!(!presence.is_over());
        assert_eq!((missed(60), missed(61)), (Missed::Ends, Missed::Over));
        presence.answered();
        assert_eq!(presence.ended(), Some(Ended::Away(LIMIT)));
    }

    #[test]
    fn nobody_is_waited_for_who_never_answered() {
        let presence = Presence::default();

        let missed = presence.missed(Instant::now(), LIMIT, "refused");

        assert_eq!(missed, Missed::Ends);
        let ended = Some(Ended::Unreachable("refused".to_owned()));
        assert_eq!(presence.ended(), ended);
    }

    #[test]
    fn what_is_away_stays_away_for_who_does_not_wait() {
        let presence = Presence::default();
        presence.answered();

        let missed = presence.missed(Instant::now(), Duration::ZERO, "refused");

        assert_eq!(missed, Missed::Ends);
    }
}
