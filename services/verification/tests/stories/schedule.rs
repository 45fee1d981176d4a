//! What happens without anybody pressing anything.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_verification::TxtAnswer;

use crate::world::{Options, World, reason_of, value};

async fn world() -> World {
    World::with(Options {
        scheduler: true,
        rate_limits: false,
    })
    .await
}

#[tokio::test] // rule: D-03 (part)
async fn a_pending_domain_verifies_by_itself_once_its_value_is_seen() {
    let world = world().await;
    let added = world.add("acme", "acme.example").await;
    world.settle().await;
    let pending = world.get(&added).await;
    assert_eq!(reason_of(pending.last_check.as_ref().unwrap()), "NO_TXT");
    let trigger = pending.last_check.as_ref().unwrap().trigger();
    assert_eq!(trigger, pb::CheckTrigger::Schedule);

    world.dns.publish("acme.example", &[&value(&added)]);
    world.clock.advance(Duration::from_secs(17));

    let verified = world.until(&added, pb::DomainState::Verified).await;
    assert_eq!(verified.verified_by(), pb::ProofPlace::AtDomain);
}

#[tokio::test] // rule: D-03 (part)
async fn a_failed_domain_is_still_checked_until_its_value_expires() {
    let world = world().await;
    let late = world.add("acme", "late.example").await;
    let never = world.add("acme", "never.example").await;
    world.dns.set("never.example", TxtAnswer::ServFail);
    world.settle().await;
    world.clock.advance(Duration::from_hours(48));
    world.until(&late, pb::DomainState::Failed).await;
    world.until(&never, pb::DomainState::Failed).await;

    world.dns.publish("late.example", &[&value(&late)]);
    world.clock.advance(Duration::from_hours(7));
    world.until(&late, pb::DomainState::Verified).await;
    world.clock.advance(Duration::from_hours(28 * 24));
    let expired = world.until(&never, pb::DomainState::Expired).await;

    assert_eq!(expired.next_check_time, None);
    let asked = world.dns.asked();
    world.clock.advance(Duration::from_hours(24));
    world.settle().await;
    assert_eq!(world.dns.asked(), asked, "nothing is checked any more");
}

#[tokio::test]
async fn our_own_failure_decides_nothing_and_is_repeated_when_its_lease_ends() {
    let world = world().await;
    world.dns.broken.store(true, Ordering::SeqCst);
    let added = world.add("acme", "acme.example").await;
    while world.dns.asked() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.get(&added).await, added);

    world.dns.broken.store(false, Ordering::SeqCst);
    world.dns.publish("acme.example", &[&value(&added)]);
    world.clock.advance(Duration::from_secs(30));

    world.until(&added, pb::DomainState::Verified).await;
}

#[tokio::test]
async fn a_person_never_postpones_the_schedule() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;
    let (first, _) = world.verify(&added).await;
    world.clock.advance(Duration::from_secs(5));

    let (second, _) = world.verify(&added).await;

    assert!(second.next_check_time.is_some());
    assert_eq!(second.next_check_time, first.next_check_time);
}

#[tokio::test]
async fn a_thousand_due_domains_are_checked_each_once() {
    let world = world().await;
    let door = world.dns.door.write().await;
    for account in 0..50 {
        for number in 0..20 {
            world
                .add(
                    &format!("a{account}"),
                    &format!("d{number}.a{account}.example"),
                )
                .await;
        }
    }
    drop(door);
    world.settle().await;

    assert_eq!(world.dns.asked(), 2000, "two places each");
    let status = world.status().get_status(pb::GetStatusRequest {}).await;
    let status = status.unwrap().into_inner();
    assert!(status.follows.is_empty());
    assert_eq!(status.work[0].kind, "domain_check");
    assert_eq!(status.work[0].pending, 1000);
}
