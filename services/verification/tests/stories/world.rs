//! A verification service in this process, with a clock that is moved and a DNS that is told
//! what to say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_rpc::pb::verification::v1::feed_service_client::FeedServiceClient;
use rollcall_rpc::pb::verification::v1::status_service_client::StatusServiceClient;
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers, Reason, failure};
use rollcall_store::{Store, TokenKey, testing};
use rollcall_types::{AccountId, IdSource, OsEntropy, TestClock, Timestamp};
use rollcall_verification::{Config, Deps, Dns, Heard, TxtAnswer, Unavailable, build};
use sea_orm::{ConnectionTrait, Statement};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Answers by owner name; names that nobody set do not exist in a zone that does.
#[derive(Debug, Default)]
pub(crate) struct FakeDns {
    answers: Mutex<HashMap<String, TxtAnswer>>,
    asked: Mutex<usize>,
    /// Whether our own resolvers can't be used.
    pub(crate) broken: AtomicBool,
    /// Held while a test wants looks to wait.
    pub(crate) door: tokio::sync::RwLock<()>,
}

impl FakeDns {
    pub(crate) fn set(&self, owner: &str, answer: TxtAnswer) {
        self.answers
            .lock()
            .unwrap()
            .insert(owner.to_owned(), answer);
    }

    pub(crate) fn publish(&self, owner: &str, values: &[&str]) {
        let records = values.iter().map(|value| value.as_bytes().to_vec());
        self.set(owner, TxtAnswer::Records(records.collect()));
    }

    pub(crate) fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

#[async_trait::async_trait]
impl Dns for FakeDns {
    async fn txt(&self, owner: &str) -> Result<Vec<Heard>, Unavailable> {
        *self.asked.lock().unwrap() += 1;
        drop(self.door.read().await);
        if self.broken.load(Ordering::SeqCst) {
            return Err(Unavailable("no resolver".to_owned()));
        }
        let answers = self.answers.lock().unwrap();
        let answer = answers.get(owner).cloned().unwrap_or(TxtAnswer::NoData);
        Ok(vec![Heard {
            vantage: "192.0.2.53:53".to_owned(),
            answer,
        }])
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) dns: Arc<FakeDns>,
    pub(crate) platform: Backend,
    pub(crate) service: Backend,
    pub(crate) operator: Backend,
    pub(crate) globex_only: Backend,
    pub(crate) store: Store,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) struct Options {
    pub(crate) scheduler: bool,
    pub(crate) rate_limits: bool,
}

impl World {
    /// Without the scheduler: checks are made by persons only.
    pub(crate) async fn start() -> Self {
        Self::with(Options {
            scheduler: false,
            rate_limits: false,
        })
        .await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let start = Timestamp::parse("2026-11-24T09:00:00Z").unwrap();
        let clock = Arc::new(TestClock::new(start));
        let dns = Arc::new(FakeDns::default());
        let ids = Arc::new(IdSource::new(clock.clone(), Arc::new(OsEntropy)));
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            slug: "rollcall".to_owned(),
            resolvers: Vec::new(),
            allow_special_use: true,
            require_known_tld: false,
            allow_private_suffix: false,
            max_check_interval: None,
            rate_limits: options.rate_limits,
        };
        let deps = Deps {
            clock: clock.clone(),
            entropy: Arc::new(OsEntropy),
            ids: ids.clone(),
            token_key: Arc::new(TokenKey::new(&[7; 32], Arc::new(OsEntropy))),
            dns: Some(dns.clone()),
            stop: stop.clone(),
        };
        let database = testing::database(folder.path(), "verification").await;
        let service = build(&database, config, deps).await.unwrap();
        if options.scheduler {
            for task in service.tasks {
                tokio::spawn(task);
            }
        }
        let mut callers = Callers::default();
        let globex: Arc<[AccountId]> = [AccountId::parse("globex").unwrap()].into();
        for (name, kind, scopes, accounts) in [
            (
                "platform",
                CallerKind::Platform,
                vec!["domains.read", "domains.write", "feed.read"],
                None,
            ),
            ("service", CallerKind::Service, vec![], None),
            ("operator", CallerKind::Operator, vec!["operate"], None),
            (
                "globex-only",
                CallerKind::Platform,
                vec!["domains.read", "domains.write", "feed.read"],
                Some(globex),
            ),
        ] {
            callers.add(
                name,
                Caller {
                    name: name.into(),
                    kind,
                    scopes: scopes.into_iter().map(str::to_owned).collect(),
                    accounts,
                },
            );
        }
        let layer = ServerLayer::new(Arc::new(callers), ids, false);
        let backend = |token| Backend::in_process(service.routes.clone(), &layer, token);
        Self {
            platform: backend("platform"),
            service: backend("service"),
            operator: backend("operator"),
            globex_only: backend("globex-only"),
            clock,
            dns,
            store: service.store,
            stop,
            _folder: folder,
        }
    }

    pub(crate) fn domains(&self) -> DomainServiceClient<Backend> {
        DomainServiceClient::new(self.platform.clone())
    }

    pub(crate) fn feed(&self) -> FeedServiceClient<Backend> {
        FeedServiceClient::new(self.service.clone())
    }

    pub(crate) fn status(&self) -> StatusServiceClient<Backend> {
        StatusServiceClient::new(self.operator.clone())
    }

    pub(crate) async fn try_add(&self, account: &str, name: &str) -> Result<pb::Domain, Status> {
        let request = pb::AddDomainRequest {
            account_id: account.to_owned(),
            name: name.to_owned(),
        };
        let answer = self.domains().add_domain(request).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    pub(crate) async fn add(&self, account: &str, name: &str) -> pb::Domain {
        self.try_add(account, name).await.unwrap()
    }

    pub(crate) async fn get(&self, domain: &pb::Domain) -> pb::Domain {
        let request = pb::GetDomainRequest {
            account_id: domain.account_id.clone(),
            domain_id: domain.domain_id.clone(),
        };
        let answer = self.domains().get_domain(request).await.unwrap();
        answer.into_inner().domain.unwrap()
    }

    pub(crate) async fn try_verify(
        &self,
        domain: &pb::Domain,
    ) -> Result<(pb::Domain, pb::Check), Status> {
        let request = pb::VerifyDomainRequest {
            account_id: domain.account_id.clone(),
            domain_id: domain.domain_id.clone(),
        };
        let answer = self.domains().verify_domain(request).await?.into_inner();
        Ok((answer.domain.unwrap(), answer.check.unwrap()))
    }

    pub(crate) async fn verify(&self, domain: &pb::Domain) -> (pb::Domain, pb::Check) {
        self.try_verify(domain).await.unwrap()
    }

    pub(crate) async fn try_renew(
        &self,
        domain: &pb::Domain,
        etag: &str,
    ) -> Result<pb::Domain, Status> {
        let request = pb::RenewChallengeRequest {
            account_id: domain.account_id.clone(),
            domain_id: domain.domain_id.clone(),
            etag: etag.to_owned(),
        };
        let answer = self.domains().renew_challenge(request).await?;
        Ok(answer.into_inner().domain.unwrap())
    }

    /// Waits, in real time, until the domain is in the state.
    pub(crate) async fn until(&self, domain: &pb::Domain, state: pb::DomainState) -> pb::Domain {
        for _ in 0..3000 {
            let now = self.get(domain).await;
            if now.state() == state {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is {:?}", domain.name, self.get(domain).await);
    }

    /// Begins the end of the service.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// How many changes the feed holds.
    pub(crate) async fn changes(&self) -> i64 {
        let reader = self.store.reader();
        let sql = "SELECT COUNT(*) AS n FROM changes";
        let count = Statement::from_string(reader.get_database_backend(), sql);
        let row = reader.query_one_raw(count).await.unwrap();
        row.unwrap().try_get("", "n").unwrap()
    }

    /// Waits until no check is due.
    pub(crate) async fn settle(&self) {
        for _ in 0..3000 {
            let status = self.status().get_status(pb::GetStatusRequest {}).await;
            let work = status.unwrap().into_inner().work;
            if work.iter().all(|work| work.oldest_due_time.is_none()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("checks stay due");
    }
}

pub(crate) fn value(domain: &pb::Domain) -> String {
    domain.challenge.as_ref().unwrap().value.clone()
}

pub(crate) fn reason_of(check: &pb::Check) -> &str {
    &check.diagnosis.as_ref().unwrap().reason
}

pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>) -> failure::Received {
    failure::read(&outcome.unwrap_err())
}

pub(crate) fn is(received: &failure::Received, reason: Reason) -> bool {
    received.reason == Some(reason)
}
