//! PostgreSQL's `pg_snapshot`: which transactions had been committed at one moment.

use std::fmt;

/// A snapshot as `pg_current_snapshot()` gives it (PostgreSQL, section 9.27.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Every transaction before this one had ended.
    xmin: u64,
    /// No transaction from this one on had ended.
    xmax: u64,
    /// Those in between that had not, in order.
    running: Vec<u64>,
}

impl Snapshot {
    /// Reads PostgreSQL's text, `xmin:xmax:xip,xip`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, xmax, running) = (parts.next()?, parts.next()?, parts.next()?);
        let mut snapshot = Self {
            xmin: xmin.parse().ok()?,
            xmax: xmax.parse().ok()?,
            running: numbers(running)?,
        };
        snapshot.running.sort_unstable();
        let fits = |xid: &u64| (snapshot.xmin..snapshot.xmax).contains(xid);
        let all_fit = snapshot.xmin <= snapshot.xmax && snapshot.running.iter().all(fits);
        (parts.next().is_none() && all_fit).then_some(snapshot)
    }

    /// Whether the changes of a transaction that was committed are seen.
    #[must_use]
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && self.running.binary_search(&xid).is_err())
    }

    /// Every transaction before this one had ended.
    #[must_use]
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// No transaction from this one on had ended.
    #[must_use]
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Whether it sees whatever the other one sees.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        self.xmax >= other.xmax && !self.running.iter().any(|xid| other.sees(*xid))
    }

    /// Whether it can't have been taken before `now`.
    #[must_use]
    pub fn is_beyond(&self, now: &Self) -> bool {
        self.xmin > now.xmin || self.xmax > now.xmax
    }

    /// A shorter text: what runs is close together, so all but the first are differences.
    pub(crate) fn to_short(&self) -> String {
        let mut last = self.xmin;
        let steps: Vec<String> = self
            .running
            .iter()
            .map(|xid| (xid - std::mem::replace(&mut last, *xid)).to_string())
            .collect();
        let (span, steps) = (self.xmax - self.xmin, steps.join(","));
        format!("{}:{span}:{steps}", self.xmin)
    }

    /// Reads what [`to_short`](Self::to_short) wrote.
    pub(crate) fn parse_short(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (xmin, span, steps) = (parts.next()?, parts.next()?, parts.next()?);
        let xmin: u64 = xmin.parse().ok()?;
        let xmax = xmin.checked_add(span.parse().ok()?)?;
        let mut last = xmin;
        let mut running = Vec::new();
        for step in numbers(steps)? {
            last = last.checked_add(step).filter(|xid| *xid < xmax)?;
            running.push(last);
        }
        parts.next().is_none().then_some(Self {
            xmin,
            xmax,
            running,
        })
    }
}

/// Numbers separated by commas, or none.
fn numbers(text: &str) -> Option<Vec<u64>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|one| one.parse().ok()).collect()
}

impl fmt::Display for Snapshot {
    /// PostgreSQL's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running: Vec<String> = self.running.iter().map(u64::to_string).collect();
        write!(f, "{}:{}:{}", self.xmin, self.xmax, running.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_snapshot_sees_what_had_ended_and_nothing_that_ran_or_had_not_begun() {
        let snapshot = Snapshot::parse("10:20:10,14,15").unwrap();

        let seen: Vec<u64> = (8..22).filter(|xid| snapshot.sees(*xid)).collect();

        assert_eq!(seen, [8, 9, 11, 12, 13, 16, 17, 18, 19]);
    }

    #[test]
    fn of_two_snapshots_one_may_see_all_of_the_other_or_neither_does() {
        let [early, late] = ["10:20:10,15", "15:20:15"].map(|text| Snapshot::parse(text).unwrap());
        let [one, two] = ["10:20:10", "10:20:15"].map(|text| Snapshot::parse(text).unwrap());

        assert!(late.includes(&early) && !early.includes(&late));
        assert!(late.includes(&late));
        assert!(!one.includes(&two) && !two.includes(&one));
    }

    #[test]
    fn what_is_no_snapshot_is_refused() {
        for text in [
            "", "1", "1:2", "2:1:", "1:2:,", "1:5:7", "1:5:0", "1:2:1:1", "a:b:",
        ] {
            assert_eq!(Snapshot::parse(text), None, "{text}");
        }
        for text in [
            "",
            "1:2",
            "1:2:2",
            "1:9:3,6",
            "18446744073709551615:1:",
            "1:2:1:1",
        ] {
            assert_eq!(Snapshot::parse_short(text), None, "{text}");
        }
    }

    #[test]
    fn sixteen_writers_make_a_short_text() {
        let running: Vec<String> = (0..16).map(|n| (987_654_321 + n * 2).to_string()).collect();
        let snapshot = Snapshot::parse(&format!("987654321:987654360:{}", running.join(",")));

        assert!(snapshot.unwrap().to_short().len() < 50);
    }

    proptest! {
        #[test]
        fn both_texts_come_back(xmin in 0..u64::MAX / 2, span in 0..300_u64, bits in any::<u128>()) {
            let running: Vec<u64> = (0..span.min(128))
                .filter(|n| bits >> n & 1 == 1)
                .map(|n| xmin + n)
                .collect();
            let snapshot = Snapshot { xmin, xmax: xmin + span, running };

            prop_assert_eq!(Snapshot::parse(&snapshot.to_string()), Some(snapshot.clone()));
            prop_assert_eq!(Snapshot::parse_short(&snapshot.to_short()), Some(snapshot));
        }
    }
}
