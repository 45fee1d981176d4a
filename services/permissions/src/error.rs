//! What can go wrong, and its gRPC face.

use std::time::Duration;

use rollcall_rpc::{Failure, Reason};
use tonic::Status;

/// A field of a request, and which rule it breaks.
pub(crate) type Violation = (String, String);

/// A failure of this service.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request break their rules.
    #[error("the request is not valid")]
    Invalid(Vec<(String, String)>),
    /// The account has no such resource, or the caller may not see the account.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// What kind of resource.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Another set of the account has the name.
    #[error("another permission set has the name {name:?}")]
    NameTaken {
        /// The name.
        name: String,
        /// The set that has it; empty when it is no longer there.
        holder: String,
    },
    /// The account has as many sets as it may have.
    #[error("an account can have at most {limit} permission sets")]
    LimitReached {
        /// The limit.
        limit: usize,
    },
    /// Sets hold keys that the catalogue would drop: the set's id and the key, of each.
    #[error("permission sets hold keys that the catalogue would drop")]
    KeyInUse(Vec<(String, String)>),
    /// The resource has changed meanwhile.
    #[error("the resource has changed meanwhile: read it again")]
    VersionMismatch {
        /// The present etag.
        etag: String,
    },
    /// The page token is torn or of another list.
    #[error("the page token is not one of this list; start the list again")]
    PageToken,
    /// This release doesn't offer it.
    #[error("this release does not offer {0}")]
    Unsupported(&'static str),
    /// A change of a feed has not arrived here within the time there was.
    #[error("the change has not arrived here yet")]
    NotYetApplied,
    /// Provisioning's feed has been away for too long to answer from what is known.
    #[error("the feed of provisioning is {lag:?} behind")]
    FeedStale {
        /// How far behind; `None` when nothing of it was ever applied.
        lag: Option<Duration>,
    },
    /// Provisioning refused, or can't be reached.
    #[error("provisioning: {0}")]
    Provisioning(Box<Status>),
    /// The storage failed.
    #[error(transparent)]
    Internal(#[from] rollcall_store::Error),
}

impl Error {
    /// A violation of one field.
    pub(crate) fn field(field: &str, why: impl Into<String>) -> Self {
        Self::Invalid(vec![(field.to_owned(), why.into())])
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Internal(error.into())
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let soon = Duration::from_secs(1);
        let failure = match error {
            Error::Invalid(violations) => {
                let message: Vec<String> = violations
                    .iter()
                    .map(|(field, why)| format!("{field}: {why}"))
                    .collect();
                let failure = Failure::new(Reason::InvalidField, message.join("; "));
                violations
                    .into_iter()
                    .fold(failure, |f, (field, why)| f.violation(field, why))
            }
            Error::NotFound { kind, id } => Failure::not_found(kind, &id),
            Error::NameTaken { holder, .. } => {
                Failure::new(Reason::PermissionSetNameTaken, text).with("id", holder)
            }
            Error::LimitReached { limit } => Failure::new(Reason::LimitReached, text)
                .with("limit", limit.to_string())
                .with("what", "permission sets"),
            Error::KeyInUse(uses) => uses.into_iter().fold(
                Failure::new(Reason::KeyInUse, format!("{text}: retire them first")),
                |failure, (set, key)| {
                    let why = format!("the permission set {set} holds {key}");
                    failure.precondition("PERMISSION_SET", set, why)
                },
            ),
            Error::VersionMismatch { etag } => {
                Failure::new(Reason::VersionMismatch, text).with("etag", etag)
            }
            Error::PageToken => Failure::new(Reason::InvalidPageToken, text),
            Error::Unsupported(what) => Failure::unsupported(what),
            Error::NotYetApplied => Failure::new(Reason::NotYetApplied, text).retry_after(soon),
            Error::FeedStale { lag } => {
                let message = if lag.is_some() {
                    "the feed of provisioning has been away for too long"
                } else {
                    "provisioning has not been heard since the start: repeat the call"
                };
                Failure::new(Reason::FeedStale, message)
                    .with(
                        "lag",
                        lag.map_or("unknown".to_owned(), |lag| format!("{}s", lag.as_secs())),
                    )
                    .retry_after(soon)
            }
            Error::Provisioning(status) => return from_provisioning(&status),
            Error::Internal(rollcall_store::Error::TryAgain(cause)) => {
                tracing::warn!(cause, "a write was not done");
                Failure::try_again("nothing was written: repeat the call")
            }
            error @ Error::Internal(_) => Failure::internal(&error),
        };
        failure.into()
    }
}

/// What the caller learns of provisioning's answer: that there is no connection, or that the call
/// may be repeated; everything else is ours to repair.
fn from_provisioning(status: &Status) -> Status {
    match status.code() {
        tonic::Code::NotFound => Status::with_details(
            status.code(),
            status.message(),
            status.details().to_vec().into(),
        ),
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded => {
            Failure::try_again("provisioning can't be reached").into()
        }
        _ => Failure::internal(status).into(),
    }
}
