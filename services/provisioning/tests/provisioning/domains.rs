//! Verification's domains, as its feed tells of them.

use std::time::Duration;

use rollcall_provisioning::store;
use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::pb::common::v1::{ChangeOp, Reset, SnapshotEnd};
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::watch_response::Mark;
use rollcall_store::follow::{self, Followed};
use rollcall_types::{AccountId, Clock, DomainName, SystemClock};

use crate::world::World;

/// Waits until provisioning follows again, which is when all it was told is stored; from which
/// cursor, and which of the domains 1 to 4 count as verified now.
async fn follows(world: &mut World) -> (String, Vec<u8>) {
    let asked = tokio::time::timeout(Duration::from_secs(30), world.asked.recv());
    let cursor = asked.await.unwrap().unwrap();
    let acme = AccountId::parse("acme").unwrap();
    let mut verified = Vec::new();
    for n in 1..=4 {
        let name = DomainName::parse(&format!("d{n}.example")).unwrap();
        let reader = world.service.store.reader();
        let found = store::domain::is_verified(reader, &acme, Some(&name));
        if found.await.unwrap() {
            verified.push(n);
        }
    }
    (cursor, verified)
}

/// A change of the domain `dN.example`.
fn change(n: u8, op: ChangeOp, state: pb::DomainState) -> pb::Change {
    let domain = pb::Domain {
        account_id: "acme".to_owned(),
        domain_id: format!("0193a1b2-0000-7000-8000-0000000000{n:02}"),
        name: format!("d{n}.example"),
        state: state.into(),
        // The state decides, whether the time is told or not.
        verify_time: (n == 1).then(|| to_proto(SystemClock.now())),
        version: 1,
        ..pb::Domain::default()
    };
    pb::Change {
        op: op.into(),
        resource: Some(pb::change::Resource::Domain(domain)),
        ..pb::Change::default()
    }
}

fn changes(changes: Vec<pb::Change>, cursor: &str) -> Mark {
    Mark::Changes(pb::Changes {
        changes,
        cursor: cursor.to_owned(),
        snapshot: false,
    })
}

fn end(cursor: &str) -> Mark {
    Mark::SnapshotEnd(SnapshotEnd {
        cursor: cursor.to_owned(),
    })
}

#[tokio::test] // rule: U-12 (part)
async fn where_another_process_has_gone_on_this_one_begins_again_from_there() {
    let now = |n| change(n, ChangeOp::Upserted, pb::DomainState::Verified);
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(folder.path()).await;
    follows(&mut world).await;
    let reset = Mark::Reset(Reset::default());
    world.tell(vec![reset, changes(vec![now(1)], "one"), end("two")]);
    assert_eq!(follows(&mut world).await, ("two".to_owned(), vec![1]));

    // This stream goes on from "two", and the other process stores what it was told after that.
    let moved = world.service.store.write(|tx| {
        Box::pin(async move {
            let place = follow::load(tx, "verification").await?;
            let cursor = "three".to_owned();
            follow::save(tx, "verification", &Followed { cursor, ..place }).await
        })
    });
    moved.await.unwrap();
    world.tell(vec![changes(vec![now(2)], "late")]);
    assert_eq!(follows(&mut world).await, ("three".to_owned(), vec![1]));

    world.tell(vec![changes(vec![now(3)], "four")]);
    assert_eq!(follows(&mut world).await, ("four".to_owned(), vec![1, 3]));
}

#[tokio::test] // rule: D-06 (part), U-09 (part)
async fn a_domain_counts_as_verified_while_verification_last_said_so() {
    use pb::DomainState::{Failed, Pending, Verified};
    let now = |n, state| change(n, ChangeOp::Upserted, state);
    let told = |cursor: &str, verified: &[u8]| (cursor.to_owned(), verified.to_vec());
    let reset = || Mark::Reset(Reset::default());
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(folder.path()).await;
    assert_eq!(follows(&mut world).await, told("", &[]));

    let states = [
        now(1, Verified),
        now(2, Verified),
        now(3, Pending),
        now(4, Failed),
    ];
    world.tell(vec![reset(), changes(states.to_vec(), "one")]);
    assert_eq!(follows(&mut world).await, told("one", &[1, 2]));
    world.tell(vec![end("two")]);
    assert_eq!(follows(&mut world).await, told("two", &[1, 2]));

    let gone = change(1, ChangeOp::Deleted, Verified);
    world.tell(vec![changes(vec![now(3, Verified), gone], "three")]);
    assert_eq!(follows(&mut world).await, told("three", &[2, 3]));

    // Verification was restored: what its state no longer mentions is gone, once it is complete.
    world.tell(vec![reset(), changes(vec![now(3, Verified)], "four")]);
    assert_eq!(follows(&mut world).await, told("four", &[2, 3]));
    world.tell(vec![end("five")]);
    assert_eq!(follows(&mut world).await, told("five", &[3]));
}
