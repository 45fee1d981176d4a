//! Users on their way through: what provisioning is asked, and what the client sees.

use http::Method;
use rollcall_rpc::{Failure, Reason};
use serde_json::json;

use crate::world::{BASE, ID, Seen, TAG, World};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";
const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

#[tokio::test] // rule: S-7644-3.3-01 (part), U-10 (part)
async fn a_created_user_is_answered_whole_with_location_and_etag() {
    let world = World::start();
    let body = json!({
        "schemas": [CORE],
        "userName": "alice@example.com",
        "externalId": "00u\"1",
        "name": {"givenName": "Alice"},
        "roles": ["Billing admin"],
        "password": "1mz050nq",
        "groups": [],
        "active": true,
    });

    let answer = world.call(Method::POST, "/Users", &body.to_string()).await;

    assert_eq!(answer.status, 201);
    let location = format!("{BASE}/scim/v2/Users/{ID}");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert_eq!(answer.header("etag"), Some(TAG));
    assert_eq!(
        answer.json(),
        json!({
            "schemas": [CORE, ACCESS],
            "userName": "alice@example.com",
            "name": {"givenName": "Alice"},
            "active": true,
            "id": ID,
            "externalId": "00u\"1",
            "roles": [{"value": "Billing admin"}],
            ACCESS: {
                "state": "HELD_DOMAIN_UNVERIFIED",
                "since": "2026-11-24T09:10:11.500Z",
                "cause": "DOMAIN_UNVERIFIED",
                "message": "verify \"example.com\"",
            },
            "meta": {
                "resourceType": "User",
                "created": "2026-11-24T09:10:11.500Z",
                "lastModified": "2026-11-24T09:10:11.500Z",
                "location": location,
                "version": TAG,
            },
        })
    );
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_eq!(
        world.request_ids(),
        [id],
        "the answer names the id of the call"
    );
    let seen = world.seen();
    let [Seen::Create(request)] = seen.as_slice() else {
        panic!("one request is one call");
    };
    assert_eq!(request.external_id, "00u\"1");
}

#[tokio::test]
async fn roles_that_are_none_or_unsaid_are_told_apart_and_neither_is_shown() {
    let world = World::start();
    for (roles, sent) in [(None, None), (Some(json!([])), Some(0))] {
        let mut body = json!({"schemas": [CORE], "userName": "alice@example.com"});
        if let Some(roles) = roles {
            body["roles"] = roles;
        }
        let answer = world
            .call(Method::PUT, &format!("/Users/{ID}"), &body.to_string())
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json().get("roles"), None);
        let Some(Seen::Replace(request)) = world.seen().pop() else {
            panic!("no PUT was seen");
        };
        assert_eq!(request.roles.map(|list| list.roles.len()), sent);
    }
}

#[tokio::test] // rule: S-7644-3.4.2-01 (part), S-7644-3.4.2-03 (part)
async fn a_list_passes_filter_and_page_on_and_counts_what_it_holds() {
    let world = World::start();

    let filter = "filter=userName%20eq%20%22a%2Bb%40example.com%22";
    let answer = world
        .get(&format!("/Users?{filter}&startIndex=0&count=1000"))
        .await;

    assert_eq!(answer.status, 200);
    let page = answer.json();
    assert_eq!(
        page["schemas"],
        json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"])
    );
    assert_eq!(
        (&page["totalResults"], &page["startIndex"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(page["itemsPerPage"], 2);
    let one = world.get(&format!("/Users/{ID}")).await.json();
    assert!(matches!(world.seen().pop(), Some(Seen::Get(request)) if request.user_id == ID));
    assert_eq!(page["Resources"], json!([one, one]));
    let Some(Seen::List(request)) = world.seen().into_iter().next() else {
        panic!("no list was seen");
    };
    assert_eq!(
        request.filter.as_deref(),
        Some("userName eq \"a+b@example.com\"")
    );
    assert_eq!((request.start_index, request.count), (1, 200));
    let none = world.get("/Users?count=0").await.json();
    assert_eq!(
        (&none["itemsPerPage"], &none["Resources"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test] // rule: S-7644-3.14-02
async fn a_get_with_the_present_tag_is_304_without_a_body() {
    let world = World::start();
    for (tags, status) in [
        ("W/\"7\"", 304),
        ("\"7\"", 304),
        ("*", 304),
        ("\"1\", W/\"7\"", 304),
        ("W/\"8\"", 200),
        ("7", 200),
        ("", 200),
    ] {
        let headers = [("if-none-match", tags)];
        let answer = world
            .with_headers(Method::GET, &format!("/Users/{ID}"), &headers, "")
            .await;
        assert_eq!(answer.status, status, "{tags}");
        assert_eq!(answer.text.is_empty(), status == 304);
        assert_eq!(answer.header("etag"), Some(TAG));
        assert!(answer.header("x-request-number").is_some());
    }
}

#[tokio::test] // rule: S-7644-3.14-03 (part)
async fn conditions_reach_provisioning_and_its_refusal_is_412() {
    let world = World::start();
    let user = format!("/Users/{ID}");
    let put = json!({"schemas": [CORE], "userName": "alice@example.com"}).to_string();
    let operations = json!([{"op": "Replace", "value": {"active": false}}]);
    let patch = json!({"schemas": [PATCH_OP], "Operations": operations}).to_string();
    let headers = [("if-match", "W/\"7\", \"8\"")];
    for (method, body) in [
        (Method::PUT, put.as_str()),
        (Method::PATCH, patch.as_str()),
        (Method::DELETE, ""),
    ] {
        world.with_headers(method, &user, &headers, body).await;
    }

    for seen in world.seen() {
        let tags = match seen {
            Seen::Replace(request) => request.if_match,
            Seen::Patch(request) => {
                let operation = &request.operations[0];
                assert_eq!(operation.op, "replace");
                assert_eq!(operation.path, None);
                assert_eq!(operation.value_json.as_deref(), Some("{\"active\":false}"));
                request.if_match
            }
            Seen::Delete(request) => request.if_match,
            other => panic!("{other:?}"),
        };
        assert_eq!(tags, ["W/\"7\"", "W/\"8\""]);
    }
    world.fail(Failure::new(
        Reason::VersionMismatch,
        "the user has changed; read it again",
    ));
    world
        .with_headers(Method::PUT, &user, &headers, &put)
        .await
        .is_error(412, None);
}

#[tokio::test] // rule: S-7644-3.14-03 (part)
async fn a_condition_that_a_method_does_not_take_is_refused_and_never_ignored() {
    let world = World::start();
    let user = format!("/Users/{ID}");
    let (matches, none) = ("if-match", "if-none-match");
    for (method, path, header, value, status) in [
        (Method::POST, "/Users", matches, "W/\"7\"", 412),
        (Method::POST, "/Users", matches, "*", 412),
        (Method::POST, "/Users", none, "*", 412),
        (Method::POST, "/Users", none, "W/\"7\"", 400),
        (Method::PUT, &user, none, "*", 412),
        (Method::PUT, &user, none, "W/\"7\"", 400),
        (Method::PATCH, &user, none, "*", 412),
        (Method::PATCH, &user, none, "W/\"8\"", 400),
        (Method::DELETE, &user, none, "*", 412),
        (Method::DELETE, &user, none, "", 400),
        (Method::GET, "/Users", matches, "W/\"7\"", 412),
        (Method::GET, "/Groups", matches, "*", 412),
    ] {
        let answer = world
            .with_headers(method, path, &[(header, value)], "{}")
            .await;
        let detail = answer.is_error(status, None);
        assert!(detail.contains("leave it out"), "{detail}");
    }
    assert!(world.asked_for_the_credential_only());
    for (tags, status) in [
        ("W/\"7\"", 200),
        ("*", 200),
        ("\"1\", \"7\"", 200),
        ("W/\"8\"", 412),
    ] {
        let answer = world
            .with_headers(Method::GET, &user, &[(matches, tags)], "")
            .await;
        assert_eq!(answer.status, status, "{tags}");
    }
}

#[tokio::test] // rule: S-7644-3.5.1-04
async fn a_put_can_not_change_the_id() {
    let world = World::start();
    let put = |id: serde_json::Value| {
        let body = json!({"schemas": [CORE], "userName": "alice@example.com", "ID": id});
        let world = &world;
        async move {
            world
                .call(Method::PUT, &format!("/Users/{ID}"), &body.to_string())
                .await
        }
    };
    for id in [json!(ID), json!(null)] {
        assert_eq!(put(id).await.status, 200);
    }
    for id in [
        json!("0193a1b2-0000-7000-8000-00000000000b"),
        json!(7),
        json!(""),
    ] {
        put(id).await.is_error(400, Some("mutability"));
    }
    let seen = world.seen();
    let written = seen.iter().filter(|seen| !matches!(seen, Seen::List(_)));
    assert_eq!(written.count(), 2);
}

#[tokio::test] // rule: G-02, G-03 (part)
async fn each_refusal_is_a_scim_error_in_provisionings_words_and_ends_with_the_number() {
    let world = World::start();
    let user = format!("/Users/{ID}");
    for (failure, status, scim_type) in [
        (Reason::UserNameTaken, 409, Some("uniqueness")),
        (Reason::ExternalIdTaken, 409, Some("uniqueness")),
        (Reason::DomainNotVerified, 403, None),
        (Reason::InvalidFilter, 400, Some("invalidFilter")),
        (Reason::ReadOnly, 400, Some("mutability")),
        (Reason::NoTarget, 400, Some("noTarget")),
        (Reason::ResourceNotFound, 404, None),
        (Reason::TooLarge, 413, None),
        (Reason::Unsupported, 501, None),
    ] {
        world.fail(Failure::new(failure, "what is wrong and what to do"));
        let detail = world.get(&user).await.is_error(status, scim_type);
        assert!(
            detail.starts_with("what is wrong and what to do (R-"),
            "{detail}"
        );
    }
    let slow = Failure::new(Reason::RateLimited, "slow down, please");
    world.fail(slow.retry_after(std::time::Duration::from_millis(1_200)));
    let answer = world.get(&user).await;
    answer.is_error(429, None);
    assert_eq!(answer.header("retry-after"), Some("2"));
    world.fail(Failure::new(Reason::Internal, "SELECT secret"));
    let detail = world.get(&user).await.is_error(500, None);
    assert!(!detail.contains("SELECT"));
}

#[tokio::test]
async fn a_deleted_user_is_answered_without_a_body_and_head_is_a_get() {
    let world = World::start();
    let answer = world
        .call(Method::DELETE, &format!("/Users/{ID}"), "")
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert!(answer.header("x-request-number").is_some());
    assert_eq!(answer.header("content-type"), None);
    let answer = world.call(Method::HEAD, &format!("/Users/{ID}"), "").await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some(TAG)));
    world.get("/Users/none").await.is_error(404, None);
}
