//! What an account publishes to prove a domain: the token, the value and its two places
//! (domain-verification, section 2).

use std::time::Duration;

use rollcall_types::{DomainName, Entropy, Timestamp, base32};
use serde::{Deserialize, Serialize};

use crate::domain;

/// The time to live that is recommended for the record.
pub(crate) const TTL: Duration = Duration::from_secs(300);
/// How long a value can be used.
pub(crate) const LIFETIME: Duration = Duration::from_hours(30 * 24);
/// The most octets that a name may have (RFC 1035, section 2.3.4), as text.
const MAX_NAME: usize = 253;

/// Where the value may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Place {
    /// Place A: the domain itself.
    AtDomain,
    /// Place B: the underscored name below it (RFC 8552).
    AtChallenge,
}

/// One value that an account was given for a domain.
///
/// It belongs to its row: it is compared with what is found at that row's domain only, so that
/// what one account publishes proves nothing for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// The product's word in the value when it was made: a later change of the setting does not
    /// change what the account has published.
    slug: String,
    /// 160 random bits in base32.
    token: String,
    /// Counts the values of the domain, from 1.
    generation: i32,
    /// When it was made.
    issued: Timestamp,
}

/// A name where the value may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// The owner name, without a trailing dot.
    pub(crate) name: String,
    /// What DNS panels want in their host field.
    pub(crate) relative: String,
}

impl Challenge {
    /// The first value of a domain.
    pub(crate) fn first(slug: &str, entropy: &dyn Entropy, now: Timestamp) -> Self {
        let mut bits = [0; 20];
        entropy.fill(&mut bits);
        Self {
            slug: slug.to_owned(),
            token: base32::encode(&bits),
            generation: 1,
            issued: now,
        }
    }

    /// The value after this one; this one is dead.
    pub(crate) fn next(&self, slug: &str, entropy: &dyn Entropy, now: Timestamp) -> Self {
        Self {
            generation: self.generation.saturating_add(1),
            ..Self::first(slug, entropy, now)
        }
    }

    /// The part of the value before the token.
    pub(crate) fn prefix(&self) -> String {
        format!("{}-domain-verification=", self.slug)
    }

    /// The random part of the value.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The text of the TXT record, without quotes.
    pub(crate) fn value(&self) -> String {
        format!("{}{}", self.prefix(), self.token)
    }

    /// Counts the values of the domain, from 1.
    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    /// When the value can no longer be used.
    pub(crate) fn expires(&self) -> Timestamp {
        self.issued.plus(LIFETIME)
    }

    /// Place A. The host is relative to the domain that was registered, which is the zone that
    /// most panels edit.
    pub(crate) fn at_domain(name: &DomainName) -> Host {
        let below = name.as_str().strip_suffix(domain::registrable(name));
        let below = below.unwrap_or_default().trim_end_matches('.');
        Host {
            name: name.as_str().to_owned(),
            relative: if below.is_empty() { "@" } else { below }.to_owned(),
        }
    }

    /// Place B; `None` where the name would be too long.
    pub(crate) fn at_challenge(&self, name: &DomainName) -> Option<Host> {
        let label = format!("_{}-challenge", self.slug);
        let full = format!("{label}.{name}");
        let above = Self::at_domain(name).relative;
        (full.len() <= MAX_NAME && label.len() <= 63).then(|| Host {
            name: full,
            relative: if above == "@" {
                label
            } else {
                format!("{label}.{above}")
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use rollcall_types::OsEntropy;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-24T09:00:00Z").unwrap()
    }

    #[test] // rule: D-02
    fn a_value_has_160_random_bits_and_a_renewed_one_shares_none_of_them() {
        #[derive(Debug, Default)]
        struct Recorded(std::sync::Mutex<Vec<Vec<u8>>>);
        impl Entropy for Recorded {
            fn fill(&self, bytes: &mut [u8]) {
                OsEntropy.fill(bytes);
                self.0.lock().unwrap().push(bytes.to_vec());
            }
        }
        let entropy = Recorded::default();
        let first = Challenge::first("rollcall", &entropy, now());

        let next = first.next("rollcall", &entropy, now().plus(LIFETIME));

        let bits = [&first, &next].map(|value| base32::decode::<20>(value.token()).unwrap());
        assert_eq!(
            *entropy.0.lock().unwrap(),
            bits,
            "each of the bits is random"
        );
        assert_eq!(
            first.value(),
            format!("rollcall-domain-verification={}", first.token())
        );
        assert_ne!(next.token(), first.token());
        assert_eq!((first.generation(), next.generation()), (1, 2));
        assert_eq!(first.expires(), now().plus(LIFETIME));
    }

    #[test]
    fn both_places_are_named_in_full_and_as_panels_want_them() {
        let challenge = Challenge::first("rollcall", &OsEntropy, now());
        let hosts = |name: &str| {
            let name = DomainName::parse(name).unwrap();
            let at = Challenge::at_domain(&name);
            let below = challenge.at_challenge(&name);
            (at.relative, below.map(|host| (host.name, host.relative)))
        };
        let some = |name: &str, relative: &str| Some((name.to_owned(), relative.to_owned()));

        assert_eq!(
            hosts("acme.co.uk"),
            (
                "@".to_owned(),
                some("_rollcall-challenge.acme.co.uk", "_rollcall-challenge")
            )
        );
        assert_eq!(
            hosts("mail.acme.com"),
            (
                "mail".to_owned(),
                some(
                    "_rollcall-challenge.mail.acme.com",
                    "_rollcall-challenge.mail"
                )
            )
        );
        let long = format!("{}acme.com", "a234567890.".repeat(22));
        assert_eq!(hosts(&long).1, None, "{} octets", long.len());
    }
}
