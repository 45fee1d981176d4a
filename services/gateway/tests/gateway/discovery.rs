//! What the service says of itself, and groups, of which it has none.

use http::Method;
use serde_json::json;

use crate::world::{BASE, Seen, World};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";

#[tokio::test] // rule: S-7644-4-01, S-7644-4-05 (part), U-10 (part)
async fn discovery_needs_no_token_and_finds_each_by_its_name() {
    let world = World::start();
    let get = |path: &'static str| world.raw(Method::GET, path, &[], "");

    let config = get("/scim/v2/ServiceProviderConfig").await;
    assert_eq!(config.status, 200);
    assert_eq!(config.header("content-type"), Some("application/scim+json"));
    for (feature, supported) in [
        ("patch", true),
        ("filter", true),
        ("etag", true),
        ("bulk", false),
        ("sort", false),
        ("changePassword", false),
    ] {
        assert_eq!(config.json()[feature]["supported"], supported, "{feature}");
    }
    assert_eq!(config.json()["pagination"]["cursor"], false);
    assert_eq!(
        config.json()["meta"]["location"],
        format!("{BASE}/scim/v2/ServiceProviderConfig")
    );

    for (list, name, total) in [("Schemas", ACCESS, 3), ("ResourceTypes", "User", 1)] {
        let path = format!("/scim/{list}");
        let all = world.raw(Method::GET, &path, &[], "").await.json();
        assert_eq!(all["totalResults"], total);
        let resources = all["Resources"].as_array().unwrap();
        let listed = resources.iter().find(|one| one["id"] == name).unwrap();
        let path = format!("/scim/v2/{list}/{name}");
        let one = world.raw(Method::GET, &path, &[], "").await;
        assert_eq!((one.status, &one.json()), (200, listed));
        let path = format!("/scim/v2/{list}/nothing");
        world
            .raw(Method::GET, &path, &[], "")
            .await
            .is_error(404, None);
    }
    let encoded = format!("/scim/v2/Schemas/{}", USER.replace(':', "%3a"));
    let one = world.raw(Method::GET, &encoded, &[], "").await;
    assert_eq!(one.json()["id"], USER);
    let types = get("/scim/v2/ResourceTypes/User").await.json();
    let extensions = types["schemaExtensions"].as_array().unwrap();
    assert!(extensions.iter().any(|one| one["schema"] == ACCESS));
    assert!(world.seen().is_empty());
}

#[tokio::test] // rule: S-7644-4-02
async fn a_filter_over_discovery_is_403_and_the_rest_is_ignored() {
    let world = World::start();
    for path in [
        "/ServiceProviderConfig",
        "/Schemas",
        "/ResourceTypes",
        "/ResourceTypes/User",
    ] {
        let answer = world.get(&format!("{path}?filter=id%20pr")).await;
        answer.is_error(403, None);
        let query = "sortBy=id&count=x&attributes=id&cursor=";
        assert_eq!(world.get(&format!("{path}?{query}")).await.status, 200);
    }
}

#[tokio::test]
async fn groups_are_a_valid_empty_list_for_who_has_a_token() {
    let world = World::start();

    let answer = world.get("/Groups?startIndex=1&count=100").await;

    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": 0,
            "startIndex": 1,
            "itemsPerPage": 0,
            "Resources": [],
        })
    );
    let seen = world.seen();
    assert!(matches!(seen.as_slice(), [Seen::List(list)] if list.count == 0));
    let filter = "filter=displayName%20eq%20%22Test%22&startIndex=1&count=100";
    assert_eq!(world.get(&format!("/Groups?{filter}")).await.status, 200);
    let broken = world.get("/Groups?filter=displayName%20zz%201").await;
    broken.is_error(400, Some("invalidFilter"));
    world.get("/Groups/1").await.is_error(404, None);
}
