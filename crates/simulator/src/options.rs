//! What a run plays, against which service, and how patient it is.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use crate::record::Recorder;

/// The kind of Okta app that is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A custom SAML or SWA app: every change is a GET, then a PUT of the whole user.
    Wizard,
    /// A catalog app: PUT for profiles, PATCH without path for `active`.
    Oin,
    /// A catalog app with "Support PATCH for User": PATCH for profiles too.
    OinPatch,
}

/// The text is not the name of a [`Mode`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode {0:?}: use wizard, oin or oin-patch")]
pub struct ParseModeError(String);

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "wizard" => Ok(Self::Wizard),
            "oin" => Ok(Self::Oin),
            "oin-patch" => Ok(Self::OinPatch),
            other => Err(ParseModeError(other.to_owned())),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Wizard => "wizard",
            Self::Oin => "oin",
            Self::OinPatch => "oin-patch",
        })
    }
}

/// The access state that active users must have, when the caller knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The email domain is verified.
    Active,
    /// The email domain is not verified yet, so users are held.
    HeldDomainUnverified,
}

impl Access {
    /// The value of `state` in the access extension.
    #[must_use]
    pub fn state(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::HeldDomainUnverified => "HELD_DOMAIN_UNVERIFIED",
        }
    }
}

/// Everything a run needs to know; [`Options::new`] gives the defaults.
#[derive(Clone)]
pub struct Options {
    /// The SCIM base URL, such as `https://scim.example.com/scim/v2`; a slash at its end is ignored.
    pub base_url: String,
    /// The token for the `Authorization` header.
    pub token: SecretString,
    /// Sends the token without the word `Bearer`, as Okta's catalog apps do in "Header" mode; default false.
    pub bare_token: bool,
    /// The kind of app to play; default [`Mode::Oin`].
    pub mode: Mode,
    /// How many users are assigned to the app; default 20.
    pub users: usize,
    /// The domain of the users' names and email addresses; default `acme.example`.
    pub email_domain: String,
    /// The roles that users get, by turns; default none, which leaves the roles step out.
    pub roles: Vec<String>,
    /// Makes the users: the same seed gives the same ones; default 1.
    pub seed: u64,
    /// How many users are worked on at the same time; default 8.
    pub concurrency: usize,
    /// What the access extension must say of active users; default `None`: active or held, if it is there.
    pub expect_access: Option<Access>,
    /// How long an answer may take; default 60 s, as Okta waits.
    pub timeout: Duration,
    /// How long a service that has answered once may be away, over all calls, before the run ends; default 30 s.
    pub reconnect_for: Duration,
    /// How long a 429 without an integer `Retry-After` is waited for at first (then doubled); default 5 min, as Okta waits.
    pub unstated_wait: Duration,
    /// The longest wait that is accepted; a longer one makes the refusal a failure at once. Default `None`: any.
    pub longest_wait: Option<Duration>,
    /// How often a request is sent that is refused by 429 or 503 each time; default 10.
    pub tries: u32,
    /// Learns of each write, for [`crate::verify_recorded`] and [`crate::verify_whole`] after a fault; default `None`.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl Options {
    /// The defaults for the service at `base_url`, which is called with `token`.
    #[must_use]
    pub fn new(base_url: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            token: SecretString::from(token.into()),
            bare_token: false,
            mode: Mode::Oin,
            users: 20,
            email_domain: "acme.example".to_owned(),
            roles: Vec::new(),
            seed: 1,
            concurrency: 8,
            expect_access: None,
            timeout: Duration::from_mins(1),
            reconnect_for: Duration::from_secs(30),
            unstated_wait: Duration::from_mins(5),
            longest_wait: None,
            tries: 10,
            recorder: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Options")
            .field("base_url", &self.base_url)
            .field("token", &"[redacted]")
            .field("bare_token", &self.bare_token)
            .field("mode", &self.mode)
            .field("users", &self.users)
            .field("email_domain", &self.email_domain)
            .field("roles", &self.roles)
            .field("seed", &self.seed)
            .field("concurrency", &self.concurrency)
            .field("expect_access", &self.expect_access)
            .field("timeout", &self.timeout)
            .field("reconnect_for", &self.reconnect_for)
            .field("unstated_wait", &self.unstated_wait)
            .field("longest_wait", &self.longest_wait)
            .field("tries", &self.tries)
            .field("recorder", &self.recorder.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in [Mode::Wizard, Mode::Oin, Mode::OinPatch] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("put".parse::<Mode>().is_err());
    }

    #[test]
    fn options_never_show_the_token() {
        let options = Options::new("http://localhost", "hidden-value");

        assert!(!format!("{options:?}").contains("hidden-value"));
    }
}
