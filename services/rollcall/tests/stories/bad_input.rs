//! Bad input gets the right error, and nothing is stored.

use serde_json::json;

use crate::world::{World, patch, user};

#[tokio::test(flavor = "multi_thread")] // rule: G-02
async fn every_refusal_is_a_scim_error_that_says_what_to_do_and_stores_nothing() {
    let world = World::start().await;
    let body = |name: &str| user(name).to_string();
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let long = format!("{{\"userName\":\"{}\"}}", "a".repeat(2 * 1024 * 1024));
    let mut wrong = user("x@acme.example");
    wrong["name"] = json!("not an object");
    let twice = "{\"schemas\":[],\"userName\":\"a\",\"USERNAME\":\"b\"}".to_owned();
    let no_schemas = json!({"userName": "x@acme.example"}).to_string();
    let good = format!("Bearer {}", world.token);
    let other = if good.ends_with('a') { "b" } else { "a" };
    let forged = format!("{}{other}", &good[..good.len() - 1]);
    let cases: Vec<(&str, &str, &str, String, u16, &str)> = vec![
        ("", "POST", "/Users", body("a@acme.example"), 401, ""),
        (
            "Bearer nonsense",
            "POST",
            "/Users",
            body("a@acme.example"),
            401,
            "",
        ),
        (&forged, "POST", "/Users", body("a@acme.example"), 401, ""),
        ("Basic eDp5", "GET", "/Users", String::new(), 401, ""),
        (
            &good,
            "POST",
            "/Users",
            "{\"a\":".to_owned(),
            400,
            "invalidSyntax",
        ),
        (
            &good,
            "POST",
            "/Users",
            "[]".to_owned(),
            400,
            "invalidSyntax",
        ),
        (&good, "POST", "/Users", String::new(), 400, "invalidSyntax"),
        (&good, "POST", "/Users", twice, 400, "invalidSyntax"),
        (&good, "POST", "/Users", deep, 400, "invalidSyntax"),
        (&good, "POST", "/Users", no_schemas, 400, "invalidSyntax"),
        (
            &good,
            "POST",
            "/Users",
            wrong.to_string(),
            400,
            "invalidValue",
        ),
        (&good, "POST", "/Users", body(""), 400, "invalidValue"),
        (
            &good,
            "POST",
            "/Users",
            body("a\u{0}b"),
            400,
            "invalidValue",
        ),
        (&good, "POST", "/Users", long, 413, ""),
        (&good, "GET", "/Users/nobody", String::new(), 404, ""),
        (
            &good,
            "PUT",
            "/Users/0193a1b2-0000-7000-8000-00000000000a",
            body("a@b.example"),
            404,
            "",
        ),
        (&good, "DELETE", "/Users/nobody", String::new(), 404, ""),
        (
            &good,
            "GET",
            "/Users?filter=",
            String::new(),
            400,
            "invalidFilter",
        ),
        (
            &good,
            "GET",
            "/Users?filter=userName%20sw%20%22a%22",
            String::new(),
            400,
            "invalidFilter",
        ),
        (
            &good,
            "GET",
            "/Users?filter=nothing%20eq%201",
            String::new(),
            400,
            "invalidFilter",
        ),
        (
            &good,
            "GET",
            "/Users?filter=password%20eq%20%22a%22",
            String::new(),
            403,
            "sensitive",
        ),
        (
            &good,
            "GET",
            "/Users?startIndex=x",
            String::new(),
            400,
            "invalidValue",
        ),
        (
            &good,
            "GET",
            "/Users?sortBy=userName",
            String::new(),
            400,
            "invalidValue",
        ),
        (
            &good,
            "GET",
            "/Users?attributes=userName",
            String::new(),
            400,
            "invalidValue",
        ),
        (&good, "PUT", "/Users", body("a@acme.example"), 405, ""),
        (&good, "POST", "/Groups", "{}".to_owned(), 501, ""),
        (&good, "POST", "/Bulk", "{}".to_owned(), 501, ""),
        (&good, "GET", "/Nowhere", String::new(), 404, ""),
    ];
    for (authorization, method, path, body, status, scim_type) in cases {
        let shown = format!("{method} {path} {body:.60}");

        let answer = world.send_as(authorization, method, path, body).await;

        assert_eq!(answer.status, status, "{shown}: {}", answer.body);
        assert_eq!(answer.body["status"], status.to_string(), "{shown}");
        assert_eq!(
            answer.body["scimType"].as_str().unwrap_or_default(),
            scim_type,
            "{shown}"
        );
        let number = answer.header("x-request-number");
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(
            detail.contains(number) && number.starts_with("R-"),
            "{shown}: {detail}"
        );
    }
    assert_eq!(world.total().await, 0);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.5.2-04
async fn a_patch_with_a_failing_operation_leaves_the_user_as_it_was() {
    let world = World::start().await;
    let made = world
        .send("POST", "/Users", Some(user("eve@acme.example")))
        .await;
    let target = format!("/Users/{}", made.body["id"].as_str().unwrap());
    let operations = json!([
        {"op": "replace", "path": "title", "value": "Boss"},
        {"op": "replace", "path": "meta.version", "value": "1"},
    ]);

    let refused = world.send("PATCH", &target, Some(patch(&operations))).await;

    assert_eq!(
        (refused.status, &refused.body["scimType"]),
        (400, &json!("mutability"))
    );
    assert_eq!(world.send("GET", &target, None).await.body, made.body);
}

#[tokio::test(flavor = "multi_thread")] // rule: G-01 (part)
async fn provisioning_away_is_503_with_a_time_and_comes_back_without_help() {
    let world = World::start().await;
    world.gates.provisioning.close();

    for (method, path) in [
        ("GET", "/Users?count=1"),
        ("POST", "/Users"),
        ("GET", "/Groups"),
    ] {
        let body = if method == "POST" {
            Some(user("f@acme.example"))
        } else {
            None
        };
        let answer = world.send(method, path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.body);
        assert!(answer.header("retry-after").parse::<u32>().is_ok());
    }
    assert_eq!(
        world
            .send("GET", "/ServiceProviderConfig", None)
            .await
            .status,
        200
    );
    assert_eq!(world.send("GET", "/Nowhere", None).await.status, 404);

    world.gates.provisioning.open();
    let made = world
        .send("POST", "/Users", Some(user("f@acme.example")))
        .await;
    assert_eq!(made.status, 201);
}
