use std::time::Duration;

use rollcall_rpc::Failure;

use super::*;

fn status_of(reason: Reason) -> (u16, Option<&'static str>) {
    let (status, scim_type) = of_reason(reason);
    (status.as_u16(), scim_type)
}

#[test] // rule: S-7644-3.12-02
fn each_reason_has_the_status_and_scim_type_of_the_contract() {
    let expected = |reason: Reason| match reason {
        Reason::InvalidFilter => (400, Some("invalidFilter")),
        Reason::InvalidPath => (400, Some("invalidPath")),
        Reason::InvalidSyntax => (400, Some("invalidSyntax")),
        Reason::NoTarget => (400, Some("noTarget")),
        Reason::ReadOnly => (400, Some("mutability")),
        Reason::TooManyResults => (400, Some("tooMany")),
        Reason::InvalidField
        | Reason::InvalidValue
        | Reason::InvalidPageToken
        | Reason::InvalidCursor => (400, Some("invalidValue")),
        Reason::CredentialMissing | Reason::CredentialInvalid => (401, None),
        Reason::SensitiveFilter => (403, Some("sensitive")),
        Reason::ScopeMissing
        | Reason::DomainNotVerified
        | Reason::TokenExpired
        | Reason::LimitReached
        | Reason::KeyInUse => (403, None),
        Reason::ResourceNotFound => (404, None),
        Reason::UserNameTaken
        | Reason::ExternalIdTaken
        | Reason::PermissionSetNameTaken
        | Reason::EmailAmbiguous => (409, Some("uniqueness")),
        Reason::VersionMismatch => (412, None),
        Reason::TooLarge => (413, None),
        Reason::RateLimited => (429, None),
        Reason::Unspecified | Reason::Internal | Reason::CallerNotAllowed => (500, None),
        Reason::Unsupported => (501, None),
        Reason::NotYetApplied
        | Reason::CheckerUnavailable
        | Reason::StreamAged
        | Reason::TryAgain
        | Reason::FeedStale => (503, None),
    };

    let reasons: Vec<Reason> = (0..200).filter_map(|n| Reason::try_from(n).ok()).collect();

    assert_eq!(reasons.len(), 35);
    for reason in reasons {
        assert_eq!(status_of(reason), expected(reason), "{reason:?}");
    }
}

#[test]
fn a_reason_of_a_newer_peer_is_treated_by_its_code() {
    for (code, status) in [
        (Code::InvalidArgument, 400),
        (Code::Unauthenticated, 401),
        (Code::PermissionDenied, 403),
        (Code::FailedPrecondition, 403),
        (Code::NotFound, 404),
        (Code::AlreadyExists, 409),
        (Code::Aborted, 409),
        (Code::ResourceExhausted, 429),
        (Code::Unimplemented, 501),
        (Code::Unavailable, 503),
        (Code::DeadlineExceeded, 503),
        (Code::Cancelled, 503),
        (Code::Internal, 500),
        (Code::Unknown, 500),
        (Code::DataLoss, 500),
        (Code::OutOfRange, 500),
    ] {
        let problem = Problem::from(Status::new(code, "a newer reason"));
        assert_eq!(problem.status.as_u16(), status, "{code:?}");
    }
}

#[test] // rule: S-7644-3.12-04 (part)
fn a_failure_inside_tells_nothing_of_itself() {
    for status in [
        Status::internal("SELECT token FROM secrets"),
        Status::unknown("SELECT token FROM secrets"),
        Status::unavailable("tcp connect error: 10.1.2.3:5432"),
        Status::out_of_range("SELECT: decoded message length too large: found 76096534 bytes"),
        Status::resource_exhausted("h2 from 10.1.2.3:5432: ENHANCE_YOUR_CALM"),
        Status::invalid_argument("SELECT: invalid wire type"),
        Status::from(Failure::new(Reason::Internal, "SELECT token FROM secrets")),
    ] {
        let problem = Problem::from(status);
        let told = !problem.detail.contains("SELECT") && !problem.detail.contains("10.1.2.3");
        assert!(told, "{}", problem.detail);
    }
}

#[test] // rule: S-7644-3.12-05 (part)
fn the_time_to_come_back_is_in_whole_seconds_rounded_up() {
    let retry_after = |status: Status| {
        let problem = Problem::from(status);
        let mut headers = problem.headers.into_iter();
        let found = headers.find(|(name, _)| name == RETRY_AFTER);
        found.map(|(_, value)| value.to_str().unwrap().to_owned())
    };
    let after = |span| {
        let failure = Failure::new(Reason::RateLimited, "slow down").retry_after(span);
        retry_after(failure.into())
    };

    assert_eq!(after(Duration::from_millis(1)).as_deref(), Some("1"));
    assert_eq!(after(Duration::ZERO).as_deref(), Some("1"));
    assert_eq!(after(Duration::from_millis(2_001)).as_deref(), Some("3"));
    let unsaid = retry_after(Status::deadline_exceeded("late"));
    assert_eq!(unsaid.as_deref(), Some("5"));
    assert_eq!(retry_after(Status::not_found("no")), None);
}
