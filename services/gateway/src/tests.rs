use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use rollcall_rpc::Callers;
use rollcall_rpc::server::ServerLayer;
use rollcall_types::{OsEntropy, SystemClock};
use tonic::service::Routes;
use tower::ServiceExt;

use super::*;

async fn broken() -> &'static str {
    panic!("a secret of the handler")
}

#[tokio::test] // rule: S-7644-3.12-01 (part), S-7644-3.12-04 (part)
async fn a_panic_is_a_scim_error_that_tells_nothing_but_the_number() {
    let ids = Arc::new(IdSource::new(Arc::new(SystemClock), Arc::new(OsEntropy)));
    let layer = ServerLayer::new(Arc::new(Callers::default()), Arc::clone(&ids), false);
    let backend = Backend::in_process(Routes::default(), &layer, "t0ken");
    let gateway = Arc::new(Gateway::new(Config::new("http://localhost"), backend, ids));
    let app = Router::new()
        .route("/scim", numbered(&gateway, any(broken)))
        .with_state(gateway);

    let request = Request::get("/scim").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();

    assert_eq!(response.status(), 500);
    let number = response.headers()["x-request-number"].to_str().unwrap();
    let number = number.to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["status"], "500");
    let detail = body["detail"].as_str().unwrap();
    assert!(detail.ends_with(&format!("({number})")) && !detail.contains("secret"));
}
