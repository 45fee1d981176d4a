//! What PostgreSQL does otherwise: several processes, each with connections that can be lost.
//!
//! These need a server: `cargo xtask test` starts one, and runs them there alone.

mod stress;

use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use rollcall_store::feed::{self, Mark};
use rollcall_store::{Database, Error, Position, Store, Tx, testing};
use rollcall_types::{ExposeSecret, OsEntropy};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait,
};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::things::{self, Key, Migrator};
use crate::world::{Marks, World, everything, put, thing};

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

/// Connections to the database of the test that has this folder, past every store.
async fn connect(folder: &Path) -> DatabaseConnection {
    connect_as(folder, "test").await
}

/// As the writes beside the lane of some process reach it.
async fn connect_beside(folder: &Path) -> DatabaseConnection {
    connect_as(folder, "rollcall direct things").await
}

async fn connect_as(folder: &Path, name: &'static str) -> DatabaseConnection {
    let url = testing::url(folder).await.unwrap();
    let mut options = ConnectOptions::new(url.expose_secret());
    options
        .max_connections(20)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |options| {
            options
                .application_name(name)
                .options([("search_path", "things")])
        });
    sea_orm::Database::connect(options).await.unwrap()
}

/// A transaction that takes no lock: others commit before and after it as they like.
#[expect(
    clippy::disallowed_methods,
    reason = "what no store offers is what is needed here"
)]
async fn begin(connection: &DatabaseConnection) -> Tx {
    connection.begin().await.unwrap()
}

/// The ids that come next.
async fn told(marks: &mut Marks) -> Vec<String> {
    let told = async {
        loop {
            if let Mark::Changes { changes, .. } = marks.recv().await.unwrap().unwrap() {
                return changes.into_iter().map(|change| change.resource).collect();
            }
        }
    };
    tokio::time::timeout(LONG, told).await.unwrap()
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

    assert_eq!(told(&mut marks).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")] // rule: U-12 (part)
async fn a_change_that_is_committed_after_a_later_one_is_told_and_no_number_tells_of_it() {
    let world = World::start().await;
    let mut marks = world.watch(everything(""));
    let (one, two) = (connect(world.folder()).await, connect(world.folder()).await);
    let (early, late) = (begin(&one).await, begin(&two).await);
    let first = things::put(&early, &thing("first"), "x").await.unwrap();
    let second = things::put(&late, &thing("second"), "x").await.unwrap();
    assert!(first.seq < second.seq);

    late.commit().await.unwrap();
    assert_eq!(told(&mut marks).await, ["second"]);
    early.commit().await.unwrap();
    assert_eq!(told(&mut marks).await, ["first"]);

    // What a reader by number goes on from: it will never see the first.
    let after = format!("SELECT 1 FROM things.changes WHERE seq > {}", second.seq);
    let later = Statement::from_string(DbBackend::Postgres, after);
    assert!(one.query_all_raw(later).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")] // rule: U-12 (part)
async fn a_long_write_in_another_database_holds_no_follower_up() {
    let (world, other) = (World::start().await, tempfile::tempdir().unwrap());
    let mut marks = world.watch(everything(""));
    let other = connect(other.path()).await;
    let long = begin(&other).await;
    long.execute_unprepared("SELECT pg_current_xact_id()")
        .await
        .unwrap();

    for id in ["a", "b", "c"] {
        world.put(&thing(id), "x").await;
        assert_eq!(told(&mut marks).await, [id]);
    }

    long.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_sees_what_postgresql_says_that_it_sees() {
    let world = World::start().await;
    let connection = connect(world.folder()).await;
    let mut open = Vec::new();
    for n in 0..12 {
        let tx = begin(&connection).await;
        things::put(&tx, &thing(&n.to_string()), "x").await.unwrap();
        // Some end before the snapshot is taken.
        if n % 3 == 0 {
            tx.commit().await.unwrap();
        } else {
            open.push(tx);
        }
    }

    let Position::Snapshot(snapshot) = feed::now(&connection).await.unwrap() else {
        panic!("it is one of PostgreSQL");
    };
    let sql = format!(
        "SELECT n::bigint AS n, pg_visible_in_snapshot(n::text::xid8, '{snapshot}'::pg_snapshot) AS seen \
         FROM generate_series({}, {}) AS n",
        snapshot.xmin() - 3,
        snapshot.xmax() + 3
    );
    let rows = Statement::from_string(DbBackend::Postgres, sql);
    for row in connection.query_all_raw(rows).await.unwrap() {
        let xid: i64 = row.try_get("", "n").unwrap();
        let seen: bool = row.try_get("", "seen").unwrap();
        assert_eq!(
            snapshot.sees(xid.unsigned_abs()),
            seen,
            "{xid} in {snapshot}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: U-09 c (part)
async fn who_settles_waits_for_the_writes_that_had_begun_and_for_no_others() {
    let world = World::start().await;
    let (one, two) = (
        connect_beside(world.folder()).await,
        connect_beside(world.folder()).await,
    );
    let begun = begin(&one).await;
    things::put(&begun, &thing("a"), "x").await.unwrap();
    let settling = tokio::spawn({
        let store = world.store.clone();
        async move { store.settle().await }
    });
    // Long enough that it has looked.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let later = begin(&two).await;
    things::put(&later, &thing("b"), "x").await.unwrap();
    assert!(!settling.is_finished(), "a write had begun before");

    begun.commit().await.unwrap();

    let settled = tokio::time::timeout(LONG, settling).await;
    settled.unwrap().unwrap().unwrap();
    assert_eq!(world.ids().await, ["a"]);
    later.rollback().await.unwrap();
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
        while let Err(error) = store.now().await {
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
}
