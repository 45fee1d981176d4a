//! The feed's promises one by one.

use std::time::Duration;

use rollcall_store::cursor::{Cursor, Place, filter_hash};
use rollcall_store::feed::{Accounts, MAX_AGE, Mark, PAGE_BYTES, ResetCause, Watch, WatchError};
use rollcall_store::position::{Reached, Source};

use crate::follower::{Follower, place};
use crate::things::{self, Key, account};
use crate::time::{advance, at_a_standstill, settle, within};
use crate::world::{Marks, World, everything, only, thing};

/// A message in short, for comparing.
fn short(mark: &Mark) -> String {
    match mark {
        Mark::Reset(cause) => format!("reset {cause:?}"),
        Mark::Changes {
            changes, snapshot, ..
        } => {
            let ids = changes.iter().map(|change| {
                let sign = match change.op {
                    rollcall_store::feed::Op::Upserted => '+',
                    rollcall_store::feed::Op::Deleted => '-',
                };
                format!("{sign}{}", change.resource)
            });
            let what = if *snapshot { "state" } else { "changes" };
            format!("{what} {}", ids.collect::<Vec<_>>().join(" "))
        }
        Mark::SnapshotEnd { .. } => "end".to_owned(),
        Mark::Progress { .. } => "progress".to_owned(),
    }
}

/// Applies the next `count` messages and names them.
async fn take(follower: &mut Follower, marks: &mut Marks, count: usize) -> Vec<String> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let mark = marks.recv().await.unwrap().unwrap();
        follower.apply(&mark);
        taken.push(short(&mark));
    }
    taken
}

async fn next(marks: &mut Marks) -> Mark {
    marks.recv().await.unwrap().unwrap()
}

/// Six things, `a` to `f`.
async fn six() -> World {
    let world = World::start().await;
    for id in ["a", "b", "c", "d", "e", "f"] {
        world.put(&thing(id), "old").await;
    }
    world
}

#[tokio::test] // rule: U-12 (part)
async fn a_stream_is_the_state_and_then_every_change() {
    within(async {
        let world = six().await;
        let mut follower = Follower::default();
        let mut marks = world.watch(everything(""));

        let state = take(&mut follower, &mut marks, 6).await;
        world.put(&thing("b"), "new").await;
        let change = take(&mut follower, &mut marks, 2).await;
        world.delete(&thing("a")).await;
        let deletion = take(&mut follower, &mut marks, 2).await;

        let whole = [
            "reset First",
            "state +a +b",
            "state +c +d",
            "state +e +f",
            "end",
            "progress",
        ];
        assert_eq!(state, whole);
        assert_eq!(change, ["changes +b", "progress"]);
        assert_eq!(deletion, ["changes -a", "progress"]);
        follower.check(&world).await;
    })
    .await;
}

#[tokio::test] // rule: U-12 (part)
async fn what_changes_during_the_snapshot_is_told_before_its_end() {
    within(async {
        let world = six().await;
        let mut follower = Follower::default();
        let mut marks = world.watch(everything(""));
        let begun = take(&mut follower, &mut marks, 2).await;
        assert_eq!(begun, ["reset First", "state +a +b"]);
        drop(marks);

        world.delete(&thing("a")).await; // sent already
        world.put(&thing("d"), "new").await; // not sent yet
        world.delete(&thing("e")).await; // not sent yet
        world.put(&thing("g"), "new").await; // not there at the start
        world.put(&thing("h"), "new").await;
        world.delete(&thing("h")).await; // never in any state
        let mut marks = world.watch(everything(&follower.cursor));
        let rest = take(&mut follower, &mut marks, 4).await;

        let told = "changes -a +d -e +g +h -h";
        assert_eq!(rest, ["state +c +f", told, "end", "progress"]);
        assert_eq!(follower.ids(), ["b", "c", "d", "f", "g"]);
        follower.check(&world).await;
    })
    .await;
}

#[tokio::test] // rule: U-12 (part)
async fn a_stream_goes_on_after_each_cursor_and_nowhere_else() {
    within(async {
        let world = six().await;
        // From every message on, the rest is what it would have been.
        let mut whole = Follower::default();
        let mut stages = Vec::new();
        let mut marks = world.watch(everything(""));
        for number in 0..6 {
            let mark = next(&mut marks).await;
            whole.apply(&mark);
            if number > 0 {
                stages.push(whole.clone());
            }
        }
        drop(marks);
        world.put(&thing("a"), "new").await;
        world.delete(&thing("f")).await;

        for mut follower in stages {
            let mut marks = world.watch(everything(&follower.cursor));
            follower.catch_up(&world, &mut marks).await;
            assert_eq!(follower.resets, [ResetCause::First]);
            follower.check(&world).await;
        }
    })
    .await;
}

#[tokio::test] // rule: U-12 (part)
async fn many_changes_come_in_pages_and_each_page_has_its_cursor() {
    within(async {
        let world = six().await;
        let mut follower = Follower::default();
        let mut marks = world.watch(everything(""));
        follower.catch_up(&world, &mut marks).await;
        drop(marks);
        let many = world.store.write(|tx| {
            Box::pin(async move {
                for number in 0..2500 {
                    things::put(tx, &thing(&format!("{number:04}")), "new").await?;
                }
                Ok::<_, rollcall_store::Error>(())
            })
        });
        many.await.unwrap();

        let mut sizes = Vec::new();
        loop {
            let mut marks = world.watch(everything(&follower.cursor));
            let mark = next(&mut marks).await;
            follower.apply(&mark);
            match mark {
                Mark::Changes { changes, .. } => sizes.push(changes.len()),
                _ => break,
            }
        }

        assert_eq!(sizes, [1000, 1000, 500]);
        follower.check(&world).await;
    })
    .await;
}

/// Takes one message a stream, each from the last cursor, up to the first that is no page; how
/// much text each page held.
async fn pages(world: &World, follower: &mut Follower, rows: u64) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let mut marks = world.watch_pages(everything(&follower.cursor), rows);
        let mut mark = next(&mut marks).await;
        if matches!(mark, Mark::Reset(_)) {
            follower.apply(&mark);
            mark = next(&mut marks).await;
        }
        follower.apply(&mark);
        match mark {
            Mark::Changes { changes, .. } => {
                sizes.push(changes.iter().map(|change| change.after.len()).sum());
            }
            _ => return sizes,
        }
    }
}

#[tokio::test] // rule: U-12 (part)
async fn a_page_of_large_rows_ends_early_and_goes_on_after_its_last() {
    within(async {
        let world = World::start().await;
        let large = "x".repeat(256 * 1024);
        let huge = "x".repeat(PAGE_BYTES + 1);
        for number in 0..30 {
            let value = if number % 10 == 4 { &huge } else { &large };
            world.put(&thing(&format!("{number:02}")), value).await;
        }
        let mut follower = Follower::default();

        let state = pages(&world, &mut follower, 1000).await;
        for number in 0..30 {
            let value = if number % 10 == 7 { &huge } else { &large };
            world.put(&thing(&format!("{number:02}")), value).await;
        }
        let changes = pages(&world, &mut follower, 1000).await;

        for sizes in [state, changes] {
            assert!(sizes.len() > 3, "{sizes:?}");
            let most = PAGE_BYTES - 1 + huge.len();
            assert!(sizes.iter().all(|size| *size <= most), "{sizes:?}");
            let (last, rest) = sizes.split_last().unwrap();
            assert!(*last > 0 && rest.iter().all(|size| *size >= PAGE_BYTES));
        }
        assert_eq!(follower.resets, [ResetCause::First]);
        follower.check(&world).await;
    })
    .await;
}

#[tokio::test]
async fn a_follower_sees_its_kinds_and_its_account_only() {
    within(async {
        let world = World::start().await;
        let key = |account: &str, kind, id: &str| -> Key { (account.into(), kind, id.into()) };
        for name in ["acme", "globex"] {
            for kind in [1, 2] {
                world.put(&key(name, kind, "old"), "old").await;
                world.put(&key(name, kind, "gone"), "old").await;
            }
        }
        let choices = [
            (None, vec![1]),
            (None, vec![2, 1]),
            (Some(account("acme")), vec![1, 2]),
            (Some(account("globex")), vec![2]),
            (Some(account("acm")), vec![1, 2]),
        ];
        let mut following = Vec::new();
        for (account, kinds) in choices {
            let watch = Watch {
                accounts: only(account.clone()),
                kinds: kinds.clone(),
                ..everything("")
            };
            let mut follower = Follower::of(account.clone(), kinds.clone());
            let begun = world.store.now().await.unwrap();
            let mut marks = world.watch(watch);
            follower.catch_up(&world, &mut marks).await;
            follower.begun = Some(begun);
            following.push((account, kinds, follower, marks));
        }

        for name in ["acme", "globex"] {
            for kind in [1, 2] {
                world.delete(&key(name, kind, "gone")).await;
                world.put(&key(name, kind, "new"), "new").await;
            }
        }

        for (account, kinds, mut follower, marks) in following {
            drop(marks);
            let watch = Watch {
                accounts: only(account.clone()),
                kinds: kinds.clone(),
                ..everything(&follower.cursor)
            };
            let mut marks = world.watch(watch);
            follower.catch_up(&world, &mut marks).await;
            follower.check(&world).await;
        }
    })
    .await;
}

#[tokio::test]
async fn another_choice_of_kinds_or_account_starts_over() {
    within(async {
        let world = six().await;
        world
            .put(&("globex".to_owned(), 2, "x".to_owned()), "old")
            .await;
        let first = everything("");
        let others = [
            (None, vec![2]),
            (None, vec![2, 1]),
            (Some(account("globex")), vec![1, 2]),
        ];
        for (account, kinds) in others {
            for messages in [2, 7] {
                let mut follower = Follower::default();
                let mut marks = world.watch(first.clone());
                take(&mut follower, &mut marks, messages).await;

                let watch = Watch {
                    accounts: only(account.clone()),
                    kinds: kinds.clone(),
                    ..everything(&follower.cursor)
                };
                (follower.only, follower.kinds) = (account.clone(), kinds.clone());
                let mut marks = world.watch(watch);
                follower.catch_up(&world, &mut marks).await;

                let resets = [ResetCause::First, ResetCause::FilterChanged];
                assert_eq!(follower.resets, resets);
                follower.check(&world).await;
            }
        }
    })
    .await;
}

/// How far the changes are that a cursor is among.
fn reached(cursor: &str) -> Reached {
    match place(cursor) {
        Place::Changes(reached) => reached,
        place => panic!("{place:?}"),
    }
}

#[tokio::test]
async fn a_torn_cursor_and_one_of_another_feed_are_refused() {
    within(async {
        let world = six().await;
        let good = Cursor {
            source: Source::Provisioning,
            epoch: world.store.epoch(),
            filter: filter_hash(&Accounts::All, &[1, 2]),
            place: Place::Changes(Reached::whole(world.store.now().await.unwrap())),
        };
        let foreign = Cursor {
            source: Source::Verification,
            ..good.clone()
        };
        let good = good.to_text();
        let torn = [
            foreign.to_text(),
            "x".to_owned(),
            good[..good.len() - 1].to_owned(),
            good[1..].to_owned(),
            format!("{good}a"),
            "a".repeat(20_000),
        ];

        for cursor in torn {
            let mut marks = world.watch(everything(&cursor));
            let refused = marks.recv().await.unwrap();
            assert!(
                matches!(refused, Err(WatchError::InvalidCursor)),
                "{cursor}"
            );
            assert!(marks.recv().await.is_none(), "the stream has ended");
        }
        let mark = next(&mut world.watch(everything(&good))).await;
        assert_eq!(short(&mark), "progress");
    })
    .await;
}

#[tokio::test]
async fn an_idle_stream_says_how_far_it_is_and_no_more_often_than_asked() {
    at_a_standstill(async {
        let world = World::start().await;
        let mut marks = world.watch(everything(""));
        assert_eq!(short(&next(&mut marks).await), "reset First");
        assert_eq!(short(&next(&mut marks).await), "end");
        let Mark::Progress { cursor: first, .. } = next(&mut marks).await else {
            panic!("a snapshot is followed by progress");
        };
        settle().await;

        for _ in 0..3 {
            let before = rollcall_types::Clock::now(world.clock.as_ref());
            for step in [14, 1] {
                let step = Duration::from_secs(step);
                world.clock.advance(step);
                advance(step).await;
            }
            let mark = next(&mut marks).await;
            let Mark::Progress { cursor, through } = mark else {
                panic!("{mark:?}");
            };
            assert_eq!(through, before.plus(Duration::from_secs(15)));
            assert_eq!(cursor, first, "there is nothing to store");
            settle().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_commit_is_told_at_once_and_progress_follows() {
    at_a_standstill(async {
        let world = World::start().await;
        let mut marks = world.watch(everything(""));
        let mut follower = Follower::default();
        take(&mut follower, &mut marks, 3).await;
        settle().await;

        // Time stands still, so that nothing but the COMMIT can have woken the stream.
        for number in 1..=3 {
            world.clock.advance(Duration::from_secs(1));
            let now = rollcall_types::Clock::now(world.clock.as_ref());
            let change = world.put(&thing("a"), "new").await;

            let changes = next(&mut marks).await;
            let progress = next(&mut marks).await;

            assert_eq!(short(&changes), "changes +a");
            let Mark::Progress { cursor, through } = progress else {
                panic!("{progress:?}");
            };
            assert!(reached(&cursor).covers(change), "change {number}");
            assert_eq!(through, now);
        }
    })
    .await;
}

#[tokio::test]
async fn changes_that_a_follower_does_not_see_are_no_reason_to_speak() {
    at_a_standstill(async {
        let world = World::start().await;
        let mut marks = world.watch(Watch {
            kinds: vec![2],
            ..everything("")
        });
        for expected in ["reset First", "end", "progress"] {
            assert_eq!(short(&next(&mut marks).await), expected);
        }

        for _ in 0..5 {
            world.put(&thing("unseen"), "new").await;
        }
        let seen = ("acme".into(), 2, "seen".into());
        let change = world.put(&seen, "new").await;

        assert_eq!(short(&next(&mut marks).await), "changes +seen");
        let Mark::Progress { cursor, .. } = next(&mut marks).await else {
            panic!("changes are followed by progress");
        };
        assert!(reached(&cursor).covers(change));
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_when_it_is_old_and_is_resumed() {
    at_a_standstill(async {
        let world = six().await;
        let mut follower = Follower::default();
        let mut marks = world.watch(everything(""));
        follower.catch_up(&world, &mut marks).await;
        settle().await;

        advance(MAX_AGE).await;
        let end = loop {
            match marks.recv().await.unwrap() {
                Ok(mark) => follower.apply(&mark),
                Err(error) => break error,
            }
        };
        assert!(matches!(end, WatchError::Aged), "{end}");
        assert!(marks.recv().await.is_none());

        world.put(&thing("a"), "new").await;
        let mut marks = world.watch(everything(&follower.cursor));
        follower.catch_up(&world, &mut marks).await;
        assert_eq!(follower.resets, [ResetCause::First]);
        follower.check(&world).await;
    })
    .await;
}

#[tokio::test]
async fn closing_the_store_ends_its_streams() {
    within(async {
        let world = six().await;
        let mut marks = world.watch(everything(""));
        let mut follower = Follower::default();
        follower.catch_up(&world, &mut marks).await;

        world.store.close().await;

        loop {
            match marks.recv().await {
                Some(Ok(mark)) => follower.apply(&mark),
                Some(Err(error)) => {
                    break assert!(matches!(error, WatchError::Storage(_)), "{error}");
                }
                None => panic!("a stream ends with a reason"),
            }
        }
        assert!(marks.recv().await.is_none());
    })
    .await;
}
