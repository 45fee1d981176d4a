//! The email domain: from unverified and held to verified, released and permitted.

use std::time::Duration;

use futures::future::join_all;
use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::access_service_client::AccessServiceClient;
use rollcall_rpc::pb::permissions::v1::catalogue_service_client::CatalogueServiceClient;
use rollcall_rpc::pb::permissions::v1::management_service_client::ManagementServiceClient;
use rollcall_rpc::pb::permissions::v1::permission_set_service_client::PermissionSetServiceClient;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_client::FeedServiceClient;
use serde_json::json;

use crate::world::{World, rounds, user};

impl World {
    /// A permission set `Sales Manager` that grants `reports.export`, with management on.
    async fn sales_manager(&self) {
        let permission = permissions::Permission {
            key: "reports.export".to_owned(),
            label: "Export".to_owned(),
            ..permissions::Permission::default()
        };
        let group = permissions::PermissionGroup {
            label: "Sales".to_owned(),
            permissions: vec![permission],
        };
        let catalogue = Some(permissions::Catalogue {
            groups: vec![group],
            ..permissions::Catalogue::default()
        });
        let put = permissions::PutCatalogueRequest {
            catalogue,
            etag: String::new(),
        };
        CatalogueServiceClient::new(self.backend.clone())
            .put_catalogue(put)
            .await
            .unwrap();
        let set = permissions::PermissionSet {
            name: "Sales Manager".to_owned(),
            permission_keys: vec!["reports.export".to_owned()],
            ..permissions::PermissionSet::default()
        };
        let create = permissions::CreatePermissionSetRequest {
            account_id: "acme".to_owned(),
            permission_set: Some(set),
            idempotency_key: String::new(),
        };
        let mut sets = PermissionSetServiceClient::new(self.backend.clone());
        sets.create_permission_set(create).await.unwrap();
        let on = permissions::SetManagementRequest {
            account_id: "acme".to_owned(),
            enabled: true,
        };
        ManagementServiceClient::new(self.backend.clone())
            .set_management(on)
            .await
            .unwrap();
    }

    async fn check(&self, user_id: &str) -> permissions::CheckPermissionResponse {
        let request = permissions::CheckPermissionRequest {
            account_id: "acme".to_owned(),
            user_id: user_id.to_owned(),
            permission_key: "reports.export".to_owned(),
            at_least: String::new(),
        };
        let mut client = AccessServiceClient::new(self.backend.clone());
        client.check_permission(request).await.unwrap().into_inner()
    }

    /// Waits until the user has the permission, or has not.
    async fn wait_until_allowed(&self, user_id: &str, allowed: bool) {
        for _ in 0..500 {
            if self.check(user_id).await.allowed == allowed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("CheckPermission never became {allowed}");
    }

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
