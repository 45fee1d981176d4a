//! Many at once: shared looks, one holder, and what an account may have.

use std::time::Duration;

use rollcall_rpc::Reason;
use rollcall_rpc::pb::verification::v1 as pb;

use crate::world::{Options, World, is, refused, value};

#[tokio::test]
async fn persons_who_ask_at_once_share_one_look() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;

    let door = world.dns.door.write().await;
    let all = futures::future::join_all((0..8).map(|_| world.verify(&added)));
    let (all, ()) = tokio::join!(all, async {
        while world.dns.asked() < 2 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(door);
    });

    assert_eq!(all.len(), 8);
    assert_eq!(world.dns.asked(), 2, "once at each place");
}

#[tokio::test]
async fn at_most_one_account_is_the_verified_holder_of_a_name() {
    let world = World::start().await;
    for round in 0..20 {
        let name = format!("race{round}.example");
        let acme = world.add("acme", &name).await;
        let globex = world.add("globex", &name).await;
        world.dns.publish(&name, &[&value(&acme), &value(&globex)]);

        let (one, other) = tokio::join!(world.verify(&acme), world.verify(&globex));

        let (winner, loser) = if one.0.state() == pb::DomainState::Verified {
            (one, other)
        } else {
            (other, one)
        };
        assert_eq!(winner.0.state(), pb::DomainState::Verified);
        assert_eq!(loser.0.state(), pb::DomainState::Pending);
        assert_eq!(loser.1.verdict(), pb::Verdict::HeldByAnotherAccount);
        assert!(!format!("{loser:?}").contains(&winner.0.account_id));
        assert!(loser.0.next_check_time.is_some(), "the 48 h go on");
    }
}

#[tokio::test]
async fn an_account_has_20_unverified_domains_and_100_in_all() {
    let world = World::start().await;
    for number in 0..100 {
        if number < 80 {
            let added = world.add("acme", &format!("v{number}.example")).await;
            world.dns.publish(&added.name, &[&value(&added)]);
            world.verify(&added).await;
            continue;
        }
        world.add("acme", &format!("p{number}.example")).await;
    }
    let full = refused(world.try_add("acme", "more.example").await);
    assert!(is(&full, Reason::LimitReached));
    assert_eq!(full.metadata["limit"], "100");
    world.add("acme", "v1.example").await;

    for number in 0..20 {
        world.add("globex", &format!("p{number}.example")).await;
    }
    let unverified = refused(world.try_add("globex", "more.example").await);
    assert!(is(&unverified, Reason::LimitReached));
    assert_eq!(unverified.metadata["limit"], "20");
}

#[tokio::test]
async fn persons_wait_10_s_between_checks_of_a_domain() {
    let world = World::with(Options {
        scheduler: false,
        rate_limits: true,
    })
    .await;
    let added = world.add("acme", "acme.example").await;
    world.verify(&added).await;

    let limited = refused(world.try_verify(&added).await);

    assert!(is(&limited, Reason::RateLimited));
    assert_eq!(limited.retry_after, Some(Duration::from_secs(10)));
    world.clock.advance(Duration::from_secs(10));
    world.verify(&added).await;
}
