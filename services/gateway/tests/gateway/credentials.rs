//! Who is let through (SEC-TOK-07).

use http::Method;
use rollcall_rpc::{Failure, Reason};

use crate::world::{ID, World};

const USERS: &str = "/scim/v2/Users";

fn spoiled(token: &str) -> String {
    let (rest, last) = token.split_at(token.len() - 1);
    format!("{rest}{}", if last == "a" { "b" } else { "a" })
}

#[tokio::test] // rule: SEC-TOK-07, S-7644-3.12-03 (part)
async fn a_token_counts_in_its_header_only_as_bearer_or_bare() {
    let world = World::start();
    let token = world.token.clone();
    for value in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("BEARER   {token}"),
        token.clone(),
    ] {
        let headers = [("authorization", value.as_str())];
        let answer = world.raw(Method::GET, USERS, &headers, "").await;
        assert_eq!(answer.status, 200, "{value}");
    }
    assert_eq!(world.credentials(), vec![token.clone(); 4]);

    for value in [
        spoiled(&token),
        format!("Bearer {}", spoiled(&token)),
        format!("Basic {token}"),
        "Basic dXNlcjpwYXNz".to_owned(),
        format!("Token {token}"),
        format!("Bearer {token} {token}"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.to_uppercase(),
        "secret".to_owned(),
        String::new(),
    ] {
        let headers = [("authorization", value.as_str())];
        let answer = world.raw(Method::GET, USERS, &headers, "").await;
        let detail = answer.is_error(401, None);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer error=\"invalid_token\""), "{value}");
        assert!(!detail.contains("rollcall_"), "{detail}");
    }
    assert_eq!(
        world.seen().len(),
        4,
        "a refused token reached provisioning"
    );
}

#[tokio::test] // rule: SEC-TOK-07
async fn a_token_in_the_url_is_refused_beside_a_good_one_too() {
    let world = World::start();
    let token = world.token.clone();
    let spoiled = spoiled(&token);
    for query in [
        format!("access_token={token}"),
        "Access_Token=x".to_owned(),
        format!("key={token}"),
        format!("key={spoiled}"),
    ] {
        let answer = world.get(&format!("/Users?{query}")).await;
        answer.is_error(401, None);
        assert!(!answer.text.contains(&token) && !answer.text.contains(&spoiled));
    }
    assert!(world.seen().is_empty());
}

#[tokio::test] // rule: S-7644-3.12-03 (part)
async fn without_a_token_the_challenge_names_no_error() {
    let world = World::start();
    for (method, path) in [
        (Method::GET, "/scim/v2/Users".to_owned()),
        (Method::POST, "/scim/v2/Users".to_owned()),
        (Method::GET, format!("/scim/Users/{ID}")),
        (Method::PUT, format!("/scim/v2/Users/{ID}")),
        (Method::PATCH, format!("/scim/v2/Users/{ID}")),
        (Method::DELETE, format!("/scim/v2/Users/{ID}")),
        (Method::GET, "/scim/v2/Groups".to_owned()),
        (Method::GET, "/scim/v2/Groups/1".to_owned()),
    ] {
        let answer = world.raw(method, &path, &[], "").await;
        answer.is_error(401, None);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let token = world.token.clone();
    let twice = [
        ("authorization", token.as_str()),
        ("authorization", token.as_str()),
    ];
    world
        .raw(Method::GET, USERS, &twice, "")
        .await
        .is_error(401, None);
    assert!(world.seen().is_empty());
}

#[tokio::test] // rule: S-7644-3.12-03 (part)
async fn a_token_that_provisioning_refuses_is_401_and_also_for_groups() {
    let world = World::start();
    world.fail(Failure::new(
        Reason::CredentialInvalid,
        "the token is not valid any more",
    ));
    for path in ["/Users", "/Groups", "/Groups/1"] {
        let answer = world.get(path).await;
        let detail = answer.is_error(401, None);
        assert!(detail.starts_with("the token is not valid any more"));
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
    }
}

#[tokio::test] // rule: S-7644-7.3-01 (part)
async fn who_is_refused_anyway_learns_first_that_its_token_is_not_valid() {
    let user = format!("/Users/{ID}");
    let large = "x".repeat(2 * 1024 * 1024);
    let html = ("accept", "text/html");
    let text = ("content-type", "text/plain");
    let plain = ("x-nothing", "");
    for (method, path, header, body, status) in [
        (Method::POST, "/Users", plain, "no JSON", 400),
        (Method::POST, "/Users", plain, "{}", 400),
        (Method::POST, "/Users", plain, large.as_str(), 413),
        (Method::POST, "/Users", text, "{}", 415),
        (
            Method::PUT,
            user.as_str(),
            plain,
            "{\"id\": \"other\"}",
            400,
        ),
        (Method::PATCH, user.as_str(), plain, "{}", 400),
        (Method::GET, user.as_str(), html, "", 406),
        (Method::GET, "/Users?count=x", plain, "", 400),
        (Method::GET, "/Users?filter=", plain, "", 400),
        (Method::GET, "/Users?sortBy=id", plain, "", 400),
        (Method::GET, "/Groups?filter=nothing", plain, "", 400),
        (Method::GET, "/Groups/1", plain, "", 404),
    ] {
        let world = World::start();
        let answer = world
            .with_headers(method.clone(), path, &[header], body)
            .await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(world.asked_for_the_credential_only());
        assert_eq!(world.credentials().len(), 1, "asked once");

        world.fail(Failure::new(Reason::CredentialInvalid, "it was revoked"));
        let answer = world.with_headers(method, path, &[header], body).await;

        let detail = answer.is_error(401, None);
        assert!(detail.starts_with("it was revoked (R-"), "{detail}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, Some("Bearer error=\"invalid_token\""));
    }
}

#[tokio::test]
async fn a_request_that_is_served_or_that_provisioning_refuses_is_one_call() {
    let world = World::start();
    assert_eq!(world.get("/Users").await.status, 200);
    assert_eq!(world.get("/Users/none").await.status, 404);
    assert_eq!(world.seen().len(), 2);
}
