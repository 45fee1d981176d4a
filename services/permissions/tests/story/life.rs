//! What users may do, as provisioning's feed and the switch change.

use std::sync::Arc;
use std::time::Duration;

use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::AccessState;
use rollcall_rpc::{Reason, failure};
use rollcall_store::position::Source;
use rollcall_store::{ChangeId, ChangeToken, Epoch};
use rollcall_types::{Clock, OsEntropy, SystemClock, TestClock};

use crate::fake::Fake;
use crate::world::{
    ACCOUNT, ALICE, BOB, CONNECTION, World, access, change, client, key, reason, set, user,
};

async fn explain(world: &World, user: &str) -> pb::ExplainUserResponse {
    let mut client = client!(world, access_service_client::AccessServiceClient);
    let request = pb::ExplainUserRequest {
        account_id: ACCOUNT.to_owned(),
        user_id: user.to_owned(),
        at_least: String::new(),
    };
    client.explain_user(request).await.unwrap().into_inner()
}

#[tokio::test] // rule: P-02, P-03 (part), P-04
async fn roles_are_shown_while_management_is_off_and_assign_sets_once_it_is_on() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let token = world.fake.put(user(ALICE, &["Sales Manager", "Nobody"]));

    assert_eq!(world.keys(ALICE, &token).await, ["login"]);
    let off = explain(&world, ALICE).await;
    assert!(
        off.roles
            .iter()
            .all(|role| role.outcome() == pb::RoleOutcome::ManagementOff)
    );

    let on = world.switch(true).await.unwrap();
    assert!(on.management.as_ref().unwrap().enable_time.is_some());
    assert_eq!(
        world.keys(ALICE, &on.change_token).await,
        ["deals", "reports"]
    );
    let explained = explain(&world, ALICE).await;
    let outcomes: Vec<_> = explained
        .roles
        .iter()
        .map(pb::RoleVerdict::outcome)
        .collect();
    assert_eq!(
        outcomes,
        [pb::RoleOutcome::Matched, pb::RoleOutcome::NoSuchSet]
    );
    assert_eq!(
        explained.keys[0].from_permission_set_ids,
        [world.sets().await[0].permission_set_id.clone()]
    );
    assert!(
        explained.summary.contains("“Sales Manager” assigns"),
        "{}",
        explained.summary
    );

    let again = world.switch(true).await.unwrap();
    assert_eq!(
        (again.change_token.as_str(), again.management),
        ("", on.management)
    );
    let off = world.switch(false).await.unwrap();
    assert_eq!(world.keys(ALICE, &off.change_token).await, ["login"]);
    assert_eq!(
        world.service.recomputation.differences().await.unwrap(),
        [""; 0]
    );
}

#[tokio::test] // rule: P-03 (part)
async fn a_roles_display_never_matches_and_its_value_may_be_a_sets_id() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.switch(true).await.unwrap();
    let auditor = world.sets().await[1].permission_set_id.clone();

    let token = world
        .fake
        .put(user(ALICE, &["no match, though the display says Auditor"]));
    assert_eq!(world.keys(ALICE, &token).await, ["login"]);

    let token = world.fake.put(user(ALICE, &[&auditor]));
    assert_eq!(world.keys(ALICE, &token).await, ["audit", "reports"]);
}

#[tokio::test] // rule: P-03 (part)
async fn renaming_a_set_ends_and_begins_matches_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.switch(true).await.unwrap();
    let sales = world.sets().await[0].clone();
    let token = world.fake.put(user(ALICE, &["Sales Manager"]));
    world.keys(ALICE, &token).await;

    let renamed = set(&sales.permission_set_id, "sales manager", &[]);
    let answer = world
        .update(vec![change(renamed, &["name"], &sales.etag)])
        .await
        .unwrap();

    assert_eq!(world.keys(ALICE, &answer.change_token).await, ["login"]);
    let token = world.fake.put(user(ALICE, &["sales manager"]));
    assert_eq!(world.keys(ALICE, &token).await, ["deals", "reports"]);
}

#[tokio::test] // rule: P-07
async fn a_deactivated_held_or_unknown_user_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.switch(true).await.unwrap();
    let token = world.fake.put(user(ALICE, &["Auditor"]));
    let granted = (true, pb::CheckCause::Granted);
    assert_eq!(world.check(ALICE, "audit", &token).await.unwrap(), granted);

    for (state, cause) in [
        (AccessState::Deactivated, pb::CheckCause::UserDeactivated),
        (AccessState::HeldDomainUnverified, pb::CheckCause::UserHeld),
        (AccessState::Unspecified, pb::CheckCause::NotGranted),
    ] {
        let token = world.fake.put(rollcall_rpc::pb::provisioning::v1::User {
            access: Some(access(state)),
            ..user(ALICE, &["Auditor"])
        });
        assert_eq!(
            world.check(ALICE, "audit", &token).await.unwrap(),
            (false, cause)
        );
        let effective = world.effective(ALICE, &token).await.unwrap();
        assert_eq!(effective.keys.len() + effective.permission_sets.len(), 0);
        assert_eq!(effective.access_state(), state);
    }

    let token = world.fake.put(user(ALICE, &["Auditor"]));
    assert_eq!(world.check(ALICE, "audit", &token).await.unwrap(), granted);
    world.fake.put(rollcall_rpc::pb::provisioning::v1::User {
        account_id: "globex".to_owned(),
        ..user(BOB, &["Auditor"])
    });
    let token = world.fake.delete(ACCOUNT, ALICE);
    for id in [ALICE, BOB, "no id at all"] {
        let verdict = world.check(id, "audit", &token).await.unwrap();
        assert_eq!(verdict, (false, pb::CheckCause::NoSuchUser), "{id}");
        let effective = world.effective(id, "").await.unwrap();
        assert_eq!(effective.access_state(), AccessState::NoSuchUser, "{id}");
        assert_eq!(effective.keys, [""; 0], "{id}");
    }
}

#[tokio::test]
async fn an_unknown_key_is_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let token = world.fake.put(user(ALICE, &[]));

    let unknown = world.check(ALICE, "nonesuch", &token).await.unwrap();
    assert_eq!(unknown, (false, pb::CheckCause::KeyUnknown));
    let not_granted = world.check(ALICE, "audit", "").await.unwrap();
    assert_eq!(not_granted, (false, pb::CheckCause::NotGranted));
}

#[tokio::test] // rule: P-02
async fn the_switch_of_an_earlier_connection_counts_as_off() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let on = world.switch(true).await.unwrap();
    let token = world.fake.put(user(ALICE, &["Auditor"]));
    assert_eq!(world.keys(ALICE, &token).await, ["audit", "reports"]);
    assert_eq!(on.management.unwrap().connection_id, CONNECTION);

    let token = world
        .fake
        .install(ACCOUNT, "0193a1b2-0000-7000-8000-000000000002");

    assert_eq!(world.keys(ALICE, &token).await, ["login"]);
    let mut client = client!(world, management_service_client::ManagementServiceClient);
    let request = pb::GetManagementRequest {
        account_id: ACCOUNT.to_owned(),
    };
    let management = client
        .get_management(request)
        .await
        .unwrap()
        .into_inner()
        .management;
    assert!(!management.unwrap().enabled);
}

#[tokio::test] // rule: P-02
async fn without_its_connection_the_switch_counts_as_off() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.switch(true).await.unwrap();
    let token = world.fake.put(user(ALICE, &["Auditor"]));
    assert_eq!(world.keys(ALICE, &token).await, ["audit", "reports"]);

    let token = world.fake.uninstall(ACCOUNT);

    assert_eq!(world.keys(ALICE, &token).await, ["login"]);
    assert_eq!(reason(world.switch(false).await), Reason::ResourceNotFound);
    assert_eq!(
        world.service.recomputation.differences().await.unwrap(),
        [""; 0]
    );
}

#[tokio::test]
async fn the_switch_needs_a_connection_and_a_provisioning_that_answers() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path(), Fake::new(key())).await;

    assert_eq!(reason(world.switch(true).await), Reason::ResourceNotFound);
    world.provisioning.gate().close();
    assert_eq!(reason(world.switch(true).await), Reason::TryAgain);
}

#[tokio::test] // rule: U-12
async fn a_restart_resumes_from_the_cursor_with_memory_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.switch(true).await.unwrap();
    let token = world.fake.put(user(ALICE, &["Auditor"]));
    world.keys(ALICE, &token).await;
    let fake = world.stop().await;
    let token = fake.put(user(BOB, &["Sales Manager"]));

    let world = World::start(folder.path(), fake).await;

    assert_eq!(world.keys(BOB, &token).await, ["deals", "reports"]);
    assert_eq!(world.keys(ALICE, &token).await, ["audit", "reports"]);
    assert_eq!(world.fake.resets(), 1, "only the first start");
    assert_eq!(
        world.service.recomputation.differences().await.unwrap(),
        [""; 0]
    );
}

#[tokio::test] // rule: U-12
async fn a_reset_drops_the_users_that_the_snapshot_does_not_mention() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.fake.put(user(BOB, &[]));
    let token = world.fake.put(user(ALICE, &[]));
    assert_eq!(world.keys(BOB, &token).await, ["login"]);

    world.fake.restore_without(ACCOUNT, BOB);
    let token = world.fake.put(user(ALICE, &["Auditor"]));

    let state = async |id, token: &str| world.effective(id, token).await.unwrap().access_state();
    assert_eq!(state(BOB, &token).await, AccessState::NoSuchUser);
    assert_eq!(state(ALICE, &token).await, AccessState::Active);
    assert_eq!(world.fake.resets(), 2);
    assert_eq!(
        world.service.recomputation.differences().await.unwrap(),
        [""; 0]
    );
}

#[tokio::test]
async fn an_older_version_within_one_generation_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.switch(true).await.unwrap();
    world.fake.put(user(ALICE, &[]));
    world.fake.put(user(ALICE, &["Auditor"]));

    let mut older = user(ALICE, &["Sales Manager"]);
    older.version = 1;
    let token = world.fake.replay_older(older);

    assert_eq!(world.keys(ALICE, &token).await, ["audit", "reports"]);
}

#[tokio::test]
async fn at_least_waits_for_its_change_and_refuses_what_names_none() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let token = world.fake.put(user(ALICE, &[]));
    world.keys(ALICE, &token).await;

    let other = world.fake.put_account("acme");
    assert_eq!(world.keys(ALICE, &other).await, ["login"]);

    let epoch = Epoch::generate(&OsEntropy);
    let sealed = |source| {
        key().seal(ChangeToken {
            source,
            epoch,
            change: ChangeId { xid: 0, seq: 1 },
        })
    };
    for wrong in [
        "no token",
        &sealed(Source::Verification),
        &sealed(Source::Permissions),
    ] {
        assert_eq!(
            reason(world.effective(ALICE, wrong).await),
            Reason::InvalidField
        );
    }

    let fake = world.stop().await;
    let token = fake.put(user(ALICE, &["Auditor"]));
    let world = World::start_with(folder.path(), fake, Arc::new(SystemClock), true).await;
    let refused = world
        .effective_within(Duration::from_millis(200), ALICE, &token)
        .await;
    let refused = refused.unwrap_err();
    assert!(failure::read(&refused).retry_after.is_some());
    assert_eq!(reason::<()>(Err(refused)), Reason::NotYetApplied);
    world.provisioning.gate().open();
    // The follower comes back by itself, within its longest delay of 2 s: one call waits for it.
    let answer = world.effective(ALICE, &token).await.unwrap();
    assert_eq!(answer.access_state(), AccessState::Active);
}

#[tokio::test]
async fn nothing_is_answered_before_anything_was_applied() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(key());
    let world = World::start_with(folder.path(), fake, Arc::new(SystemClock), true).await;

    assert_eq!(
        reason(world.check(ALICE, "audit", "").await),
        Reason::FeedStale
    );
}

#[tokio::test]
async fn nothing_is_answered_once_the_feed_is_too_far_behind() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new(key());
    // It starts at the real time: the feed's times are real.
    let clock = Arc::new(TestClock::new(SystemClock.now()));
    let world = World::start_with(folder.path(), fake, clock.clone(), false).await;
    let token = world.fake.put(user(BOB, &[]));
    assert_eq!(world.keys(BOB, &token).await, ["login"]);

    clock.advance(Duration::from_secs(90));

    let stale = world.effective(ALICE, "").await.unwrap_err();
    let lag = failure::read(&stale).metadata["lag"].clone();
    let seconds: u64 = lag.strip_suffix('s').unwrap().parse().unwrap();
    assert!((61..=90).contains(&seconds), "{lag}");
    assert_eq!(reason::<()>(Err(stale)), Reason::FeedStale);
}
