//! What one look at the DNS means for a challenge (domain-verification, sections 2 to 4). Pure.

use serde::{Deserialize, Serialize};

use crate::challenge::{Challenge, Place};
use crate::diagnosis::{Diagnosis, Reason};
use crate::domain::is_within;
use crate::lookup::{Heard, TxtAnswer};

/// Beside the point: how the value was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Warning {
    /// The quotes are part of the value.
    ValueQuoted,
    /// White space stands around the value.
    ValueWhitespace,
}

/// What one vantage said, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Outcome {
    /// The value.
    Match,
    /// Other TXT records.
    Other,
    /// No TXT record.
    NoData,
    /// No such name.
    NxDomain,
    /// A failure of the resolver or of those that it asked.
    ServFail,
    /// Nothing in time.
    Timeout,
}

/// One vantage's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Its address and port.
    pub(crate) address: String,
    /// What it said.
    pub(crate) outcome: Outcome,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where the value was found, by enough vantages; else why not.
    pub(crate) proof: Result<Place, Diagnosis>,
    /// What each vantage said.
    pub(crate) servers: Vec<Server>,
    /// How the value was published.
    pub(crate) warnings: Vec<Warning>,
}

/// What was asked and heard: a list entry a vantage, in the same order at both places.
#[derive(Clone, Debug)]
pub(crate) struct Look<'a> {
    /// The domain.
    pub(crate) name: &'a str,
    /// The name that was registered.
    pub(crate) registrable: &'a str,
    /// The answers at place A.
    pub(crate) at_domain: &'a [Heard],
    /// The answers at place B; empty where there is no such name.
    pub(crate) at_challenge: &'a [Heard],
}

/// How many of `vantages` may miss the value (section 3, step 5).
fn allowed_misses(vantages: usize) -> usize {
    match vantages {
        0 | 1 => 0,
        2..=5 => 1,
        _ => 2,
    }
}

/// Judges a look: enough vantages show the value, or exactly one reason why not.
pub(crate) fn judge(challenge: &Challenge, look: &Look<'_>) -> Finding {
    let seen: Vec<Seen> = look
        .at_domain
        .iter()
        .enumerate()
        .map(|(index, heard)| {
            let below = look.at_challenge.get(index).map(|heard| &heard.answer);
            see(challenge, look, heard, below)
        })
        .collect();
    let needed = seen.len() - allowed_misses(seen.len());
    let matched = seen.iter().filter(|seen| seen.place().is_some()).count();
    let found = seen.iter().find_map(Seen::place);
    let proof = match found {
        Some(place) if matched >= needed => Ok(place),
        _ => Err(diagnose(&seen, needed, matched)),
    };
    let mut warnings: Vec<Warning> = seen.iter().flat_map(|seen| seen.warnings.clone()).collect();
    warnings.sort_unstable();
    warnings.dedup();
    Finding {
        proof,
        warnings,
        servers: seen.into_iter().map(|seen| seen.server).collect(),
    }
}

/// What one vantage showed.
struct Seen {
    server: Server,
    result: Result<Place, Reason>,
    warnings: Vec<Warning>,
}

impl Seen {
    fn place(&self) -> Option<Place> {
        self.result.as_ref().ok().copied()
    }
}

fn see(challenge: &Challenge, look: &Look<'_>, heard: &Heard, below: Option<&TxtAnswer>) -> Seen {
    let places = [
        (Place::AtDomain, Some(&heard.answer)),
        (Place::AtChallenge, below),
    ];
    let matches = places.into_iter().find_map(|(place, answer)| {
        let found = records(answer?).iter();
        let mut found = found.filter_map(|record| matching(challenge, place, record));
        let first = found.next()?;
        // An exact record beside a quoted one leaves nothing to warn of.
        let best = found.chain([first.clone()]).min_by_key(Vec::len);
        Some((place, best.unwrap_or(first)))
    });
    let seen = |outcome, result, warnings| Seen {
        server: Server {
            address: heard.vantage.clone(),
            outcome,
        },
        result,
        warnings,
    };
    match matches {
        Some((place, warnings)) => seen(Outcome::Match, Ok(place), warnings),
        None => {
            let reason = miss(challenge, look, &heard.answer, below);
            seen(outcome(&heard.answer, below), Err(reason), Vec::new())
        }
    }
}

fn records(answer: &TxtAnswer) -> &[Vec<u8>] {
    match answer {
        TxtAnswer::Records(records) => records,
        _ => &[],
    }
}

/// Whether a record is the value, and with which warnings. The whole record is compared, never a
/// part of it.
fn matching(challenge: &Challenge, place: Place, record: &[u8]) -> Option<Vec<Warning>> {
    let value = challenge.value();
    let is_value = |text: &[u8]| {
        text.eq_ignore_ascii_case(value.as_bytes())
            || (place == Place::AtChallenge
                && text.eq_ignore_ascii_case(challenge.token().as_bytes()))
    };
    if is_value(record) {
        return Some(Vec::new());
    }
    let trimmed = record.trim_ascii();
    let bare = unquoted(trimmed);
    let mut warnings = Vec::new();
    if bare.len() < trimmed.len() {
        warnings.push(Warning::ValueQuoted);
    }
    if trimmed.len() < record.len() {
        warnings.push(Warning::ValueWhitespace);
    }
    is_value(bare).then_some(warnings)
}

/// Without one pair of straight or typographic quotes.
fn unquoted(text: &[u8]) -> &[u8] {
    [("\"", "\""), ("'", "'"), ("“", "”"), ("‘", "’"), ("„", "“")]
        .iter()
        .find_map(|(open, close)| {
            text.strip_prefix(open.as_bytes())?
                .strip_suffix(close.as_bytes())
        })
        .unwrap_or(text)
}

/// Why one vantage did not show the value.
///
/// A value that resembles ours explains most, whatever the other place said. After that a place
/// that could not be read may hold the value, so that nothing definite is said.
fn miss(
    challenge: &Challenge,
    look: &Look<'_>,
    at_domain: &TxtAnswer,
    below: Option<&TxtAnswer>,
) -> Reason {
    let answers = [Some(at_domain), below];
    let answers = || answers.into_iter().flatten();
    let mut found = answers().flat_map(records);
    if let Some(record) = found.find(|record| resembles(challenge, record)) {
        return Reason::ValueMismatch(shown(record));
    }
    if let TxtAnswer::NxDomain { zone } = at_domain
        && is_unregistered(look, zone.as_deref())
    {
        return Reason::DomainDoesNotExist;
    }
    if answers().any(|answer| *answer == TxtAnswer::ServFail) {
        return Reason::ServFail;
    }
    if answers().any(|answer| *answer == TxtAnswer::Timeout) {
        return Reason::Timeout;
    }
    let places = [
        (Place::AtDomain, Some(at_domain)),
        (Place::AtChallenge, below),
    ];
    let alias = places
        .into_iter()
        .find_map(|(place, answer)| match answer? {
            TxtAnswer::Alias { target } => {
                Some(Reason::CnameAtName(place, shown(target.as_bytes())))
            }
            _ => None,
        });
    if let Some(reason) = alias {
        return reason;
    }
    match answers().flat_map(records).count() {
        0 => Reason::NoTxt,
        count => Reason::NoMatchingTxt(count),
    }
}

/// Whether NXDOMAIN for the domain says that the registrable domain does not exist: it is the
/// domain, or the zone that says so is above it.
fn is_unregistered(look: &Look<'_>, zone: Option<&str>) -> bool {
    look.name == look.registrable
        || zone.is_some_and(|zone| {
            zone != look.registrable && (zone.is_empty() || is_within(look.registrable, zone))
        })
}

fn outcome(at_domain: &TxtAnswer, below: Option<&TxtAnswer>) -> Outcome {
    match (at_domain, below) {
        (TxtAnswer::Records(_), _) | (_, Some(TxtAnswer::Records(_))) => Outcome::Other,
        (TxtAnswer::ServFail, _) | (_, Some(TxtAnswer::ServFail)) => Outcome::ServFail,
        (TxtAnswer::Timeout, _) | (_, Some(TxtAnswer::Timeout)) => Outcome::Timeout,
        (TxtAnswer::NoData | TxtAnswer::Alias { .. }, _) => Outcome::NoData,
        (TxtAnswer::NxDomain { .. }, _) => Outcome::NxDomain,
    }
}

/// Whether a record looks like an attempt at our value: our prefix, the form of a token, or at
/// most 8 edits away (section 4).
fn resembles(challenge: &Challenge, record: &[u8]) -> bool {
    let text = unquoted(record.trim_ascii());
    let prefix = challenge.prefix();
    let word = prefix.trim_end_matches('=').as_bytes();
    let starts = text
        .get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word));
    let in_alphabet = |byte: &u8| matches!(byte.to_ascii_lowercase(), b'a'..=b'z' | b'2'..=b'7');
    let is_token = text.len() == 32 && text.iter().all(in_alphabet);
    starts || is_token || distance(text, challenge.value().as_bytes()) <= 8
}

/// The edit distance (Levenshtein); `usize::MAX` where the lengths alone make it more than 8.
fn distance(left: &[u8], right: &[u8]) -> usize {
    if left.len().abs_diff(right.len()) > 8 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (done, a) in left.iter().enumerate() {
        let mut diagonal = done;
        let mut beside = done + 1;
        let mut next = vec![beside];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            let changed = diagonal + usize::from(!a.eq_ignore_ascii_case(b));
            beside = changed.min(beside + 1).min(above + 1);
            diagonal = *above;
            next.push(beside);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// A foreign value as people may see it: control characters and broken UTF-8 escaped, at most
/// 100 characters.
fn shown(record: &[u8]) -> String {
    let escaped = record.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid().chars().map(|letter| {
            if letter.is_control() {
                letter.escape_default().to_string()
            } else {
                letter.to_string()
            }
        });
        let broken = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
        valid.chain(broken).collect::<Vec<_>>()
    });
    let mut text = String::new();
    let mut length = 0;
    for piece in escaped {
        length += piece.chars().count();
        if length > 100 {
            break;
        }
        text.push_str(&piece);
    }
    text
}

/// The one reason of all vantages together. What fewer vantages than the quorum may miss say does
/// not hide what the others say.
fn diagnose(seen: &[Seen], needed: usize, matched: usize) -> Diagnosis {
    let reasons = || seen.iter().filter_map(|seen| seen.result.as_ref().err());
    let transient = |reason: &&Reason| matches!(reason, Reason::ServFail | Reason::Timeout);
    let unregistered = |reason: &&Reason| **reason == Reason::DomainDoesNotExist;
    let misses = seen.len() - needed;
    let reason = if reasons().filter(unregistered).count() >= needed.max(1) {
        Some(&Reason::DomainDoesNotExist)
    } else if reasons().filter(transient).count() > misses {
        reasons().filter(transient).min_by_key(|r| r.priority())
    } else {
        let definite = |reason: &&Reason| !transient(reason) && !unregistered(reason);
        reasons()
            .filter(definite)
            .min_by_key(|reason| reason.priority())
            .or_else(|| reasons().min_by_key(|reason| reason.priority()))
    };
    let reason = reason.cloned().unwrap_or(Reason::Timeout);
    Diagnosis::new(&reason, matched, seen.len())
}

#[cfg(test)]
mod tests;
