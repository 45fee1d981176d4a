//! The writer: pieces of one batch share a COMMIT and nothing else.

use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use futures::future::BoxFuture;
use rollcall_store::{Error, Position, Tx};
use sea_orm::{ConnectOptions, ConnectionTrait, Database};
use tokio::sync::oneshot;

use crate::things;
use crate::time::within;
use crate::world::{Held, World, put, queued, thing};

/// A service's own error.
#[derive(Debug, PartialEq)]
enum Refusal {
    /// The service says no.
    No,
    /// Storage says to try again.
    TryAgain,
    /// Storage says something else.
    Storage(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::TryAgain(_) => Self::TryAgain,
            other => Self::Storage(other.to_string()),
        }
    }
}

/// A piece that puts a thing and then ends as `end` says.
fn put_then<T: Send + 'static>(
    id: &str,
    end: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> impl for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<T, Refusal>> + Send + 'static {
    let key = thing(id);
    move |tx| {
        Box::pin(async move {
            things::put(tx, &key, "new").await?;
            end()
        })
    }
}

/// A piece that runs a statement.
fn run(
    sql: &'static str,
) -> impl for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<(), Refusal>> + Send + 'static {
    move |tx| {
        Box::pin(async move {
            let done = tx.execute_unprepared(sql).await;
            done.map(drop).map_err(Error::from)?;
            Ok(())
        })
    }
}

/// A piece that panics before it has done anything at all.
fn panic_at_once(_: &Tx) -> BoxFuture<'_, Result<(), Refusal>> {
    panic!("on purpose: a piece that panics at once")
}

fn try_again<T: std::fmt::Debug>(answer: &Result<T, Error>) {
    assert!(matches!(answer, Err(Error::TryAgain(_))), "{answer:?}");
}

#[tokio::test]
async fn a_piece_that_fails_or_panics_is_undone_and_its_batch_committed() {
    within(async {
        let world = World::start().await;
        let store = &world.store;
        let mut wake = store.wake();
        let held = Held::hold(store).await;

        let first = queued(store.write(put(&thing("a"), "new")));
        let fails = queued(store.write(put_then::<()>("b", || Err(Refusal::No))));
        let panics = queued(store.write(put_then::<()>("c", || panic!("on purpose: a piece"))));
        let panics_at_once = queued(store.write(panic_at_once));
        let breaks = queued(store.write(run("INSERT INTO nothing VALUES (1)")));
        let last = queued(
            store.write(|tx| -> BoxFuture<'_, Result<Vec<String>, Error>> {
                Box::pin(async move {
                    things::put(tx, &thing("d"), "new").await?;
                    Ok(things::ids(tx).await)
                })
            }),
        );
        held.release().await;

        assert_eq!(first.await.unwrap().seq, 1);
        assert_eq!(fails.await, Err(Refusal::No));
        assert_eq!(panics.await, Err(Refusal::TryAgain));
        assert_eq!(panics_at_once.await, Err(Refusal::TryAgain));
        assert!(matches!(breaks.await, Err(Refusal::Storage(_))));
        assert_eq!(last.await.unwrap(), ["a", "d"], "as a neighbour sees it");
        assert_eq!(world.ids().await, ["a", "d"]);
        assert_eq!(world.sequence().await, [1, 2]);
        assert_eq!(wake.seen(), 2, "one COMMIT of the holder, one of the batch");
    })
    .await;
}

#[tokio::test]
async fn a_piece_whose_caller_has_gone_before_its_turn_is_not_done() {
    within(async {
        let world = World::start().await;
        let store = &world.store;
        let held = Held::hold(store).await;

        let gone = queued(store.write(put(&thing("a"), "new")));
        let stays = queued(store.write(put(&thing("b"), "new")));
        drop(gone);
        held.release().await;

        stays.await.unwrap();
        assert_eq!(world.ids().await, ["b"]);
    })
    .await;
}

#[tokio::test]
async fn a_commit_that_fails_fails_every_request_of_its_batch_and_none_of_the_next() {
    within(async {
        let world = World::start().await;
        let store = &world.store;
        let mut wake = store.wake();
        let held = Held::hold(store).await;

        let first = queued(store.write(put(&thing("a"), "new")));
        let refused = queued(store.write(put_then::<()>("b", || Err(Refusal::No))));
        let orphan = queued(store.write(run("INSERT INTO children (parent) VALUES ('nobody')")));
        let last = queued(store.write(put(&thing("c"), "new")));
        held.release().await;

        try_again(&first.await);
        let refused = refused.await;
        assert_eq!(
            refused,
            Err(Refusal::TryAgain),
            "decided by what was not kept"
        );
        assert_eq!(orphan.await, Err(Refusal::TryAgain));
        try_again(&last.await);
        assert_eq!(world.ids().await, [""; 0]);
        assert_eq!(world.sequence().await, [0; 0]);
        assert_eq!(wake.seen(), 1, "the holder's COMMIT alone");

        assert_eq!(world.put(&thing("d"), "new").await.seq, 1);
        let orphan = store.write(run("INSERT INTO children (parent) VALUES ('nobody')"));
        assert_eq!(
            orphan.await,
            Err(Refusal::TryAgain),
            "keys are still checked"
        );
        assert_eq!(world.put(&thing("e"), "new").await.seq, 2);
        assert_eq!(world.ids().await, ["d", "e"]);
        assert_eq!(wake.seen(), 3);
    })
    .await;
}

/// SQLite ends a transaction by itself when the disk is full or fails; `OR ROLLBACK` does the
/// same at will.
#[tokio::test]
async fn a_transaction_that_sqlite_ends_itself_takes_its_batch_along_and_none_of_the_next() {
    const END: &str =
        "INSERT INTO parents VALUES ('p'); INSERT OR ROLLBACK INTO parents VALUES ('p')";
    within(async {
        let world = World::start().await;
        let store = &world.store;
        let mut wake = store.wake();
        let held = Held::hold(store).await;

        let first = queued(store.write(put(&thing("a"), "new")));
        let ends = queued(store.write(run(END)));
        let last = queued(store.write(put(&thing("b"), "new")));
        held.release().await;

        try_again(&first.await);
        assert_eq!(ends.await, Err(Refusal::TryAgain));
        try_again(&last.await);
        assert_eq!(world.ids().await, [""; 0]);
        assert_eq!(wake.seen(), 1, "the holder's COMMIT alone");

        let held = Held::hold(store).await;
        let good = queued(store.write(put(&thing("c"), "new")));
        let bad = queued(store.write(put_then::<()>("d", || Err(Refusal::No))));
        held.release().await;
        assert_eq!(good.await.unwrap().seq, 1);
        assert_eq!(bad.await, Err(Refusal::No));
        assert_eq!(world.ids().await, ["c"]);

        // Were the writer still inside of what was ended, this would not end either.
        let orphan = store.write(run("INSERT INTO children (parent) VALUES ('nobody')"));
        assert_eq!(orphan.await, Err(Refusal::TryAgain));
        assert_eq!(world.put(&thing("e"), "new").await.seq, 2);
        assert_eq!(world.ids().await, ["c", "e"]);
    })
    .await;
}

/// Looks at the database from outside at the very moment at which somebody is woken: the writer,
/// which wakes, stands still until it has looked.
struct Witness {
    name: &'static str,
    look: Mutex<mpsc::Sender<Look>>,
    log: Mutex<mpsc::Sender<(&'static str, Vec<String>)>>,
}

/// Where to say which things there are.
type Look = mpsc::Sender<Vec<String>>;

impl Wake for Witness {
    fn wake(self: Arc<Self>) {
        let (answer, seen) = mpsc::channel();
        self.look.lock().unwrap().send(answer).unwrap();
        let seen = seen.recv_timeout(Duration::from_secs(30)).unwrap();
        // The one who reads it is gone when the test has failed.
        drop(self.log.lock().unwrap().send((self.name, seen)));
    }
}

/// A thread that looks at the things whenever it is asked, by a connection of its own.
fn observer(path: &Path) -> mpsc::Sender<Look> {
    let (look, asked) = mpsc::channel::<Look>();
    let url = format!("sqlite://{}", path.display());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let database = runtime.block_on(async {
            let mut options = ConnectOptions::new(url);
            options.max_connections(1).sqlx_logging(false);
            Database::connect(options).await.unwrap()
        });
        for answer in asked {
            answer
                .send(runtime.block_on(things::ids(&database)))
                .unwrap();
        }
    });
    look
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_comes_before_the_wake_and_the_wake_before_the_answer() {
    within(async {
        let world = World::start().await;
        let look = observer(&world.path());
        let (log, happened) = mpsc::channel();
        let witness = |name| {
            Waker::from(Arc::new(Witness {
                name,
                look: Mutex::new(look.clone()),
                log: Mutex::new(log.clone()),
            }))
        };
        let mut wake = world.store.wake();
        let (go, gone) = oneshot::channel::<()>();
        let mut woken = pin!(wake.changed());
        let mut answer = pin!(
            world
                .store
                .write(move |tx| -> BoxFuture<'_, Result<(), Error>> {
                    Box::pin(async move {
                        things::put(tx, &thing("a"), "new").await?;
                        gone.await.unwrap();
                        Ok(())
                    })
                })
        );
        let (on_wake, on_answer) = (witness("wake"), witness("answer"));
        let woken = woken.as_mut().poll(&mut Context::from_waker(&on_wake));
        let asked = answer.as_mut().poll(&mut Context::from_waker(&on_answer));
        assert!(woken.is_pending() && asked.is_pending());

        go.send(()).unwrap();
        let happened = tokio::task::spawn_blocking(move || {
            [happened.recv().unwrap(), happened.recv().unwrap()]
        });

        let seen = vec!["a".to_owned()];
        let expected = [("wake", seen.clone()), ("answer", seen)];
        assert_eq!(happened.await.unwrap(), expected);
        answer.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn who_got_an_answer_sees_its_row_at_once() {
    within(async {
        let world = World::start().await;
        for number in 1..=50 {
            let change = world.put(&thing("a"), &number.to_string()).await;
            let seen = things::all(world.store.reader(), None, &[1]).await;
            assert_eq!(seen, [(thing("a"), number.to_string(), number)]);
            let now = world.store.now().await.unwrap();
            assert_eq!(now, Position::Sequence(change.seq));
        }
    })
    .await;
}

#[tokio::test]
async fn who_is_woken_sees_what_was_committed() {
    within(async {
        let world = World::start().await;
        let mut wake = world.store.wake();
        let (store, reader) = (world.store.clone(), world.store.reader());
        let writes = tokio::spawn(async move {
            for _ in 0..50 {
                store.write(put(&thing("a"), "new")).await.unwrap();
            }
        });
        loop {
            wake.changed().await.unwrap();
            let commits = i64::try_from(wake.seen()).unwrap();
            let (_, _, version) = things::all(reader, None, &[1]).await.remove(0);
            assert!(
                version >= commits,
                "commit {commits} showed version {version}"
            );
            if version == 50 {
                break;
            }
        }
        writes.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn closing_does_what_was_queued_before_and_refuses_what_comes_later() {
    within(async {
        let world = World::start().await;
        let store = &world.store;
        let held = Held::hold(store).await;

        let before = queued(store.write(put(&thing("a"), "new")));
        let closed = queued(store.close());
        let closed_too = queued(store.close());
        let after = queued(store.write(put(&thing("b"), "new")));
        held.release().await;

        closed_too.await;
        assert_eq!(before.await.unwrap().seq, 1);
        closed.await;
        try_again(&after.await);
        try_again(&store.write(put(&thing("c"), "new")).await);
        store.close().await;
        let world = world.restart(|_| ()).await;
        assert_eq!(world.ids().await, ["a"]);
    })
    .await;
}
