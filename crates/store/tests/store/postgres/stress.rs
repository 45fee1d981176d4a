//! Sixteen writers who commit as they like, and readers of what they tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rollcall_store::feed::{self, Mark, NewChange, Op, Watch};
use rollcall_store::{Error, Store, Tx};
use rollcall_types::Actor;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use super::{begin, connect};
use crate::things::{self, Migrator, account};
use crate::world::{World, everything, thing};

/// How many things they write.
const THINGS: usize = 200;
/// How many follow.
const FOLLOWERS: usize = 3;

/// What every writer and reader shares.
struct Stress {
    target: usize,
    written: AtomicUsize,
    aborted: AtomicUsize,
    /// When each version of a thing was committed.
    committed: Mutex<HashMap<(String, i64), Instant>>,
    /// How many followers have the state from which they count.
    ready: AtomicUsize,
    done: AtomicBool,
}

/// What a reader has seen: the last version of each thing, and how late each change was.
#[derive(Default)]
struct Seen {
    versions: BTreeMap<String, i64>,
    lags: Vec<Duration>,
    cursor: String,
}

impl Stress {
    /// Changes a thing as a write of one statement does: the number of the change is drawn by the
    /// statement that wins the row.
    async fn change(&self, tx: &Tx, id: &str) -> Result<i64, Error> {
        let sql = format!(
            "WITH stored AS (UPDATE things.things SET version = version + 1, \
             change_seq = nextval('things.changes_seq_seq') WHERE account_id = 'acme' AND kind = 1 \
             AND id = $3 RETURNING change_seq, version), \
             told AS (INSERT INTO things.changes (seq, {}) SELECT change_seq, $1, $2, $3, $4, version, \
             $6, $7, $8, $9, $10, $11, $12, $13 FROM stored) SELECT version, $5::bigint FROM stored",
            feed::COLUMNS
        );
        let change = NewChange {
            account: &account("acme"),
            kind: 1,
            resource: id,
            op: Op::Upserted,
            version: 0,
            delta: 0,
            time: things::time(),
            actor: &Actor::system(),
            request: None,
            changed_paths: "value",
            before: "",
            after: "",
        };
        let values: [Value; 13] = change.values();
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = tx.query_one_raw(statement).await?.unwrap();
        Ok(row.try_get("", "version")?)
    }

    /// Transactions of one to three things with pauses, one in five given up.
    async fn write(&self, connection: DatabaseConnection, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        let all: Vec<usize> = (0..THINGS).collect();
        while self.ready.load(Ordering::SeqCst) < FOLLOWERS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while self.written.load(Ordering::Relaxed) < self.target {
            let count = [1, 1, 2, 3][random.random_range(0..4)];
            let mut chosen: Vec<usize> = all.sample(&mut random, count).copied().collect();
            // In one order, so that nobody waits for who waits for him.
            chosen.sort_unstable();
            let tx = begin(&connection).await;
            let mut changed = Vec::new();
            for thing in chosen {
                let id = format!("t{thing}");
                let version = self.change(&tx, &id).await.unwrap();
                changed.push((id, version));
                let pause = random.random_range(0..2_000);
                tokio::time::sleep(Duration::from_micros(pause)).await;
            }
            if random.random_ratio(1, 5) {
                tx.rollback().await.unwrap();
                self.aborted.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.written.fetch_add(changed.len(), Ordering::Relaxed);
            tx.commit().await.unwrap();
            let now = Instant::now();
            let mut committed = self.committed.lock().unwrap();
            committed.extend(changed.into_iter().map(|change| (change, now)));
        }
    }

    /// Follows until everything is written and told; `breaks` off now and then.
    async fn follow(&self, world: &World, store: Store, breaks: bool) -> (Seen, usize) {
        let mut seen = Seen::default();
        let mut broken = 0;
        let mut random = StdRng::seed_from_u64(7);
        loop {
            let watch = Watch {
                progress: Duration::from_millis(100),
                ..everything(&seen.cursor)
            };
            let rows = Arc::new(things::State { page: 50 });
            let mut marks = feed::watch(store.clone(), world.clock.clone(), rows, watch);
            let life = Duration::from_millis(random.random_range(50..300));
            let end = tokio::time::Instant::now() + life;
            loop {
                let next = marks.recv();
                let mark = if breaks && !self.done.load(Ordering::SeqCst) {
                    match tokio::time::timeout_at(end, next).await {
                        Ok(mark) => mark,
                        Err(_) => break,
                    }
                } else {
                    next.await
                };
                seen.take(&mark.unwrap().unwrap(), self);
                if self.done.load(Ordering::SeqCst)
                    && seen.total() == self.written.load(Ordering::Relaxed)
                {
                    return (seen, broken);
                }
            }
            broken += 1;
        }
    }

    /// Reads by number alone, as nobody may; how many changes it never saw.
    async fn read_by_number(&self, connection: DatabaseConnection) -> usize {
        let (mut last, mut seen) = (0_i64, 0);
        loop {
            let ends = self.done.load(Ordering::SeqCst);
            let sql = format!("SELECT seq FROM things.changes WHERE seq > {last} ORDER BY seq");
            let rows = Statement::from_string(DbBackend::Postgres, sql);
            for row in connection.query_all_raw(rows).await.unwrap() {
                last = row.try_get("", "seq").unwrap();
                seen += 1;
            }
            if ends {
                return self.written.load(Ordering::Relaxed) + THINGS - seen;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Seen {
    /// Takes a message; a change must be the next one of its thing.
    fn take(&mut self, mark: &Mark, stress: &Stress) {
        match mark {
            Mark::Reset(_) => assert!(self.cursor.is_empty(), "it goes on from its cursor"),
            Mark::Changes {
                changes,
                cursor,
                snapshot,
            } => {
                for change in changes {
                    let id = &change.resource;
                    let before = self.versions.insert(id.clone(), change.version);
                    if !snapshot {
                        let before = before.expect("the snapshot tells of everything");
                        assert_eq!(change.version, before + 1, "the next change of {id}");
                        let key = (id.clone(), change.version);
                        let committed = stress.committed.lock().unwrap().get(&key).copied();
                        self.lags
                            .push(committed.map_or(Duration::ZERO, |at| at.elapsed()));
                    }
                }
                self.cursor.clone_from(cursor);
            }
            Mark::SnapshotEnd { cursor } => {
                self.cursor.clone_from(cursor);
                stress.ready.fetch_add(1, Ordering::SeqCst);
            }
            Mark::Progress { cursor, .. } => self.cursor.clone_from(cursor),
        }
    }

    /// How many changes all that it knows is made of.
    fn total(&self) -> usize {
        let changes = self.versions.values().map(|version| version - 1);
        usize::try_from(changes.sum::<i64>()).unwrap()
    }

    fn lag(&mut self, percent: usize) -> u128 {
        self.lags.sort_unstable();
        let at = self.lags.len() * percent / 100;
        self.lags[at.min(self.lags.len() - 1)].as_millis()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)] // rule: U-12 (part)
async fn soak_no_change_is_missed_or_told_twice_whoever_commits_when() {
    let is_soak = std::env::var_os("ROLLCALL_SOAK").is_some();
    let world = World::start().await;
    for n in 0..THINGS {
        world.put(&thing(&format!("t{n}")), "first").await;
    }
    let stress = Stress {
        target: if is_soak { 100_000 } else { 10_000 },
        written: AtomicUsize::new(0),
        aborted: AtomicUsize::new(0),
        committed: Mutex::default(),
        ready: AtomicUsize::new(0),
        done: AtomicBool::new(false),
    };
    let connection = connect(world.folder()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = connect(elsewhere.path()).await;
    let database = rollcall_store::testing::database(world.folder(), "things").await;
    let replica = Store::open::<Migrator>(&database, &rollcall_types::OsEntropy)
        .await
        .unwrap();

    let writing = async {
        let writers = (0..16).map(|seed| stress.write(connection.clone(), seed));
        join_all(writers).await;
        stress.done.store(true, Ordering::SeqCst);
    };
    // A write in another database that lasts for the first half.
    let long = async {
        let tx = begin(&other).await;
        let sql = "SELECT pg_current_xact_id()";
        tx.execute_unprepared(sql).await.unwrap();
        while stress.written.load(Ordering::Relaxed) < stress.target / 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tx.rollback().await.unwrap();
    };
    let all = async {
        tokio::join!(
            writing,
            long,
            stress.follow(&world, world.store.clone(), false),
            stress.follow(&world, replica.clone(), false),
            stress.follow(&world, replica.clone(), true),
            stress.read_by_number(connection.clone()),
        )
    };
    let all = tokio::time::timeout(Duration::from_secs(300), Box::pin(all)).await;
    let ((), (), (mut one, _), (two, _), (three, breaks), lost) = all.unwrap();

    let sql = "SELECT id, version FROM things.things ORDER BY id";
    let rows = Statement::from_string(DbBackend::Postgres, sql);
    let rows = connection.query_all_raw(rows).await.unwrap();
    let table: BTreeMap<String, i64> = rows
        .iter()
        .map(|row| {
            (
                row.try_get("", "id").unwrap(),
                row.try_get("", "version").unwrap(),
            )
        })
        .collect();
    for seen in [&one, &two, &three] {
        assert_eq!(seen.versions, table);
    }
    assert!(breaks > 0, "the third follower is to break off");
    assert!(
        lost > 0,
        "a reader by number loses nothing: this test shows nothing"
    );
    println!(
        "figure: feed of PostgreSQL: {} changes by 16 writers ({} transactions given up, a foreign \
         write during the first half) and 3 followers ({breaks} breaks): none missed, none twice, \
         each resource in order; lag p50 {} ms, p99 {} ms; a reader by number lost {lost}",
        one.total(),
        stress.aborted.load(Ordering::Relaxed),
        one.lag(50),
        one.lag(99),
    );
}
