//! Failures as HTTP and SCIM tell them (RFC 7644, section 3.12): the only table of its kind.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use rollcall_rpc::{Reason, failure};
use rollcall_scim::{Error, ErrorBody};
use tonic::{Code, Status};

use super::media::MediaType;
use crate::auth;

/// What is told of every failure inside; the rest is in the log, under the number.
const INTERNAL: &str = "something failed in this service, not in what was sent: try again, and if \
                        it happens again report this number to the service's operator";

/// What an administrator can do about a user that Okta knows and this service does not: Okta gives
/// up at a 404, and looks the user up again when it is assigned.
const ASSIGN_AGAIN: &str = "unassign the user in Okta and assign it again";

/// When a client may come back if nobody says it better.
const RETRY: Duration = Duration::from_secs(5);

/// Why a request was not served. It travels in the extensions of an empty response to the layer
/// that knows the request's number.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    scim_type: Option<&'static str>,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether provisioning answered so, which judges the credential before everything else.
    of_provisioning: bool,
}

impl Problem {
    /// A problem that no `scimType` describes.
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            scim_type: None,
            detail: detail.into(),
            headers: Vec::new(),
            of_provisioning: false,
        }
    }

    /// A failure of our own: logs it, once, and tells nothing of it.
    pub(crate) fn internal(what: &str) -> Self {
        tracing::error!(what, "a request failed inside");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// Whether the gateway refuses the request without provisioning having judged its credential.
    pub(crate) fn is_own_refusal(&self) -> bool {
        self.status.is_client_error() && !self.of_provisioning
    }

    #[cfg(test)]
    pub(crate) fn scim_type(&self) -> Option<&'static str> {
        self.scim_type
    }

    /// The response that carries the problem to the layer outside.
    pub(crate) fn into_marker(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }

    /// The answer, its `detail` ending with the request's number (G-03).
    pub(crate) fn into_response(self, number: &str, media_type: MediaType) -> Response {
        let body = ErrorBody {
            status: self.status.as_u16(),
            scim_type: self.scim_type,
            detail: format!("{} ({number})", self.detail.trim_end()),
        };
        let mut response = Response::new(Body::from(body.to_json().to_string()));
        *response.status_mut() = self.status;
        let content_type = HeaderValue::from_static(media_type.as_str());
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.kind.status());
        Self {
            scim_type: error.scim_type(),
            ..Self::new(status.unwrap_or(StatusCode::BAD_REQUEST), error.detail)
        }
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let received = failure::read(&status);
        let (http, scim_type) = match received.reason {
            Some(reason) => of_reason(reason),
            None => of_code(status.code()),
        };
        let after = whole_seconds(received.retry_after.unwrap_or(RETRY));
        let detail = match http {
            StatusCode::INTERNAL_SERVER_ERROR => {
                tracing::error!(code = ?status.code(), "provisioning failed inside");
                INTERNAL.to_owned()
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                tracing::info!(code = ?status.code(), "provisioning is away");
                format!("the service can't answer at the moment: try again in {after} s")
            }
            StatusCode::NOT_IMPLEMENTED if received.reason.is_none() => {
                "this release does not offer this: ask the service's operator for a newer one"
                    .to_owned()
            }
            // Who refuses a request says why in details: a status without any was made on the way,
            // and its text is about this service's insides.
            _ if status.message().is_empty() || status.details().is_empty() => {
                "the request was refused without a reason: report this number to the service's \
                 operator"
                    .to_owned()
            }
            StatusCode::NOT_FOUND
                if received
                    .metadata
                    .get("kind")
                    .is_some_and(|kind| kind == "user") =>
            {
                format!("{}: {ASSIGN_AGAIN}", status.message())
            }
            _ => status.message().to_owned(),
        };
        let mut problem = Self {
            scim_type,
            of_provisioning: true,
            ..Self::new(http, detail)
        };
        match http {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                problem
                    .headers
                    .push((RETRY_AFTER, HeaderValue::from(after)));
            }
            StatusCode::UNAUTHORIZED => {
                problem = problem.with_header(WWW_AUTHENTICATE, auth::INVALID);
            }
            _ => {}
        }
        problem
    }
}

/// Okta reads whole seconds only, anything else as 5 minutes.
fn whole_seconds(span: Duration) -> u64 {
    let more = u64::from(span.subsec_nanos() > 0);
    span.as_secs().saturating_add(more).max(1)
}

/// The status and `scimType` of each reason. It has no other arm, so a new reason does not compile
/// until someone decides.
fn of_reason(reason: Reason) -> (StatusCode, Option<&'static str>) {
    match reason {
        Reason::InvalidField
        | Reason::InvalidValue
        | Reason::InvalidPageToken
        | Reason::InvalidCursor => (StatusCode::BAD_REQUEST, Some("invalidValue")),
        Reason::InvalidFilter => (StatusCode::BAD_REQUEST, Some("invalidFilter")),
        Reason::InvalidPath => (StatusCode::BAD_REQUEST, Some("invalidPath")),
        Reason::InvalidSyntax => (StatusCode::BAD_REQUEST, Some("invalidSyntax")),
        Reason::NoTarget => (StatusCode::BAD_REQUEST, Some("noTarget")),
        Reason::ReadOnly => (StatusCode::BAD_REQUEST, Some("mutability")),
        Reason::TooManyResults => (StatusCode::BAD_REQUEST, Some("tooMany")),
        Reason::SensitiveFilter => (StatusCode::FORBIDDEN, Some("sensitive")),
        Reason::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Reason::CredentialMissing | Reason::CredentialInvalid => (StatusCode::UNAUTHORIZED, None),
        Reason::ScopeMissing
        | Reason::DomainNotVerified
        | Reason::TokenExpired
        | Reason::LimitReached
        | Reason::KeyInUse => (StatusCode::FORBIDDEN, None),
        Reason::ResourceNotFound => (StatusCode::NOT_FOUND, None),
        Reason::UserNameTaken
        | Reason::ExternalIdTaken
        | Reason::PermissionSetNameTaken
        | Reason::EmailAmbiguous => (StatusCode::CONFLICT, Some("uniqueness")),
        Reason::VersionMismatch => (StatusCode::PRECONDITION_FAILED, None),
        Reason::RateLimited => (StatusCode::TOO_MANY_REQUESTS, None),
        Reason::Unsupported => (StatusCode::NOT_IMPLEMENTED, None),
        Reason::NotYetApplied
        | Reason::CheckerUnavailable
        | Reason::StreamAged
        | Reason::TryAgain
        | Reason::FeedStale => (StatusCode::SERVICE_UNAVAILABLE, None),
        // CALLER_NOT_ALLOWED is about this gateway's own token: the operator's, not Okta's.
        Reason::Unspecified | Reason::Internal | Reason::CallerNotAllowed => {
            (StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    }
}

/// What a reason of a newer peer, or an error of the transport, is treated as.
fn of_code(code: Code) -> (StatusCode, Option<&'static str>) {
    match code {
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, None),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, None),
        Code::PermissionDenied | Code::FailedPrecondition => (StatusCode::FORBIDDEN, None),
        Code::NotFound => (StatusCode::NOT_FOUND, None),
        Code::AlreadyExists => (StatusCode::CONFLICT, Some("uniqueness")),
        Code::Aborted => (StatusCode::CONFLICT, None),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, None),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, None),
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            (StatusCode::SERVICE_UNAVAILABLE, None)
        }
        // OUT_OF_RANGE is the transport's word for a message larger than it takes: ours to mend.
        Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss | Code::OutOfRange => {
            (StatusCode::INTERNAL_SERVER_ERROR, None)
        }
    }
}

/// What becomes of a handler that panicked.
pub(crate) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    Problem::internal("a handler panicked").into_marker()
}

#[cfg(test)]
mod tests;
