//! The life of a user, through HTTP and gRPC.

use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use serde_json::json;

use crate::world::{World, patch, user};

const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";

#[tokio::test(flavor = "multi_thread")] // rule: U-01, U-09 (part), U-10 (part), G-03 (part)
async fn okta_looks_a_user_up_then_creates_it_held_until_its_domain_is_verified() {
    let world = World::start().await;
    let look_up = "/Users?filter=userName%20eq%20%22alice%40acme.example%22&startIndex=1&count=100";
    let absent = world.send("GET", look_up, None).await;
    assert_eq!(
        absent.body,
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
               "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []})
    );

    let made = world
        .send("POST", "/Users", Some(user("alice@acme.example")))
        .await;

    assert_eq!(made.status, 201);
    assert!(made.header("x-request-number").starts_with("R-"));
    let id = made.body["id"].as_str().unwrap();
    let location = format!("{}/scim/v2/Users/{id}", world.base);
    assert_eq!(made.header("location"), location);
    assert_eq!(made.body["meta"]["location"], location);
    assert_eq!(
        made.header("etag"),
        made.body["meta"]["version"].as_str().unwrap()
    );
    assert_eq!(made.body["active"], true, "what Okta sent");
    assert_eq!(made.body[ACCESS]["state"], "HELD_DOMAIN_UNVERIFIED");
    assert_eq!(made.body[ACCESS]["cause"], "DOMAIN_UNVERIFIED");
    let found = world.send("GET", look_up, None).await;
    assert_eq!(found.body["Resources"][0], made.body);

    let mut asks = made.body.clone();
    asks[ACCESS]["state"] = json!("ACTIVE");
    let path = format!("/Users/{id}");
    let put = world.send("PUT", &path, Some(asks)).await;
    assert_eq!(put.body[ACCESS], made.body[ACCESS], "read-only");
    let access = format!("{ACCESS}:state");
    let access = json!([{"op": "replace", "path": access, "value": "ACTIVE"}]);
    let patched = world.send("PATCH", &path, Some(patch(&access))).await;
    assert_eq!(patched.body["scimType"], "mutability");

    let request = pb::CheckAccessRequest {
        account_id: "acme".to_owned(),
        user: Some(pb::check_access_request::User::UserName(
            "ALICE@acme.example".to_owned(),
        )),
    };
    let checked = UserServiceClient::new(world.backend.clone())
        .check_access(request)
        .await;
    let checked = checked.unwrap().into_inner();
    assert_eq!((checked.user_id.as_str(), checked.managed), (id, true));
    let access = checked.access.unwrap();
    assert_eq!(access.state(), pb::AccessState::HeldDomainUnverified);
}

#[tokio::test(flavor = "multi_thread")] // rule: U-06 (part)
async fn every_shape_of_deactivation_applies_and_says_so() {
    let world = World::start().await;
    let made = world
        .send("POST", "/Users", Some(user("bob@acme.example")))
        .await;
    let target = format!("/Users/{}", made.body["id"].as_str().unwrap());
    let shapes = [
        json!([{"op": "replace", "value": {"active": false}}]),
        json!([{"op": "Replace", "path": "active", "value": "False"}]),
    ];
    for shape in shapes {
        let off = world.send("PATCH", &target, Some(patch(&shape))).await;
        assert_eq!((off.status, &off.body["active"]), (200, &json!(false)));
        assert_eq!(off.body[ACCESS]["state"], "DEACTIVATED");

        let on = json!([{"op": "replace", "value": {"active": true}}]);
        let on = world.send("PATCH", &target, Some(patch(&on))).await;
        assert_eq!(on.body["active"], true);
    }
    let mut whole = world.send("GET", &target, None).await.body;
    whole["active"] = json!(false);

    let off = world.send("PUT", &target, Some(whole)).await;

    assert_eq!((off.status, &off.body["active"]), (200, &json!(false)));
    assert_eq!(
        off.body[ACCESS]["cause"],
        "DEACTIVATED_BY_IDENTITY_PROVIDER"
    );
}

#[tokio::test(flavor = "multi_thread")] // rule: P-02
async fn roles_are_stored_and_shown_while_management_is_off_and_apply_once_it_is_on() {
    let world = World::start().await;
    let value = world.add_domain("acme.example").await;
    world.dns.publish("acme.example", &value);
    let mut body = user("erin@acme.example");
    body["roles"] = json!(["Sales Manager"]);

    let made = world.send("POST", "/Users", Some(body)).await;

    let id = made.body["id"].as_str().unwrap();
    let shown = world.send("GET", &format!("/Users/{id}"), None).await;
    assert_eq!(shown.body["roles"][0]["value"], "Sales Manager");
    world.all_released().await;
    assert!(!world.check(id).await.allowed);
    world.sales_manager().await;
    world.wait_until_allowed(id, true).await;
}

#[tokio::test(flavor = "multi_thread")] // rule: U-11
async fn a_user_name_is_unique_without_regard_to_case_and_within_its_account_only() {
    let world = World::start().await;
    let other = format!("Bearer {}", world.account("globex").await);
    let made = world
        .send("POST", "/Users", Some(user("carol@acme.example")))
        .await;

    let twin = world
        .send("POST", "/Users", Some(user("CAROL@Acme.example")))
        .await;
    let body = user("carol@acme.example").to_string();
    let elsewhere = world.send_as(&other, "POST", "/Users", body).await;

    assert_eq!(
        (made.status, twin.status, elsewhere.status),
        (201, 409, 201)
    );
    assert_eq!(twin.body["scimType"], "uniqueness");
    assert_ne!(made.body["id"], elsewhere.body["id"]);
    let mut same_email = user("carol@acme.example");
    same_email["userName"] = json!("carol");
    let namesake = world.send("POST", "/Users", Some(same_email)).await;
    assert_eq!(namesake.status, 201, "emails need not be unique");
    let target = format!("/Users/{}", made.body["id"].as_str().unwrap());
    let foreign = world.send_as(&other, "GET", &target, String::new()).await;
    assert_eq!(
        foreign.status, 404,
        "an id means nothing outside its account"
    );

    let gone = world.send("DELETE", &target, None).await;
    let again = world
        .send("POST", "/Users", Some(user("carol@acme.example")))
        .await;
    assert_eq!((gone.status, again.status), (204, 201));
    assert_ne!(again.body["id"], made.body["id"], "an id never comes back");
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.14-02, S-7644-3.14-03
async fn a_stale_if_match_changes_nothing_and_a_current_if_none_match_answers_304() {
    let world = World::start().await;
    let made = world
        .send("POST", "/Users", Some(user("dave@acme.example")))
        .await;
    let target = format!(
        "{}/scim/v2/Users/{}",
        world.base,
        made.body["id"].as_str().unwrap()
    );
    let send = |method: &str, header: &str, tag: &str, body: String| {
        let request = http::Request::builder()
            .method(method)
            .uri(&target)
            .header("authorization", format!("Bearer {}", world.token))
            .header("content-type", "application/scim+json")
            .header(header, tag)
            .body(http_body_util::Full::<axum::body::Bytes>::from(body))
            .unwrap();
        let client =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .build_http();
        async move { client.request(request).await.unwrap().status().as_u16() }
    };
    let etag = made.header("etag").to_owned();
    let title = patch(&json!([{"op": "add", "path": "title", "value": "Chief"}])).to_string();

    assert_eq!(
        send("GET", "if-none-match", &etag, String::new()).await,
        304
    );
    assert_eq!(
        send("PATCH", "if-match", "W/\"999\"", title.clone()).await,
        412
    );
    assert_eq!(send("PATCH", "if-match", &etag, title).await, 200);
    assert_eq!(
        send("GET", "if-none-match", &etag, String::new()).await,
        200
    );
}
