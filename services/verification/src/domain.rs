//! What an administrator typed, made into a domain name that may be claimed, or refused with one
//! reason (domain-verification, section 1).

use std::net::{IpAddr, SocketAddr};

use psl::{Psl, Type};
use rollcall_types::DomainName;
use rollcall_types::domain::ParseDomainError;

/// Names that no public DNS serves, each with everything below it (RFC 6761, RFC 6762, RFC 7686,
/// RFC 8375, RFC 9476, and ICANN's `internal`).
const SPECIAL_USE: [&str; 13] = [
    "localhost",
    "local",
    "test",
    "invalid",
    "example",
    "example.com",
    "example.net",
    "example.org",
    "onion",
    "alt",
    "internal",
    "home.arpa",
    "arpa",
];

/// What an installation lets through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    /// Whether special-use names may be claimed: dev mode and tests.
    pub(crate) allow_special_use: bool,
    /// Whether the name must end in a suffix of the public suffix list.
    pub(crate) require_known_tld: bool,
    /// Whether a hosting provider's suffix itself may be claimed.
    pub(crate) allow_private_suffix: bool,
}

/// A name that may be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    /// The name, in A-label form.
    pub(crate) name: DomainName,
    /// Whether it was the domain of an email address.
    pub(crate) took_email_domain: bool,
}

/// Why a text can't be claimed, in the order in which it is decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("enter the domain of your users' email addresses, such as acme.com")]
    Empty,
    #[error("enter a domain, not a web address: perhaps {0:?}")]
    Url(String),
    #[error("enter a domain name; an IP address can't be verified")]
    IpAddress,
    #[error("enter the domain without a port: leave out the colon and what follows it")]
    Port,
    #[error("a wildcard can't be verified: add each domain by its own name")]
    Wildcard,
    #[error(
        "this is no domain name: labels have 1 to 63 letters, digits and inner hyphens, and the \
         whole has at most 253"
    )]
    Malformed,
    #[error("enter the whole domain, such as acme.com: one label is not enough")]
    SingleLabel,
    #[error("the name is reserved for special use and can't be verified on the Internet")]
    SpecialUse,
    #[error("no such top-level domain is known: check the spelling")]
    UnknownTld,
    #[error("the name is a public suffix under which others register: enter your own domain")]
    PublicSuffix,
    #[error("the name is a provider's suffix shared by many customers: enter your own domain")]
    PrivateSuffix,
}

impl Rejection {
    /// The reason as clients know it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Empty => "DOMAIN_EMPTY",
            Self::Url(_) => "DOMAIN_IS_URL",
            Self::IpAddress => "DOMAIN_IS_IP",
            Self::Port => "DOMAIN_HAS_PORT",
            Self::Wildcard => "DOMAIN_IS_WILDCARD",
            Self::Malformed => "DOMAIN_MALFORMED",
            Self::SingleLabel => "DOMAIN_SINGLE_LABEL",
            Self::SpecialUse => "DOMAIN_SPECIAL_USE",
            Self::UnknownTld => "DOMAIN_UNKNOWN_TLD",
            Self::PublicSuffix => "DOMAIN_PUBLIC_SUFFIX",
            Self::PrivateSuffix => "DOMAIN_PRIVATE_SUFFIX",
        }
    }
}

impl From<ParseDomainError> for Rejection {
    fn from(error: ParseDomainError) -> Self {
        match error {
            ParseDomainError::Empty => Self::Empty,
            ParseDomainError::IpAddress => Self::IpAddress,
            ParseDomainError::Malformed => Self::Malformed,
            ParseDomainError::SingleLabel => Self::SingleLabel,
        }
    }
}

/// Makes the name to claim of what was typed: `Example.COM.`, `@example.com` and
/// `alice@example.com` are all `example.com`.
///
/// # Errors
/// The first [`Rejection`] that applies, in the order of its variants.
pub(crate) fn normalise(typed: &str, policy: Policy) -> Result<Input, Rejection> {
    let text = typed.trim();
    if text.contains('/') {
        return Err(Rejection::Url(host_of(text)));
    }
    let text = text.strip_prefix('@').unwrap_or(text);
    let (text, took_email_domain) = match text.trim().rsplit_once('@') {
        Some((_, domain)) => (domain.trim(), true),
        None => (text.trim(), false),
    };
    if text.is_empty() {
        return Err(Rejection::Empty);
    }
    if is_ip(text) {
        return Err(Rejection::IpAddress);
    }
    if text.contains(':') {
        return Err(Rejection::Port);
    }
    if text.contains('*') {
        return Err(Rejection::Wildcard);
    }
    let name = DomainName::parse(text)?;
    check(&name, policy)?;
    Ok(Input {
        name,
        took_email_domain,
    })
}

fn check(name: &DomainName, policy: Policy) -> Result<(), Rejection> {
    if !policy.allow_special_use && is_special_use(name.as_str()) {
        return Err(Rejection::SpecialUse);
    }
    let Some(suffix) = psl::List.suffix(name.as_str().as_bytes()) else {
        return Err(Rejection::UnknownTld);
    };
    if policy.require_known_tld && !suffix.is_known() {
        return Err(Rejection::UnknownTld);
    }
    if suffix.as_bytes() != name.as_str().as_bytes() {
        return Ok(());
    }
    match suffix.typ() {
        Some(Type::Private) if policy.allow_private_suffix => Ok(()),
        Some(Type::Private) => Err(Rejection::PrivateSuffix),
        _ => Err(Rejection::PublicSuffix),
    }
}

/// The name that someone registered: one label below the public suffix; the name itself if it is
/// a suffix.
pub(crate) fn registrable(name: &DomainName) -> &str {
    psl::domain_str(name.as_str()).unwrap_or(name.as_str())
}

/// Whether `name` is `parent` or below it. Both in lower case, without a trailing dot.
pub(crate) fn is_within(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_special_use(name: &str) -> bool {
    SPECIAL_USE.iter().any(|special| is_within(name, special))
}

fn is_ip(text: &str) -> bool {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    let inner = match inner.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case("ipv6:") => rest,
        _ => inner,
    };
    let unscoped = inner.split('%').next().unwrap_or(inner);
    let bare = unscoped.strip_suffix('.').unwrap_or(unscoped);
    bare.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

/// The host of a pasted web address, as a suggestion.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    host.chars().take(253).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRICT: Policy = Policy {
        allow_special_use: false,
        require_known_tld: true,
        allow_private_suffix: false,
    };

    #[test] // rule: D-01 (part)
    fn what_people_type_becomes_the_domain() {
        for (typed, name, note) in [
            ("Acme.COM", "acme.com", false),
            ("\u{a0} acme.com. ", "acme.com", false),
            ("@acme.com", "acme.com", false),
            ("Alice@Acme.com", "acme.com", true),
            ("@alice@acme.com", "acme.com", true),
            ("münchen.de", "xn--mnchen-3ya.de", false),
            ("mail.acme.co.uk", "mail.acme.co.uk", false),
            ("shop.github.io", "shop.github.io", false),
        ] {
            let input = normalise(typed, STRICT).unwrap();
            assert_eq!((input.name.as_str(), input.took_email_domain), (name, note));
        }
    }

    #[test]
    fn what_cannot_be_claimed_is_refused_with_the_first_reason_that_applies() {
        for (typed, reason) in [
            ("", "DOMAIN_EMPTY"),
            (" . ", "DOMAIN_EMPTY"),
            ("@", "DOMAIN_EMPTY"),
            ("alice@", "DOMAIN_EMPTY"),
            ("https://acme.com:8080/login?x=@y", "DOMAIN_IS_URL"),
            ("acme.com/", "DOMAIN_IS_URL"),
            ("192.0.2.1", "DOMAIN_IS_IP"),
            ("192.0.2.1:53", "DOMAIN_IS_IP"),
            ("2001:db8::1", "DOMAIN_IS_IP"),
            ("[2001:db8::1]", "DOMAIN_IS_IP"),
            ("a@[IPv6:2001:db8::1]", "DOMAIN_IS_IP"),
            ("acme.com:25", "DOMAIN_HAS_PORT"),
            ("*.acme.com", "DOMAIN_IS_WILDCARD"),
            ("acme..com", "DOMAIN_MALFORMED"),
            ("acme.com..", "DOMAIN_MALFORMED"),
            ("_dmarc.acme.com", "DOMAIN_MALFORMED"),
            ("-acme.com", "DOMAIN_MALFORMED"),
            ("ac me.com", "DOMAIN_MALFORMED"),
            ("localhost", "DOMAIN_SINGLE_LABEL"),
            ("acme", "DOMAIN_SINGLE_LABEL"),
            ("acme.example", "DOMAIN_SPECIAL_USE"),
            ("mail.example.com", "DOMAIN_SPECIAL_USE"),
            ("1.168.192.in-addr.arpa", "DOMAIN_SPECIAL_USE"),
            ("acme.nosuchtld", "DOMAIN_UNKNOWN_TLD"),
            ("co.uk", "DOMAIN_PUBLIC_SUFFIX"),
            ("github.io", "DOMAIN_PRIVATE_SUFFIX"),
        ] {
            let rejection = normalise(typed, STRICT).unwrap_err();
            assert_eq!(rejection.name(), reason, "{typed:?}");
        }
        let url = normalise("https://me@acme.com:8080/login", STRICT);
        assert_eq!(url, Err(Rejection::Url("acme.com".to_owned())));
    }

    #[test]
    fn the_policy_opens_what_dev_mode_and_closed_networks_need() {
        let open = Policy {
            allow_special_use: true,
            require_known_tld: false,
            allow_private_suffix: true,
        };
        for typed in ["acme.example", "acme.corp", "github.io"] {
            assert!(normalise(typed, open).is_ok(), "{typed}");
        }
        assert_eq!(normalise("co.uk", open), Err(Rejection::PublicSuffix));
    }

    #[test]
    fn only_whole_labels_count_as_below() {
        assert!(is_within("a.acme.com", "acme.com"));
        assert!(is_within("acme.com", "acme.com"));
        assert!(!is_within("badacme.com", "acme.com"));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(typed in "[@a-zA-ZäÖß0-9 .-]{0,30}(com|de)?[.]?") {
            if let Ok(input) = normalise(&typed, STRICT) {
                let again = normalise(input.name.as_str(), STRICT).unwrap();
                prop_assert_eq!(again.name, input.name);
                prop_assert!(!again.took_email_domain);
            }
        }

        #[test]
        fn no_text_breaks_it(typed in ".{0,300}") {
            drop(normalise(&typed, STRICT));
        }
    }
}
