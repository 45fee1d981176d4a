//! A store in a folder of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rollcall_store::feed::{self, Accounts, Mark, Watch, WatchError};
use rollcall_store::position::Source;
use rollcall_store::{ChangeId, Error, Store, Tx, testing};
use rollcall_types::{AccountId, OsEntropy, TestClock};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::things::{self, Key, Migrator, State};

/// Messages of a feed.
pub(crate) type Marks = mpsc::Receiver<Result<Mark, WatchError>>;

/// A store and its folder.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) clock: Arc<TestClock>,
    folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap()).await
    }

    /// Opens what is in a folder.
    pub(crate) async fn open(folder: TempDir) -> Self {
        let database = testing::database(folder.path(), "things").await;
        let store = Store::open::<Migrator>(&database, &OsEntropy)
            .await
            .unwrap();
        Self {
            store,
            clock: Arc::new(TestClock::new(things::time())),
            folder,
        }
    }

    /// Closes the store, lets `meanwhile` see its database, and opens it again.
    pub(crate) async fn restart(self, meanwhile: impl FnOnce(PathBuf)) -> Self {
        self.store.close().await;
        let Self { folder, .. } = self;
        meanwhile(folder.path().join("things.db"));
        Self::open(folder).await
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("things.db")
    }

    /// Puts a thing; which change it is.
    pub(crate) async fn put(&self, key: &Key, value: &str) -> ChangeId {
        self.store.write(put(key, value)).await.unwrap()
    }

    pub(crate) async fn delete(&self, key: &Key) {
        let key = key.clone();
        let gone = self
            .store
            .write(move |tx| Box::pin(async move { things::delete(tx, &key).await }));
        gone.await.unwrap();
    }

    pub(crate) async fn ids(&self) -> Vec<String> {
        things::ids(self.store.reader()).await
    }

    /// The changes that the feed holds.
    pub(crate) async fn changes(
        &self,
        only: Option<&AccountId>,
        kinds: &[u8],
    ) -> BTreeSet<ChangeId> {
        let backend = self.store.reader().get_database_backend();
        let changes = match backend {
            DbBackend::Postgres => "SELECT seq, xid::text AS xid, account_id, kind FROM changes",
            _ => "SELECT seq, '0' AS xid, account_id, kind FROM changes",
        };
        let statement = Statement::from_string(backend, changes);
        let rows = self.store.reader().query_all_raw(statement).await.unwrap();
        rows.iter()
            .filter(|row| {
                let account: String = row.try_get("", "account_id").unwrap();
                let kind: i64 = row.try_get("", "kind").unwrap();
                kinds.iter().any(|one| i64::from(*one) == kind)
                    && only.is_none_or(|only| only.as_str() == account)
            })
            .map(|row| ChangeId {
                xid: row.try_get::<String>("", "xid").unwrap().parse().unwrap(),
                seq: row.try_get("", "seq").unwrap(),
            })
            .collect()
    }

    /// The numbers of the changes that the feed holds.
    pub(crate) async fn sequence(&self) -> Vec<i64> {
        let changes = self.changes(None, &[1, 2]).await;
        changes.into_iter().map(|change| change.seq).collect()
    }

    /// Follows the feed, two things a page of the snapshot.
    pub(crate) fn watch(&self, watch: Watch) -> Marks {
        self.watch_pages(watch, 2)
    }

    pub(crate) fn watch_pages(&self, watch: Watch, page: u64) -> Marks {
        let rows = Arc::new(State { page });
        feed::watch(self.store.clone(), self.clock.clone(), rows, watch)
    }
}

/// A piece of work that puts a thing.
pub(crate) fn put(
    key: &Key,
    value: &str,
) -> impl for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<ChangeId, Error>> + Send + 'static {
    let (key, value) = (key.clone(), value.to_owned());
    move |tx| Box::pin(async move { things::put(tx, &key, &value).await })
}

/// A thing of the first kind in the account `acme`.
pub(crate) fn thing(id: &str) -> Key {
    ("acme".to_owned(), 1, id.to_owned())
}

/// Everything of both kinds, from a cursor.
pub(crate) fn everything(cursor: &str) -> Watch {
    Watch {
        source: Source::Provisioning,
        accounts: Accounts::All,
        kinds: vec![1, 2],
        cursor: cursor.to_owned(),
        progress: Duration::from_secs(15),
    }
}

/// The writer in the middle of a piece: what is queued meanwhile becomes one batch.
pub(crate) struct Held {
    release: oneshot::Sender<()>,
    first: JoinHandle<Result<(), Error>>,
}

impl Held {
    pub(crate) async fn hold(store: &Store) -> Self {
        let (release, released) = oneshot::channel();
        let (begin, begun) = oneshot::channel();
        let store = store.clone();
        let first = tokio::spawn(async move {
            let piece = store.write(move |_| {
                Box::pin(async move {
                    begin.send(()).unwrap();
                    released.await.unwrap();
                    Ok(())
                })
            });
            piece.await
        });
        begun.await.unwrap();
        Self { release, first }
    }

    /// Lets the writer go on and waits for the end of the piece that held it.
    pub(crate) async fn release(self) {
        self.release.send(()).unwrap();
        self.first.await.unwrap().unwrap();
    }
}

/// Begins a call, so that it stands in the writer's queue.
pub(crate) fn queued<T>(
    call: impl Future<Output = T>,
) -> std::pin::Pin<Box<impl Future<Output = T>>> {
    let mut call = Box::pin(call);
    let waker = std::task::Waker::noop();
    let begun = call
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker));
    assert!(begun.is_pending(), "the writer is held");
    call
}

/// One account's changes, or all.
pub(crate) fn only(account: Option<AccountId>) -> Accounts {
    account.map_or(Accounts::All, Accounts::One)
}
