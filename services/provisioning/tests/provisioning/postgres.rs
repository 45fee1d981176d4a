//! What is really sent to PostgreSQL while Okta waits, and how the server runs it.
//!
//! These need a server: `cargo xtask test` starts one, and runs them there alone.

use std::time::Duration;

use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::check_access_request::User as By;
use rollcall_store::testing::{self, Sent, Tap};
use rollcall_store::{Error, Tx};
use rollcall_types::ExposeSecret;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};

use crate::okta::Okta;

/// Okta, and the wire to the database.
struct World {
    okta: Okta,
    tap: Tap,
}

impl World {
    /// With so many users beside those that Okta makes.
    async fn with(users: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let Some(tap) = Tap::new(folder.path()).await else {
            panic!(
                "this test needs a PostgreSQL server: run it through `cargo xtask test`, which \
                 starts one, or name one in ROLLCALL_TEST_POSTGRES"
            );
        };
        let okta = Okta::connect_in(folder).await;
        // What stands for a token, an account and a domain is looked up once.
        okta.create("first@acme.example", "first").await.unwrap();
        fill(&okta, users).await;
        okta.create("second@acme.example", "second").await.unwrap();
        okta.list(None, 1, 1).await;
        Self { okta, tap }
    }

    /// What a call sends to the database before it is answered.
    async fn sent<T>(&self, call: impl Future<Output = T>) -> (T, Vec<Sent>) {
        self.tap.clear();
        let answer = call.await;
        let sent = self.tap.sent().into_iter();
        // Following a feed, and what is kept for later, go on beside it.
        let beside = |sql: &str| {
            [
                "\"follows\"",
                "pg_stat_activity",
                "INSERT INTO page_bookmarks",
                "UPDATE tokens SET last_used",
            ]
            .iter()
            .any(|part| sql.contains(part))
        };
        (answer, sent.filter(|sent| !beside(&sent.sql)).collect())
    }
}

/// Makes users as Okta would have, in one statement.
async fn fill(okta: &Okta, users: usize) {
    let filled = okta.store.write(move |tx| {
        Box::pin(async move {
            for sql in [
                format!(
                    "INSERT INTO users SELECT account_id, ('0193a1b2-0000-7000-8000-' || \
                     lpad(to_hex(n), 12, '0'))::uuid, 'u' || n, 'u' || n || '@acme.example', \
                     email_type_folded, email_domain, 'x' || n, roles, active_sent, active, \
                     admitted, since, connection_id, version, created, updated, change_seq, document \
                     FROM users, generate_series(1, {users}) AS n"
                ),
                format!("UPDATE user_counts SET users = users + {users}"),
                "ANALYZE users".to_owned(),
            ] {
                tx.execute_unprepared(&sql).await?;
            }
            Ok::<_, Error>(())
        })
    });
    filled.await.unwrap();
    let vacuum = Statement::from_string(DbBackend::Postgres, "VACUUM users");
    let direct = okta.store.direct().unwrap();
    direct.note(vacuum).await.unwrap();
}

/// The texts of what was sent.
fn texts(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(|sent| sent.sql.as_str()).collect()
}

/// Asserts that a plan reads no table of users but by these indexes.
fn assert_reads(sent: &Sent, indexes: &[&str]) {
    assert!(!sent.plan.contains("Seq Scan on users"), "{}", sent.plan);
    for index in indexes {
        assert!(sent.plan.contains(index), "{index}: {}", sent.plan);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_okta_sends_no_more_than_it_must_and_each_statement_has_its_index() {
    let world = World::with(10_000).await;
    let okta = &world.okta;

    let filter = Some("userName eq \"u77\"");
    let ((found, total), exists) = world.sent(okta.list(filter, 1, 100)).await;
    assert_eq!((found.len(), total), (1, 1));
    let [exists] = exists.as_slice() else {
        panic!("{:?}", texts(&exists));
    };
    assert_reads(exists, &["users_user_name", "users_pkey"]);

    let (made, create) = world.sent(okta.create("new@acme.example", "new")).await;
    let made = made.unwrap();
    let [create] = create.as_slice() else {
        panic!("{:?}", texts(&create));
    };
    assert_reads(create, &["tokens_look_up", "domains_pkey"]);

    let (got, get) = world.sent(okta.get(&made)).await;
    assert_eq!(got.unwrap(), made);
    let [get] = get.as_slice() else {
        panic!("{:?}", texts(&get));
    };
    assert_reads(get, &["users_pkey"]);

    for change in [
        world.sent(okta.set_active(&made, false)).await,
        world.sent(okta.replace(&made, "newer@acme.example")).await,
    ] {
        let (changed, [read, write]) = (change.0.unwrap(), change.1.as_slice()) else {
            panic!("{:?}", texts(&change.1));
        };
        assert!(changed.version > made.version);
        assert_reads(read, &["tokens_look_up", "users_pkey"]);
        assert_reads(write, &["tokens_look_up", "users_pkey"]);
    }

    let ask = pb::CheckAccessRequest {
        account_id: "acme".to_owned(),
        user: Some(By::UserId(made.user_id.clone())),
    };
    let mut product = okta.product.clone();
    let (_, check) = world.sent(product.check_access(ask)).await;
    let [check] = check.as_slice() else {
        panic!("{:?}", texts(&check));
    };
    assert_reads(check, &["users_pkey"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn soak_a_late_page_of_an_import_sends_and_reads_what_the_first_does() {
    let users = if std::env::var_os("ROLLCALL_SOAK").is_some() {
        100_000
    } else {
        10_000
    };
    let world = World::with(users).await;
    let mut pages = Vec::new();
    for start in (1..=i64::try_from(users).unwrap()).step_by(100) {
        let ((page, _), sent) = world.sent(world.okta.list(None, start, 100)).await;
        assert_eq!(page.len(), 100);
        pages.push(sent);
    }

    let (first, last) = (&pages[0], &pages[pages.len() - 1]);

    assert_eq!(first.len(), 2, "{:?}", texts(first));
    assert_eq!(texts(first), texts(last));
    for page in [first, last] {
        let [count, rows] = page.as_slice() else {
            panic!("{:?}", texts(page));
        };
        assert!(count.plan.contains("user_counts_pkey"), "{}", count.plan);
        assert_reads(rows, &["users_pkey"]);
    }
    assert_eq!(
        read(&first[1]),
        read(&last[1]),
        "{}\n{}",
        first[1].plan,
        last[1].plan
    );
}

/// How many rows each node of a plan gave.
fn read(sent: &Sent) -> Vec<String> {
    let rows = sent.plan.split("(actual rows=").skip(1);
    rows.map(|node| node.split(' ').next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")] // rule: REL-04 (part)
async fn a_write_whose_answer_is_lost_is_answered_as_what_it_was() {
    let world = World::with(0).await;
    let okta = &world.okta;

    world.tap.lose_answer_to("INSERT INTO users");
    let made = okta.create("new@acme.example", "new").await.unwrap();
    assert_eq!(okta.get(&made).await.unwrap(), made);
    world.tap.lose_answer_to("UPDATE users");
    let left = okta.set_active(&made, false).await.unwrap();
    assert_eq!(okta.get(&made).await.unwrap(), left);
    assert_eq!(left.version, made.version + 1, "it was done once");

    assert_eq!(okta.count().await, 3);
}

#[tokio::test(flavor = "multi_thread")] // rule: C-03 (part)
async fn once_a_revocation_is_answered_no_write_that_had_begun_before_it_is_still_on_its_way() {
    let world = World::with(0).await;
    let okta = &world.okta;
    let alice = okta.create("alice@acme.example", "alice").await.unwrap();
    let url = testing::url(okta.folder.path()).await.unwrap();
    let outside = sea_orm::Database::connect(url.expose_secret())
        .await
        .unwrap();
    let holds = begin(&outside).await;
    let lock = format!(
        "SELECT 1 FROM provisioning.users WHERE user_id = '{}' FOR UPDATE",
        alice.user_id
    );
    holds.execute_unprepared(&lock).await.unwrap();

    let write = okta.set_active(&alice, false);
    let revoke = async {
        // The write has looked at its token, and waits for the user.
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                     AND datname = current_database() AND query LIKE '%UPDATE users%'";
        let waits = || Statement::from_string(DbBackend::Postgres, waits);
        while outside.query_one_raw(waits()).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        let revoked = okta.revoke();
        tokio::pin!(revoked);
        let early = tokio::time::timeout(Duration::from_millis(300), &mut revoked).await;
        assert!(early.is_err(), "a write may still come");
        holds.rollback().await.unwrap();
        revoked.await;
        okta.version(&alice).await
    };
    let (written, version_when_answered) = tokio::join!(write, revoke);

    assert_eq!(version_when_answered, written.unwrap().version);
}

/// A transaction past every store.
#[expect(
    clippy::disallowed_methods,
    reason = "what no store offers is what is needed here"
)]
async fn begin(connection: &DatabaseConnection) -> Tx {
    connection.begin().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_users_is_exact_while_many_write_and_many_count() {
    let world = World::with(0).await;
    let okta = &world.okta;
    let before = okta.count().await;
    let writers = (0..8).map(|writer| async move {
        for n in 0..100 {
            let name = format!("w{writer}-{n}@acme.example");
            let made = okta.create(&name, &name).await.unwrap();
            if n % 4 == 0 {
                okta.delete(&made).await.unwrap();
            }
        }
    });
    let counting = async {
        loop {
            // In one statement, so that both see the same.
            let sql = "SELECT (SELECT COUNT(*) FROM users) AS rows, b.users + \
                       (SELECT COALESCE(SUM(delta), 0)::bigint FROM changes c \
                       WHERE c.account_id = b.account_id AND c.xid >= b.horizon) AS n \
                       FROM user_counts b";
            let both = Statement::from_string(DbBackend::Postgres, sql);
            let both = okta.store.reader().query_one_raw(both).await.unwrap();
            let (rows, n): (i64, i64) = both
                .map(|row| {
                    (
                        row.try_get("", "rows").unwrap(),
                        row.try_get("", "n").unwrap(),
                    )
                })
                .unwrap();
            assert_eq!(rows, n);
            // Who counts moves the horizon on.
            okta.count().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };

    tokio::select! {
        _ = futures::future::join_all(writers) => {}
        () = counting => {}
    }

    assert_eq!(okta.count().await, before + 8 * 75);
}
