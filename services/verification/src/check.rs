//! One check from its lease to its verdict, and how callers join one that runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use rollcall_rpc::Failure;
use rollcall_store::Store;
use rollcall_types::{AccountId, Clock, DomainId};

use crate::challenge::Challenge;
use crate::claim::{Claim, Trigger};
use crate::domain;
use crate::error::Error;
use crate::judge::{Finding, Look, judge};
use crate::lookup::{Dns, Unavailable};
use crate::store::claim::{self, Author, Lease, Row};
use crate::store::held_name;

/// How long a check may take before another may begin in its place.
const LEASE: Duration = Duration::from_secs(30);

type Key = (AccountId, DomainId);
/// A running check that many may wait for. It goes on when nobody does.
pub(crate) type Running = Shared<BoxFuture<'static, Result<Claim, Failure>>>;

/// Makes checks. Clones share what runs.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    dns: Arc<dyn Dns>,
    /// The longest time between two automatic checks.
    pub(crate) longest: Option<Duration>,
    running: Arc<Mutex<HashMap<Key, Running>>>,
}

impl Checker {
    pub(crate) fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        dns: Arc<dyn Dns>,
        longest: Option<Duration>,
    ) -> Self {
        Self {
            store,
            clock,
            dns,
            longest,
            running: Arc::default(),
        }
    }

    /// The check of a row that runs now.
    pub(crate) fn joined(&self, account: &AccountId, id: DomainId) -> Option<Running> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(&(account.clone(), id)).cloned()
    }

    /// Joins the check of a row that runs, else begins one.
    pub(crate) fn check_now(&self, account: &AccountId, id: DomainId, author: Author) -> Running {
        self.start((account.clone(), id), None, Trigger::Person, author)
    }

    /// Checks a row that the schedule has leased.
    pub(crate) fn check_due(&self, row: Row) -> Running {
        let key = (row.claim.account.clone(), row.claim.id);
        self.start(key, Some(row), Trigger::Schedule, Author::system())
    }

    /// Leases up to `limit` rows that are due.
    pub(crate) async fn lease_due(&self, limit: u64) -> Result<Vec<Row>, Error> {
        let now = self.clock.now();
        self.store
            .write(move |tx| {
                async move { Ok(claim::lease_due(tx, now, now.plus(LEASE), limit).await?) }.boxed()
            })
            .await
    }

    fn start(&self, key: Key, row: Option<Row>, trigger: Trigger, author: Author) -> Running {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(check) = running.get(&key) {
            return check.clone();
        }
        let entry = Entry {
            checker: self.clone(),
            key: key.clone(),
        };
        // A task of its own: the check goes on when the caller's deadline has passed.
        let task = tokio::spawn(async move {
            let outcome = entry.checker.run(&entry.key, row, trigger, &author).await;
            outcome.map_err(Failure::from)
        });
        let check = task
            .map(|end| end.unwrap_or_else(|_| Err(Failure::try_again("the check was stopped"))))
            .boxed()
            .shared();
        running.insert(key, check.clone());
        check
    }

    /// One check, and once more if the claim was renewed under it.
    async fn run(
        &self,
        key: &Key,
        leased: Option<Row>,
        trigger: Trigger,
        author: &Author,
    ) -> Result<Claim, Error> {
        let first = match leased {
            Some(row) => row,
            None => self.lease(key).await?,
        };
        if let Some(claim) = self.run_once(first, trigger, author).await? {
            return Ok(claim);
        }
        let second = self.lease(key).await?;
        let outcome = self.run_once(second, trigger, author).await?;
        outcome.ok_or(Error::Contended)
    }

    async fn lease(&self, (account, id): &Key) -> Result<Row, Error> {
        let (account, id) = (account.clone(), *id);
        let until = self.clock.now().plus(LEASE);
        self.store
            .write(move |tx| {
                async move {
                    let row = claim::lease(tx, &account, id, until).await?;
                    row.ok_or_else(|| Error::UnknownDomain(id.to_string()))
                }
                .boxed()
            })
            .await
    }

    /// `None` if another check or a renewal took the row meanwhile: what was found says nothing of
    /// the claim as it now is.
    async fn run_once(
        &self,
        row: Row,
        trigger: Trigger,
        author: &Author,
    ) -> Result<Option<Claim>, Error> {
        let aged = row.claim.aged(self.clock.now());
        // Our own failure leaves everything as it is; the row is due again when its lease ends.
        let finding = if aged.is_open() {
            Some(self.look(&row.claim).await?)
        } else {
            None
        };
        self.finish(row, finding, trigger, author.clone()).await
    }

    /// Asks every vantage for both places at once.
    async fn look(&self, claim: &Claim) -> Result<Finding, Unavailable> {
        let at_domain = Challenge::at_domain(&claim.name).name;
        let at_challenge = claim.challenge.at_challenge(&claim.name);
        let below = async {
            match &at_challenge {
                Some(host) => self.dns.txt(&host.name).await,
                None => Ok(Vec::new()),
            }
        };
        let (at_domain, at_challenge) = tokio::join!(self.dns.txt(&at_domain), below);
        let look = Look {
            name: claim.name.as_str(),
            registrable: domain::registrable(&claim.name),
            at_domain: &at_domain?,
            at_challenge: &at_challenge?,
        };
        Ok(judge(&claim.challenge, &look))
    }

    /// Stores what the check found: transition, holder and feed in one write.
    async fn finish(
        &self,
        row: Row,
        finding: Option<Finding>,
        trigger: Trigger,
        author: Author,
    ) -> Result<Option<Claim>, Error> {
        let now = self.clock.now();
        let longest = self.longest;
        let stored = self.store.write(move |tx| {
            async move {
                let Row { claim, fence } = row;
                let Some(Row {
                    claim: before,
                    fence: present,
                }) = claim::find(tx, &claim.account, claim.id).await?
                else {
                    return Ok(None);
                };
                if present != fence {
                    return Ok(None);
                }
                let after = match &finding {
                    Some(finding) if before.is_open() => {
                        let mut proof = finding.proof.as_ref().ok().copied();
                        if proof.is_some() && !held_name::hold(tx, &before).await? {
                            proof = None;
                        }
                        before.checked(finding, proof, trigger, now, longest)
                    }
                    _ => before.aged(now),
                };
                let after =
                    claim::replace(tx, &before, after, Lease::Release, &author, now).await?;
                Ok(Some((before, after)))
            }
            .boxed()
        });
        let stored: Result<Option<(Claim, Claim)>, Error> = stored.await;
        Ok(stored?.map(|(before, after)| {
            log(&before, &after, trigger);
            after
        }))
    }
}

/// A check's place among those that run, given up however it ends.
struct Entry {
    checker: Checker,
    key: Key,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let running = &self.checker.running;
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.key);
    }
}

fn log(before: &Claim, after: &Claim, trigger: Trigger) {
    let check = after.last_check.as_ref();
    let diagnosis = check.and_then(|check| check.diagnosis.as_ref());
    tracing::info!(
        account.id = %after.account,
        domain.id = %after.id,
        domain = %after.name,
        trigger = trigger.name(),
        verdict = check.map(|check| check.verdict.name()),
        reason = diagnosis.map(|diagnosis| diagnosis.reason.as_str()),
        before = before.state.name(),
        after = after.state.name(),
        next_check = after.next_check.map(tracing::field::display),
        "a domain was checked"
    );
}
