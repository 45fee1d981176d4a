//! The feed under stress: many writers whose writes fail after the change was appended, and
//! followers that are broken off, or killed, and go on from where they were.

mod large;
mod ledger;
mod writers;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rollcall_rpc::Backend;
use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::access_service_client::AccessServiceClient;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::world::{World, rounds};
use ledger::{Ledger, Seen, Until};

/// The name of the test that is the child process.
const CHILD: &str = "feed::a_follower_in_a_process_of_its_own";
/// Tells it where its ledger is.
const FOLDER: &str = "ROLLCALL_TEST_FOLLOWER_FOLDER";
/// Tells it where gRPC is served.
const SERVER: &str = "ROLLCALL_TEST_FOLLOWER_SERVER";
/// How long the whole of it may take at most.
const LONGEST: Duration = Duration::from_secs(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)] // rule: U-12, P-05 (part)
async fn no_follower_misses_a_change_or_sees_one_twice_and_permissions_end_right() {
    let world = World::start().await;
    world.sales_manager().await;
    let folder = TempDir::new().unwrap();
    let target = rounds(20_000, 2_000);
    let kills = rounds(20, 3);

    let begun = Instant::now();
    let file = |name: &str| folder.path().join(name);
    for name in ["steady.db", "broken.db", "killed.db"] {
        let ledger = Ledger::open(&file(name)).await;
        ledger.follow(world.backend.clone(), Until::Snapshot).await;
        ledger.close().await;
    }
    let steady = follow_steadily(&world, file("steady.db"));
    let broken = follow_with_breaks(&world, file("broken.db"));
    let killed = tokio::task::spawn_blocking({
        let (folder, server) = (folder.path().to_owned(), world.grpc.to_string());
        move || follow_and_be_killed(&folder, &server, kills)
    });
    let half = Notify::new();
    let late = async {
        half.notified().await;
        follow_with_breaks(&world, file("late.db")).await
    };
    let writing = writers::write(&world, target, &half);
    let all = Box::pin(async { tokio::join!(writing, steady, broken, killed, late) });
    let (written, (), breaks, deaths, _) = timeout(LONGEST, all).await.unwrap();

    let deaths = deaths.unwrap();
    assert!(deaths > 0 && breaks > 0, "{deaths} kills, {breaks} breaks");
    assert!(written.failed > target / 50, "too few writes failed");
    for name in ["steady.db", "broken.db", "killed.db"] {
        let ledger = Ledger::open(&file(name)).await;
        assert_same(name, &ledger.changes().await, &written.changes);
        assert_eq!(ledger.resets().await, 1, "{name} went on from its cursor");
    }
    let late = Ledger::open(&file("late.db")).await.changes().await;
    assert!(
        late.len() < written.changes.len(),
        "it began with a snapshot"
    );
    assert_eq!(
        state(&late),
        state(&written.changes),
        "the one that came late"
    );

    let last = &written.changes.last().unwrap().user;
    world.wait_until_allowed(last, true).await;
    assert_eq!(world.recomputation.differences().await.unwrap(), [""; 0]);
    let granted = granted_as_roles_say(&world).await;
    println!(
        "figure: feed: {} changes by 16 writers ({} more writes failed after their change was \
         appended) and 4 followers ({deaths} kills, {breaks} breaks) in {} ms: none missed, none \
         twice; {granted} users with a permission, as a recomputation says",
        written.changes.len(),
        written.failed,
        begun.elapsed().as_millis(),
    );
}

/// The users that there are at the end, each with its version. Each must have come in order, from
/// the version with which it was first told without a gap.
fn state(changes: &[Seen]) -> BTreeMap<&str, i64> {
    let mut told: BTreeMap<&str, &Seen> = BTreeMap::new();
    for change in changes {
        if let Some(before) = told.insert(&change.user, change) {
            assert_eq!(change.version, before.version + 1, "{change:?}");
        }
    }
    told.into_iter()
        .filter(|(_, last)| !last.deleted)
        .map(|(user, last)| (user, last.version))
        .collect()
}

/// Says where the two first differ, rather than all of both.
fn assert_same(name: &str, seen: &[Seen], written: &[Seen]) {
    let first = seen.iter().zip(written).position(|(a, b)| a != b);
    let at = first.unwrap_or(seen.len().min(written.len()));
    assert_eq!(seen.get(at), written.get(at), "{name} at change {at}");
}

/// Follows from beginning to end.
async fn follow_steadily(world: &World, file: PathBuf) {
    let ledger = Ledger::open(&file).await;
    ledger.follow(world.backend.clone(), Until::Last).await;
    ledger.close().await;
}

/// Follows, broken off at moments that differ each time; how often.
async fn follow_with_breaks(world: &World, file: PathBuf) -> usize {
    for breaks in 0.. {
        let ledger = Ledger::open(&file).await;
        let span = Duration::from_millis(40 + breaks * 37 % 360);
        let ended = timeout(span, ledger.follow(world.backend.clone(), Until::Last)).await;
        ledger.close().await;
        if ended.is_ok() {
            return usize::try_from(breaks).unwrap();
        }
    }
    unreachable!("it ends with the last change")
}

/// Follows in a child process that is killed soon after it has stored something; how often.
fn follow_and_be_killed(folder: &Path, server: &str, kills: usize) -> usize {
    for deaths in 0..kills {
        let mut child = spawn_follower(folder, server);
        // Open until it is dead: a child that can't speak ends by itself.
        let mut said = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let stored = said.any(|line| line.contains(ledger::STORED));
        if !stored {
            assert!(child.wait().unwrap().success(), "the follower failed");
            return deaths;
        }
        std::thread::sleep(Duration::from_micros(deaths as u64 * 1_700 % 9_000));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(
        spawn_follower(folder, server)
            .wait_with_output()
            .unwrap()
            .status
            .success()
    );
    kills
}

fn spawn_follower(folder: &Path, server: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(SERVER, server)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "the child process of the test above"]
async fn a_follower_in_a_process_of_its_own() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let server = std::env::var(SERVER).unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{server}"));
    let backend = Backend::channel(channel.unwrap().connect_lazy(), "operator");
    let ledger = Ledger::open(&Path::new(&folder).join("killed.db")).await;
    ledger.saying_so().follow(backend, Until::Last).await;
}

/// Compares what permissions grants with the users as provisioning has them: the set's permission
/// goes to those who are ACTIVE and have the role; to how many.
async fn granted_as_roles_say(world: &World) -> usize {
    let mut granted = 0;
    let mut token = String::new();
    loop {
        let request = pb::ListUsersRequest {
            account_id: "acme".to_owned(),
            page_size: 500,
            page_token: token,
            ..pb::ListUsersRequest::default()
        };
        let mut users = UserServiceClient::new(world.backend.clone());
        let page = users.list_users(request).await.unwrap().into_inner();
        for user in page.users {
            let active = user.access.unwrap().state() == pb::AccessState::Active;
            let roles = user.roles.unwrap_or_default().roles;
            let entitled = active && roles.iter().any(|role| role.value == "Sales Manager");
            let request = permissions::GetEffectivePermissionsRequest {
                account_id: "acme".to_owned(),
                user_id: user.user_id.clone(),
                at_least: String::new(),
            };
            let mut access = AccessServiceClient::new(world.backend.clone());
            let answer = access.get_effective_permissions(request).await.unwrap();
            let keys = answer.into_inner().keys;
            assert_eq!(
                keys == ["reports.export"],
                entitled,
                "{} {keys:?}",
                user.user_id
            );
            granted += usize::from(entitled);
        }
        token = page.next_page_token;
        if token.is_empty() {
            return granted;
        }
    }
}
