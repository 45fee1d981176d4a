//! What every answer carries: the request's id and number, and errors as SCIM writes them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderValue;
use http::header::HeaderName;
use rollcall_types::RequestId;
use tracing::Instrument;

use crate::Gateway;
use crate::scim::error::Problem;
use crate::scim::media;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_NUMBER: HeaderName = HeaderName::from_static("x-request-number");

/// Gives the request its id, and its answer the two headers; turns a [`Problem`] into the body of
/// an error, whose `detail` ends with the number (G-03).
pub(crate) async fn number(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::new(&gateway.ids);
    let number = id.number().to_string();
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    // An error is told in the client's own type if that can be found.
    let media_type = media::answer_type(request.headers()).unwrap_or_default();
    let span = tracing::info_span!("gateway.request", request_id = %id, number);
    let answered = next.run(request).instrument(span.clone());
    let mut response = answered.await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.into_response(&number, media_type);
    }
    for (name, value) in [
        (REQUEST_ID, id.to_string().as_str()),
        (REQUEST_NUMBER, number.as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(%method, status, "answered"));
    response
}
