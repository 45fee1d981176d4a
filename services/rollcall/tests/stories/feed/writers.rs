//! Sixteen writers on provisioning's own store.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::{BoxFuture, join_all};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rollcall_provisioning::Error;
use rollcall_provisioning::store::{self, Origin};
use rollcall_provisioning::user::{self, Moment, User};
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_scim::{MultiValue, User as Attributes};
use rollcall_store::{ChangeId, Store, Tx};
use rollcall_types::{AccountId, Clock, ConnectionId, IdSource, OsEntropy, SystemClock, UserId};
use tokio::sync::{Notify, watch};

use super::ledger::{LAST, Seen};
use crate::world::World;

/// What the writers did.
pub(super) struct Written {
    /// Every change that was answered, in the order of the feed.
    pub(super) changes: Vec<Seen>,
    /// How many writes failed after their change was appended.
    pub(super) failed: usize,
}

/// What becomes of a write once its change is appended.
#[derive(Clone, Copy)]
enum Fate {
    Commit,
    Fail,
    Panic,
}

/// The users that the writers share.
struct Shared {
    store: Store,
    account: AccountId,
    connection: ConnectionId,
    ids: IdSource,
    users: Mutex<Vec<UserId>>,
    changes: Mutex<Vec<(ChangeId, Seen)>>,
    written: watch::Sender<usize>,
    failed: AtomicUsize,
}

/// Writes until `target` changes are answered, then makes the last user; says when half is done.
pub(super) async fn write(world: &World, target: usize, half: &Notify) -> Written {
    let request = pb::GetConnectionRequest {
        account_id: "acme".to_owned(),
    };
    let connection = world.connections().get_connection(request).await.unwrap();
    let connection = connection.into_inner().connection.unwrap().connection_id;
    let shared = Arc::new(Shared {
        store: world.stores.provisioning.clone().unwrap(),
        account: AccountId::parse("acme").unwrap(),
        connection: ConnectionId::parse(&connection).unwrap(),
        ids: IdSource::new(Arc::new(SystemClock), Arc::new(OsEntropy)),
        users: Mutex::default(),
        changes: Mutex::default(),
        written: watch::Sender::new(0),
        failed: AtomicUsize::new(0),
    });
    let count = async {
        let done = |changes: &usize| *changes >= target / 2;
        drop(shared.written.subscribe().wait_for(done).await);
        half.notify_one();
    };
    let writers = (0..16).map(|seed| {
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut random = StdRng::seed_from_u64(seed);
            while *shared.written.borrow() < target {
                shared.step(&mut random).await;
            }
        })
    });
    let (done, ()) = tokio::join!(join_all(writers), count);
    for writer in done {
        writer.unwrap();
    }
    let last = attributes(LAST, true, true);
    shared.create(last, true, Fate::Commit).await;
    let mut changes = std::mem::take(&mut *shared.changes.lock().unwrap());
    changes.sort_by_key(|(change, _)| change.seq);
    Written {
        changes: changes.into_iter().map(|(_, seen)| seen).collect(),
        failed: shared.failed.load(Ordering::Relaxed),
    }
}

impl Shared {
    /// One write of any kind, of any user, with any fate.
    async fn step(&self, random: &mut StdRng) {
        let fate = match random.random_range(0..40) {
            0..5 => Fate::Fail,
            5 => Fate::Panic,
            _ => Fate::Commit,
        };
        let users = self.users.lock().unwrap().len();
        let kind = random.random_range(0..10);
        if users < 16 || (kind < 3 && users < 500) {
            // Of a few hundred names some are taken: the insert fails after the append.
            let name = format!("u{}@acme.example", random.random_range(0..2_000));
            let made = attributes(&name, random.random(), random.random());
            self.create(made, random.random(), fate).await;
            return;
        }
        let id = self.users.lock().unwrap()[random.random_range(0..users - 1)];
        if kind == 9 {
            self.delete(id, fate).await;
        } else {
            self.update(id, random.random(), random.random(), fate)
                .await;
        }
    }

    fn moment(&self, verified: bool) -> Moment {
        Moment {
            connection: self.connection,
            now: SystemClock.now(),
            verified,
        }
    }

    async fn create(&self, attributes: Attributes, verified: bool, fate: Fate) {
        let id = UserId::from_uuid(self.ids.next());
        let made = user::create(&self.account, id, attributes, &self.moment(verified));
        if self
            .write(fate, move |tx, origin| {
                Box::pin(async move {
                    let change = store::user::insert(tx, &made, &origin).await?;
                    Ok(Some((change, seen(&made, made.version, false))))
                })
            })
            .await
        {
            self.users.lock().unwrap().push(id);
        }
    }

    async fn update(&self, id: UserId, active: bool, role: bool, fate: Fate) {
        let account = self.account.clone();
        let moment = self.moment(true);
        self.write(fate, move |tx, origin| {
            Box::pin(async move {
                let Some(row) = store::user::find(tx, &account, id).await? else {
                    return Ok(None);
                };
                let before = row.decode(&account)?;
                let new = attributes(&before.attributes.user_name, active, role);
                let Some(after) = user::replace(&before, new, &moment)? else {
                    return Ok(None);
                };
                let change = store::user::update(tx, &before, &after, &origin).await?;
                Ok(Some((change, seen(&after, after.version, false))))
            })
        })
        .await;
    }

    async fn delete(&self, id: UserId, fate: Fate) {
        let account = self.account.clone();
        if self
            .write(fate, move |tx, origin| {
                Box::pin(async move {
                    let Some(row) = store::user::find(tx, &account, id).await? else {
                        return Ok(None);
                    };
                    let user = row.decode(&account)?;
                    let change = store::user::delete(tx, &user, &origin).await?;
                    Ok(Some((change, seen(&user, user.version + 1, true))))
                })
            })
            .await
        {
            self.users.lock().unwrap().retain(|user| *user != id);
        }
    }

    /// Writes, and notes the change if it was answered; whether it was.
    async fn write<F>(&self, fate: Fate, work: F) -> bool
    where
        F: for<'a> FnOnce(&'a Tx, Origin) -> Outcome<'a> + Send + 'static,
    {
        let origin = Origin::connection(self.connection, None, SystemClock.now());
        let answer = self.store.write(move |tx| {
            Box::pin(async move {
                let outcome = work(tx, origin).await?;
                match fate {
                    Fate::Commit => Ok(outcome),
                    Fate::Fail => Err(Error::Unsupported("this write")),
                    // Without the message that a panic prints.
                    Fate::Panic => std::panic::resume_unwind(Box::new("a panic on purpose")),
                }
            })
        });
        match answer.await {
            Ok(Some(change)) => {
                self.changes.lock().unwrap().push(change);
                self.written.send_modify(|written| *written += 1);
                true
            }
            Ok(None) => false,
            Err(_) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }
}

/// The change that was made, if there was one.
type Outcome<'a> = BoxFuture<'a, Result<Option<(ChangeId, Seen)>, Error>>;

fn seen(user: &User, version: i64, deleted: bool) -> Seen {
    Seen {
        user: user.id.to_string(),
        version,
        deleted,
        last: user.attributes.user_name == LAST,
    }
}

fn attributes(user_name: &str, active: bool, role: bool) -> Attributes {
    let roles = if role { vec!["Sales Manager"] } else { vec![] };
    Attributes {
        user_name: user_name.to_owned(),
        active: Some(active),
        emails: vec![MultiValue::new(user_name)],
        roles: Some(roles.into_iter().map(MultiValue::new).collect()),
        ..Attributes::default()
    }
}
