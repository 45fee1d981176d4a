//! Paths, methods, versions and what is not offered.

use http::Method;

use crate::world::{ID, World};

fn methods() -> [Method; 6] {
    [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ]
}

#[tokio::test] // rule: S-7644-3.2-01 (part)
async fn an_unknown_path_is_404_with_a_scim_error() {
    let world = World::start();
    for path in [
        "/users",
        "/Users/1/2",
        "/Nothing",
        "/Schemas/a/b",
        "/v2/Users",
        "//Users",
    ] {
        for method in methods() {
            world.call(method, path, "").await.is_error(404, None);
        }
    }
    assert!(world.seen().is_empty());
}

#[tokio::test] // rule: S-7644-3.2-02, S-7644-4-03
async fn a_method_that_is_not_offered_is_405_and_tells_which_are() {
    let world = World::start();
    let user = format!("/Users/{ID}");
    for (path, allow) in [
        ("/Users", "GET, POST"),
        (user.as_str(), "GET, PUT, PATCH, DELETE"),
        ("/ServiceProviderConfig", "GET"),
        ("/Schemas", "GET"),
        ("/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "GET"),
        ("/ResourceTypes", "GET"),
        ("/ResourceTypes/User", "GET"),
    ] {
        for method in methods() {
            if allow.split(", ").any(|own| own == method.as_str()) {
                continue;
            }
            let answer = world.call(method, path, "").await;
            answer.is_error(405, None);
            assert_eq!(answer.header("allow"), Some(allow), "{path}");
        }
    }
    for path in ["/Groups", "/Groups/1"] {
        let answer = world.call(Method::OPTIONS, path, "").await;
        answer.is_error(405, None);
        assert_eq!(answer.header("allow"), Some("GET"), "{path}");
    }
    assert!(world.seen().is_empty());
}

#[tokio::test] // rule: S-7644-3.11-01
async fn what_this_release_lacks_is_501() {
    let world = World::start();
    for path in [
        "/Bulk",
        "/.search",
        "/Users/.search",
        "/Groups/.search",
        "/Me",
        "/Me/x",
        "/Roles",
        "/Roles/1",
        "",
    ] {
        for method in methods() {
            world.call(method, path, "").await.is_error(501, None);
        }
    }
    for path in ["/Groups", "/Groups/1"] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let detail = world.call(method, path, "{}").await.is_error(501, None);
            assert!(detail.contains("switch Push Groups off"), "{detail}");
        }
    }
    assert!(world.seen().is_empty());
}

#[tokio::test] // rule: S-7644-3.13-01, S-7644-3.13-02
async fn the_version_is_v2_or_left_out() {
    let world = World::start();
    let bearer = format!("Bearer {}", world.token);
    let headers = [("authorization", bearer.as_str())];
    for path in [
        "/scim/v2/Users",
        "/scim/Users",
        "/scim/v2/Users/",
        "/scim/Users/",
    ] {
        let answer = world.raw(Method::GET, path, &headers, "").await;
        assert_eq!(answer.status, 200, "{path}");
    }
    for path in [
        "/scim/v1/Users",
        "/scim/v3/Users",
        "/scim/v1",
        "/scim/v2.1/Users",
    ] {
        let answer = world.raw(Method::GET, path, &headers, "").await;
        answer.is_error(400, Some("invalidVers"));
    }
    for path in ["/scim", "/scim/", "/scim/v2", "/scim/v2/"] {
        let answer = world.raw(Method::GET, path, &headers, "").await;
        answer.is_error(501, None);
    }
}

#[tokio::test]
async fn a_query_that_is_not_offered_is_refused_and_never_ignored() {
    let world = World::start();
    let user = format!("/Users/{ID}");
    for path in ["/Users", "/Groups"] {
        for query in [
            "sortBy=userName",
            "SORTBY=userName",
            "sortOrder=ascending",
            "cursor=",
            "cursor=abc",
            "attributes=userName",
            "excludedAttributes=emails",
            "startIndex=one",
            "count=1.5",
            "count=1&count=2",
            "startIndex=1&startindex=1",
        ] {
            let answer = world.get(&format!("{path}?{query}")).await;
            answer.is_error(400, Some("invalidValue"));
        }
        for query in ["filter=", "filter=%20"] {
            let answer = world.get(&format!("{path}?{query}")).await;
            answer.is_error(400, Some("invalidFilter"));
        }
    }
    for method in [Method::GET, Method::PUT, Method::PATCH] {
        let answer = world
            .call(method, &format!("{user}?attributes=id"), "{}")
            .await;
        answer.is_error(400, Some("invalidValue"));
    }
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        for query in [
            "filter=userName%20pr",
            "sortBy=userName",
            "SORTORDER=ascending",
            "cursor=",
            "startIndex=1",
            "count=1",
        ] {
            let path = format!("{user}?{query}");
            let answer = world.call(method.clone(), &path, "{}").await;
            let detail = answer.is_error(400, Some("invalidValue"));
            assert!(detail.contains("leave it out"), "{method} {path}: {detail}");
        }
    }
    world
        .call(Method::POST, "/Users?sortBy=id", "{}")
        .await
        .is_error(400, Some("invalidValue"));
    let answer = world
        .call(Method::POST, "/Users?excludedAttributes=id", "{}")
        .await;
    answer.is_error(400, Some("invalidValue"));
    let long = format!("/Users?filter={}", "x".repeat(16 * 1024));
    world.get(&long).await.is_error(414, None);
    assert!(world.asked_for_the_credential_only());
}

#[tokio::test] // rule: S-7644-3.4.2-02, S-7644-3.4.2.2-14 (part)
async fn a_group_is_looked_up_by_its_own_attributes_and_none_is_found() {
    let world = World::start();
    for filter in [
        "displayName eq \"Sales\"",
        "members eq \"x\"",
        "members.value eq \"x\"",
        "members[value eq \"x\"]",
        "id eq \"x\" and members eq \"y\"",
        "urn:ietf:params:scim:schemas:core:2.0:Group:DisplayName eq \"Sales\"",
        "externalId eq \"x\"",
        "meta.lastModified gt \"2026-11-24T00:00:00Z\"",
    ] {
        let query = filter.replace(' ', "%20").replace('"', "%22");
        let answer = world.get(&format!("/Groups?filter={query}")).await;
        assert_eq!(
            (answer.status, &answer.json()["totalResults"]),
            (200, &0.into()),
            "{filter}"
        );
    }
    for filter in [
        "userName eq \"x\"",
        "members.userName eq \"x\"",
        "department pr",
    ] {
        let query = filter.replace(' ', "%20").replace('"', "%22");
        let answer = world.get(&format!("/Groups?filter={query}")).await;
        let detail = answer.is_error(400, Some("invalidFilter"));
        assert!(detail.contains("is no attribute of a group"), "{detail}");
    }
    assert!(world.asked_for_the_credential_only());
}
