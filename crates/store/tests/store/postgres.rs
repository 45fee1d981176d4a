//! What PostgreSQL does otherwise: several processes, each with connections that can be lost.
//!
//! These need a server: `cargo xtask test` starts one, and runs them there alone.

use std::time::Duration;

use futures::future::join_all;
use rollcall_store::feed::Mark;
use rollcall_store::{Database, Error, Store, testing};
use rollcall_types::OsEntropy;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::things::{self, Key, Migrator};
use crate::world::{World, everything, put, thing};

/// What comes at all comes before this.
const LONG: Duration = Duration::from_secs(30);

/// A schema, and how to open it as one more process.
struct Schema {
    database: Database,
    _folder: TempDir,
}

impl Schema {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = testing::postgres(folder.path()).await.expect(
            "this test needs a PostgreSQL server: run it through `cargo xtask test`, which starts \
             one, or name one in ROLLCALL_TEST_POSTGRES",
        );
        Self {
            database: Database::Postgres(database.with_schema("things")),
            _folder: folder,
        }
    }

    async fn open(&self) -> Store {
        Store::open::<Migrator>(&self.database, &OsEntropy)
            .await
            .unwrap()
    }
}

/// Adds one to the number that a thing holds, by reading it first.
async fn add_one(store: &Store, key: &Key) -> Result<i64, Error> {
    let key = key.clone();
    let added = store.write(move |tx| {
        Box::pin(async move {
            let held = things::value(tx, &key).await;
            let next = held.map_or(1, |value| value.parse::<i64>().unwrap() + 1);
            things::put(tx, &key, &next.to_string()).await?;
            Ok::<_, Error>(next)
        })
    });
    added.await
}

/// Ends the connections of everybody else, as a restart of the server does.
async fn cut(store: &Store) {
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let statement = Statement::from_string(DbBackend::Postgres, sql);
    store.reader().query_all_raw(statement).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_several_processes_see_one_another() {
    let schema = Schema::new().await;
    // All at once, so that the migrations meet too.
    let stores = join_all((0..3).map(|_| schema.open())).await;
    let key = thing("counter");

    let writers = (0..12).map(|n| {
        let (store, key) = (stores[n % 3].clone(), key.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                add_one(&store, &key).await.unwrap();
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }

    let value = things::value(stores[0].reader(), &key).await;
    assert_eq!(value.unwrap(), "120");
    assert_eq!(stores[1].last_position().await.unwrap(), 120);
}

#[tokio::test(flavor = "multi_thread")] // rule: U-12 (part)
async fn a_follower_hears_of_what_another_process_commits() {
    let world = World::start().await;
    let mut marks = world.watch(everything(""));
    let database = testing::database(world.folder(), "things").await;
    let other = Store::open::<Migrator>(&database, &OsEntropy)
        .await
        .unwrap();
    other.write(put(&thing("a"), "first")).await.unwrap();

    let told = async {
        loop {
            if let Mark::Changes { changes, .. } = marks.recv().await.unwrap().unwrap() {
                return changes[0].after.clone();
            }
        }
    };

    let told = tokio::time::timeout(LONG, told).await.unwrap();
    assert_eq!(told, "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_panics_or_is_given_up_leaves_nothing_and_lets_the_next_go_on() {
    let schema = Schema::new().await;
    let store = schema.open().await;
    let fails = store.write(|tx| {
        Box::pin(async move {
            things::put(tx, &thing("fails"), "x").await?;
            Err::<(), _>(Error::Corrupt("thing"))
        })
    });
    assert!(matches!(fails.await, Err(Error::Corrupt("thing"))));
    let panics = store.write(|tx| {
        Box::pin(async move {
            things::put(tx, &thing("panics"), "x").await?;
            panic!("a piece that panics");
            #[expect(unreachable_code, reason = "names the type of the answer")]
            Ok::<(), Error>(())
        })
    });
    assert!(matches!(panics.await, Err(Error::TryAgain(_))));
    let (begins, begun) = oneshot::channel();
    let hangs = store.clone();
    let hangs = tokio::spawn(async move {
        let work = hangs.write(|tx| {
            Box::pin(async move {
                things::put(tx, &thing("hangs"), "x").await?;
                begins.send(()).unwrap();
                std::future::pending::<Result<(), Error>>().await
            })
        });
        work.await
    });
    begun.await.unwrap();
    hangs.abort();

    let next = tokio::time::timeout(LONG, store.write(put(&thing("next"), "x")));
    next.await.unwrap().unwrap();

    assert_eq!(things::ids(store.reader()).await, ["next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_as_try_again_and_replaced() {
    let schema = Schema::new().await;
    let (store, other) = (schema.open().await, schema.open().await);
    let (begins, begun) = oneshot::channel();
    let (cuts, was_cut) = oneshot::channel::<()>();
    let (store_, key) = (store.clone(), thing("lost"));
    let write = tokio::spawn(async move {
        let write = store_.write(move |tx| {
            Box::pin(async move {
                begins.send(()).unwrap();
                was_cut.await.unwrap();
                things::put(tx, &key, "x").await
            })
        });
        write.await
    });
    begun.await.unwrap();

    cut(&other).await;
    cuts.send(()).unwrap();

    assert!(matches!(write.await.unwrap(), Err(Error::TryAgain(_))));
    // Every connection of the pools is dead; each is told once at most.
    let recovered = async {
        while let Err(error) = store.write(put(&thing("again"), "x")).await {
            assert!(matches!(error, Error::TryAgain(_)), "{error}");
        }
        while let Err(error) = store.last_position().await {
            assert!(matches!(error, Error::TryAgain(_)), "{error}");
        }
    };
    tokio::time::timeout(LONG, recovered).await.unwrap();
    assert_eq!(things::ids(store.reader()).await, ["again"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_keeps_its_epoch_and_no_other_has_it() {
    let (schema, other) = (Schema::new().await, Schema::new().await);
    let epoch = schema.open().await.epoch();

    assert_eq!(schema.open().await.epoch(), epoch);
    assert_ne!(other.open().await.epoch(), epoch);
    let Database::Postgres(database) = schema.database.clone() else {
        panic!("it is one of PostgreSQL");
    };
    let sibling = Database::Postgres(database.with_schema("sibling"));
    let sibling = Store::open::<Migrator>(&sibling, &OsEntropy).await.unwrap();
    assert_ne!(sibling.epoch(), epoch);
    assert_eq!(sibling.last_position().await.unwrap(), 0);
}
