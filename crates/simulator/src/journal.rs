//! Collects requests, times and failures while a run goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::presence::Presence;
use crate::report::{Failure, Report, StepReport};

/// How many failures are kept; a broken service under load would otherwise fill the memory.
const KEPT_FAILURES: usize = 1000;

/// Shared by everything that a run does at the same time.
pub(crate) struct Journal {
    /// Whether the service is there.
    pub(crate) presence: Presence,
    start: Instant,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    steps: BTreeMap<&'static str, Step>,
    failures: Vec<Failure>,
    not_kept: usize,
    retried: usize,
    reconnected: usize,
}

struct Step {
    /// Its place among the steps, in the order in which they were opened.
    order: usize,
    times: Vec<Duration>,
    failures: usize,
}

impl Journal {
    pub(crate) fn start() -> Self {
        Self {
            presence: Presence::default(),
            start: Instant::now(),
            entries: Mutex::default(),
        }
    }

    /// Names the step, so that it is in the report also if nothing happens in it.
    pub(crate) fn open(&self, step: &'static str) {
        self.entries().step(step);
    }

    pub(crate) fn answered(&self, step: &'static str, time: Duration) {
        self.entries().step(step).times.push(time);
    }

    pub(crate) fn retried(&self) {
        self.entries().retried += 1;
    }

    pub(crate) fn reconnected(&self) {
        self.entries().reconnected += 1;
    }

    pub(crate) fn fail(&self, failure: Failure) {
        let mut entries = self.entries();
        entries.step(failure.step).failures += 1;
        if entries.failures.len() < KEPT_FAILURES {
            entries.failures.push(failure);
        } else {
            entries.not_kept += 1;
        }
    }

    pub(crate) fn report(self, title: String) -> Report {
        let elapsed = self.start.elapsed();
        let ended = self.presence.ended();
        let entries = self
            .entries
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut steps: Vec<(&'static str, Step)> = entries.steps.into_iter().collect();
        steps.sort_by_key(|(_, step)| step.order);
        let steps: Vec<StepReport> = steps
            .into_iter()
            .map(|(name, step)| step.report(name))
            .collect();
        Report {
            title,
            requests: steps.iter().map(|step| step.requests).sum(),
            retried: entries.retried,
            reconnected: entries.reconnected,
            failures: entries.failures,
            failures_not_kept: entries.not_kept,
            steps,
            ended,
            elapsed,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn step(&mut self, name: &'static str) -> &mut Step {
        let order = self.steps.len();
        self.steps.entry(name).or_insert_with(|| Step {
            order,
            times: Vec::new(),
            failures: 0,
        })
    }
}

impl Step {
    fn report(mut self, name: &'static str) -> StepReport {
        self.times.sort_unstable();
        StepReport {
            name,
            requests: self.times.len(),
            failures: self.failures,
            p50: percentile(&self.times, 50),
            p95: percentile(&self.times, 95),
            p99: percentile(&self.times, 99),
        }
    }
}

/// The time within which `percent` of the sorted `times` lie; zero if there are none.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let rank = times.len().saturating_mul(percent).div_ceil(100);
    times
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_time_that_was_measured() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();

        assert_eq!(percentile(&times, 50), Duration::from_millis(100));
        assert_eq!(percentile(&times, 99), Duration::from_millis(198));
        assert_eq!(
            percentile(times.get(..1).unwrap(), 99),
            Duration::from_millis(1)
        );
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
