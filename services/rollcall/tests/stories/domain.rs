//! The email domain: from unverified and held to verified, released and permitted.

use std::time::Duration;

use futures::future::join_all;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_client::FeedServiceClient;
use serde_json::json;

use crate::world::{World, rounds, user};

impl World {
    /// The users that the feed says became ACTIVE, in the order of the feed.
    async fn released(&self, count: usize) -> Vec<String> {
        use pb::watch_response::Mark;
        let request = pb::WatchRequest {
            account_id: "acme".to_owned(),
            kinds: vec![pb::ResourceKind::User.into()],
            cursor: String::new(),
            consumer: "story".to_owned(),
        };
        let mut client = FeedServiceClient::new(self.backend.clone());
        let mut stream = client.watch(request).await.unwrap().into_inner();
        let mut released = Vec::new();
        while released.len() < count {
            let message = stream.message().await.unwrap().unwrap();
            let Some(Mark::Changes(page)) = message.mark else {
                continue;
            };
            for change in page.changes.into_iter().filter(|_| !page.snapshot) {
                if change.previous_access() == pb::AccessState::HeldDomainUnverified
                    && let Some(pb::change::Resource::User(user)) = change.resource
                {
                    released.push(user.user_id);
                }
            }
        }
        released
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: D-06, U-09 (part), U-09 c, P-03 (part)
async fn a_published_record_releases_held_users_in_order_and_their_roles_take_effect() {
    let world = World::start().await;
    world.sales_manager().await;
    let mut made = Vec::new();
    for n in 0..10 {
        let mut body = user(&format!("u{n}@acme.example"));
        body["roles"] = json!(["Sales Manager"]);
        let answer = world.send("POST", "/Users", Some(body)).await;
        made.push(answer.body["id"].as_str().unwrap().to_owned());
    }
    assert!(
        world
            .access()
            .await
            .iter()
            .all(|(_, s)| *s == pb::AccessState::HeldDomainUnverified)
    );
    assert!(!world.check(&made[0]).await.allowed);
    let value = world.add_domain("acme.example").await;

    let released = world.released(10);
    let publish = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.dns.publish("acme.example", &value);
        world.all_released().await
    };
    let (released, took) = tokio::join!(released, publish);

    assert_eq!(released, made, "in the order of their creation");
    println!("figure: from publication to active {} ms", took.as_millis());
    world.wait_until_allowed(&made[9], true).await;
    let off = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                     "Operations": [{"op": "replace", "value": {"active": false}}]});
    world
        .send("PATCH", &format!("/Users/{}", made[9]), Some(off))
        .await;
    world.wait_until_allowed(&made[9], false).await;
}

#[tokio::test(flavor = "multi_thread")] // rule: U-09 c
async fn nobody_stays_held_who_was_created_while_the_domain_turned_verified() {
    let world = World::start().await;
    for round in 0..rounds(200, 20) {
        let domain = format!("d{round}.example");
        let value = world.add_domain(&domain).await;
        world.dns.publish(&domain, &value);
        let creates = (0..16).map(|n| {
            let body = user(&format!("u{n}@{domain}"));
            world.send("POST", "/Users", Some(body))
        });

        let made = join_all(creates).await;

        assert!(made.iter().all(|answer| answer.status == 201));
        world.all_released().await;
    }
}
