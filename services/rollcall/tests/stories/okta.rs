//! Okta's whole story, played by the simulator.

use std::time::Duration;

use rollcall_rpc::convert::time;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::status_service_client::StatusServiceClient;
use rollcall_rpc::pb::verification::v1 as domain;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_simulator::{Access, Mode, Options, Silent};
use rollcall_types::{Clock, Timestamp};
use serde_json::json;

use crate::world::{World, rounds, user};

#[tokio::test(flavor = "multi_thread")]
async fn okta_provisions_twice_in_each_mode_without_a_wrong_answer() {
    let world = World::start().await;
    let mut users = 0;
    for mode in [Mode::Wizard, Mode::Oin, Mode::OinPatch] {
        for _ in 0..2 {
            let mut options = Options::new(format!("{}/scim/v2", world.base), world.token.clone());
            options.mode = mode;
            options.users = rounds(200, 20);
            options.roles = vec!["Sales Manager".to_owned(), "Service Agent".to_owned()];
            options.expect_access = Some(Access::HeldDomainUnverified);

            let report = rollcall_simulator::run(&options, &Silent).await;

            assert!(report.passed(), "{report}");
            users += options.users;
        }
    }
    println!("figure: {users} users in three modes, twice each on the same data, no wrong answer");
}

#[tokio::test(flavor = "multi_thread")] // rule: D-06
async fn okta_gets_its_answers_while_verification_and_permissions_are_away() {
    let world = World::start().await;
    world.sales_manager().await;
    let value = world.add_domain("acme.example").await;
    let mut body = user("held@acme.example");
    body["roles"] = json!(["Sales Manager"]);
    let answer = world.send("POST", "/Users", Some(body)).await;
    let held = answer.body["id"].as_str().unwrap();

    world.gates.verification.close();
    world.gates.permissions.close();
    let closed = world.clock.now();
    world.dns.publish("acme.example", &value);
    world.until_verified("acme.example").await;
    let mut options = Options::new(format!("{}/scim/v2", world.base), world.token.clone());
    options.users = 10;
    options.expect_access = Some(Access::HeldDomainUnverified);
    let report = rollcall_simulator::run(&options, &Silent).await;

    assert!(report.passed(), "{report}");
    assert!(
        world.followed_through().await <= closed,
        "the follower was cut off with the closing"
    );
    world.gates.verification.open();
    world.all_released().await;
    assert!(
        !world.check(held).await.allowed,
        "permissions has not heard of it"
    );
    world.gates.permissions.open();
    world.wait_until_allowed(held, true).await;
}

impl World {
    /// Waits until verification has found the record of a domain of `acme`.
    async fn until_verified(&self, name: &str) {
        let mut domains = DomainServiceClient::new(self.backend.clone());
        for _ in 0..500 {
            let request = domain::ListDomainsRequest {
                account_id: "acme".to_owned(),
                ..domain::ListDomainsRequest::default()
            };
            let list = domains.list_domains(request).await.unwrap().into_inner();
            let found = list.domains.iter().find(|domain| domain.name == name);
            if found.unwrap().state() == domain::DomainState::Verified {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} is never verified");
    }

    /// Up to when provisioning knows what verification does.
    async fn followed_through(&self) -> Timestamp {
        let mut status = StatusServiceClient::new(self.backend.clone());
        let answer = status.get_status(pb::GetStatusRequest {}).await.unwrap();
        let through = answer.into_inner().follows[0].through_time;
        time::from_proto(&through.unwrap()).unwrap()
    }
}
