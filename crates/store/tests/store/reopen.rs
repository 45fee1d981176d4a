//! What survives a stop, a crash and a restore.

use std::path::{Path, PathBuf};

use rollcall_store::Position;
use rollcall_store::feed::{Mark, ResetCause};

use crate::follower::Follower;
use crate::time::within;
use crate::world::{World, everything, thing};

/// A file that stands beside the database.
fn beside(database: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", database.display()))
}

/// A follower that knows all there is.
async fn follower(world: &World) -> Follower {
    let mut follower = Follower::default();
    let mut marks = world.watch(everything(""));
    follower.catch_up(world, &mut marks).await;
    follower
}

#[tokio::test] // rule: U-12 (part)
async fn a_restart_loses_nothing_and_followers_go_on() {
    within(async {
        let world = World::start().await;
        world.put(&thing("a"), "new").await;
        let mut follower = follower(&world).await;
        world.put(&thing("b"), "new").await;
        let epoch = world.store.epoch();

        let world = world.restart(|_| ()).await;

        assert_eq!(world.ids().await, ["a", "b"]);
        assert_eq!(world.store.epoch(), epoch);
        assert_eq!(
            world.put(&thing("c"), "new").await.seq,
            3,
            "positions go on"
        );
        let mut marks = world.watch(everything(&follower.cursor));
        follower.catch_up(&world, &mut marks).await;
        assert_eq!(follower.resets, [ResetCause::First]);
        follower.check(&world).await;
    })
    .await;
}

/// The files as a killed program leaves them.
#[tokio::test]
async fn what_was_answered_is_in_the_files_at_once() {
    within(async {
        let world = World::start().await;
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=5_u8 {
            world.put(&thing(&number.to_string()), "new").await;
        }

        for file in ["things.db", "things.db-wal", "things.db.epoch"] {
            let from = world.path().with_file_name(file);
            std::fs::copy(from, folder.path().join(file)).unwrap();
        }
        let found = World::open(folder).await;

        assert_eq!(found.ids().await, ["1", "2", "3", "4", "5"]);
        assert_eq!(found.store.now().await.unwrap(), Position::Sequence(5));
        assert_eq!(found.store.epoch(), world.store.epoch());
    })
    .await;
}

#[tokio::test] // rule: U-12 (part)
async fn without_its_epoch_file_a_database_is_a_restored_one() {
    within(async {
        let world = World::start().await;
        world.put(&thing("a"), "new").await;
        world.put(&thing("b"), "new").await;
        let mut follower = follower(&world).await;
        let epoch = world.store.epoch();

        let world = world
            .restart(|database| std::fs::remove_file(beside(&database, ".epoch")).unwrap())
            .await;
        // As many changes as the follower has seen, so that positions alone tell nothing.
        world.delete(&thing("a")).await;
        world.put(&thing("c"), "new").await;

        assert_ne!(world.store.epoch(), epoch);
        let mut marks = world.watch(everything(&follower.cursor));
        follower.catch_up(&world, &mut marks).await;
        assert_eq!(follower.resets, [ResetCause::First, ResetCause::Restored]);
        assert_eq!(follower.ids(), ["b", "c"]);
        follower.check(&world).await;
    })
    .await;
}

#[tokio::test] // rule: U-12 (part)
async fn a_cursor_beyond_the_end_of_the_feed_starts_over() {
    within(async {
        let world = World::start().await;
        world.put(&thing("a"), "new").await;
        let backup = tempfile::tempdir().unwrap();
        let copy = backup.path().join("backup.db");
        let world = world
            .restart(|database| assert!(std::fs::copy(database, &copy).is_ok()))
            .await;
        world.put(&thing("b"), "new").await;
        let mut follower = follower(&world).await;
        assert_eq!(follower.ids(), ["a", "b"]);

        let world = world
            .restart(|database| {
                // Restored by hand, with the epoch left as it was.
                assert!(std::fs::copy(&copy, &database).is_ok());
                assert!(!beside(&database, "-wal").exists(), "closing ends the log");
            })
            .await;

        let mut marks = world.watch(everything(&follower.cursor));
        let first = marks.recv().await.unwrap().unwrap();
        assert!(
            matches!(first, Mark::Reset(ResetCause::Restored)),
            "{first:?}"
        );
        follower.apply(&first);
        follower.catch_up(&world, &mut marks).await;
        assert_eq!(follower.ids(), ["a"]);
        follower.check(&world).await;
    })
    .await;
}
