//! Any story of writes, crashes and followers ends with a follower that knows everything.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rollcall_store::Error;
use rollcall_store::feed::{PAGE_BYTES, ResetCause, Watch};

use crate::follower::Follower;
use crate::things::{self, Key, account};
use crate::time::within;
use crate::world::{Marks, World, everything};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// One piece puts some things and deletes others.
    Write(Vec<(Key, bool)>),
    /// One piece puts some things so large that no three fit into one page.
    WriteLarge(Vec<Key>),
    /// A piece does the same and fails.
    Fail(Vec<(Key, bool)>),
    /// The follower takes some messages and stores each.
    Take(usize),
    /// The follower crashes before it has stored the next message.
    Lose,
    /// The follower breaks off after what it has stored.
    Break,
    /// The service is started again.
    Restart,
}

fn any_key() -> impl Strategy<Value = Key> {
    let account = prop::sample::select(vec!["acme", "globex"]);
    (account, 1..=2_u8, "[a-d]").prop_map(|(account, kind, id)| (account.to_owned(), kind, id))
}

fn any_writes() -> impl Strategy<Value = Vec<(Key, bool)>> {
    prop::collection::vec((any_key(), any::<bool>()), 1..4)
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_writes().prop_map(Step::Write),
        1 => prop::collection::vec(any_key(), 1..6).prop_map(Step::WriteLarge),
        1 => any_writes().prop_map(Step::Fail),
        6 => (1..5_usize).prop_map(Step::Take),
        2 => Just(Step::Lose),
        3 => Just(Step::Break),
        1 => Just(Step::Restart),
    ]
}

#[derive(Clone, Debug)]
struct Story {
    first: Vec<Key>,
    account: Option<&'static str>,
    kinds: Vec<u8>,
    page: u64,
    steps: Vec<Step>,
}

fn any_story() -> impl Strategy<Value = Story> {
    (
        prop::collection::vec(any_key(), 0..10),
        prop::sample::select(vec![None, None, Some("acme")]),
        prop::sample::select(vec![vec![1, 2], vec![2, 1], vec![1]]),
        1..4_u64,
        prop::collection::vec(any_step(), 0..25),
    )
        .prop_map(|(first, account, kinds, page, steps)| Story {
            first,
            account,
            kinds,
            page,
            steps,
        })
}

async fn write(world: &World, writes: Vec<(Key, bool)>, fails: bool) {
    let written = world.store.write(move |tx| {
        Box::pin(async move {
            for (key, is_deleted) in &writes {
                if *is_deleted {
                    things::delete(tx, key).await?;
                } else {
                    things::put(tx, key, "new").await?;
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

async fn write_large(world: &World, keys: Vec<Key>) {
    let written = world.store.write(move |tx| {
        Box::pin(async move {
            let value = "x".repeat(PAGE_BYTES / 2);
            for key in &keys {
                things::put(tx, key, &value).await?;
            }
            Ok::<_, Error>(())
        })
    });
    written.await.unwrap();
}

/// A follower and its stream, if it has one.
struct Following {
    follower: Follower,
    marks: Option<Marks>,
    watch: Watch,
    page: u64,
}

impl Following {
    async fn marks(&mut self, world: &World) -> &mut Marks {
        if self.marks.is_none() {
            let cursor = self.follower.cursor.clone();
            let watch = Watch {
                cursor: cursor.clone(),
                ..self.watch.clone()
            };
            let start = world.store.now().await.unwrap();
            let mut marks = world.watch_pages(watch, self.page);
            if cursor.is_empty() {
                let reset = marks.recv().await.unwrap().unwrap();
                self.follower.apply(&reset);
                self.follower.begun = Some(start);
            }
            self.marks = Some(marks);
        }
        self.marks.as_mut().unwrap()
    }
}

async fn tell(story: Story) {
    let mut world = World::start().await;
    for key in &story.first {
        world.put(key, "first").await;
    }
    let only = story.account.map(account);
    let mut following = Following {
        follower: Follower::of(only.clone(), story.kinds.clone()),
        marks: None,
        watch: Watch {
            accounts: crate::world::only(only),
            kinds: story.kinds.clone(),
            // Always something to say: taking never waits.
            progress: Duration::ZERO,
            ..everything("")
        },
        page: story.page,
    };

    for step in story.steps {
        match step {
            Step::Write(writes) => write(&world, writes, false).await,
            Step::WriteLarge(keys) => write_large(&world, keys).await,
            Step::Fail(writes) => write(&world, writes, true).await,
            Step::Take(count) => {
                for _ in 0..count {
                    let mark = following.marks(&world).await.recv().await;
                    following.follower.apply(&mark.unwrap().unwrap());
                }
            }
            Step::Lose => {
                drop(following.marks(&world).await.recv().await.unwrap().unwrap());
                following.marks = None;
            }
            Step::Break => following.marks = None,
            Step::Restart => {
                following.marks = None;
                world = world.restart(|_| ()).await;
            }
        }
    }

    following.marks(&world).await;
    let Following {
        mut follower,
        marks,
        ..
    } = following;
    follower.catch_up(&world, &mut marks.unwrap()).await;
    let causes = follower.resets.iter();
    assert!({ causes }.all(|cause| *cause == ResetCause::First));
    follower.check(&world).await;
}

/// The same stories in each run, but for those of a soak.
fn config() -> ProptestConfig {
    let is_soak = std::env::var_os("ROLLCALL_SOAK").is_some();
    // Each makes a database, which takes a file no time.
    let on_server = std::env::var_os("ROLLCALL_TEST_POSTGRES").is_some();
    ProptestConfig {
        cases: match (is_soak, on_server) {
            (true, false) => 3000,
            (true, true) => 300,
            (false, _) => 48,
        },
        rng_seed: if is_soak {
            RngSeed::Random
        } else {
            RngSeed::Fixed(12)
        },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test] // rule: U-12 (part)
    fn soak_a_follower_ends_with_the_table_whatever_happens(story in any_story()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(within(tell(story)));
    }
}
