//! What others learn of domains.

use rollcall_rpc::Reason;
use rollcall_rpc::pb::common::v1::{ActorKind, ResetCause};
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::feed_service_client::FeedServiceClient;
use rollcall_rpc::pb::verification::v1::watch_response::Mark;
use rollcall_verification::TxtAnswer;
use tonic::Streaming;

use crate::world::{World, is, refused, value};

fn watch(account: &str, cursor: &str) -> pb::WatchRequest {
    pb::WatchRequest {
        account_id: account.to_owned(),
        kinds: vec![pb::ResourceKind::Domain.into()],
        cursor: cursor.to_owned(),
        consumer: "test".to_owned(),
    }
}

async fn open(world: &World, cursor: &str) -> Streaming<pb::WatchResponse> {
    let stream = world.feed().watch(watch("", cursor)).await.unwrap();
    stream.into_inner()
}

/// Reads up to the next progress: the changes, and where to resume.
async fn read(stream: &mut Streaming<pb::WatchResponse>) -> (Vec<pb::Change>, String) {
    let mut changes = Vec::new();
    loop {
        match stream.message().await.unwrap().unwrap().mark.unwrap() {
            Mark::Changes(page) => changes.extend(page.changes),
            Mark::Progress(progress) => return (changes, progress.cursor),
            Mark::Reset(_) | Mark::SnapshotEnd(_) => {}
        }
    }
}

fn domain(change: &pb::Change) -> &pb::Domain {
    let Some(pb::change::Resource::Domain(domain)) = &change.resource else {
        panic!("{change:?}");
    };
    domain
}

#[tokio::test] // rule: D-06 (part)
async fn a_follower_gets_the_state_and_then_every_change_from_its_cursor_on() {
    let world = World::start().await;
    let acme = world.add("acme", "acme.example").await;
    world.add("globex", "globex.example").await;

    let (state, cursor) = read(&mut open(&world, "").await).await;
    let names: Vec<_> = state
        .iter()
        .map(|change| domain(change).name.as_str())
        .collect();
    assert_eq!(names, ["acme.example", "globex.example"]);
    assert!(state.iter().all(|change| change.change_token.is_empty()));

    world.verify(&acme).await;
    world.dns.publish("acme.example", &[&value(&acme)]);
    let (verified, _) = world.verify(&acme).await;
    let (changes, end) = read(&mut open(&world, &cursor).await).await;

    let states: Vec<_> = changes
        .iter()
        .map(|change| domain(change).state())
        .collect();
    assert_eq!(
        states,
        [pb::DomainState::Pending, pb::DomainState::Verified]
    );
    let last = changes.last().unwrap();
    assert_eq!(domain(last), &verified);
    assert_eq!(last.changed_paths, ["state", "last_check"]);
    let actor = last.actor.as_ref().unwrap();
    assert_eq!(
        (actor.kind(), actor.id.as_str()),
        (ActorKind::Platform, "platform")
    );
    assert!(!last.request_id.is_empty() && !last.change_token.is_empty());
    let (nothing, _) = read(&mut open(&world, &end).await).await;
    assert_eq!(nothing, []);
}

#[tokio::test] // rule: D-06 (part)
async fn the_feed_tells_transitions_and_new_diagnoses_but_not_every_check() {
    let world = World::start().await;
    let acme = world.add("acme", "acme.example").await;
    let mut stream = open(&world, "").await;
    read(&mut stream).await;
    for _ in 0..5 {
        world.verify(&acme).await;
    }
    world.dns.set("acme.example", TxtAnswer::ServFail);
    let (last, _) = world.verify(&acme).await;
    let mut reasons = Vec::new();
    while reasons.len() < 2 {
        let (changes, _) = read(&mut stream).await;
        reasons.extend(changes.iter().map(|change| {
            let check = domain(change).last_check.clone().unwrap();
            check.diagnosis.unwrap().reason
        }));
    }

    assert_eq!(reasons, ["NO_TXT", "SERVFAIL"]);
    assert_eq!(last.version, 3);
    assert_eq!(world.changes().await, 3);
}

#[tokio::test]
async fn a_stream_wakes_when_a_domain_changes() {
    let world = World::start().await;
    let mut stream = open(&world, "").await;
    read(&mut stream).await;

    let mut next = Box::pin(read(&mut stream));
    assert!(futures::poll!(&mut next).is_pending());

    let added = world.add("acme", "acme.example").await;

    let (changes, _) = next.await;
    assert_eq!(domain(&changes[0]), &added);
}

#[tokio::test] // rule: U-12 (part)
async fn a_stream_of_a_service_that_stops_ends_with_a_status_to_resume_on() {
    let world = World::start().await;
    world.add("acme", "acme.example").await;
    let mut stream = open(&world, "").await;
    read(&mut stream).await;

    world.stop();
    let end = stream.message().await.unwrap_err();

    assert_eq!(end.code(), tonic::Code::Unavailable);
    let end = refused::<()>(Err(end));
    assert!(is(&end, Reason::StreamAged), "{end:?}");
    assert!(end.retry_after.is_some());
    assert!(stream.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_follower_sees_its_accounts_only_and_says_what_it_wants() {
    let world = World::start().await;
    world.add("acme", "acme.example").await;
    world.add("globex", "globex.example").await;
    let mut stranger = FeedServiceClient::new(world.globex_only.clone());

    let mut stream = stranger.watch(watch("", "")).await.unwrap().into_inner();
    let (state, _) = read(&mut stream).await;
    assert_eq!(state.len(), 1);
    assert_eq!(state[0].account_id, "globex");

    world.add("acme", "acme2.example").await;
    world.add("globex", "globex2.example").await;
    let (changes, cursor) = read(&mut stream).await;
    let names: Vec<_> = changes.iter().map(|change| &domain(change).name).collect();
    assert_eq!(names, ["globex2.example"]);

    // Who sees more does not go on from where who sees less was.
    let mut all = open(&world, &cursor).await;
    let first = all.message().await.unwrap().unwrap().mark.unwrap();
    assert!(matches!(first, Mark::Reset(reset) if reset.cause() == ResetCause::FilterChanged));
    assert_eq!(read(&mut all).await.0.len(), 4);

    let refusal = |outcome: Result<_, tonic::Status>| refused(outcome.map(|_| ()));
    let foreign = refusal(stranger.watch(watch("acme", "")).await);
    assert!(is(&foreign, Reason::ResourceNotFound));
    let no_kind = pb::WatchRequest {
        kinds: Vec::new(),
        ..watch("", "")
    };
    assert!(is(
        &refusal(stranger.watch(no_kind).await),
        Reason::InvalidField
    ));
    let no_name = pb::WatchRequest {
        consumer: "A".to_owned(),
        ..watch("", "")
    };
    assert!(is(
        &refusal(stranger.watch(no_name).await),
        Reason::InvalidField
    ));
    let mut torn = stranger.watch(watch("", "zz")).await.unwrap().into_inner();
    assert!(is(&refused(torn.message().await), Reason::InvalidCursor));
}
