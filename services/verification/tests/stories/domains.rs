//! Adding, verifying and renewing.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rollcall_rpc::Reason;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_verification::TxtAnswer;

use crate::world::{World, is, reason_of, refused, value};

const DAY: u64 = 24;

#[tokio::test] // rule: D-01 (part)
async fn a_domain_is_added_published_and_verified() {
    let world = World::start().await;
    let added = world.add("acme", "Alice@Acme.Example").await;
    assert_eq!(
        (added.name.as_str(), added.note.as_str()),
        ("acme.example", "TOOK_EMAIL_DOMAIN")
    );
    assert_eq!(added.state(), pb::DomainState::Pending);
    let challenge = added.challenge.clone().unwrap();
    assert_eq!(challenge.generation, 1);
    let hosts: Vec<_> = challenge
        .hosts
        .iter()
        .map(|host| host.relative_host.as_str())
        .collect();
    assert_eq!(hosts, ["@", "_rollcall-challenge"]);

    let (domain, check) = world.verify(&added).await;
    assert_eq!(domain.state(), pb::DomainState::Pending);
    assert_eq!(
        check.diagnosis.unwrap().title,
        "This domain couldn't be verified"
    );

    world
        .dns
        .publish("_rollcall-challenge.acme.example", &[&challenge.value]);
    let (domain, check) = world.verify(&added).await;

    assert_eq!(domain.state(), pb::DomainState::Verified);
    assert_eq!(domain.verified_by(), pb::ProofPlace::AtChallenge);
    assert_eq!(check.verdict(), pb::Verdict::Verified);
    assert_eq!(domain.next_check_time, None);
    assert_eq!(world.get(&added).await, domain);
}

#[tokio::test] // rule: D-02
async fn the_value_stays_until_it_is_renewed_and_then_the_old_one_is_dead() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;
    world.verify(&added).await;
    world.clock.advance(Duration::from_hours(49));
    let (failed, _) = world.verify(&added).await;
    let again = world.add("acme", "ACME.example.").await;
    assert_eq!(again.domain_id, added.domain_id);
    assert_eq!(
        value(&again),
        value(&added),
        "stable over checks, time and repetition"
    );

    world.dns.publish("acme.example", &[&value(&added)]);
    let renewed = world.try_renew(&added, &failed.etag).await.unwrap();

    assert_ne!(value(&renewed), value(&added));
    assert_eq!(renewed.challenge.as_ref().unwrap().generation, 2);
    assert_eq!(renewed.state(), pb::DomainState::Pending);
    let (domain, check) = world.verify(&added).await;
    assert_eq!(domain.state(), pb::DomainState::Pending);
    assert_eq!(reason_of(&check), "VALUE_MISMATCH");
    world.dns.publish("acme.example", &[&value(&renewed)]);
    assert_eq!(
        world.verify(&added).await.0.state(),
        pb::DomainState::Verified
    );
}

#[tokio::test] // rule: D-02
async fn the_value_of_one_account_proves_nothing_for_another_nor_for_another_domain() {
    let world = World::start().await;
    let acme = world.add("acme", "acme.example").await;
    let globex = world.add("globex", "acme.example").await;
    let other = world.add("acme", "other.example").await;
    let values = [&acme, &globex, &other].map(value);
    assert_eq!(values.iter().collect::<BTreeSet<_>>().len(), 3);

    world.dns.publish("acme.example", &[&value(&acme)]);
    world.dns.publish("other.example", &[&value(&acme)]);

    let (domain, check) = world.verify(&globex).await;
    assert_eq!(domain.state(), pb::DomainState::Pending);
    assert_eq!(check.verdict(), pb::Verdict::NotVerified);
    assert_eq!(
        world.verify(&other).await.0.state(),
        pb::DomainState::Pending
    );
    assert_eq!(
        world.verify(&acme).await.0.state(),
        pb::DomainState::Verified
    );
}

#[tokio::test] // rule: D-02
async fn a_look_for_the_old_value_that_ends_after_a_renewal_verifies_nothing() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;
    world.dns.publish("acme.example", &[&value(&added)]);

    let door = world.dns.door.write().await;
    let (checked, ()) = tokio::join!(world.verify(&added), async {
        while world.dns.asked() == 0 {
            tokio::task::yield_now().await;
        }
        world.try_renew(&added, &added.etag).await.unwrap();
        drop(door);
    });

    let (domain, check) = checked;
    assert_eq!(domain.state(), pb::DomainState::Pending);
    assert_eq!(
        reason_of(&check),
        "VALUE_MISMATCH",
        "looked for the new value"
    );
}

#[tokio::test] // rule: D-04 (part)
async fn each_failure_is_told_apart() {
    let world = World::start().await;
    let nowhere = TxtAnswer::NxDomain {
        zone: Some("example".to_owned()),
    };
    world.dns.set("nxdomain.example", nowhere);
    world.dns.set("servfail.example", TxtAnswer::ServFail);
    world.dns.set("timeout.example", TxtAnswer::Timeout);
    world
        .dns
        .publish("other.example", &["v=spf1 -all", "MS=ms1"]);
    world
        .dns
        .publish("mismatch.example", &["rollcall-domain-verification=abc"]);
    for (name, reason, fact) in [
        ("nxdomain.example", "DOMAIN_DOES_NOT_EXIST", None),
        ("nodata.example", "NO_TXT", None),
        ("other.example", "NO_MATCHING_TXT", Some(("count", "2"))),
        (
            "mismatch.example",
            "VALUE_MISMATCH",
            Some(("found", "rollcall-domain-verification=abc")),
        ),
        ("servfail.example", "SERVFAIL", None),
        ("timeout.example", "TIMEOUT", None),
    ] {
        let added = world.add("acme", name).await;

        let (domain, check) = world.verify(&added).await;

        let diagnosis = check.diagnosis.clone().unwrap();
        assert_eq!(diagnosis.reason, reason);
        assert_eq!(diagnosis.title, "This domain couldn't be verified");
        if let Some((key, fact)) = fact {
            assert_eq!(diagnosis.facts[key], fact);
        }
        assert_eq!(check.verdict(), pb::Verdict::NotVerified);
        assert_eq!(check.trigger(), pb::CheckTrigger::Person);
        assert_eq!(domain.last_check, Some(check));
    }
    let ours = world.add("acme", "no-resolver.example").await;
    world.dns.broken.store(true, Ordering::SeqCst);
    let failure = refused(world.try_verify(&ours).await);
    assert!(is(&failure, Reason::CheckerUnavailable));
    assert_eq!(
        world.get(&ours).await.last_check,
        None,
        "nothing was decided"
    );
}

#[tokio::test] // rule: D-03 (part)
async fn a_domain_fails_after_48_h_opens_again_when_pressed_and_expires_after_30_d() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;
    world.clock.advance(Duration::from_hours(47));
    assert_eq!(
        world.verify(&added).await.0.state(),
        pb::DomainState::Pending
    );
    world.clock.advance(Duration::from_hours(1));
    let (failed, check) = world.verify(&added).await;
    assert_eq!(failed.state(), pb::DomainState::Failed);
    assert_eq!(reason_of(&check), "NO_TXT");

    let (reopened, _) = world.verify(&added).await;
    assert_eq!(reopened.state(), pb::DomainState::Pending);
    assert_eq!(value(&reopened), value(&added));
    let start = |domain: &pb::Domain| domain.attempt_start_time.as_ref().unwrap().seconds;
    assert_eq!(start(&reopened) - start(&added), 48 * 3600);

    world.clock.advance(Duration::from_hours(28 * DAY));
    let failure = refused(world.try_verify(&added).await);
    assert!(is(&failure, Reason::TokenExpired));
    let expired = world.get(&added).await;
    assert_eq!(expired.state(), pb::DomainState::Expired);
    assert_eq!(expired.next_check_time, None);

    let renewed = world.try_renew(&added, &expired.etag).await.unwrap();
    assert_eq!(renewed.state(), pb::DomainState::Pending);
}

#[tokio::test]
async fn a_renewal_names_the_version_and_never_touches_a_verified_domain() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;
    let none = refused(world.try_renew(&added, "").await);
    assert!(is(&none, Reason::InvalidField));
    let stale = refused(world.try_renew(&added, "W/\"99\"").await);
    assert!(is(&stale, Reason::VersionMismatch));
    assert_eq!(stale.metadata["etag"], added.etag);

    world.dns.publish("acme.example", &[&value(&added)]);
    let (verified, _) = world.verify(&added).await;
    let refusal = refused(world.try_renew(&verified, &verified.etag).await);

    assert!(is(&refusal, Reason::Unsupported));
    assert_eq!(world.get(&added).await, verified);
}

#[tokio::test]
async fn a_verified_domain_is_not_looked_at_again() {
    let world = World::start().await;
    let added = world.add("acme", "acme.example").await;
    world.dns.publish("acme.example", &[&value(&added)]);
    let (verified, check) = world.verify(&added).await;
    let asked = world.dns.asked();
    world.dns.set("acme.example", TxtAnswer::NoData);

    let again = world.verify(&added).await;

    assert_eq!(again, (verified, check));
    assert_eq!(world.dns.asked(), asked);
}

#[tokio::test]
async fn bad_names_and_foreign_accounts_are_refused() {
    let world = World::start().await;
    let public = refused(world.try_add("acme", "co.uk").await);
    assert!(is(&public, Reason::InvalidField));
    assert_eq!(public.metadata["reason"], "DOMAIN_PUBLIC_SUFFIX");
    assert!(is(
        &refused(world.try_add("a b", "acme.example").await),
        Reason::InvalidField
    ));

    let added = world.add("acme", "acme.example").await;
    let mut stranger = DomainServiceClient::new(world.globex_only.clone());
    let get = |account: &str, id: &str| pb::GetDomainRequest {
        account_id: account.to_owned(),
        domain_id: id.to_owned(),
    };
    let foreign = stranger.get_domain(get("acme", &added.domain_id)).await;
    assert!(is(&refused(foreign), Reason::ResourceNotFound));
    let other = stranger.get_domain(get("globex", &added.domain_id)).await;
    assert!(is(&refused(other), Reason::ResourceNotFound));
    let torn = stranger.get_domain(get("globex", "x")).await;
    assert!(is(&refused(torn), Reason::ResourceNotFound));
}

#[tokio::test]
async fn domains_are_listed_in_order_of_creation_page_by_page() {
    let world = World::start().await;
    let names: Vec<String> = (0..5)
        .map(|n| format!("{}.example", (b'e' - n) as char))
        .collect();
    for name in &names {
        world.add("acme", name).await;
    }
    world.add("globex", "globex.example").await;
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let request = pb::ListDomainsRequest {
            account_id: "acme".to_owned(),
            page_size: 2,
            page_token: token,
        };
        let page = world
            .domains()
            .list_domains(request)
            .await
            .unwrap()
            .into_inner();
        listed.extend(page.domains.into_iter().map(|domain| domain.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }

    assert_eq!(listed, names);
    let torn = pb::ListDomainsRequest {
        account_id: "acme".to_owned(),
        page_size: 0,
        page_token: "zz".to_owned(),
    };
    let torn = world.domains().list_domains(torn).await;
    assert!(is(&refused(torn), Reason::InvalidPageToken));
}
