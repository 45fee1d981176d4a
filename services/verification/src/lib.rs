//! Verification: the email domains that accounts claim, and their proof by a TXT record.
//!
//! A claim is added with a value to publish; the value is looked for on a schedule and whenever a
//! person asks, by the configured resolvers, until it is found. What becomes of a domain is told
//! in the service's feed, which provisioning follows; verification calls nobody.
//!
//! Read on in this order: `claim` (what is stored), `judge` (what a look at the DNS means),
//! `check` (one check from claim to verdict), `recheck` (the schedule at work).

mod challenge;
mod check;
mod claim;
mod config;
mod diagnosis;
mod domain;
mod error;
mod grpc;
mod judge;
mod limit;
mod lookup;
mod recheck;
mod resolve;
mod schedule;
mod state;
mod store;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use rollcall_store::{Database, Store, TokenKey};
use rollcall_types::{Clock, Entropy, IdSource};
use tokio_util::sync::CancellationToken;

pub use config::{Config, Resolver};
pub use error::Error;
pub use lookup::{Dns, Heard, TxtAnswer, Unavailable};

use check::Checker;
use resolve::Vantages;

/// What the service works with.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes, for the values.
    pub entropy: Arc<dyn Entropy>,
    /// New ids.
    pub ids: Arc<IdSource>,
    /// Seals change tokens.
    pub token_key: Arc<TokenKey>,
    /// The DNS; none: hickory on the configured resolvers.
    pub dns: Option<Arc<dyn Dns>>,
    /// Ends the tasks.
    pub stop: CancellationToken,
}

/// The service, ready to be served.
pub struct Service {
    /// Its gRPC services.
    pub routes: tonic::service::Routes,
    /// Its background work: each ends on [`Deps::stop`].
    pub tasks: Vec<BoxFuture<'static, ()>>,
    /// Its database, to be closed at the end.
    pub store: Store,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

/// The migrations that the service's schema lacks.
///
/// # Errors
/// What the database says.
pub async fn missing(database: &Database) -> Result<Vec<String>, rollcall_store::Error> {
    Store::missing::<store::Migrator>(database).await
}

/// Brings the service's schema up to date, as its owner, and lets `user` use it.
///
/// # Errors
/// What the database says.
pub async fn migrate(database: &Database, user: Option<&str>) -> Result<(), rollcall_store::Error> {
    Store::migrate::<store::Migrator>(database, user).await
}

/// The vantages that checks ask.
#[must_use]
pub fn vantages(config: &Config) -> Arc<dyn Dns> {
    Arc::new(Vantages::new(&config.resolvers))
}

/// Opens the database and puts the service together; nothing runs yet.
///
/// # Errors
/// [`Error::Slug`] for a setting that can't be used, [`Error::Storage`] when the database can't be
/// opened. Resolvers that can't be used are no error here: checks answer with it.
pub async fn build(database: &Database, config: Config, deps: Deps) -> Result<Service, Error> {
    if !config.has_valid_slug() {
        return Err(Error::Slug);
    }
    let store = Store::open::<store::Migrator>(database, &*deps.entropy).await?;
    let dns = match deps.dns {
        Some(dns) => dns,
        None => vantages(&config),
    };
    let longest = config.max_check_interval;
    let checker = Checker::new(store.clone(), deps.clock.clone(), dns, longest);
    let rechecks = recheck::run(checker.clone(), deps.stop.clone());
    let api = grpc::Api {
        store: store.clone(),
        clock: deps.clock,
        entropy: deps.entropy,
        ids: deps.ids,
        token_key: deps.token_key,
        config: Arc::new(config),
        limiter: Arc::default(),
        checker,
        stop: deps.stop,
    };
    Ok(Service {
        routes: api.routes(),
        tasks: vec![Box::pin(rechecks)],
        store,
    })
}
