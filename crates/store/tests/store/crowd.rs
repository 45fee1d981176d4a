//! Followers that break off at any moment, while four writers write as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rollcall_store::cursor::Place;
use rollcall_store::feed::{ResetCause, Watch};
use rollcall_store::{Error, Store};
use rollcall_types::AccountId;
use tokio::sync::watch;

use crate::follower::{Follower, place};
use crate::things::{self, Key, account};
use crate::time::within;
use crate::world::{World, everything, only};

/// How often each follower breaks off before the writers may stop.
const BREAKS: usize = 15;
/// How much each writer writes at least.
const WRITES: usize = 40;

fn any_key(random: &mut StdRng) -> Key {
    let account = ["acme", "globex"][random.random_range(0..2)];
    let id = random.random_range(0..30);
    (
        account.to_owned(),
        random.random_range(1..=2),
        format!("{id:02}"),
    )
}

/// Inserts, updates and deletes, one to three a piece, until it is told to stop; some pieces fail.
async fn write(store: Store, seed: u64, stop: watch::Receiver<bool>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut number = 0;
    while number < WRITES || !*stop.borrow() {
        number += 1;
        let fails = random.random_ratio(1, 8);
        let keys: Vec<_> = (0..random.random_range(1..=3))
            .map(|_| (any_key(&mut random), random.random_ratio(1, 3)))
            .collect();
        let written = store.write(move |tx| {
            Box::pin(async move {
                for (key, is_deleted) in &keys {
                    if *is_deleted {
                        things::delete(tx, key).await?;
                    } else {
                        things::put(tx, key, &format!("{seed} {number}")).await?;
                    }
                }
                if fails {
                    return Err(Error::Corrupt("on purpose"));
                }
                Ok(())
            })
        });
        assert_eq!(written.await.is_err(), fails);
    }
}

/// Where a follower broke off.
#[derive(Debug, Default)]
struct Breaks {
    snapshot: usize,
    changes: usize,
}

/// Follows, breaking off after a few messages each time, until the writers are done.
async fn follow(
    world: &World,
    mut follower: Follower,
    watch: Watch,
    seed: u64,
    breaks: &AtomicUsize,
    mut done: watch::Receiver<bool>,
) -> (Follower, Breaks) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut broken = Breaks::default();
    while !*done.borrow() {
        let cursor = follower.cursor.clone();
        let mut marks = world.watch_pages(
            Watch {
                cursor,
                ..watch.clone()
            },
            3,
        );
        // A stream that broke off after `Reset` alone starts over: it has no cursor.
        for _ in 0..random.random_range(2..6) {
            let mark = tokio::select! {
                mark = marks.recv() => mark.unwrap().unwrap(),
                _ = done.wait_for(|done| *done) => break,
            };
            follower.apply(&mark);
        }
        if random.random() {
            // It got one more and crashed before storing it.
            let lost = tokio::select! {
                mark = marks.recv() => Some(mark.unwrap().unwrap()),
                _ = done.wait_for(|done| *done) => None,
            };
            drop(lost);
        }
        match place(&follower.cursor) {
            Place::Changes(_) => broken.changes += 1,
            Place::Snapshot { .. } | Place::CatchUp(_) => broken.snapshot += 1,
        }
        breaks.fetch_add(1, Ordering::Relaxed);
    }
    let cursor = follower.cursor.clone();
    let mut marks = world.watch_pages(Watch { cursor, ..watch }, 3);
    follower.catch_up(world, &mut marks).await;
    (follower, broken)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)] // rule: U-12 (part)
async fn followers_that_break_off_anywhere_miss_nothing_and_see_nothing_twice() {
    within(async {
        let world = Arc::new(World::start().await);
        let mut random = StdRng::seed_from_u64(0);
        for _ in 0..120 {
            world.put(&any_key(&mut random), "first").await;
        }
        let choices: [(Option<AccountId>, Vec<u8>); 4] = [
            (None, vec![1, 2]),
            (None, vec![2, 1]),
            (None, vec![2]),
            (Some(account("acme")), vec![1, 2]),
        ];
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = watch::channel(false);

        let writers: Vec<_> = (1..=4)
            .map(|seed| tokio::spawn(write(world.store.clone(), seed, stopped.clone())))
            .collect();
        let mut counts = Vec::new();
        let mut followers = Vec::new();
        for (seed, (account, kinds)) in (11..).zip(choices) {
            let count = Arc::new(AtomicUsize::new(0));
            counts.push(Arc::clone(&count));
            let (world, ended) = (Arc::clone(&world), ended.clone());
            followers.push(tokio::spawn(async move {
                let watch = Watch {
                    accounts: only(account.clone()),
                    kinds: kinds.clone(),
                    ..everything("")
                };
                let follower = Follower::of(account, kinds);
                follow(&world, follower, watch, seed, &count, ended).await
            }));
        }
        while counts
            .iter()
            .any(|count| count.load(Ordering::Relaxed) < BREAKS)
        {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        end.send(true).unwrap();

        for follower in followers {
            let (follower, broken) = follower.await.unwrap();
            assert_eq!(follower.resets, [ResetCause::First]);
            assert!(broken.snapshot > 0 && broken.changes > 0, "{broken:?}");
            follower.check(&world).await;
        }
    })
    .await;
}
