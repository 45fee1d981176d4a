//! SCIM over HTTP in front of gRPC: one request is one call (G-01).
//!
//! Decodes, calls, encodes. Knows nothing of storage and decides nothing about users; the only
//! table from a failure's reason to an HTTP status stands here, in `scim/error.rs`.
//!
//! ```no_run
//! # fn example(provisioning: rollcall_rpc::Backend, ids: std::sync::Arc<rollcall_types::IdSource>) {
//! let config = rollcall_gateway::Config::new("http://127.0.0.1:8080");
//! let app: axum::Router = rollcall_gateway::router(config, provisioning, ids);
//! # }
//! ```

mod auth;
mod request;
mod scim;

use std::sync::Arc;
use std::time::Duration;

use axum::routing::{MethodRouter, any};
use axum::{Router, middleware};
use rollcall_rpc::Backend;
use rollcall_rpc::pb::scim::v1::scim_user_service_client::ScimUserServiceClient;
use rollcall_scim::list::MAX_COUNT;
use rollcall_scim::user::MAX_BYTES;
use rollcall_types::IdSource;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

/// What the gateway has to be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// The URL under which clients reach this gateway, without `/scim/v2`: what `meta.location`
    /// starts with.
    pub public_url: String,
    /// The bounds of requests.
    pub limits: Limits,
}

impl Config {
    /// The configuration with every limit at its default.
    #[must_use]
    pub fn new(public_url: impl Into<String>) -> Self {
        Self {
            public_url: public_url.into(),
            limits: Limits::default(),
        }
    }
}

/// The bounds of one request (SEC-IN-01, SEC-IN-03).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body, beyond which the answer is 413; 1 MiB.
    pub body: usize,
    /// Bytes of path and query, beyond which the answer is 414; 16 KiB.
    pub target: usize,
    /// How long the next piece of a body may take, beyond which the answer is 408; 10 s.
    pub body_idle: Duration,
    /// How long a whole body may take, beyond which the answer is 408; 30 s.
    pub body_total: Duration,
    /// The bounds of JSON, beyond which the answer is 400 `invalidSyntax`.
    pub json: rollcall_scim::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1024 * 1024,
            target: 16 * 1024,
            body_idle: Duration::from_secs(10),
            body_total: Duration::from_secs(30),
            json: rollcall_scim::Limits::default(),
        }
    }
}

/// The largest message that provisioning is sent.
const MAX_REQUEST: usize = 17 * 1024 * 1024;

/// The largest message that provisioning may answer: a page of the most users, each as large as a
/// user may be, with what is told beside its document. A page that did not fit would end every
/// import for good.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
const _: () = assert!(MAX_COUNT as usize * (MAX_BYTES + BESIDE) <= MAX_ANSWER);

/// What a user has beside its attributes: ids, times, the access state and its message.
const BESIDE: usize = 16 * 1024;

/// What every request needs.
struct Gateway {
    /// The base of every location, such as `https://scim.example.com/scim/v2`.
    base: String,
    limits: Limits,
    users: ScimUserServiceClient<Backend>,
    ids: Arc<IdSource>,
}

impl Gateway {
    fn new(config: Config, provisioning: Backend, ids: Arc<IdSource>) -> Self {
        let users = ScimUserServiceClient::new(provisioning)
            .max_decoding_message_size(MAX_ANSWER)
            .max_encoding_message_size(MAX_REQUEST);
        Self {
            base: format!("{}/scim/v2", config.public_url.trim_end_matches('/')),
            limits: config.limits,
            users,
            ids,
        }
    }
}

/// The routes of SCIM, all at and below `/scim`.
pub fn router(config: Config, provisioning: Backend, ids: Arc<IdSource>) -> Router {
    let gateway = Arc::new(Gateway::new(config, provisioning, ids));
    let scim = numbered(&gateway, any(scim::serve));
    Router::new()
        .route("/scim", scim.clone())
        .route("/scim/", scim.clone())
        .route("/scim/{*rest}", scim)
        .with_state(gateway)
}

/// From the outside in: the number stands around the panic rule, so that its error has one too.
fn numbered(
    gateway: &Arc<Gateway>,
    handler: MethodRouter<Arc<Gateway>>,
) -> MethodRouter<Arc<Gateway>> {
    let number = middleware::from_fn_with_state(Arc::clone(gateway), request::number);
    handler.layer(
        ServiceBuilder::new()
            .layer(number)
            .layer(CatchPanicLayer::custom(scim::error::panicked)),
    )
}

#[cfg(test)]
mod tests;
