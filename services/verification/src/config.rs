//! The settings of verification.

use std::net::IpAddr;
use std::time::Duration;

use crate::domain::Policy;

/// A recursive resolver that is asked: one vantage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolver {
    /// Its address.
    pub address: IpAddr,
    /// Its port, for UDP and TCP; usually 53.
    pub port: u16,
}

/// The settings of the service.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one setting of its own, as an operator writes it"
)]
pub struct Config {
    /// The product's word in the value and in the challenge name; 1 to 40 of `a-z0-9-`.
    pub slug: String,
    /// The vantages; empty: the system's resolvers are the one vantage.
    pub resolvers: Vec<Resolver>,
    /// Whether special-use names such as `acme.example` may be claimed: dev mode and tests.
    pub allow_special_use: bool,
    /// Whether a domain must end in a known top-level domain.
    pub require_known_tld: bool,
    /// Whether a hosting provider's suffix itself may be claimed.
    pub allow_private_suffix: bool,
    /// The longest time between two automatic checks; none: as the schedule says.
    pub max_check_interval: Option<Duration>,
    /// Whether checks by persons are limited: 1 in 10 s a domain, 60 in an hour an account.
    pub rate_limits: bool,
}

impl Config {
    /// Whether the slug fits into DNS labels.
    pub(crate) fn has_valid_slug(&self) -> bool {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=40).contains(&self.slug.len()) && self.slug.bytes().all(fits)
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy {
            allow_special_use: self.allow_special_use,
            require_known_tld: self.require_known_tld,
            allow_private_suffix: self.allow_private_suffix,
        }
    }
}
