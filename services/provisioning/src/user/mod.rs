//! Users: what is stored of one, whether it has access, and what a write makes of it.

mod access;
mod diff;
mod write;

use rollcall_scim as scim;
use rollcall_types::{AccountId, ConnectionId, DomainName, Timestamp, UserId, etag};

pub use access::{Access, AccessState, Cause};
pub use diff::changed_paths;
pub use write::{Moment, create, patch, release, replace};

/// A user as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The account.
    pub account: AccountId,
    /// The id.
    pub id: UserId,
    /// What the connection says of it, externalId and roles included.
    pub attributes: scim::User,
    /// Whether the user may have access at all. Usually what `attributes.active` says; removing
    /// that attribute leaves this as it was (S-7643-4.1.1-07).
    pub active: bool,
    /// True once it was created in, or released into, a verified domain (fine print a).
    pub admitted: bool,
    /// Since when its access state is what it is.
    pub since: Timestamp,
    /// The connection that last wrote it.
    pub connection: Option<ConnectionId>,
    /// Rises by one a change.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl User {
    /// The domain of the primary email, else of the first, else of a userName that is an address
    /// (U-09).
    #[must_use]
    pub fn email_domain(&self) -> Option<DomainName> {
        email_domain(&self.attributes)
    }

    /// Whether the user has access, since when and why (U-10).
    #[must_use]
    pub fn access(&self) -> Access {
        access::access(
            self.active,
            self.admitted,
            self.email_domain().as_ref(),
            self.since,
        )
    }

    /// `meta.version`: weak, and derived from the version alone, since an id is never used again.
    #[must_use]
    pub fn etag(&self) -> String {
        etag::of(self.version)
    }
}

/// What no two users may share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unique {
    /// The userName, in an account, compared folded.
    UserName,
    /// The externalId, under a connection, compared exactly.
    ExternalId,
}

/// The verdict on a user whose message names no domain: one that is not held.
#[must_use]
pub fn plain_access(active: bool, admitted: bool, since: Timestamp) -> Access {
    access::access(active, admitted, None, since)
}

/// The domain that decides whether a user is held (U-09).
#[must_use]
pub fn email_domain(attributes: &scim::User) -> Option<DomainName> {
    attributes
        .email_domain_source()
        .map(|email| email.domain().clone())
}
