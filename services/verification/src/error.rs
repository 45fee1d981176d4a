//! What can go wrong, and the reason as which a caller sees it.

use std::time::Duration;

use rollcall_rpc::{Failure, Reason};
use rollcall_store::page::PageError;
use sea_orm::DbErr;

use crate::domain::Rejection;
use crate::lookup::Unavailable;

/// A failure of verification.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name can't be claimed; why, in one of our words, and a sentence.
    #[error("{message}")]
    Name {
        /// Such as `DOMAIN_PUBLIC_SUFFIX`.
        reason: &'static str,
        /// For an administrator.
        message: String,
    },
    /// Another field breaks its rule.
    #[error("{field}: {why}")]
    Field {
        /// Which.
        field: &'static str,
        /// How.
        why: &'static str,
    },
    /// The account has no such domain.
    #[error("there is no domain {0:?}")]
    UnknownDomain(String),
    /// The account has as many domains as it may.
    #[error("the account has {limit} {what}, which is the most it may have")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many.
        limit: u32,
    },
    /// The value is more than 30 days old.
    #[error("the value of domain {0} has expired: renew it, and publish the new one")]
    TokenExpired(String),
    /// A person checks too often.
    #[error("checked too often: wait, the domain is also checked by itself")]
    RateLimited {
        /// What is limited: `domain` or `account`.
        scope: &'static str,
        /// How long to wait.
        wait: Duration,
    },
    /// The domain has changed since the caller saw it.
    #[error("the domain has changed meanwhile")]
    VersionMismatch {
        /// What it is now.
        etag: String,
    },
    /// The value of a verified domain can't be renewed in this release.
    #[error("this release does not offer to renew the value of a verified domain")]
    RenewVerified,
    /// A page token or size is wrong.
    #[error(transparent)]
    Page(#[from] PageError),
    /// Our own resolvers can't be used.
    #[error(transparent)]
    CheckerUnavailable(#[from] Unavailable),
    /// The setting `slug` can't stand in a DNS label.
    #[error("slug: 1 to 40 of a-z, 0-9 and hyphen are allowed")]
    Slug,
    /// The row was changed by something else in between; nothing was done.
    #[error("the domain is being changed: try again")]
    Contended,
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] rollcall_store::Error),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Storage(error.into())
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Name {
            reason: rejection.name(),
            message: rejection.to_string(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Name { reason, message } => {
                Failure::invalid_field("name", message).with("reason", reason)
            }
            Error::Field { field, why } => Failure::invalid_field(field, why),
            Error::UnknownDomain(id) => Failure::not_found("domain", &id),
            Error::LimitReached { what, limit } => Failure::new(Reason::LimitReached, message)
                .with("what", what)
                .with("limit", limit.to_string()),
            Error::TokenExpired(id) => {
                Failure::new(Reason::TokenExpired, message).with("domain_id", id)
            }
            Error::RateLimited { scope, wait } => Failure::new(Reason::RateLimited, message)
                .with("scope", scope)
                .retry_after(wait),
            Error::VersionMismatch { etag } => {
                Failure::new(Reason::VersionMismatch, message).with("etag", etag)
            }
            Error::RenewVerified => Failure::unsupported("to renew the value of a verified domain"),
            Error::Page(PageError::Size) => Failure::invalid_field("page_size", message),
            Error::Page(PageError::Token) => Failure::new(Reason::InvalidPageToken, message),
            Error::CheckerUnavailable(_) => Failure::new(Reason::CheckerUnavailable, message)
                .retry_after(Duration::from_secs(30)),
            Error::Contended => Failure::try_again(message),
            Error::Storage(rollcall_store::Error::TryAgain(why)) => {
                tracing::warn!(why, "a write failed");
                Failure::try_again("nothing was written: try again")
            }
            Error::Storage(inner) => Failure::internal(&inner),
            Error::Slug => Failure::internal(&Error::Slug),
        }
    }
}
