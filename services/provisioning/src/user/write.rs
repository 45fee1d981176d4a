//! What a write of the connection makes of a user. Pure: what is stored, whether the new email
//! domain is verified, and the time are given.

use rollcall_scim as scim;
use rollcall_types::{AccountId, ConnectionId, Timestamp, UserId};

use super::access::{self, AccessState};
use super::{User, email_domain};
use crate::error::Error;

/// Who writes, when, and what is known of the email domain that the user will have.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The connection that writes.
    pub connection: ConnectionId,
    /// The time.
    pub now: Timestamp,
    /// Whether the email domain after the write is verified for the account.
    pub verified: bool,
}

/// A new user (U-01). It is held unless its email domain is verified (U-09); without `active` it
/// is active (RFC 7643, section 4.1.1).
#[must_use]
pub fn create(account: &AccountId, id: UserId, attributes: scim::User, moment: &Moment) -> User {
    User {
        account: account.clone(),
        id,
        active: attributes.active.unwrap_or(true),
        admitted: moment.verified,
        attributes: with_default_active(attributes),
        since: moment.now,
        connection: Some(moment.connection),
        version: 1,
        created: moment.now,
        updated: moment.now,
    }
}

fn with_default_active(mut attributes: scim::User) -> scim::User {
    attributes.active = attributes.active.or(Some(true));
    attributes
}

/// The user after a PUT; `None` if nothing changes.
///
/// An absent `active` or `roles` keeps what there is, so that a forgotten key neither re-activates
/// a user nor takes its roles (S-7644-3.5.1-05).
///
/// # Errors
/// [`Error::DomainNotVerified`] for an ACTIVE user that would move into an unverified domain;
/// [`Error::Scim`] for one that would be too large with what is kept.
pub fn replace(
    stored: &User,
    mut attributes: scim::User,
    moment: &Moment,
) -> Result<Option<User>, Error> {
    attributes.active = attributes.active.or(stored.attributes.active);
    if attributes.roles.is_none() {
        attributes.roles.clone_from(&stored.attributes.roles);
    }
    attributes.keep_spellings(&stored.attributes);
    attributes.check_growth(&stored.attributes)?;
    changed(stored, attributes, moment)
}

/// The user after PATCH operations gave it these attributes; `None` if nothing changes.
///
/// # Errors
/// [`Error::DomainNotVerified`] as [`replace`].
pub fn patch(
    stored: &User,
    attributes: scim::User,
    moment: &Moment,
) -> Result<Option<User>, Error> {
    changed(stored, attributes, moment)
}

fn changed(stored: &User, attributes: scim::User, moment: &Moment) -> Result<Option<User>, Error> {
    // Removing `active` leaves the access as it was: it must never re-activate (S-7643-4.1.1-07).
    let active = attributes.active.unwrap_or(stored.active);
    let domain = email_domain(&attributes);
    let moved = domain != stored.email_domain();
    let before = access::state(stored.active, stored.admitted);
    let admitted = if moved {
        if before == AccessState::Active && active && !moment.verified {
            return Err(Error::DomainNotVerified(
                domain.map(|domain| domain.to_string()),
            ));
        }
        moment.verified
    } else {
        // A lapsed domain takes nothing from anybody; a verified one releases.
        stored.admitted || moment.verified
    };
    let same = attributes == stored.attributes
        && active == stored.active
        && admitted == stored.admitted
        && stored.connection == Some(moment.connection);
    if same {
        return Ok(None);
    }
    let after = access::state(active, admitted);
    Ok(Some(User {
        account: stored.account.clone(),
        id: stored.id,
        attributes,
        active,
        admitted,
        since: if after == before {
            stored.since
        } else {
            moment.now
        },
        connection: Some(moment.connection),
        version: stored.version + 1,
        created: stored.created,
        updated: moment.now,
    }))
}

/// The user once its email domain is verified.
#[must_use]
pub fn release(stored: &User, now: Timestamp) -> User {
    let before = access::state(stored.active, stored.admitted);
    let after = access::state(stored.active, true);
    User {
        admitted: true,
        since: if after == before { stored.since } else { now },
        version: stored.version + 1,
        updated: now,
        ..stored.clone()
    }
}

#[cfg(test)]
mod tests {
    use rollcall_scim::MultiValue;
    use rollcall_types::{Clock, SystemClock};

    use super::*;

    fn attributes(email: &str) -> scim::User {
        scim::User {
            user_name: "alice".to_owned(),
            emails: vec![MultiValue::new(email)],
            active: Some(true),
            ..scim::User::default()
        }
    }

    fn moment(verified: bool) -> Moment {
        let connection = "0193a1b2-0000-7000-8000-00000000000a".parse().unwrap();
        Moment {
            connection,
            now: SystemClock.now(),
            verified,
        }
    }

    fn alice(verified: bool) -> User {
        let account = AccountId::parse("acme").unwrap();
        let id = "0193a1b2-0000-7000-8000-00000000000b".parse().unwrap();
        create(
            &account,
            id,
            attributes("alice@acme.example"),
            &moment(verified),
        )
    }

    fn state(user: &User) -> AccessState {
        user.access().state
    }

    #[test] // rule: U-09 (part)
    fn a_user_is_held_until_its_email_domain_is_verified() {
        assert_eq!(state(&alice(true)), AccessState::Active);
        assert_eq!(state(&alice(false)), AccessState::Held);
        assert_eq!(
            state(&release(&alice(false), SystemClock.now())),
            AccessState::Active
        );
    }

    #[test] // rule: U-09 (part)
    fn a_held_user_whose_domain_is_now_a_verified_one_is_released_by_that_write() {
        for email in ["alice@good.example", "alice@acme.example"] {
            let written = replace(&alice(false), attributes(email), &moment(true));
            assert_eq!(state(&written.unwrap().unwrap()), AccessState::Active);
        }
    }

    #[test] // rule: U-09 (part)
    fn an_active_user_does_not_move_into_an_unverified_domain() {
        let moved = replace(
            &alice(true),
            attributes("alice@other.example"),
            &moment(false),
        );
        assert!(
            matches!(moved, Err(Error::DomainNotVerified(Some(domain))) if domain == "other.example")
        );
    }

    #[test] // rule: U-09 b
    fn a_write_that_deactivates_is_never_refused_for_a_domain() {
        let leaving = scim::User {
            active: Some(false),
            ..attributes("alice@other.example")
        };

        let left = replace(&alice(true), leaving, &moment(false))
            .unwrap()
            .unwrap();

        assert_eq!(state(&left), AccessState::Deactivated);
        assert!(!left.admitted, "the new domain is not verified");
        let back = replace(&left, attributes("alice@other.example"), &moment(false));
        assert_eq!(state(&back.unwrap().unwrap()), AccessState::Held);
    }

    #[test] // rule: U-09 a
    fn a_lapsed_domain_takes_nothing_from_who_comes_back() {
        let off = scim::User {
            active: Some(false),
            ..attributes("alice@acme.example")
        };
        let left = replace(&alice(true), off, &moment(false)).unwrap().unwrap();

        let back = replace(&left, attributes("alice@acme.example"), &moment(false));

        assert_eq!(state(&back.unwrap().unwrap()), AccessState::Active);
    }

    #[test] // rule: U-10 (part)
    fn since_is_when_the_access_state_last_changed_and_nothing_else_moves_it() {
        let off = scim::User {
            active: Some(false),
            ..attributes("alice@acme.example")
        };
        let begun = SystemClock.now();
        let at = |second| begun.plus(std::time::Duration::from_secs(second));
        let write = |stored: &User, attributes, second| {
            let moment = Moment {
                now: at(second),
                ..moment(true)
            };
            replace(stored, attributes, &moment).unwrap().unwrap()
        };
        let retitled = |title: &str| scim::User {
            title: Some(title.to_owned()),
            ..attributes("alice@acme.example")
        };

        let released = release(&alice(false), at(1));
        let titled = write(&released, retitled("Chief"), 2);
        let left = write(&titled, off, 3);
        let back = write(&left, retitled("Chief"), 4);

        let since = [&released, &titled, &left, &back].map(|user| user.access().since);
        assert_eq!(since, [at(1), at(1), at(3), at(4)]);
    }

    #[test] // rule: U-06 (part)
    fn a_forgotten_active_or_roles_in_a_put_changes_nothing() {
        let mut stored = alice(true);
        stored.attributes.active = Some(false);
        stored.active = false;
        stored.attributes.roles = Some(vec![MultiValue::new("Sales")]);
        let sent = scim::User {
            active: None,
            roles: None,
            ..attributes("alice@acme.example")
        };

        assert_eq!(replace(&stored, sent, &moment(true)).unwrap(), None);
    }

    #[test] // rule: G-02 (part)
    fn a_put_is_measured_with_the_roles_that_it_keeps() {
        let mut stored = alice(true);
        stored.attributes.roles = Some(vec![MultiValue::new("r".repeat(200_000))]);
        let sent = |length| scim::User {
            title: Some("t".repeat(length)),
            ..attributes("alice@acme.example")
        };

        assert!(replace(&stored, sent(60_000), &moment(true)).is_ok());
        let refused = replace(&stored, sent(64_000), &moment(true)).unwrap_err();
        assert!(refused.to_string().contains("in \"roles\""), "{refused}");
    }

    #[test] // rule: S-7643-4.1.1-07
    fn removing_active_leaves_the_access_as_it_was() {
        let mut stored = alice(true);
        stored.attributes.active = Some(false);
        stored.active = false;
        let removed = scim::User {
            active: None,
            ..stored.attributes.clone()
        };

        let after = patch(&stored, removed, &moment(true)).unwrap().unwrap();

        assert_eq!(after.attributes.active, None);
        assert_eq!(state(&after), AccessState::Deactivated);
    }
}
