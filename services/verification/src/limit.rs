//! How often persons may check: 1 in 10 s a domain, 60 in an hour an account (section 6).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rollcall_types::{AccountId, DomainId, Timestamp};

use crate::error::Error;

const PER_DOMAIN: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_hours(1);
const PER_ACCOUNT: usize = 60;

/// Remembers the checks of the last hour, in this process.
#[derive(Debug, Default)]
pub(crate) struct Limiter(Mutex<HashMap<AccountId, VecDeque<(Timestamp, DomainId)>>>);

impl Limiter {
    /// Admits one check, or says how long to wait.
    pub(crate) fn admit(
        &self,
        account: &AccountId,
        id: DomainId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for checks in accounts.values_mut() {
            while checks
                .front()
                .is_some_and(|(at, _)| now.since(*at) >= WINDOW)
            {
                checks.pop_front();
            }
        }
        accounts.retain(|_, checks| !checks.is_empty());
        let checks = accounts.entry(account.clone()).or_default();
        let last = checks.iter().rev().find(|(_, checked)| *checked == id);
        if let Some(wait) = last.and_then(|(at, _)| left(PER_DOMAIN, *at, now)) {
            return Err(Error::RateLimited {
                scope: "domain",
                wait,
            });
        }
        if checks.len() >= PER_ACCOUNT
            && let Some(wait) = checks.front().and_then(|(at, _)| left(WINDOW, *at, now))
        {
            return Err(Error::RateLimited {
                scope: "account",
                wait,
            });
        }
        checks.push_back((now, id));
        Ok(())
    }
}

fn left(span: Duration, from: Timestamp, now: Timestamp) -> Option<Duration> {
    span.checked_sub(now.since(from))
        .filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use rollcall_types::{Clock, IdSource, OsEntropy, TestClock};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_domain_has_one_check_in_10_s_and_an_account_60_in_an_hour() {
        let start = Timestamp::parse("2026-11-24T09:00:00Z").unwrap();
        let clock = Arc::new(TestClock::new(start));
        let ids = IdSource::new(clock.clone(), Arc::new(OsEntropy));
        let domain = || DomainId::from_uuid(ids.next());
        let acme = AccountId::parse("acme").unwrap();
        let limiter = Limiter::default();
        let first = domain();
        let scope = |outcome| match outcome {
            Ok(()) => "",
            Err(Error::RateLimited { scope, .. }) => scope,
            Err(other) => panic!("{other}"),
        };

        assert_eq!(scope(limiter.admit(&acme, first, clock.now())), "");
        assert_eq!(scope(limiter.admit(&acme, first, clock.now())), "domain");
        clock.advance(PER_DOMAIN);
        assert_eq!(scope(limiter.admit(&acme, first, clock.now())), "");
        for _ in 2..PER_ACCOUNT {
            assert_eq!(scope(limiter.admit(&acme, domain(), clock.now())), "");
        }
        assert_eq!(
            scope(limiter.admit(&acme, domain(), clock.now())),
            "account"
        );
        let globex = AccountId::parse("globex").unwrap();
        assert_eq!(scope(limiter.admit(&globex, domain(), clock.now())), "");
        clock.advance(WINDOW);
        assert_eq!(scope(limiter.admit(&acme, first, clock.now())), "");
    }
}
