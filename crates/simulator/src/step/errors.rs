//! Requests that must be refused, in words that an administrator can act on.

use http::Method;
use hyper::body::Bytes;
use serde_json::json;

use super::ERRORS;
use crate::check::Check;
use crate::client::{Call, encode};
use crate::state::CORE;
use crate::world::{PAGE, World};

/// An id that no service issues.
const NO_ID: &str = "00000000-0000-4000-8000-0000deadbeef";

/// Probes what a service says to unknown ids, bad filters and broken bodies.
pub(crate) async fn errors(world: &World<'_>) {
    world.begin(ERRORS);
    let unknown = format!("/Users/{NO_ID}");
    let user = json!({"schemas": [CORE], "userName": "nobody@invalid", "active": true});
    let filter = |text: &str| {
        let filter = encode(text);
        Call::get(
            ERRORS,
            format!("/Users?filter={filter}&startIndex=1&count={PAGE}"),
        )
    };
    let body = |text: &'static str| {
        let call = Call::write(ERRORS, Method::POST, "/Users", &json!({}));
        Call {
            body: Some(Bytes::from_static(text.as_bytes())),
            ..call
        }
    };
    let probes = [
        (Call::get(ERRORS, unknown.as_str()), 404, None),
        (
            Call::get(ERRORS, "/Users/010101001010101011001010101011"),
            404,
            None,
        ),
        (
            Call::write(ERRORS, Method::PUT, unknown.as_str(), &user),
            404,
            None,
        ),
        (filter("userName zz \"x\""), 400, Some("invalidFilter")),
        (filter("userName eq"), 400, Some("invalidFilter")),
        (body("{\"schemas\":["), 400, Some("invalidSyntax")),
        (body("[]"), 400, Some("invalidSyntax")),
    ];
    for (call, status, scim_type) in &probes {
        if let Some(answer) = world.client.send(call).await {
            Check::new(world.journal, call, &answer).error(*status, *scim_type);
        }
    }
    world.end(ERRORS);
}
