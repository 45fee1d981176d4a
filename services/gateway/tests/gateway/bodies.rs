//! What a body may be: type, size, form (SEC-IN-01).

use std::time::Duration;

use axum::body::Body;
use http::Method;
use rollcall_gateway::Limits;
use serde_json::json;

use crate::world::{ID, World};

const USER: &str = r#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                       "userName": "alice@example.com"}"#;

#[tokio::test] // rule: S-7644-3.8-01
async fn a_body_is_scim_json_or_json_in_utf_8() {
    let world = World::start();
    let post = |content_type: &'static str| {
        let headers = [("content-type", content_type)];
        let world = &world;
        async move {
            world
                .with_headers(Method::POST, "/Users", &headers, USER)
                .await
        }
    };
    for good in [
        "application/scim+json",
        "application/json",
        "Application/SCIM+Json; Charset=\"UTF-8\"",
        "application/json;charset=utf-8;version=1",
    ] {
        assert_eq!(post(good).await.status, 201, "{good}");
    }
    assert_eq!(world.call(Method::POST, "/Users", USER).await.status, 201);
    for bad in [
        "text/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/scim",
        "application/json; charset=iso-8859-1",
        "",
    ] {
        post(bad).await.is_error(415, None);
    }
    let gzip = [("content-encoding", "gzip")];
    let answer = world
        .with_headers(Method::POST, "/Users", &gzip, USER)
        .await;
    answer.is_error(415, None);
    let identity = [("content-encoding", "identity")];
    let answer = world
        .with_headers(Method::POST, "/Users", &identity, USER)
        .await;
    assert_eq!(answer.status, 201);
}

#[tokio::test] // rule: S-7644-3.8-02
async fn the_answer_has_a_type_that_is_accepted() {
    let world = World::start();
    for (accept, status, media_type) in [
        ("application/scim+json", 200, "application/scim+json"),
        ("*/*", 200, "application/scim+json"),
        ("application/json", 200, "application/json"),
        ("text/html", 406, "application/scim+json"),
    ] {
        let headers = [("accept", accept)];
        let answer = world
            .with_headers(Method::GET, "/Users", &headers, "")
            .await;
        assert_eq!(answer.status, status, "{accept}");
        assert_eq!(answer.header("content-type"), Some(media_type), "{accept}");
    }
    let json = [("accept", "application/json")];
    let answer = world
        .with_headers(Method::GET, "/Users/none", &json, "")
        .await;
    answer.is_error(404, None);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test] // rule: S-7644-3.3-03, S-7644-3.1-01 (part)
async fn a_body_that_is_not_one_good_json_object_is_400() {
    let world = World::start();
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let wide: Vec<String> = (0..1_001).map(|n| format!("\"k{n}\":1")).collect();
    let user = format!("/Users/{ID}");
    for (body, scim_type) in [
        (String::new(), "invalidSyntax"),
        ("{\"schemas\":[".to_owned(), "invalidSyntax"),
        ("[]".to_owned(), "invalidSyntax"),
        ("\"text\"".to_owned(), "invalidSyntax"),
        (format!("{USER}{USER}"), "invalidSyntax"),
        (format!("\u{feff}{USER}"), "invalidSyntax"),
        (format!("{{\"a\":{deep}}}"), "invalidSyntax"),
        (format!("{{{}}}", wide.join(",")), "invalidSyntax"),
        (
            json!({"a": "x".repeat(65 * 1024)}).to_string(),
            "invalidSyntax",
        ),
        ("{\"a\":1,\"A\":2}".to_owned(), "invalidSyntax"),
        ("{\"userName\":\"a\\u0000\"}".to_owned(), "invalidValue"),
    ] {
        for (method, path) in [
            (Method::POST, "/Users"),
            (Method::PUT, user.as_str()),
            (Method::PATCH, user.as_str()),
        ] {
            let answer = world.call(method, path, &body).await;
            answer.is_error(400, Some(scim_type));
        }
    }
    for wrong in [
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": 5}),
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]}),
    ] {
        let answer = world.call(Method::POST, "/Users", &wrong.to_string()).await;
        answer.is_error(400, Some("invalidValue"));
    }
    assert!(world.asked_for_the_credential_only());
}

#[tokio::test] // rule: S-7644-3.12-05 (part)
async fn a_body_above_the_limit_is_413_whether_or_not_its_length_is_stated() {
    let world = World::start();
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));

    let answer = world.call(Method::POST, "/Users", &large).await;
    answer.is_error(413, None);
    let length = large.len().to_string();
    let stated = [("content-length", length.as_str())];
    let answer = world
        .with_headers(Method::POST, "/Users", &stated, &large)
        .await;
    answer.is_error(413, None);
    let huge = [("content-length", "99999999999999")];
    let answer = world
        .with_headers(Method::POST, "/Users", &huge, USER)
        .await;
    answer.is_error(413, None);
    let operations = vec![json!({"op": "add", "path": "title", "value": "x"}); 1_001];
    let many = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    });
    let answer = world
        .call(Method::PATCH, &format!("/Users/{ID}"), &many.to_string())
        .await;
    answer.is_error(413, None);
    assert!(world.asked_for_the_credential_only());
}

#[tokio::test(start_paused = true)] // rule: SEC-IN-03 (part)
async fn a_body_that_does_not_come_is_408() {
    let world = World::with(Limits {
        body_idle: Duration::from_secs(10),
        ..Limits::default()
    });
    let never = futures::stream::pending::<Result<String, std::io::Error>>();
    let bearer = format!("Bearer {}", world.token);
    let headers = [("authorization", bearer.as_str())];
    let start = tokio::time::Instant::now();

    let body = Body::from_stream(never);
    let answer = world
        .raw(Method::POST, "/scim/v2/Users", &headers, body)
        .await;

    answer.is_error(408, None);
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(start.elapsed().as_secs(), 10);
}
