//! A follower that writes down each change that it is told.

use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use rollcall_rpc::follower::{self, Follower};
use rollcall_rpc::pb::common::v1::ChangeOp;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::{Backend, feeds};
use rollcall_store::{Error, Store, Tx, follow};
use rollcall_types::{OsEntropy, Timestamp};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};
use tokio_util::sync::CancellationToken;

/// The name of the feed in the ledger's own table of places.
const SOURCE: &str = "provisioning";
/// The user name of the last user that is made.
pub(super) const LAST: &str = "the-end@acme.example";
/// What it says.
pub(super) const STORED: &str = "stored changes";

/// A change as a follower is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) user: String,
    pub(super) version: i64,
    pub(super) deleted: bool,
    /// Whether it is of the last user that is made.
    pub(super) last: bool,
}

/// How far to follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// To the end of the snapshot.
    Snapshot,
    /// To the last user that is made.
    Last,
}

/// What a follower was told, in its order, with the place in the feed: one SQLite file.
pub(super) struct Ledger {
    store: Store,
    says_so: bool,
}

impl Ledger {
    pub(super) async fn open(file: &Path) -> Self {
        Self {
            store: Store::open::<Tables>(&file.to_owned().into(), &OsEntropy)
                .await
                .unwrap(),
            says_so: false,
        }
    }

    /// Says on standard output when changes are stored.
    pub(super) fn saying_so(self) -> Self {
        Self {
            says_so: true,
            ..self
        }
    }

    /// Follows the users from where the ledger is.
    pub(super) async fn follow(&self, provisioning: Backend, until: Until) {
        // Broken off between storing the last and ending, nothing more will come.
        if self.has_last().await {
            return;
        }
        let feed = feeds::Provisioning::new(provisioning, vec![pb::ResourceKind::User], "ledger");
        let ended = CancellationToken::new();
        let following = Following {
            ledger: self,
            until,
            ended: ended.clone(),
        };
        follower::follow(SOURCE, &feed, &following, Arc::new(OsEntropy), ended).await;
    }

    pub(super) async fn close(&self) {
        self.store.close().await;
    }

    /// Every change that was told, in the order in which it was.
    pub(super) async fn changes(&self) -> Vec<Seen> {
        let reader = self.store.reader();
        let sql = "SELECT user, version, deleted, last FROM seen ORDER BY n";
        let all = Statement::from_string(reader.get_database_backend(), sql);
        let rows = reader.query_all_raw(all).await.unwrap();
        rows.iter()
            .map(|row| Seen {
                user: row.try_get("", "user").unwrap(),
                version: row.try_get("", "version").unwrap(),
                deleted: row.try_get::<i64>("", "deleted").unwrap() == 1,
                last: row.try_get::<i64>("", "last").unwrap() == 1,
            })
            .collect()
    }

    /// How often the feed began from nothing.
    pub(super) async fn resets(&self) -> i64 {
        let place = follow::load(self.store.reader(), SOURCE).await.unwrap();
        place.generation
    }

    async fn has_last(&self) -> bool {
        let reader = self.store.reader();
        let sql = "SELECT 1 FROM seen WHERE last = 1";
        let last = Statement::from_string(reader.get_database_backend(), sql);
        reader.query_one_raw(last).await.unwrap().is_some()
    }

    /// Stores the place alone.
    async fn went_to(&self, cursor: String) -> Result<(), Error> {
        self.store(move |_, place| {
            place.cursor = cursor;
            async { Ok(()) }.boxed()
        })
        .await
    }

    /// Stores an effect together with the place.
    async fn store<F>(&self, effect: F) -> Result<(), Error>
    where
        F: for<'a> FnOnce(&'a Tx, &'a mut follow::Followed) -> BoxFuture<'a, Result<(), Error>>
            + Send
            + 'static,
    {
        self.store
            .write(move |tx| {
                Box::pin(async move {
                    let mut place = follow::load(tx, SOURCE).await?;
                    effect(tx, &mut place).await?;
                    follow::save(tx, SOURCE, &place).await
                })
            })
            .await
    }
}

/// One run of following.
struct Following<'a> {
    ledger: &'a Ledger,
    until: Until,
    ended: CancellationToken,
}

impl Follower for Following<'_> {
    type Change = pb::Change;
    type Error = Error;

    async fn cursor(&self) -> Result<String, Error> {
        Ok(follow::load(self.ledger.store.reader(), SOURCE)
            .await?
            .cursor)
    }

    async fn reset(&self) -> Result<(), Error> {
        self.ledger
            .store(|_, place| {
                place.generation += 1;
                async { Ok(()) }.boxed()
            })
            .await
    }

    async fn apply(&self, changes: Vec<pb::Change>, cursor: String) -> Result<(), Error> {
        let mut seen = Vec::with_capacity(changes.len());
        for change in changes {
            let deleted = change.op() == ChangeOp::Deleted;
            let Some(pb::change::Resource::User(user)) = change.resource else {
                return Err(Error::Corrupt("change of a user"));
            };
            seen.push(Seen {
                user: user.user_id,
                version: user.version,
                deleted,
                last: user.attributes.is_some_and(|it| it.user_name == LAST),
            });
        }
        let last = seen.iter().any(|one| one.last);
        self.ledger
            .store(move |tx, place| {
                place.cursor = cursor;
                async move {
                    for one in seen {
                        let insert = Statement::from_sql_and_values(
                            tx.get_database_backend(),
                            "INSERT INTO seen (user, version, deleted, last) VALUES ($1, $2, $3, $4)",
                            [
                                one.user.into(),
                                one.version.into(),
                                i64::from(one.deleted).into(),
                                i64::from(one.last).into(),
                            ],
                        );
                        tx.execute_raw(insert).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        if self.ledger.says_so {
            println!("{STORED}");
        }
        if last && self.until == Until::Last {
            self.ended.cancel();
        }
        Ok(())
    }

    async fn snapshot_end(&self, cursor: String) -> Result<(), Error> {
        self.ledger.went_to(cursor).await?;
        if self.until == Until::Snapshot {
            self.ended.cancel();
        }
        Ok(())
    }

    async fn progress(&self, cursor: String, _through: Timestamp) -> Result<(), Error> {
        self.ledger.went_to(cursor).await
    }
}

struct Tables;

impl MigratorTrait for Tables {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Begin)]
    }
}

struct Begin;

impl MigrationName for Begin {
    fn name(&self) -> &'static str {
        "begin"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Begin {
    async fn up(&self, manager: &SchemaManager) -> Result<(), sea_orm::DbErr> {
        follow::create_table(manager).await?;
        let seen = "CREATE TABLE seen (n INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, \
                    version INTEGER NOT NULL, deleted INTEGER NOT NULL, last INTEGER NOT NULL)";
        manager.get_connection().execute_unprepared(seen).await?;
        Ok(())
    }
}
