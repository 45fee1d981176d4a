//! Several processes on one PostgreSQL.
//!
//! These need a server: `cargo xtask test` starts one, and runs them there alone.

mod faults;
mod server;

use std::time::Duration;

use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use rollcall_rpc::pb::provisioning::v1::{ListTokensRequest, RevokeTokenRequest};
use rollcall_simulator::Mode;
use serde_json::json;

use crate::serve::cluster::{Cluster, Layout};
use crate::serve::play;

#[tokio::test(flavor = "multi_thread")] // rule: G-01 (part), C-03 (part)
async fn two_gateways_and_two_provisioning_are_one_and_a_revoked_token_ends_on_both() {
    let cluster = Cluster::start(Layout::Twice).await;

    // Both at once, each with users of its own, then each with those of the other.
    tokio::join!(
        play(&cluster, 0, Mode::Wizard, 1),
        play(&cluster, 1, Mode::OinPatch, 2)
    );
    tokio::join!(
        play(&cluster, 1, Mode::Wizard, 1),
        play(&cluster, 0, Mode::OinPatch, 2)
    );
    let user = cluster.active_user_with_role("Sales Manager").await;
    cluster.until_allowed(&user, "deals.write").await;
    for gateway in [0, 1] {
        let (status, body) = cluster.get(gateway, "/Users?count=1").await;
        assert_eq!(status, 200, "{body}");
    }

    let mut connections = ConnectionServiceClient::new(cluster.operator("provisioning"));
    let list = ListTokensRequest {
        account_id: "acme".to_owned(),
        ..ListTokensRequest::default()
    };
    let listed = connections.list_tokens(list).await.unwrap().into_inner();
    let revoke = RevokeTokenRequest {
        account_id: "acme".to_owned(),
        token_id: listed.tokens[0].token_id.clone(),
        end_time: None,
    };
    connections.revoke_token(revoke).await.unwrap();

    for gateway in [0, 1] {
        let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": format!("late{gateway}@acme.example")});
        let (status, body) = cluster.send(gateway, "POST", "/Users", body).await;
        assert_eq!(status, 401, "a write is refused at once: {body}");
    }
    // A read may trust the token for five seconds.
    let both = async {
        for gateway in [0, 1] {
            while cluster.get(gateway, "/Users?count=1").await.0 != 401 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    // With room for a machine that is busy.
    tokio::time::timeout(Duration::from_secs(15), both)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_runs_owns_nothing_waits_for_the_schema_and_can_not_change_the_feed() {
    let mut cluster = Cluster::prepare(Layout::Each).await;
    cluster.separate_owner().await;

    cluster.begin_unready("verification").await;
    assert_eq!(
        cluster.ready("verification").await,
        (503, "it starts\n".to_owned())
    );
    tokio::join!(cluster.migrate(), cluster.migrate());
    cluster.until_ready("verification").await;
    for role in ["provisioning", "permissions", "gateway"] {
        cluster.begin(role).await;
    }
    cluster.furnish().await;
    play(&cluster, 0, Mode::Wizard, 1).await;

    let refused = cluster
        .as_runner("UPDATE provisioning.changes SET op = 1")
        .await;
    assert!(refused.contains("permission denied"), "{refused}");
    let refused = cluster.as_runner("DROP TABLE provisioning.users").await;
    assert!(refused.contains("must be owner"), "{refused}");
}
