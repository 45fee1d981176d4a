//! When a domain is checked by itself (domain-verification, section 6).

use std::time::Duration;

use rollcall_types::{DomainId, Timestamp};
use sha2::{Digest, Sha256};

use crate::state::WINDOW;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
/// The first slots, in seconds from the start of the 48 h.
const FIRST: [u64; 8] = [0, 15, 30, 60, 120, 240, 480, 900];
/// The step between slots up to an offset, both in seconds.
const STEPS: [(u64, u64); 3] = [
    (2 * HOUR, 15 * MINUTE),
    (12 * HOUR, 30 * MINUTE),
    (48 * HOUR, HOUR),
];
/// The step after the 48 h.
const SLOW: u64 = 6 * HOUR;

/// The offsets of all slots, without jitter.
fn offsets() -> impl Iterator<Item = u64> {
    let later = |last: &u64| {
        let step = STEPS.iter().find(|(until, _)| last < until);
        last.checked_add(step.map_or(SLOW, |(_, step)| *step))
    };
    let dense = std::iter::successors(Some(900), later).skip(1);
    FIRST.into_iter().chain(dense)
}

/// The offsets of all slots of a row: each moved by up to a tenth of the gap before it, the same
/// way each time. The slot that ends the 48 h is not moved.
fn slots(id: DomainId) -> impl Iterator<Item = Duration> {
    let mut last = 0;
    offsets().zip(0_u32..).map(move |(offset, attempt)| {
        let gap = offset - last;
        last = offset;
        let exact = Duration::from_secs(offset);
        if exact == WINDOW {
            return exact;
        }
        let tenth = Duration::from_secs(gap) / 10;
        // 0 to 2,000 thousandths of the tenth, less 1,000.
        let moved = tenth * (fraction(id, attempt) % 2001) / 1000;
        (exact + moved).saturating_sub(tenth)
    })
}

fn fraction(id: DomainId, attempt: u32) -> u32 {
    let mut hash = Sha256::new();
    hash.update(id.to_uuid().as_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    digest
        .iter()
        .take(4)
        .fold(0, |number, byte| (number << 8) | u32::from(*byte))
}

/// When the row is due after `now`: the first slot that has not passed (missed ones are skipped),
/// but no later than `longest` from now, and never after `expires`, when it is due for the last
/// time.
pub(crate) fn next(
    id: DomainId,
    start: Timestamp,
    now: Timestamp,
    expires: Timestamp,
    longest: Option<Duration>,
) -> Timestamp {
    let slot = slots(id)
        .map(|offset| start.plus(offset))
        .find(|time| *time > now || *time >= expires)
        .unwrap_or(expires);
    let capped = longest.map_or(slot, |span| slot.min(now.plus(span)));
    capped.min(expires)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::challenge::LIFETIME;

    fn start() -> Timestamp {
        Timestamp::parse("2026-11-24T09:00:00Z").unwrap()
    }

    fn id(bits: u64) -> DomainId {
        let (high, low) = (bits >> 32, bits & 0xffff_ffff);
        DomainId::parse(&format!("{high:08x}-0000-7000-8000-0000{low:08x}")).unwrap()
    }

    #[test] // rule: D-03 (part)
    fn the_48_hours_have_71_checks_and_then_one_comes_every_6_hours() {
        let offsets: Vec<u64> = offsets().take(74).collect();

        assert_eq!(offsets[..9], [0, 15, 30, 60, 120, 240, 480, 900, 1800]);
        assert_eq!(offsets[70], 48 * HOUR);
        assert_eq!(offsets[71..], [54 * HOUR, 60 * HOUR, 66 * HOUR]);
    }

    #[test]
    fn the_last_check_comes_when_the_value_expires() {
        let expires = start().plus(LIFETIME);
        let late = expires.plus(Duration::from_secs(1));
        let before = start().plus(LIFETIME.saturating_sub(Duration::from_secs(1)));

        assert_eq!(next(id(7), start(), before, expires, None), expires);
        assert_eq!(next(id(7), start(), late, expires, None), expires);
    }

    proptest! {
        #[test]
        fn slots_rise_within_their_jitter_and_are_the_same_each_time(bits: u64) {
            let id = id(bits);
            let made: Vec<Duration> = slots(id).take(200).collect();
            prop_assert!(made.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(&made, &slots(id).take(200).collect::<Vec<_>>());
            let mut last = 0;
            for (slot, offset) in made.iter().zip(offsets()) {
                let tenth = Duration::from_secs(offset - last) / 10;
                last = offset;
                let exact = Duration::from_secs(offset);
                prop_assert!(*slot >= exact.saturating_sub(tenth) && *slot <= exact + tenth);
            }
        }

        #[test]
        fn the_next_check_is_later_within_the_cap_and_not_after_the_expiry(
            bits: u64, elapsed in 0..29 * 24 * HOUR, cap in prop::option::of(1..HOUR),
        ) {
            let now = start().plus(Duration::from_secs(elapsed));
            let expires = start().plus(LIFETIME);
            let cap = cap.map(Duration::from_secs);

            let due = next(id(bits), start(), now, expires, cap);

            prop_assert!(due > now && due <= expires);
            prop_assert!(cap.is_none_or(|cap| due <= now.plus(cap)));
        }
    }
}
