//! Email addresses.

use std::fmt;
use std::str::FromStr;

use email_address::Options;

use crate::{DomainName, fold};

/// An email address as it was sent, with the domain that decides whether its user is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress {
    text: String,
    domain: DomainName,
}

/// The text is no address of the form `local@domain` (RFC 5321, section 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an email address")]
pub struct ParseEmailError;

impl EmailAddress {
    /// Parses an address. A display name, an IP literal or a domain of one label is refused.
    ///
    /// # Errors
    /// [`ParseEmailError`] for anything else than `local@domain`.
    pub fn parse(text: &str) -> Result<Self, ParseEmailError> {
        if fold::has_control(text) {
            return Err(ParseEmailError);
        }
        let options = Options::default()
            .without_display_text()
            .without_domain_literal();
        let (local, domain) = text.rsplit_once('@').ok_or(ParseEmailError)?;
        let domain = DomainName::parse(domain).map_err(|_| ParseEmailError)?;
        // The domain was judged in its A-label form; the local part is judged beside it.
        email_address::EmailAddress::parse_with_options(&format!("{local}@{domain}"), options)
            .map_err(|_| ParseEmailError)?;
        Ok(Self {
            text: text.to_owned(),
            domain,
        })
    }

    /// The address as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The domain, in A-label form.
    #[must_use]
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for EmailAddress {
    type Err = ParseEmailError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7643-4.1.2-01
    fn an_address_has_a_local_part_and_a_domain() {
        let email = EmailAddress::parse("Alice.Smith+x@Example.COM").unwrap();
        assert_eq!(email.domain().as_str(), "example.com");
        assert_eq!(email.as_str(), "Alice.Smith+x@Example.COM");

        for bad in [
            "",
            "alice",
            "alice@",
            "@example.com",
            "a b@example.com",
            "a@b",
            "a@[192.0.2.1]",
            "Alice <alice@example.com>",
            "a\n@example.com",
            "a@@example.com",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad:?}");
        }
    }
}
