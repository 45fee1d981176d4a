//! What can go wrong in the service, in the words of who reads it.

use rollcall_rpc::{Failure, Reason};
use rollcall_types::UserId;
use tonic::Status;

use crate::user::{Unique, User};

/// A failure of one call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields break their rules; every violation at once.
    #[error("{}", .0.first().map(|(field, why)| format!("{field}: {why}")).unwrap_or_default())]
    InvalidField(Vec<(String, String)>),
    /// A SCIM message is not what it must be.
    #[error(transparent)]
    Scim(#[from] rollcall_scim::Error),
    /// Unknown, expired or revoked.
    #[error("the bearer token is not valid: create a new one and paste it into Okta")]
    CredentialInvalid,
    /// Another account's id, or nobody's.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// What kind of resource.
        kind: &'static str,
        /// The id that was asked for.
        id: String,
    },
    /// Another user has what no two may share.
    #[error("{}", taken(.0.key))]
    Taken(Box<Taken>),
    /// Several users share the email address.
    #[error("several users have this email address: ask by id or userName")]
    EmailAmbiguous(Vec<UserId>),
    /// An ACTIVE user would move into a domain that is not verified; `None`: into none.
    #[error("{}", not_verified(.0.as_deref()))]
    DomainNotVerified(Option<String>),
    /// The resource has changed meanwhile.
    #[error("the resource has changed meanwhile: read it again and repeat the change")]
    VersionMismatch(String),
    /// More of something than may be.
    #[error("at most {limit} {what}: remove one first")]
    LimitReached {
        /// The limit.
        limit: usize,
        /// Of what.
        what: &'static str,
    },
    /// Not offered by this release.
    #[error("this release does not offer {0}")]
    Unsupported(&'static str),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] rollcall_store::Error),
}

fn not_verified(domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!(
            "the user is active and can't move into the email domain {domain}, which is not \
             verified for the account: verify it first, or deactivate the user"
        ),
        None => "the user is active and can't lose its only email address: send one of a verified \
                 domain, or deactivate the user"
            .to_owned(),
    }
}

/// What a user can't have, since another one has it.
#[derive(Debug)]
pub struct Taken {
    /// Which attribute.
    pub key: Unique,
    /// The user as it was to be.
    pub wanted: User,
    /// Who has it, as far as that was looked for.
    pub holder: Option<UserId>,
}

fn taken(key: Unique) -> &'static str {
    match key {
        Unique::UserName => {
            "another user of the account has this userName (case does not count): choose another, \
             or link the existing user in Okta"
        }
        Unique::ExternalId => {
            "another user of this connection has this externalId: send another, or remove it from \
             that user first"
        }
    }
}

impl Error {
    /// One violation.
    pub(crate) fn field(field: &str, why: &str) -> Self {
        Self::InvalidField(vec![(field.to_owned(), why.to_owned())])
    }

    /// A resource that is not there; of its id no more is told than a glance.
    pub(crate) fn not_found(kind: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound {
            kind,
            id: id.to_string().chars().take(100).collect(),
        }
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Storage(error.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::InvalidField(violations) => violations.into_iter().fold(
                Self::new(Reason::InvalidField, message),
                |failure, (field, why)| failure.violation(field, why),
            ),
            Error::Scim(error) => Self::new(scim_reason(error.kind), message),
            Error::CredentialInvalid => Self::new(Reason::CredentialInvalid, message),
            Error::NotFound { kind, id } => Self::not_found(kind, &id),
            Error::Taken(taken) => {
                let failure = Self::new(
                    match taken.key {
                        Unique::UserName => Reason::UserNameTaken,
                        Unique::ExternalId => Reason::ExternalIdTaken,
                    },
                    message,
                );
                match taken.holder {
                    Some(id) => failure.with("id", id.to_string()),
                    None => failure,
                }
            }
            Error::EmailAmbiguous(ids) => {
                let ids: Vec<String> = ids.iter().take(10).map(UserId::to_string).collect();
                Self::new(Reason::EmailAmbiguous, message).with("user_ids", ids.join(","))
            }
            Error::DomainNotVerified(domain) => Self::new(Reason::DomainNotVerified, message)
                .with("domain", domain.unwrap_or_default()),
            Error::VersionMismatch(etag) => {
                Self::new(Reason::VersionMismatch, message).with("etag", etag)
            }
            Error::LimitReached { limit, what } => Self::new(Reason::LimitReached, message)
                .with("limit", limit.to_string())
                .with("what", what),
            Error::Unsupported(what) => Self::unsupported(what),
            Error::Storage(rollcall_store::Error::TryAgain(why)) => {
                tracing::warn!(why, "a write was not committed");
                Self::try_again("the change was not stored: repeat it")
            }
            Error::Storage(error) => Self::internal(&error),
        }
    }
}

/// The reason of what SCIM calls its own way.
fn scim_reason(kind: rollcall_scim::ErrorKind) -> Reason {
    use rollcall_scim::ErrorKind;
    match kind {
        ErrorKind::InvalidFilter => Reason::InvalidFilter,
        ErrorKind::TooMany => Reason::TooManyResults,
        ErrorKind::Uniqueness => Reason::UserNameTaken,
        ErrorKind::Mutability => Reason::ReadOnly,
        ErrorKind::InvalidSyntax | ErrorKind::InvalidVers => Reason::InvalidSyntax,
        ErrorKind::InvalidPath => Reason::InvalidPath,
        ErrorKind::NoTarget => Reason::NoTarget,
        ErrorKind::InvalidValue => Reason::InvalidValue,
        ErrorKind::Sensitive => Reason::SensitiveFilter,
        ErrorKind::TooLarge => Reason::TooLarge,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}
