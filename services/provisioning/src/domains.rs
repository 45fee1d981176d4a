//! Follows verification's feed, and releases held users once their domain is verified (U-09, D-05,
//! D-06; fine print c).

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use moka::sync::Cache;
use rollcall_rpc::convert::time;
use rollcall_rpc::follower::{self, Follower};
use rollcall_rpc::pb::common::v1::ChangeOp;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::{feeds, prost_types};
use rollcall_store::follow;
use rollcall_types::{AccountId, DomainId, DomainName, Timestamp};
use tokio::sync::{Notify, watch};

use crate::error::Error;
use crate::store::domain::{Projected, Waiting};
use crate::store::{self, Origin};
use crate::{Shared, user};

/// The name of the feed in `follows`.
pub(crate) const SOURCE: &str = "verification";
/// The name of the work in `GetStatus`.
pub(crate) const RELEASE: &str = "release";
/// How many users one transaction releases.
const BATCH: u64 = 100;
/// How often everything is looked at again, whatever the feed said.
const SWEEP: Duration = Duration::from_secs(60);
/// How soon after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// The tasks: the follower, and the release.
pub(crate) fn tasks(shared: &Arc<Shared>) -> Vec<BoxFuture<'static, ()>> {
    let follow = {
        let shared = shared.clone();
        async move {
            let kinds = vec![pb::ResourceKind::Domain];
            let verification = shared.deps.verification.clone();
            let feed = feeds::Verification::new(verification, kinds, "provisioning");
            let entropy = shared.deps.entropy.clone();
            let stop = shared.deps.stop.clone();
            let projection = Projection {
                shared,
                continued: follow::Continued::default(),
            };
            follower::follow(SOURCE, &feed, &projection, entropy, stop).await;
        }
    };
    vec![follow.boxed(), release(shared.clone()).boxed()]
}

/// What the follower tells the rest of the service.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Rung when domains were stored.
    domains: Notify,
    /// How far the feed is, where that is newer than what is stored.
    through: watch::Sender<Option<Timestamp>>,
}

impl Heard {
    /// How far the feed is; `None` before the first word of it since the start.
    pub(crate) fn through(&self) -> Option<Timestamp> {
        *self.through.borrow()
    }
}

/// Which email domains writes have found to be verified, or not to be. A guess that every write
/// checks, so it costs nothing that it is not kept in step.
#[derive(Debug)]
pub(crate) struct Verified(Cache<(AccountId, DomainName), bool>);

impl Default for Verified {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).build())
    }
}

impl Verified {
    pub(crate) fn get(&self, account: &AccountId, domain: &DomainName) -> Option<bool> {
        self.0.get(&(account.clone(), domain.clone()))
    }

    pub(crate) fn put(&self, account: &AccountId, domain: &DomainName, verified: bool) {
        self.0.insert((account.clone(), domain.clone()), verified);
    }
}

/// The table `domains`, kept in step.
struct Projection {
    shared: Arc<Shared>,
    continued: follow::Continued,
}

impl Projection {
    /// Stores an effect together with where the feed is.
    async fn store<F>(&self, effect: F) -> Result<(), Error>
    where
        F: for<'a> FnOnce(
                &'a rollcall_store::Tx,
                &'a mut follow::Followed,
            ) -> BoxFuture<'a, Result<(), Error>>
            + Send
            + 'static,
    {
        let from = self.continued.cursor();
        let stored = self.shared.store.write(move |tx| {
            Box::pin(async move {
                let mut place = follow::load_at(tx, SOURCE, &from).await?;
                effect(tx, &mut place).await?;
                follow::save(tx, SOURCE, &place).await?;
                Ok::<_, Error>(place.cursor)
            })
        });
        self.continued.from(&stored.await?);
        Ok(())
    }
}

impl Projection {
    /// Rings for the release, once no write runs any more that may have decided by what the domains
    /// were before: it would hold a user whom nobody looks for.
    async fn released(&self) -> Result<(), Error> {
        let settled = self.shared.store.settle().await;
        self.shared.heard.domains.notify_one();
        Ok(settled?)
    }
}

impl Follower for Projection {
    type Change = pb::Change;
    type Error = Error;

    async fn cursor(&self) -> Result<String, Error> {
        let reader = self.shared.store.reader();
        let cursor = follow::load(reader, SOURCE).await?.cursor;
        self.continued.from(&cursor);
        Ok(cursor)
    }

    async fn reset(&self) -> Result<(), Error> {
        self.shared.heard.through.send_replace(None);
        self.store(|_, place| {
            place.generation += 1;
            place.through = None;
            async { Ok(()) }.boxed()
        })
        .await
    }

    async fn apply(&self, changes: Vec<pb::Change>, cursor: String) -> Result<(), Error> {
        let now = self.shared.deps.clock.now();
        self.store(move |tx, place| {
            async move {
                for change in &changes {
                    let Some(pb::change::Resource::Domain(domain)) = &change.resource else {
                        continue;
                    };
                    // What this release can't read is not verified for anybody.
                    let Ok(account) = AccountId::parse(&domain.account_id) else {
                        continue;
                    };
                    let Ok(id) = DomainId::parse(&domain.domain_id) else {
                        continue;
                    };
                    if change.op() == ChangeOp::Deleted {
                        store::domain::delete(tx, &account, id).await?;
                        continue;
                    }
                    let Ok(name) = DomainName::parse(&domain.name) else {
                        continue;
                    };
                    let projected = Projected {
                        account,
                        id,
                        name,
                        verified: verified_since(domain, change.commit_time.as_ref(), now),
                        version: domain.version,
                    };
                    store::domain::upsert(tx, &projected, place.generation).await?;
                }
                place.cursor = cursor;
                Ok(())
            }
            .boxed()
        })
        .await?;
        self.released().await
    }

    async fn snapshot_end(&self, cursor: String) -> Result<(), Error> {
        self.store(move |tx, place| {
            async move {
                store::domain::drop_older(tx, place.generation).await?;
                place.cursor = cursor;
                Ok(())
            }
            .boxed()
        })
        .await?;
        self.released().await
    }

    async fn progress(&self, cursor: String, through: Timestamp) -> Result<(), Error> {
        let stored = follow::load(self.shared.store.reader(), SOURCE).await?;
        // A commit a second for a feed that is silent would be one too many.
        if stored.cursor != cursor || stored.through.is_none() {
            self.store(move |_, place| {
                place.cursor = cursor;
                place.through = Some(through);
                async { Ok(()) }.boxed()
            })
            .await?;
        }
        self.shared.heard.through.send_replace(Some(through));
        Ok(())
    }
}

/// Since when the domain is verified, if its state says so: when it was said at the latest.
fn verified_since(
    domain: &pb::Domain,
    said: Option<&prost_types::Timestamp>,
    now: Timestamp,
) -> Option<Timestamp> {
    let times = [domain.verify_time.as_ref(), said];
    let time = times.into_iter().flatten().find_map(time::from_proto);
    (domain.state() == pb::DomainState::Verified).then(|| time.unwrap_or(now))
}

/// Level-triggered: whatever changed in the domains, whoever is held for a verified one is
/// released, until a scan finds nobody. The one writer of SQLite orders every write of a user
/// before or after the commit that verified its domain: one before is found by the scan that this
/// commit rings for, one after sees the domain verified. On PostgreSQL those before have ended when
/// it rings.
async fn release(shared: Arc<Shared>) {
    loop {
        let pause = if sweep(&shared).await { SWEEP } else { AGAIN };
        let rung = tokio::time::timeout(pause, shared.heard.domains.notified());
        tokio::select! {
            () = shared.deps.stop.cancelled() => return,
            _ = rung => {}
        }
    }
}

/// Whether all went well. What fails for one domain keeps nobody of another waiting.
async fn sweep(shared: &Arc<Shared>) -> bool {
    let waiting = match store::domain::with_held_users(shared.store.reader()).await {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::warn!(%error, "held users can't be looked for; it is tried again");
            return false;
        }
    };
    let mut well = true;
    for Waiting { account, name, .. } in waiting {
        if let Err(error) = release_all(shared, &account, &name).await {
            tracing::warn!(account.id = %account, %error, "releasing held users failed; it is tried again");
            well = false;
        }
    }
    well
}

async fn release_all(
    shared: &Arc<Shared>,
    account: &AccountId,
    domain: &DomainName,
) -> Result<(), Error> {
    while release_some(shared, account.clone(), domain.clone()).await? > 0 {}
    Ok(())
}

/// Releases the next users of the domain in the order in which they came; how many.
async fn release_some(
    shared: &Arc<Shared>,
    account: AccountId,
    domain: DomainName,
) -> Result<usize, Error> {
    let now = shared.deps.clock.now();
    shared
        .store
        .write(move |tx| {
            Box::pin(async move {
                // The domain may have been lost since the scan.
                if !store::domain::is_verified(tx, &account, Some(&domain)).await? {
                    return Ok(0);
                }
                let origin = Origin::system(now);
                let held = store::user::held(tx, &account, &domain, BATCH).await?;
                for before in &held {
                    let after = user::release(before, now);
                    store::user::update(tx, before, &after, &origin).await?;
                }
                Ok(held.len())
            })
        })
        .await
}
