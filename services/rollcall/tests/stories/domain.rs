//! The email domain: from unverified and held to verified, released and permitted.

use std::time::{Duration, Instant};

use futures::future::join_all;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_client::FeedServiceClient;
use rollcall_rpc::pb::verification::v1 as domain;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};

use crate::world::{World, rounds, user};

const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";
/// What comes at all comes before this.
const LONG: Duration = Duration::from_secs(30);

impl World {
    /// The users that the feed says became ACTIVE, in the order of the feed, once `followed` was
    /// told that the state before is known.
    async fn released(&self, count: usize, followed: oneshot::Sender<()>) -> Vec<String> {
        use pb::watch_response::Mark;
        let request = pb::WatchRequest {
            account_id: "acme".to_owned(),
            kinds: vec![pb::ResourceKind::User.into()],
            cursor: String::new(),
            consumer: "story".to_owned(),
        };
        let mut client = FeedServiceClient::new(self.backend.clone());
        let mut stream = client.watch(request).await.unwrap().into_inner();
        let mut followed = Some(followed);
        let mut released = Vec::new();
        while released.len() < count {
            let page = match stream.message().await.unwrap().unwrap().mark {
                Some(Mark::Changes(page)) => page,
                Some(Mark::SnapshotEnd(_)) => {
                    followed.take().unwrap().send(()).unwrap();
                    continue;
                }
                _ => continue,
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

    /// Checks `domain` now; whether it is verified.
    async fn verify(&self, domain: &domain::Domain) -> bool {
        let request = domain::VerifyDomainRequest {
            account_id: "acme".to_owned(),
            domain_id: domain.domain_id.clone(),
        };
        let mut client = DomainServiceClient::new(self.backend.clone());
        let answer = client.verify_domain(request).await.unwrap().into_inner();
        answer.domain.unwrap().state() == domain::DomainState::Verified
    }

    /// Creates users of `domain` one after the other until one is answered ACTIVE, and counts each
    /// answer in `answered`; those that were answered held.
    async fn create_until_active(
        &self,
        creator: usize,
        domain: &str,
        answered: &Semaphore,
    ) -> Vec<String> {
        let begun = Instant::now();
        let mut held = Vec::new();
        loop {
            let name = format!("u{creator}.{}@{domain}", held.len());
            let made = self.send("POST", "/Users", Some(user(&name))).await;
            answered.add_permits(1);
            assert_eq!(made.status, 201, "{name}");
            match made.body[ACCESS]["state"].as_str().unwrap() {
                "ACTIVE" => return held,
                "HELD_DOMAIN_UNVERIFIED" => {
                    held.push(made.body["id"].as_str().unwrap().to_owned());
                }
                other => panic!("{name} is {other}"),
            }
            assert!(begun.elapsed() < LONG, "nobody of {domain} becomes active");
        }
    }

    /// Waits until the user is ACTIVE.
    async fn wait_until_active(&self, id: &str) {
        let begun = Instant::now();
        let path = format!("/Users/{id}");
        while self.send("GET", &path, None).await.body[ACCESS]["state"] != "ACTIVE" {
            assert!(begun.elapsed() < LONG, "{id} stays held");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: D-06 (part), U-09 (part), U-09 c, P-03 (part)
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

    let (followed, follows) = oneshot::channel();
    let released = world.released(10, followed);
    let publish = async {
        follows.await.unwrap();
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

/// How many create users at once.
const CREATORS: usize = 16;
/// How many domains an account may have.
const MOST_DOMAINS: usize = 100;

#[tokio::test(flavor = "multi_thread")] // rule: U-09 c
async fn nobody_stays_held_who_was_created_while_the_domain_turned_verified() {
    let mut world = World::start().await;
    let rounds = rounds(200, 20);
    let (mut held, mut active) = (0, 0);
    for round in 0..rounds {
        if round > 0 && round % MOST_DOMAINS == 0 {
            world = World::start().await;
        }
        let name = format!("d{round}.example");
        let domain = world.claim(&name).await;
        let value = &domain.challenge.as_ref().unwrap().value;
        let answered = Semaphore::new(0);
        let creates = (0..CREATORS).map(|n| world.create_until_active(n, &name, &answered));
        // Each round at another moment: while the first creates are answered, or later ones.
        let turn = async {
            let after = 1 + round * 7 % (2 * CREATORS);
            let _counted = answered.acquire_many(after.try_into().unwrap()).await;
            world.dns.publish(&name, value);
            while !world.verify(&domain).await {}
        };

        let (made, ()) = tokio::join!(join_all(creates), turn);

        active += made.len();
        let made: Vec<String> = made.into_iter().flatten().collect();
        held += made.len();
        join_all(made.iter().map(|id| world.wait_until_active(id))).await;
    }
    assert!(held > 0 && active > 0, "{held} held, {active} active");
    println!(
        "figure: users created while their domain turned verified: {rounds} rounds by {CREATORS} \
         creators, {held} answered held, {active} active, nobody stayed held"
    );
}
