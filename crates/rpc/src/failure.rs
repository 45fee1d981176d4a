//! Errors with a reason: `google.rpc.Status` with `ErrorInfo` always.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub use crate::pb::common::v1::Reason;

/// The domain of every `ErrorInfo` of ours.
pub const DOMAIN: &str = "rollcall";

/// A failure on its way to a caller: a code, a reason, a message for a person, and whatever
/// varies in the message as metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    reason: Reason,
    message: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<(String, String)>,
    preconditions: Vec<Precondition>,
    retry_after: Option<Duration>,
}

/// What must be put right before the call can succeed (`google.rpc.PreconditionFailure`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Precondition {
    kind: &'static str,
    subject: String,
    why: String,
}

impl Failure {
    /// A failure with the code that its reason always has.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            preconditions: Vec::new(),
            retry_after: None,
        }
    }

    /// `INVALID_FIELD` of one field.
    pub fn invalid_field(field: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        let mut failure = Self::new(Reason::InvalidField, format!("{field}: {why}"));
        failure.violations.push((field.to_owned(), why));
        failure
    }

    /// `RESOURCE_NOT_FOUND`, also for ids of other accounts.
    #[must_use]
    pub fn not_found(kind: &'static str, id: &str) -> Self {
        Self::new(
            Reason::ResourceNotFound,
            format!("there is no {kind} {id:?}"),
        )
        .with("kind", kind)
        .with("id", id)
    }

    /// `UNSUPPORTED`: this release doesn't offer it.
    #[must_use]
    pub fn unsupported(what: &str) -> Self {
        Self::new(
            Reason::Unsupported,
            format!("this release does not offer {what}"),
        )
        .with("what", what)
    }

    /// `TRY_AGAIN`: nothing was done.
    #[must_use]
    pub fn try_again(message: impl Into<String>) -> Self {
        Self::new(Reason::TryAgain, message).retry_after(Duration::from_secs(1))
    }

    /// `INTERNAL`: logs what happened, once, and tells the caller nothing of it.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed inside");
        Self::new(Reason::Internal, "internal error")
    }

    /// Adds a piece of metadata.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.push((key, value.into()));
        self
    }

    /// Adds a violation of a field.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, why: impl Into<String>) -> Self {
        self.violations.push((field.into(), why.into()));
        self
    }

    /// Adds something that must be put right first: its kind in upper case, which one, and why.
    #[must_use]
    pub fn precondition(
        mut self,
        kind: &'static str,
        subject: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        self.preconditions.push(Precondition {
            kind,
            subject: subject.into(),
            why: why.into(),
        });
        self
    }

    /// Says when to repeat the call.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// The code that a reason always has.
#[must_use]
pub fn code_of(reason: Reason) -> Code {
    match reason {
        Reason::InvalidField
        | Reason::InvalidFilter
        | Reason::InvalidPath
        | Reason::InvalidValue
        | Reason::InvalidSyntax
        | Reason::NoTarget
        | Reason::ReadOnly
        | Reason::SensitiveFilter
        | Reason::TooManyResults
        | Reason::TooLarge
        | Reason::InvalidPageToken
        | Reason::InvalidCursor => Code::InvalidArgument,
        Reason::CredentialMissing | Reason::CredentialInvalid => Code::Unauthenticated,
        Reason::ScopeMissing | Reason::CallerNotAllowed => Code::PermissionDenied,
        Reason::ResourceNotFound => Code::NotFound,
        Reason::Unsupported => Code::Unimplemented,
        Reason::UserNameTaken | Reason::ExternalIdTaken | Reason::PermissionSetNameTaken => {
            Code::AlreadyExists
        }
        Reason::EmailAmbiguous
        | Reason::DomainNotVerified
        | Reason::TokenExpired
        | Reason::LimitReached
        | Reason::KeyInUse => Code::FailedPrecondition,
        Reason::VersionMismatch => Code::Aborted,
        Reason::RateLimited => Code::ResourceExhausted,
        Reason::NotYetApplied
        | Reason::CheckerUnavailable
        | Reason::StreamAged
        | Reason::TryAgain
        | Reason::FeedStale => Code::Unavailable,
        Reason::Unspecified | Reason::Internal => Code::Internal,
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let name = failure.reason.as_str_name();
        let name = name.strip_prefix("REASON_").unwrap_or(name);
        let metadata: HashMap<String, String> = failure
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let mut details = ErrorDetails::with_error_info(name, DOMAIN, metadata);
        for (field, why) in failure.violations {
            details.add_bad_request_violation(field, why);
        }
        for Precondition { kind, subject, why } in failure.preconditions {
            details.add_precondition_failure_violation(kind, subject, why);
        }
        if let Some(span) = failure.retry_after {
            details.set_retry_info(Some(span));
        }
        Status::with_error_details(code_of(failure.reason), failure.message, details)
    }
}

/// What a caller reads from a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The reason; `None` for one of a newer peer and for errors of the transport.
    pub reason: Option<Reason>,
    /// The metadata.
    pub metadata: HashMap<String, String>,
    /// When to repeat the call, if the peer said so.
    pub retry_after: Option<Duration>,
}

/// Reads reason, metadata and retry time from a status.
#[must_use]
pub fn read(status: &Status) -> Received {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let reason = info.and_then(|info| Reason::from_str_name(&format!("REASON_{}", info.reason)));
    Received {
        reason,
        metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
        retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_reason_metadata_and_violations_on_its_way() {
        let failure = Failure::invalid_field("name", "is empty").with("limit", "9");

        let status = Status::from(failure);

        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "name: is empty");
        let received = read(&status);
        assert_eq!(received.reason, Some(Reason::InvalidField));
        assert_eq!(received.metadata["limit"], "9");
        let details = status.get_error_details();
        assert_eq!(
            details.bad_request().unwrap().field_violations[0].field,
            "name"
        );
    }

    #[test]
    fn an_error_of_the_transport_has_no_reason() {
        assert_eq!(
            read(&Status::unavailable("connection refused")).reason,
            None
        );
    }
}
