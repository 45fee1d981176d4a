//! Permissions: the catalogue, permission sets, the management switch, and what each user may do.
//!
//! Follows provisioning's feed and answers checks from memory. Decides in one place, `resolve`,
//! and stores no assignment: each is worked out from the user's roles, the account's sets and the
//! switch. Knows nothing of SCIM and HTTP.
//!
//! A change travels like this: provisioning's feed brings a user; the follower stores what matters
//! of it, the cursor, and a change of the service's own feed in one transaction; memory follows
//! that feed; `CheckPermission` looks at memory.

mod catalogue;
mod config;
mod error;
mod etag;
mod explain;
mod follow;
mod grpc;
mod input;
mod management;
mod memory;
mod permission_set;
mod resolve;
mod state;
mod store;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use rollcall_rpc::pb::provisioning::v1::ResourceKind;
use rollcall_rpc::{Backend, feeds};
use rollcall_store::{Database, Store, TokenKey};
use rollcall_types::{Clock, Entropy, IdSource};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use config::Config;
pub use error::Error;
use follow::Inputs;
use memory::Memory;
use state::State;

/// What the service is given.
#[derive(Debug)]
pub struct Deps {
    /// The time. Compared with the times of provisioning's feed, so it must be the clock that
    /// they come from.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Ids of new permission sets.
    pub ids: Arc<IdSource>,
    /// Seals and opens change tokens; the same key as provisioning's.
    pub token_key: Arc<TokenKey>,
    /// The service that is followed.
    pub provisioning: Backend,
    /// Ends the tasks.
    pub stop: CancellationToken,
}

/// The service, ready to be served.
pub struct Service {
    /// Every gRPC service of the package.
    pub routes: tonic::service::Routes,
    /// What must run beside it; each ends on `stop`.
    pub tasks: Vec<BoxFuture<'static, ()>>,
    /// The service's database, to be closed at the end.
    pub store: Store,
    /// Compares memory with the tables, for tests.
    #[doc(hidden)]
    pub recomputation: Recomputation,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("store", &self.store)
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

/// Builds the service on the SQLite file at `path`; memory is filled when it returns.
///
/// # Errors
/// [`Error::Internal`] when the file can't be opened, brought up to date or read.
pub async fn build(database: &Database, config: Config, deps: Deps) -> Result<Service, Error> {
    let store = Store::open::<store::Migrator>(database, deps.entropy.as_ref()).await?;
    let memory = Arc::new(Memory::load(&store).await?);
    let config = Arc::new(config);
    let inputs = Inputs {
        store: store.clone(),
        clock: Arc::clone(&deps.clock),
        memory: Arc::clone(&memory),
        continued: rollcall_store::follow::Continued::default(),
    };
    let kinds = vec![
        ResourceKind::Account,
        ResourceKind::Connection,
        ResourceKind::User,
    ];
    let feed = feeds::Provisioning::new(deps.provisioning.clone(), kinds, "permissions");
    let (entropy, stop) = (deps.entropy, deps.stop.clone());
    let following: BoxFuture<'static, ()> = Box::pin(async move {
        rollcall_rpc::follower::follow(store::input::SOURCE, &feed, &inputs, entropy, stop).await;
    });
    let (own, of, stop) = (Arc::clone(&memory), store.clone(), deps.stop);
    let remembering: BoxFuture<'static, ()> = Box::pin(async move { own.follow(of, stop).await });
    let recomputation = Recomputation {
        store: store.clone(),
        memory: Arc::clone(&memory),
        config: Arc::clone(&config),
    };
    let routes = grpc::routes(grpc::Context {
        store: store.clone(),
        memory,
        clock: deps.clock,
        ids: deps.ids,
        token_key: deps.token_key,
        provisioning: deps.provisioning,
        config,
    });
    Ok(Service {
        routes,
        tasks: vec![following, remembering],
        store,
        recomputation,
    })
}

/// Compares what memory answers with what the tables say.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Recomputation {
    store: Store,
    memory: Arc<Memory>,
    config: Arc<Config>,
}

impl Recomputation {
    /// Where memory differs from a fresh recomputation from the tables; empty if nowhere. Nothing
    /// may be written meanwhile.
    ///
    /// # Errors
    /// What the database says; [`Error::NotYetApplied`] when memory doesn't catch up within 10 s.
    pub async fn differences(&self) -> Result<Vec<String>, Error> {
        let fresh = State::load(self.store.reader()).await?;
        let until = Instant::now() + std::time::Duration::from_secs(10);
        let position = fresh.place.position.clone();
        if !self
            .memory
            .wait(until, |place| place.position.includes(&position))
            .await
        {
            return Err(Error::NotYetApplied);
        }
        let minimal = &self.config.minimal_keys;
        Ok(self.memory.read(|state| state.differences(&fresh, minimal)))
    }
}
