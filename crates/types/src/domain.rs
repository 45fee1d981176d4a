//! Domain names of email addresses.

use std::fmt;

/// A domain name in A-label form: lower case, no trailing dot, at least two labels.
///
/// Holding one says that its form is right (RFC 1035, section 2.3.4; UTS 46, non-transitional,
/// STD3 rules). Whether an account may claim it is another question, which verification decides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(String);

/// Why a text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDomainError {
    /// Nothing there.
    #[error("the domain is empty")]
    Empty,
    /// An IPv4 or IPv6 address.
    #[error("an IP address is not a domain name")]
    IpAddress,
    /// An empty or too long label, a bad hyphen, an underscore, or more than 253 octets.
    #[error("not a well-formed domain name")]
    Malformed,
    /// One label only, such as `localhost`.
    #[error("a domain name of one label can't be used")]
    SingleLabel,
}

impl DomainName {
    /// Parses a domain name such as `Example.COM.` or `münchen.example`.
    ///
    /// # Errors
    /// The first [`ParseDomainError`] that applies, in the order of its variants.
    pub fn parse(text: &str) -> Result<Self, ParseDomainError> {
        let text = text.trim();
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(ParseDomainError::Empty);
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if bare.parse::<std::net::IpAddr>().is_ok() {
            return Err(ParseDomainError::IpAddress);
        }
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| ParseDomainError::Malformed)?;
        if ascii.len() > 253 || ascii.is_empty() {
            return Err(ParseDomainError::Malformed);
        }
        // UTS 46 maps full-width digits and dots too: what comes out is looked at again.
        if ascii.parse::<std::net::IpAddr>().is_ok() {
            return Err(ParseDomainError::IpAddress);
        }
        if !ascii.contains('.') {
            return Err(ParseDomainError::SingleLabel);
        }
        Ok(Self(ascii))
    }

    /// The A-label form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for people: U-labels where they are well-formed.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_name_has_one_form() {
        for (typed, form) in [
            ("Example.COM.", "example.com"),
            (" münchen.example ", "xn--mnchen-3ya.example"),
            ("XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example"),
        ] {
            assert_eq!(DomainName::parse(typed).unwrap().as_str(), form);
        }
    }

    #[test]
    fn what_is_no_domain_name_is_told_apart() {
        use ParseDomainError::{Empty, IpAddress, Malformed, SingleLabel};
        for (typed, why) in [
            ("", Empty),
            (".", Empty),
            ("192.0.2.1", IpAddress),
            ("[2001:db8::1]", IpAddress),
            ("a..b", Malformed),
            ("_a.example", Malformed),
            ("-a.example", Malformed),
            (&format!("{}.example", "a".repeat(64)), Malformed),
            (&format!("{}a", "a.".repeat(127)), Malformed),
            ("localhost", SingleLabel),
        ] {
            assert_eq!(DomainName::parse(typed), Err(why), "{typed}");
        }
    }
}
