//! Whether a user has access: not active is deactivated, not admitted is held, else active
//! (U-10, fine print a).

use rollcall_types::{DomainName, Timestamp};

/// Whether a user has access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessState {
    /// It has.
    Active,
    /// It waits until its email domain is verified.
    Held,
    /// It was deactivated.
    Deactivated,
}

impl AccessState {
    /// The name in SCIM's access extension and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Held => "HELD_DOMAIN_UNVERIFIED",
            Self::Deactivated => "DEACTIVATED",
        }
    }
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Its email domain is, or was, verified.
    DomainVerified,
    /// Its email domain is not verified.
    DomainUnverified,
    /// It has no email address that names a domain.
    EmailMissing,
    /// Okta deactivated it.
    DeactivatedByIdentityProvider,
}

impl Cause {
    /// The name in SCIM's access extension and in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DomainVerified => "DOMAIN_VERIFIED",
            Self::DomainUnverified => "DOMAIN_UNVERIFIED",
            Self::EmailMissing => "EMAIL_MISSING",
            Self::DeactivatedByIdentityProvider => "DEACTIVATED_BY_IDENTITY_PROVIDER",
        }
    }
}

/// Whether a user has access, since when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The state.
    pub state: AccessState,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The same for a person, with what to do.
    pub message: String,
}

/// The access state alone.
pub(super) fn state(active: bool, admitted: bool) -> AccessState {
    match (active, admitted) {
        (false, _) => AccessState::Deactivated,
        (true, false) => AccessState::Held,
        (true, true) => AccessState::Active,
    }
}

/// The whole verdict.
pub(super) fn access(
    active: bool,
    admitted: bool,
    domain: Option<&DomainName>,
    since: Timestamp,
) -> Access {
    let state = state(active, admitted);
    let (cause, message) = match (state, domain) {
        (AccessState::Active, _) => (Cause::DomainVerified, "The user has access.".to_owned()),
        (AccessState::Deactivated, _) => (
            Cause::DeactivatedByIdentityProvider,
            "The user was deactivated in Okta. Assign or activate it there to restore its access."
                .to_owned(),
        ),
        (AccessState::Held, Some(domain)) => (
            Cause::DomainUnverified,
            format!(
                "The user waits until the email domain {domain} is verified for the account. \
                 Publish its TXT record; the user is then released by itself."
            ),
        ),
        (AccessState::Held, None) => (
            Cause::EmailMissing,
            "The user has no email address, so no domain can vouch for it. Send one from Okta."
                .to_owned(),
        ),
    };
    Access {
        state,
        since,
        cause,
        message,
    }
}

#[cfg(test)]
mod tests {
    use rollcall_types::{Clock, SystemClock};

    use super::*;

    #[test] // rule: U-10 (part)
    fn deactivated_wins_over_held_and_held_over_active() {
        let now = SystemClock.now();
        let domain = DomainName::parse("acme.example").unwrap();
        for (active, admitted, domain, state, cause) in [
            (
                true,
                true,
                Some(&domain),
                AccessState::Active,
                Cause::DomainVerified,
            ),
            (
                true,
                false,
                Some(&domain),
                AccessState::Held,
                Cause::DomainUnverified,
            ),
            (true, false, None, AccessState::Held, Cause::EmailMissing),
            (
                false,
                true,
                Some(&domain),
                AccessState::Deactivated,
                Cause::DeactivatedByIdentityProvider,
            ),
            (
                false,
                false,
                None,
                AccessState::Deactivated,
                Cause::DeactivatedByIdentityProvider,
            ),
        ] {
            let access = access(active, admitted, domain, now);
            assert_eq!((access.state, access.cause), (state, cause));
        }
    }
}
