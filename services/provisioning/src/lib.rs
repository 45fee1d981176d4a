//! User provisioning: accounts, connections and their tokens, users, and the feed of all three.
//!
//! Okta reaches it through the gateway (`rollcall.scim.v1`), the product through
//! `rollcall.provisioning.v1`. What decides is in [`account`], [`connection`] and [`user`], pure;
//! Okta's writes are put together in `okta`, its lists in `list`; SQL is in `store`, gRPC in `grpc`.
//! Verified domains come by following verification's feed ([`domains`]), so that Okta gets its answers while verification is away (D-06).

pub mod account;
pub mod connection;
pub mod domains;
mod error;
mod grpc;
mod list;
mod okta;
pub mod store;
pub mod user;

use std::sync::Arc;

use futures::future::BoxFuture;
use rollcall_rpc::Backend;
use rollcall_store::{Database, Store, TokenKey};
use rollcall_types::{Clock, Entropy, IdSource};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use error::Error;

/// The settings of the service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Plan keys that make an account eligible; a leading `*` stands for any beginning.
    pub eligible_subscriptions: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            eligible_subscriptions: vec!["*-enterprise".to_owned()],
        }
    }
}

/// What the service needs from outside.
#[derive(Clone, Debug)]
pub struct Deps {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// New ids.
    pub ids: Arc<IdSource>,
    /// Seals change tokens.
    pub token_key: Arc<TokenKey>,
    /// The service whose feed of domains is followed.
    pub verification: Backend,
    /// Ends the background tasks.
    pub stop: CancellationToken,
}

/// The service, ready to be served.
pub struct Service {
    /// Its gRPC services.
    pub routes: Routes,
    /// Its background tasks; each ends on [`Deps::stop`].
    pub tasks: Vec<BoxFuture<'static, ()>>,
    /// Its database, to be closed last.
    pub store: Store,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// What every handler and task of the service shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) deps: Deps,
    pub(crate) store: Store,
    pub(crate) feed: rollcall_feed::Server,
    pub(crate) tokens: connection::TokenCache,
    pub(crate) uses: connection::Uses,
    pub(crate) folding: list::Folding,
    pub(crate) verified: domains::Verified,
    pub(crate) bookmarks: store::user::bookmark::Bookmarks,
    pub(crate) heard: Arc<domains::Heard>,
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

/// Opens the database and builds the service on it.
///
/// # Errors
/// When the database can't be opened or its schema brought up to date.
pub async fn build(database: &Database, config: Config, deps: Deps) -> Result<Service, Error> {
    let store = Store::open::<store::Migrator>(database, deps.entropy.as_ref()).await?;
    let tokens = connection::TokenCache::default();
    let feed = rollcall_feed::Server {
        store: store.clone(),
        clock: deps.clock.clone(),
        token_key: deps.token_key.clone(),
        stop: deps.stop.clone(),
    };
    let shared = Arc::new(Shared {
        config,
        deps,
        store: store.clone(),
        feed,
        tokens,
        uses: connection::Uses::default(),
        folding: list::Folding::default(),
        verified: domains::Verified::default(),
        bookmarks: store::user::bookmark::Bookmarks::default(),
        heard: Arc::default(),
    });
    let tasks = domains::tasks(&shared);
    Ok(Service {
        routes: grpc::routes(&shared),
        tasks,
        store,
    })
}
