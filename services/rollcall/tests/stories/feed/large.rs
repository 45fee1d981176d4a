//! Users as large as they may be, more of them than a message holds.

use rollcall_rpc::Backend;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_client::FeedServiceClient;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use rollcall_rpc::pb::provisioning::v1::watch_response::Mark;
use serde_json::json;

use crate::world::{World, user};

/// Together some 9 MB.
const USERS: usize = 40;

#[tokio::test(flavor = "multi_thread")] // rule: U-12 (part), P-05 (part)
async fn any_client_and_permissions_follow_users_that_fill_many_messages() {
    let world = World::start().await;
    world.sales_manager().await;
    let value = world.add_domain("acme.example").await;
    world.dns.publish("acme.example", &value);
    world.gates.permissions.close();
    let mut made = Vec::new();
    for n in 0..USERS {
        let mut body = user(&format!("u{n}@acme.example"));
        body["roles"] = json!(["Sales Manager"]);
        body["addresses"] = large();
        let answer = world.send("POST", "/Users", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        made.push(answer.body["id"].as_str().unwrap().to_owned());
    }
    world.all_released().await;
    let server = format!("http://{}", world.grpc);
    let channel = tonic::transport::Endpoint::from_shared(server).unwrap();
    let plain = Backend::channel(channel.connect().await.unwrap(), "operator");

    world.gates.permissions.open();
    for id in &made {
        world.wait_until_allowed(id, true).await;
    }
    let (state, cursor) = followed(&plain, String::new()).await;
    for id in &made {
        let off = json!([{"op": "replace", "path": "active", "value": false}]);
        let body = crate::world::patch(&off);
        let path = format!("/Users/{id}");
        let answer = world.send("PATCH", &path, Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let (changes, _) = followed(&plain, cursor).await;

    assert_eq!(state, made, "the snapshot");
    assert_eq!(changes, made, "the changes");
    assert_eq!(listed(&plain).await, made);
    for id in &made {
        world.wait_until_allowed(id, false).await;
    }
}

/// Addresses of more than 200 KB.
fn large() -> serde_json::Value {
    let text = "x".repeat(550);
    let address =
        |n: usize| json!({"type": format!("t{n}"), "streetAddress": text, "locality": text});
    (0..190).map(address).collect()
}

/// The users that the feed tells from a cursor up to its end, and where that is.
async fn followed(client: &Backend, cursor: String) -> (Vec<String>, String) {
    let request = pb::WatchRequest {
        account_id: "acme".to_owned(),
        kinds: vec![pb::ResourceKind::User.into()],
        cursor,
        consumer: "plain".to_owned(),
    };
    let mut client = FeedServiceClient::new(client.clone());
    let mut stream = client.watch(request).await.unwrap().into_inner();
    let mut users = Vec::new();
    loop {
        match stream.message().await.unwrap().unwrap().mark.unwrap() {
            Mark::Changes(page) => users.extend(page.changes.into_iter().map(|change| {
                let Some(pb::change::Resource::User(user)) = change.resource else {
                    panic!("{change:?}");
                };
                user.user_id
            })),
            Mark::Progress(progress) => return (users, progress.cursor),
            Mark::Reset(_) | Mark::SnapshotEnd(_) => {}
        }
    }
}

/// The users, page by page of as many as may be asked for.
async fn listed(client: &Backend) -> Vec<String> {
    let mut client = UserServiceClient::new(client.clone());
    let mut users = Vec::new();
    let mut token = String::new();
    loop {
        let request = pb::ListUsersRequest {
            account_id: "acme".to_owned(),
            page_size: 1000,
            page_token: token,
            ..pb::ListUsersRequest::default()
        };
        let page = client.list_users(request).await.unwrap().into_inner();
        users.extend(page.users.into_iter().map(|user| user.user_id));
        token = page.next_page_token;
        if token.is_empty() {
            return users;
        }
    }
}
