//! Provisioning is away, and back; and the whole over a socket.

use http::Method;
use rollcall_runtime::{HttpLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::world::{ID, World};

const USER: &str = r#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                       "userName": "alice@example.com"}"#;
const PATCH: &str = r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                        "Operations": [{"op": "replace", "value": {"active": false}}]}"#;

#[tokio::test] // rule: G-02, S-7644-3.12-05 (part)
async fn while_provisioning_is_away_its_calls_are_503_and_the_rest_answers() {
    let world = World::start();
    let user = format!("/Users/{ID}");
    let calls = [
        (Method::GET, "/Users", "", 200),
        (Method::POST, "/Users", USER, 201),
        (Method::GET, user.as_str(), "", 200),
        (Method::PUT, user.as_str(), USER, 200),
        (Method::PATCH, user.as_str(), PATCH, 200),
        (Method::DELETE, user.as_str(), "", 204),
        (Method::GET, "/Groups", "", 200),
        // Whether the credential is valid nobody can tell, so nothing is said of the request.
        (Method::POST, "/Users", "no JSON", 400),
        (Method::GET, "/Groups/1", "", 404),
    ];

    world.gate.close();
    for (method, path, body, _) in &calls {
        let answer = world.call(method.clone(), path, body).await;
        answer.is_error(503, None);
        let after = answer.header("retry-after").unwrap();
        assert!(after.parse::<u64>().unwrap() >= 1, "{after}");
    }
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
    world.get("/Nothing").await.is_error(404, None);
    world
        .call(Method::DELETE, "/Users", "")
        .await
        .is_error(405, None);
    world
        .call(Method::POST, "/Bulk", "{}")
        .await
        .is_error(501, None);
    let mut token = world.token.clone();
    let last = if token.pop() == Some('a') { 'b' } else { 'a' };
    token.push(last);
    let headers = [("authorization", token.as_str())];
    let answer = world.raw(Method::GET, "/scim/v2/Users", &headers, "").await;
    answer.is_error(401, None);
    assert!(world.seen().is_empty());

    world.gate.open();
    for (method, path, body, status) in calls {
        assert_eq!(
            world.call(method, path, body).await.status,
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn over_a_socket_a_large_body_gets_its_answer_and_head_has_no_body() {
    let world = World::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let app = world.app();
    let stopped = stop.clone();
    let served =
        tokio::spawn(async move { serve(listener, app, &HttpLimits::dev(), stopped).await });
    let head = format!(
        "Host: localhost\r\nAuthorization: Bearer {}\r\n",
        world.token
    );
    let length = 2 * 1024 * 1024;
    let post = format!("POST /scim/v2/Users HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n");

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(post.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; length]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("(R-"),
        "{answer}"
    );

    let mut stream = TcpStream::connect(address).await.unwrap();
    let get = format!("HEAD /scim/v2/Users HTTP/1.1\r\n{head}Connection: close\r\n\r\n");
    stream.write_all(get.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );

    stop.cancel();
    served.await.unwrap().unwrap();
}
