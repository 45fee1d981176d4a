//! Okta's credential: found in one header only, judged by its form here, by provisioning in fact.

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use rollcall_types::Credential;
use tonic::metadata::{Ascii, MetadataValue};

use crate::scim::error::Problem;
use crate::scim::query::Query;

/// What a 401 demands when nothing was sent (RFC 6750, section 3).
const CHALLENGE: &str = "Bearer";
/// What a 401 demands when something was sent.
pub(crate) const INVALID: &str = "Bearer error=\"invalid_token\"";

/// The credential of a request, as the metadata that forwards it (SEC-SVC-02).
///
/// Takes `Bearer <token>` and, as Okta's "Header" mode sends it, the bare token; a token whose
/// checksum is wrong goes no further (SEC-TOK-07).
///
/// # Errors
/// 401.
pub(crate) fn credential(
    headers: &HeaderMap,
    query: &Query,
) -> Result<MetadataValue<Ascii>, Problem> {
    if query.holds_credential() {
        tracing::warn!("a credential was sent in a query string, where logs may keep it");
        return Err(refused(
            INVALID,
            "a token was sent in the URL, where logs may keep it: revoke it, and send the new one \
             in the header Authorization",
        ));
    }
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => {
            return Err(refused(
                CHALLENGE,
                "no token was sent: enter the token of this connection in Okta's provisioning \
                 settings",
            ));
        }
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let token = value.and_then(token).ok_or_else(|| {
        refused(
            INVALID,
            "the token is not one of ours or was cut while it was copied: enter the token of this \
             connection again in Okta's provisioning settings",
        )
    })?;
    let mut forwarded = MetadataValue::try_from(token)
        .map_err(|_| Problem::internal("a token does not fit metadata"))?;
    forwarded.set_sensitive(true);
    Ok(forwarded)
}

fn token(value: &str) -> Option<&str> {
    let value = value.trim_ascii();
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_ascii_start(),
        Some(_) => return None,
        // Okta: the "Header" mode of OIN apps sends the token alone.
        None => value,
    };
    Credential::parse(token).map(|_| token)
}

/// Whether `text` looks like a token of ours, be its checksum right or wrong.
pub(crate) fn has_form(text: &str) -> bool {
    let digits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    };
    text.strip_prefix("rollcall_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(id, secret)| digits(id, 26) && digits(secret, 59))
}

fn refused(challenge: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
        .with_header(http::header::WWW_AUTHENTICATE, challenge)
}
