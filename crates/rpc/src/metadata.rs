//! What rides beside a message: request id, forwarded credential, and the answers' request number.

use http::{HeaderMap, HeaderValue};
use rollcall_types::RequestId;
use tonic::metadata::MetadataMap;

/// The key of the request id, in and out.
pub const REQUEST_ID: &str = "rollcall-request-id";
/// The key of the request number, out.
pub const REQUEST_NUMBER: &str = "rollcall-request-number";
/// The key of Okta's bearer credential, which the gateway forwards (SEC-SVC-02).
pub const CREDENTIAL: &str = "rollcall-credential";

/// The request id of a call, as the server's layer put it into the extensions.
#[must_use]
pub fn request_id<T>(request: &tonic::Request<T>) -> Option<RequestId> {
    request.extensions().get::<RequestId>().copied()
}

/// The forwarded credential of a call.
#[must_use]
pub fn credential(metadata: &MetadataMap) -> Option<&str> {
    metadata
        .get(CREDENTIAL)
        .and_then(|value| value.to_str().ok())
}

/// Puts id and number of a request into the headers of its answer.
pub fn set_request_headers(headers: &mut HeaderMap, id: RequestId) {
    for (key, value) in [
        (REQUEST_ID, id.to_string()),
        (REQUEST_NUMBER, id.number().to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(key, value);
        }
    }
}
