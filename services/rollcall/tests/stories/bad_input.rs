//! Bad input gets the right error, and nothing is stored.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_types::Clock;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use crate::world::{Answer, World, patch, user};

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// What to do about a user that is not there.
const ASSIGN: &str = "unassign the user in Okta and assign it again";
/// An id of the right form that nobody has.
const NOBODY: &str = "0193a1b2-0000-7000-8000-00000000000a";

/// Two accounts with a user each, whose tokens may read all that is theirs.
struct Two {
    world: World,
    /// The token of `globex`; that of `acme` is the world's.
    globex: String,
    /// The user of `acme`.
    alice: String,
}

impl Two {
    async fn start() -> Self {
        let world = World::start().await;
        let globex = world.account("globex").await;
        let made = world.send("POST", "/Users", Some(user("alice@acme.example")));
        let made = made.await;
        assert_eq!(made.status, 201, "{}", made.body);
        let body = user("bob@globex.example").to_string();
        let bearer = format!("Bearer {globex}");
        assert_eq!(
            world.send_as(&bearer, "POST", "/Users", body).await.status,
            201
        );
        let alice = format!("/Users/{}", made.body["id"].as_str().unwrap());
        Self {
            world,
            globex,
            alice,
        }
    }

    /// All that is stored: the users of both accounts with their versions, and how many changes
    /// were ever made.
    async fn stored(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for token in [&self.world.token, &self.globex] {
            let bearer = format!("Bearer {token}");
            let list = self.world.send_as(&bearer, "GET", "/Users", String::new());
            let list = list.await;
            assert_eq!((list.status, &list.body["totalResults"]), (200, &json!(1)));
            all.push(list.body);
        }
        let db = self.world.stores.provisioning.as_ref().unwrap().reader();
        let count = "SELECT count(*) AS n FROM changes".to_owned();
        let count = Statement::from_string(db.get_database_backend(), count);
        let row = db.query_one_raw(count).await.unwrap().unwrap();
        let count: i64 = row.try_get("", "n").unwrap();
        all.push(json!(count));
        all
    }

    /// Sends what Okta could send, with the token of `acme`.
    async fn send(&self, method: &str, path: &str, body: impl Into<String>) -> Answer {
        let bearer = format!("Bearer {}", self.world.token);
        self.world.send_as(&bearer, method, path, body.into()).await
    }

    /// Sends with these headers and the token of `acme`.
    async fn send_with(&self, headers: &[(&str, &str)], method: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", self.world.token);
        let mut all = vec![("authorization", bearer.as_str())];
        all.extend(headers);
        let path = if method == "POST" {
            "/Users"
        } else {
            &self.alice
        };
        self.world
            .send_with(&all, method, path, body.to_owned())
            .await
    }
}

/// Status, `scimType` ("" for none) and what `detail` tells to do.
type Refusal<'a> = (u16, &'a str, &'a str);

/// Checks an error as SCIM writes it (RFC 7644, section 3.12), with the number of its request.
#[track_caller]
fn assert_refused(answer: &Answer, (status, scim_type, says): Refusal<'_>, shown: &str) {
    let body = &answer.body;
    assert_eq!(answer.status, status, "{shown}: {body}");
    assert_eq!(
        answer.header("content-type"),
        "application/scim+json",
        "{shown}"
    );
    let number = answer.header("x-request-number");
    let id = answer.header("x-request-id");
    assert!(number.starts_with("R-"), "{shown}: {number}");
    assert!(
        id.parse::<rollcall_types::RequestId>().is_ok(),
        "{shown}: {id}"
    );
    let detail = body["detail"].as_str().unwrap();
    assert!(
        detail.ends_with(&format!(" ({number})")),
        "{shown}: {detail}"
    );
    assert!(
        detail.contains(says),
        "{shown} has to say {says:?}: {detail}"
    );
    assert!(
        detail.len() < 500,
        "{shown}: more than a glance is repeated: {detail}"
    );
    let mut expected = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.to_string(),
        "detail": detail,
    });
    if !scim_type.is_empty() {
        expected["scimType"] = json!(scim_type);
    }
    assert_eq!(*body, expected, "{shown}: nothing more and nothing else");
    if status == 401 {
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{shown}: {challenge:?}");
    }
}

/// A body that would be taken if its request were.
fn good(method: &str) -> String {
    match method {
        "POST" | "PUT" => user("mallory@acme.example").to_string(),
        "PATCH" => {
            let operations = json!([{"op": "replace", "path": "title", "value": "Boss"}]);
            patch(&operations).to_string()
        }
        _ => String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: G-02, S-7644-7.3-01, S-7644-3.12-03 (part)
async fn without_a_valid_token_every_endpoint_answers_401() {
    let two = Two::start().await;
    let (alice, world) = (two.alice.as_str(), &two.world);
    let token = &world.token;
    let end = if token.ends_with('a') { "b" } else { "a" };
    let cut = &token[..token.len() - 1];
    let unknown = World::start().await.token;
    let revoked = world.create_token("globex").await.unwrap();
    let request = pb::RevokeTokenRequest {
        account_id: "globex".to_owned(),
        token_id: revoked.token.unwrap().token_id,
        end_time: None,
    };
    world.connections().revoke_token(request).await.unwrap();
    let hour = std::time::Duration::from_secs(3600);
    let request = pb::CreateTokenRequest {
        account_id: "acme".to_owned(),
        label: "short".to_owned(),
        expire_time: Some(rollcall_rpc::convert::time::to_proto(
            world.clock.now().plus(hour),
        )),
        idempotency_key: String::new(),
    };
    let expired = world.connections().create_token(request).await.unwrap();
    let expired = format!("Bearer {}", expired.into_inner().secret);
    let read = world.send_as(&expired, "GET", alice, String::new()).await;
    assert_eq!(read.status, 200, "it works before its end");
    world.clock.advance(hour);
    let before = two.stored().await;

    let enter = "enter the token of this connection";
    for (what, authorization, says) in [
        (
            "no token",
            String::new(),
            "no token was sent: enter the token",
        ),
        ("an empty one", "Bearer ".to_owned(), enter),
        ("nonsense", "Bearer nonsense".to_owned(), enter),
        ("a password", "Basic b2t0YTpwYXNzd29yZA==".to_owned(), enter),
        ("one that was cut", format!("Bearer {cut}"), enter),
        ("a mistyped one", format!("Bearer {cut}{end}"), enter),
        (
            "an unknown one",
            format!("Bearer {unknown}"),
            "create a new one",
        ),
        (
            "a revoked one",
            format!("Bearer {}", revoked.secret),
            "create a new one",
        ),
        ("an expired one", expired, "create a new one"),
    ] {
        for (method, path) in [
            ("GET", "/Users"),
            (
                "GET",
                "/Users?filter=userName%20eq%20%22alice%40acme.example%22",
            ),
            ("POST", "/Users"),
            ("GET", alice),
            ("PUT", alice),
            ("PATCH", alice),
            ("DELETE", alice),
            ("GET", "/Groups"),
            ("GET", "/Groups/any"),
            ("GET", "/Users?filter=nothing"),
            ("GET", "/Users?count=x"),
            ("GET", "/Groups?filter="),
        ] {
            // Who may not ask learns nothing of what is wrong with the request either.
            for body in [good(method), "no JSON".to_owned()] {
                let answer = world.send_as(&authorization, method, path, body).await;

                assert_refused(
                    &answer,
                    (401, "", says),
                    &format!("{what}: {method} {path}"),
                );
            }
        }
    }
    for path in [
        format!("{alice}?access_token={token}"),
        format!("/Users?filter={token}"),
    ] {
        let answer = two.send("GET", &path, "").await;
        assert_refused(&answer, (401, "", "revoke it"), "a token in the URL");
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.4.1-01 (part), S-7644-6.2-01 (part)
async fn with_the_token_of_another_account_a_user_is_not_there_at_all() {
    let two = Two::start().await;
    let before = two.stored().await;
    let globex = format!("Bearer {}", two.globex);
    let id = two.alice.trim_start_matches("/Users/");
    let nobody = format!("/Users/{NOBODY}");

    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        let ask = async |path: &str| {
            let body = good(method);
            two.world.send_as(&globex, method, path, body).await
        };
        let answer = ask(&two.alice).await;
        assert_refused(&answer, (404, "", ASSIGN), method);

        let unknown = ask(&nobody).await;
        let told = |answer: &Answer, id: &str| {
            let number = answer.header("x-request-number");
            let detail = answer.body["detail"].as_str().unwrap();
            detail.replace(number, "").replace(id, "")
        };
        assert_eq!(
            told(&answer, id),
            told(&unknown, NOBODY),
            "{method}: told apart"
        );
    }
    for filter in [
        format!("id eq \"{id}\""),
        "userName eq \"alice@acme.example\"".to_owned(),
    ] {
        let filter = filter.replace(' ', "%20").replace('"', "%22");
        let path = format!("/Users?filter={filter}");
        let list = two
            .world
            .send_as(&globex, "GET", &path, String::new())
            .await;
        assert_eq!(
            (list.status, &list.body["totalResults"]),
            (200, &json!(0)),
            "{path}"
        );
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.5.1-02, S-7644-3.5.2-06, S-7644-3.6-04
async fn an_id_that_nobody_has_is_404_for_every_method() {
    let two = Two::start().await;
    let gone = two.send("POST", "/Users", user("gone@acme.example").to_string());
    let gone = gone.await.body["id"].as_str().unwrap().to_owned();
    let deleted = two.send("DELETE", &format!("/Users/{gone}"), "").await;
    assert_eq!(deleted.status, 204);
    let before = two.stored().await;

    for id in [
        NOBODY,
        "nobody",
        &gone,
        "a%2Fb",
        "%00",
        "alice@acme.example",
        &"x".repeat(2_000),
    ] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let path = format!("/Users/{id}");
            let answer = two.send(method, &path, good(method)).await;
            assert_refused(&answer, (404, "", ASSIGN), &format!("{method} {path}"));
        }
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.3-03, S-7643-2.1-03
async fn a_body_that_is_no_json_object_within_bounds_is_refused_by_every_write() {
    let two = Two::start().await;
    let before = two.stored().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let wide = format!("[{}]", "[".repeat(100) + &"]".repeat(100));
    let syntax = |says| (400, "invalidSyntax", says);
    for (body, refusal) in [
        ("", syntax("the body is empty; send JSON")),
        (
            "{\"userName\":",
            syntax("at line 1, column 12; correct the body there"),
        ),
        ("{'userName': 'a'}", syntax("correct the body there")),
        ("{\"userName\": \"a\",}", syntax("correct the body there")),
        ("userName=a", syntax("correct the body there")),
        ("{} {}", syntax("correct the body there")),
        ("\u{feff}{}", syntax("byte order mark; send it without one")),
        ("null", syntax("the body is null; send a JSON object")),
        ("[]", syntax("send a JSON object")),
        ("\"text\"", syntax("send a JSON object")),
        ("5", syntax("send a JSON object")),
        ("{\"a\": 1, \"a\": 1}", syntax("send it once")),
        (
            "{\"userName\": \"a\", \"USERNAME\": \"b\"}",
            syntax("send it once"),
        ),
        ("{\"name\": {\"x\": 1, \"X\": 2}}", syntax("send it once")),
        (
            &deep,
            syntax("nested deeper than 32 levels; send it flatter"),
        ),
        (
            &wide,
            syntax("nested deeper than 32 levels; send it flatter"),
        ),
        (
            "{\"userName\": \"a\\u0000\"}",
            (400, "invalidValue", "remove it from"),
        ),
    ] {
        for (method, path) in [
            ("POST", "/Users"),
            ("PUT", &two.alice),
            ("PATCH", &two.alice),
        ] {
            let answer = two.send(method, path, body).await;
            assert_refused(&answer, refusal, &format!("{method} {body:.40}"));
        }
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.12-05 (part)
async fn a_body_of_2_mib_is_413_and_so_are_too_many_operations() {
    let two = Two::start().await;
    let before = two.stored().await;
    let mut large = user("large@acme.example");
    large["title"] = json!("x".repeat(2 * 1024 * 1024));
    let operation = json!({"op": "replace", "path": "title", "value": "x"});
    let many = patch(&json!(vec![operation; 1_001])).to_string();

    for (method, path, body, says) in [
        (
            "POST",
            "/Users",
            large.to_string(),
            "larger than 1048576 bytes; send less",
        ),
        (
            "PUT",
            &two.alice,
            large.to_string(),
            "larger than 1048576 bytes; send less",
        ),
        (
            "PATCH",
            &two.alice,
            large.to_string(),
            "larger than 1048576 bytes; send less",
        ),
        ("PATCH", &two.alice, many, "send at most 1000"),
    ] {
        let answer = two.send(method, path, body).await;
        assert_refused(&answer, (413, "", says), &format!("{method} {path}"));
    }
    assert_eq!(two.stored().await, before);
}

/// A user of some `bytes` in all.
fn large(name: &str, bytes: usize) -> String {
    let text = "x".repeat(60_000);
    let photos: Vec<Value> = (0..bytes / 60_000)
        .map(|n| json!({"value": format!("{n}{text}")}))
        .collect();
    let mut body = user(name);
    body["photos"] = json!(photos);
    body["title"] = json!("x".repeat(bytes % 60_000));
    body.to_string()
}

#[tokio::test(flavor = "multi_thread")] // rule: G-02, S-7644-3.4.2.4-04 (part)
async fn a_page_of_the_largest_users_is_answered() {
    let world = World::start().await;
    let bearer = format!("Bearer {}", world.token);
    // 20 MB: more than a request may have, and less than 200 such users.
    let (most, at_once) = (80, 20);
    for first in (0..most).step_by(at_once) {
        let creates = (first..first + at_once).map(|n| {
            let body = large(&format!("u{n}@acme.example"), 258_000);
            world.send_as(&bearer, "POST", "/Users", body)
        });
        for made in futures::future::join_all(creates).await {
            assert_eq!(made.status, 201, "{}", made.body["detail"]);
        }
    }

    let page = world.send("GET", "/Users?count=1000", None).await;

    assert_eq!(page.status, 200, "{}", page.body["detail"]);
    let users = page.body["Resources"].as_array().unwrap();
    assert_eq!(users.len(), most);
    assert!(
        users
            .iter()
            .all(|user| user["photos"][3]["value"].is_string())
    );
}

#[tokio::test(flavor = "multi_thread")] // rule: G-02, S-7644-3.12-05 (part)
async fn a_user_that_would_be_too_large_is_413_and_says_what_to_shorten() {
    let two = Two::start().await;
    let roles: Vec<Value> = (0..4)
        .map(|n| json!({"value": format!("{n}{}", "r".repeat(50_000))}))
        .collect();
    let set = json!([{"op": "add", "path": "roles", "value": roles}]);
    let with_roles = two.send("PATCH", &two.alice, patch(&set).to_string()).await;
    assert_eq!(with_roles.status, 200, "{}", with_roles.body["detail"]);
    let before = two.stored().await;
    let title = json!([{"op": "add", "path": "displayName", "value": "x".repeat(65_000)}]);

    for (what, method, path, body, names) in [
        (
            "sent",
            "POST",
            "/Users",
            large("large@acme.example", 300_000),
            "in \"photos\"; shorten that",
        ),
        (
            "sent",
            "PUT",
            &two.alice,
            large("alice@acme.example", 300_000),
            "in \"photos\"; shorten that",
        ),
        (
            "with what is kept",
            "PUT",
            &two.alice,
            large("alice@acme.example", 100_000),
            "in \"roles\"; shorten that",
        ),
        (
            "with what is there",
            "PATCH",
            &two.alice,
            patch(&title).to_string(),
            "in \"roles\"; shorten that",
        ),
    ] {
        let answer = two.send(method, path, body).await;
        assert_refused(&answer, (413, "", names), &format!("{what}: {method}"));
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7643-2.3-01, S-7643-7-11, S-7643-2.4-01 (part)
async fn a_value_of_the_wrong_type_is_refused_by_its_name_in_every_write() {
    let two = Two::start().await;
    let before = two.stored().await;
    let text = "send a string";
    for (attribute, value, says) in [
        ("userName", json!(5), text),
        ("userName", json!({"value": "a"}), text),
        ("userName", json!(["a"]), text),
        ("userName", json!(""), "send one"),
        (
            "userName",
            json!("a\u{7}b"),
            "remove its control characters",
        ),
        ("externalId", json!(true), text),
        ("displayName", json!(1.5), text),
        ("title", json!(["a"]), text),
        ("active", json!("maybe"), "send true or false"),
        ("active", json!(1), "send a boolean"),
        ("active", json!({}), "send a boolean"),
        ("profileUrl", json!(5), "send a reference"),
        ("name", json!("Alice"), "send an object"),
        ("name", json!([{"givenName": "A"}]), "send an object"),
        (
            "name",
            json!({"givenName": 5}),
            "name.givenName is a number; send a string",
        ),
        (
            "name",
            json!({"familyName": {}}),
            "name.familyName is an object; send a string",
        ),
        ("emails", json!("a@acme.example"), "send an array"),
        ("emails", json!(5), "send an array"),
        ("emails", json!([5]), "send an object"),
        ("emails", json!([{"value": 5}]), text),
        (
            "emails",
            json!([{"value": "no address"}]),
            "send an email address such as",
        ),
        (
            "emails",
            json!([{"value": "a@b.example", "primary": "maybe"}]),
            "send true or false",
        ),
        (
            "emails",
            json!([{"value": "a@b.example", "primary": true}, {"value": "c@b.example", "primary": true}]),
            "mark one at most",
        ),
        ("phoneNumbers", json!([{"value": {}}]), text),
        ("addresses", json!([["Berlin"]]), "send an object"),
        ("roles", json!(5), "send an array"),
        ("roles", json!([5]), "send an object"),
        ("x509Certificates", json!([{"value": "!"}]), "send base64"),
        (ENTERPRISE, json!("Sales"), "send an object"),
        (
            ENTERPRISE,
            json!({"department": 5}),
            "department is a number; send a string",
        ),
    ] {
        let mut body = user("mallory@acme.example");
        body[attribute] = value.clone();
        let change = json!([{"op": "replace", "path": attribute, "value": value}]);
        let whole = json!([{"op": "replace", "value": {attribute: value}}]);
        for (method, path, body) in [
            ("POST", "/Users", &body),
            ("PUT", &two.alice, &body),
            ("PATCH", &two.alice, &patch(&change)),
            ("PATCH", &two.alice, &patch(&whole)),
        ] {
            let answer = two.send(method, path, body.to_string()).await;

            let shown = format!("{method} {attribute}: {value}");
            assert_refused(&answer, (400, "invalidValue", says), &shown);
            let detail = answer.body["detail"].as_str().unwrap();
            let name = attribute.rsplit(':').next().unwrap();
            assert!(detail.contains(name), "{shown} names it: {detail}");
        }
    }
    for absent in ["userName", "schemas"] {
        let mut body = user("mallory@acme.example");
        body.as_object_mut().unwrap().remove(absent);
        let (kind, says) = if absent == "schemas" {
            (
                "invalidSyntax",
                "schemas is missing; send an array that has",
            )
        } else {
            ("invalidValue", "userName is required; send one")
        };
        for (method, path) in [("POST", "/Users"), ("PUT", &two.alice)] {
            let answer = two.send(method, path, body.to_string()).await;
            assert_refused(
                &answer,
                (400, kind, says),
                &format!("{method} without {absent}"),
            );
        }
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.5.2-01, S-7644-3.5.2-02, S-7644-3.5.2-11
async fn an_operation_that_is_none_is_refused_with_its_place() {
    let two = Two::start().await;
    let before = two.stored().await;
    let set = |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    for (operations, scim_type, says) in [
        (json!([]), "invalidSyntax", "send an array of operations"),
        (json!({}), "invalidSyntax", "send an array of operations"),
        (
            json!([5]),
            "invalidSyntax",
            "send one with op, path and value",
        ),
        (
            json!([{"path": "title", "value": "x"}]),
            "invalidSyntax",
            "send add, remove or replace",
        ),
        (
            json!([{"op": "move", "path": "title"}]),
            "invalidSyntax",
            "send add, remove or replace",
        ),
        (
            json!([{"op": "add", "path": "title"}]),
            "invalidValue",
            "add needs a value; send one",
        ),
        (
            json!([{"op": "add", "value": 5}]),
            "invalidValue",
            "send an object",
        ),
        (json!([{"op": "remove"}]), "noTarget", "name the attribute"),
        (
            json!([{"op": "remove", "path": "userName"}]),
            "mutability",
            "replace it instead",
        ),
        (set("id", json!("x")), "mutability", "remove the operation"),
        (
            set("meta.version", json!("1")),
            "mutability",
            "remove the operation",
        ),
        (
            set("groups", json!([])),
            "mutability",
            "remove the operation",
        ),
        (
            set("nothing", json!("x")),
            "invalidPath",
            "use a name that /Schemas lists",
        ),
        (
            set("emails[", json!("x")),
            "invalidPath",
            "write ] after the filter",
        ),
        (
            set("emails[type eq].value", json!("x")),
            "invalidFilter",
            "write a space and a value there",
        ),
        (
            set("emails[type sw \"x\"].value", json!("a@b.example")),
            "noTarget",
            "add the element first",
        ),
        (
            json!([{"op": "replace", "path": "title", "value": "Boss"}, {"op": "remove"}]),
            "noTarget",
            "name the attribute to remove",
        ),
    ] {
        let answer = two
            .send("PATCH", &two.alice, patch(&operations).to_string())
            .await;
        assert_refused(&answer, (400, scim_type, says), &operations.to_string());
    }
    for schemas in [
        json!(null),
        json!([]),
        json!(["urn:ietf:params:scim:schemas:core:2.0:User"]),
    ] {
        let body = json!({"schemas": schemas, "Operations": set("title", json!("x"))});
        let answer = two.send("PATCH", &two.alice, body.to_string()).await;
        assert_refused(
            &answer,
            (400, "invalidSyntax", "PatchOp\"; add it"),
            &schemas.to_string(),
        );
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.4.2.4-03, S-7644-3.4.2.2-20 (part)
async fn a_query_that_is_not_offered_is_refused_and_never_answered_with_everybody() {
    let two = Two::start().await;
    let filter = |text: &str| {
        let text = text
            .replace('%', "%25")
            .replace(' ', "%20")
            .replace('"', "%22");
        format!("filter={text}")
    };
    let text = "a".repeat(8 * 1024);
    let long = format!("userName eq \"{text}\"");
    for (query, status, scim_type, says) in [
        (
            filter(""),
            400,
            "invalidFilter",
            "leave it out to list everything",
        ),
        (
            filter("userName"),
            400,
            "invalidFilter",
            "write an operator there",
        ),
        (
            filter("userName eq"),
            400,
            "invalidFilter",
            "write a space and a value there",
        ),
        (
            filter("userName is \"a\""),
            400,
            "invalidFilter",
            "write an operator there",
        ),
        (
            filter("userName eq a"),
            400,
            "invalidFilter",
            "write a value there: text in double quotes",
        ),
        (
            filter("userName eq 'a'"),
            400,
            "invalidFilter",
            "write a value there: text in double quotes",
        ),
        (
            filter("(userName eq \"a\""),
            400,
            "invalidFilter",
            "write ) there",
        ),
        (
            filter("nothing eq \"a\""),
            400,
            "invalidFilter",
            "use a name that /Schemas lists",
        ),
        (
            filter("userName sw \"a\""),
            400,
            "invalidFilter",
            "use eq, joined by and",
        ),
        (
            filter("active gt true"),
            400,
            "invalidFilter",
            "use eq, ne or pr",
        ),
        (
            filter("name eq \"a\""),
            400,
            "invalidFilter",
            "name one of them, such as name.formatted",
        ),
        (
            filter(&long),
            400,
            "invalidFilter",
            "longer than 8192 bytes; shorten it",
        ),
        (
            filter("password eq \"a\""),
            403,
            "sensitive",
            "compare another attribute, such as userName",
        ),
        (
            "startIndex=x".to_owned(),
            400,
            "invalidValue",
            "startIndex is \"x\"; send an integer",
        ),
        (
            "count=1.5".to_owned(),
            400,
            "invalidValue",
            "count is \"1.5\"; send an integer",
        ),
        (
            "count=1&count=2".to_owned(),
            400,
            "invalidValue",
            "send it once",
        ),
        (
            "sortBy=userName".to_owned(),
            400,
            "invalidValue",
            "leave it out",
        ),
        (
            "attributes=userName".to_owned(),
            400,
            "invalidValue",
            "leave it out",
        ),
        (
            "excludedAttributes=name".to_owned(),
            400,
            "invalidValue",
            "leave it out",
        ),
        ("cursor=".to_owned(), 400, "invalidValue", "leave it out"),
    ] {
        let answer = two.send("GET", &format!("/Users?{query}"), "").await;
        assert_refused(&answer, (status, scim_type, says), &format!("{query:.60}"));
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.2-02, S-7644-3.2-01, S-7644-4-03
async fn a_method_or_path_that_is_not_offered_says_what_is() {
    let two = Two::start().await;
    let before = two.stored().await;
    let alice = two.alice.as_str();
    for (method, path, allow) in [
        ("PUT", "/Users", "GET, POST"),
        ("PATCH", "/Users", "GET, POST"),
        ("DELETE", "/Users", "GET, POST"),
        ("OPTIONS", "/Users", "GET, POST"),
        ("POST", alice, "GET, PUT, PATCH, DELETE"),
        ("BREW", alice, "GET, PUT, PATCH, DELETE"),
        ("OPTIONS", "/Groups", "GET"),
        ("BREW", "/Groups/any", "GET"),
        ("POST", "/ServiceProviderConfig", "GET"),
        ("PUT", "/Schemas", "GET"),
        ("PATCH", "/ResourceTypes/User", "GET"),
        ("DELETE", "/ResourceTypes", "GET"),
    ] {
        let answer = two.send(method, path, good(method)).await;
        let says = format!("; use {allow} (");
        assert_refused(&answer, (405, "", &says), &format!("{method} {path}"));
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    for (method, path, refusal) in [
        (
            "GET",
            "/Nowhere",
            (404, "", "below it are /Users and /Groups"),
        ),
        ("GET", "/users", (404, "", "in this letter case")),
        (
            "GET",
            "/Users/a/b",
            (404, "", "let the base URL in Okta end with /scim/v2"),
        ),
        (
            "GET",
            "/Schemas/urn:nothing",
            (404, "", "ask without a name to see all"),
        ),
        (
            "GET",
            "/ResourceTypes/Nothing",
            (404, "", "ask without a name to see all"),
        ),
        ("GET", "/Schemas?filter=id%20pr", (403, "", "leave it out")),
        (
            "GET",
            "/Groups/any",
            (404, "", "switch Push Groups off in Okta"),
        ),
        (
            "POST",
            "/Groups",
            (501, "", "switch Push Groups off in Okta"),
        ),
        (
            "PUT",
            "/Groups",
            (501, "", "switch Push Groups off in Okta"),
        ),
        (
            "POST",
            "/Groups/any",
            (501, "", "switch Push Groups off in Okta"),
        ),
        (
            "PATCH",
            "/Groups/any",
            (501, "", "switch Push Groups off in Okta"),
        ),
        ("POST", "/Bulk", (501, "", "send each operation by itself")),
        ("GET", "/Me", (501, "", "ask for the user by its id")),
        (
            "POST",
            "/Users/.search",
            (501, "", "send the query with GET"),
        ),
        (
            "GET",
            "/v2/Users",
            (404, "", "let the base URL in Okta end with /scim/v2"),
        ),
    ] {
        let answer = two.send(method, path, good(method)).await;
        assert_refused(&answer, refusal, &format!("{method} {path}"));
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.13-01
async fn another_version_of_the_protocol_is_refused_for_every_method() {
    let two = Two::start().await;
    let before = two.stored().await;
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let user = format!("/scim/v1{}", two.alice);
    for (method, path) in [
        ("GET", "/scim/v1/Users?startIndex=1&count=2"),
        ("POST", "/scim/v1/Users"),
        ("GET", &user),
        ("PUT", &user),
        ("PATCH", &user),
        ("DELETE", &user),
        ("GET", "/scim/v1/ServiceProviderConfig"),
        ("GET", "/scim/v1"),
        ("GET", "/scim/v1.1/Users"),
        ("GET", "/scim/v3/Users"),
        ("GET", "/scim/V2/Users"),
    ] {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", two.world.base))
            .header("authorization", format!("Bearer {}", two.world.token))
            .body(Full::from(good(method)))
            .unwrap();
        let (head, body) = client.request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap(),
        };

        let says = "let the base URL end with /scim/v2";
        let shown = format!("{method} {path}");
        assert_refused(&answer, (400, "invalidVers", says), &shown);
    }
    assert_eq!(two.stored().await, before);
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7644-3.8-01, S-7644-3.8-02
async fn media_types_that_are_not_ours_are_415_and_406() {
    let two = Two::start().await;
    let before = two.stored().await;
    let name = "name that in Content-Type";
    for (header, value, says) in [
        ("content-type", "text/plain", name),
        ("content-type", "application/x-www-form-urlencoded", name),
        ("content-type", "multipart/form-data; boundary=x", name),
        ("content-type", "application/xml", name),
        ("content-type", "application/jsonx", name),
        (
            "content-type",
            "application/scim+json; charset=iso-8859-1",
            "in UTF-8; send it so",
        ),
        (
            "content-type",
            "application/json; charset=\"utf-16\"",
            "in UTF-8; send it so",
        ),
        (
            "content-encoding",
            "gzip",
            "send it without Content-Encoding",
        ),
    ] {
        for method in ["POST", "PUT", "PATCH"] {
            let answer = two
                .send_with(&[(header, value)], method, &good(method))
                .await;
            assert_refused(
                &answer,
                (415, "", says),
                &format!("{method} {header}: {value}"),
            );
        }
    }
    for accept in [
        "text/html",
        "application/xml",
        "application/scim+json;q=0",
        "image/*",
    ] {
        for method in ["POST", "GET", "PUT", "PATCH", "DELETE"] {
            let answer = two
                .send_with(&[("accept", accept)], method, &good(method))
                .await;
            let says = "accept one of them";
            assert_refused(&answer, (406, "", says), &format!("{method} {accept}"));
        }
    }
    assert_eq!(two.stored().await, before);

    let operations = json!([{"op": "replace", "path": "title", "value": "Boss"}]);
    for headers in [
        [("content-type", "application/scim+json"), ("accept", "*/*")],
        [
            ("content-type", "APPLICATION/JSON; charset=UTF-8"),
            ("accept", "application/*"),
        ],
        [
            ("content-type", "application/json"),
            ("accept", "text/html, application/json;q=0.5"),
        ],
    ] {
        let answer = two
            .send_with(&headers, "PATCH", &patch(&operations).to_string())
            .await;
        assert_eq!(answer.status, 200, "{headers:?}: {}", answer.body);
    }
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
