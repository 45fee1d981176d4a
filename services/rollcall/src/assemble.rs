//! The only wiring: each service is built, then given to those that call it: in process where both
//! are in this one, else over a channel.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers, Gate};
use rollcall_store::{Database, Store, TokenKey};
use rollcall_types::{Clock, Entropy, IdSource, base32};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::cli::Error;

/// What the system needs from outside.
#[derive(Debug)]
pub struct Setting {
    /// What runs in this process.
    pub roles: Roles,
    /// What doesn't, and is called from here.
    pub peers: Peers,
    /// Who may call, beside the roles of this process.
    pub callers: Callers,
    /// Whether the gRPC API tells of itself without a credential.
    pub reflection: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Seals change tokens.
    pub token_key: Arc<TokenKey>,
    /// The DNS, where a test gives it; else the resolvers of `verification`.
    pub dns: Option<Arc<dyn rollcall_verification::Dns>>,
    /// Ends the background tasks.
    pub stop: CancellationToken,
}

/// The roles of one process, each with what it needs.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// SCIM for Okta.
    pub gateway: Option<rollcall_gateway::Config>,
    /// Accounts, connections and users: its database.
    pub provisioning: Option<(Database, rollcall_provisioning::Config)>,
    /// Permission sets.
    pub permissions: Option<(Database, rollcall_permissions::Config)>,
    /// Email domains.
    pub verification: Option<(Database, rollcall_verification::Config)>,
}

/// Services in other processes.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    /// As the gateway and permissions call it.
    pub provisioning: Option<Backend>,
    /// As provisioning follows it.
    pub verification: Option<Backend>,
}

/// A database for each service: nobody reads another's.
#[derive(Clone, Debug)]
pub struct Databases {
    /// Accounts, connections and users.
    pub provisioning: Database,
    /// Permission sets.
    pub permissions: Database,
    /// Email domains.
    pub verification: Database,
}

impl Databases {
    /// One for each, by the name of its service.
    pub fn each(database: impl Fn(&str) -> Database) -> Self {
        Self {
            provisioning: database("provisioning"),
            permissions: database("permissions"),
            verification: database("verification"),
        }
    }

    /// Files in a folder.
    #[must_use]
    pub fn files(folder: &Path) -> Self {
        Self::each(|name| Database::File(folder.join(format!("{name}.db"))))
    }
}

/// Doors that tests close, one a service.
#[derive(Clone, Debug)]
pub struct Gates {
    /// In front of provisioning, as the gateway calls it.
    pub provisioning: Gate,
    /// In front of verification, as provisioning follows it.
    pub verification: Gate,
    /// In front of provisioning's feed, as permissions follows it.
    pub permissions: Gate,
}

/// The roles of one process, ready to be served.
pub struct System {
    /// The SCIM gateway, if it is one of them.
    pub http: Option<Router>,
    /// Every gRPC service of them, to be served behind `layer`, if there is one.
    pub grpc: Option<Routes>,
    /// Who may call.
    pub layer: ServerLayer,
    /// Background tasks.
    pub tasks: Vec<BoxFuture<'static, ()>>,
    /// Databases, to be closed last.
    pub stores: Stores,
    /// The doors.
    pub gates: Gates,
    /// Compares what permissions answers from memory with its tables, for tests.
    #[doc(hidden)]
    pub recomputation: Option<rollcall_permissions::Recomputation>,
}

/// The database of each service of a process.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    /// Accounts, connections and users.
    pub provisioning: Option<Store>,
    /// Permission sets.
    pub permissions: Option<Store>,
    /// Email domains.
    pub verification: Option<Store>,
}

impl Stores {
    /// Each with the name of its service, followers before whom they follow.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Store)> {
        [
            ("permissions", &self.permissions),
            ("provisioning", &self.provisioning),
            ("verification", &self.verification),
        ]
        .into_iter()
        .filter_map(|(name, store)| Some((name, store.as_ref()?)))
    }

    /// Ends the writers after what waits, and closes the files.
    pub async fn close(&self) {
        for (_, store) in self.all() {
            store.close().await;
        }
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System")
            .field("gates", &self.gates)
            .finish_non_exhaustive()
    }
}

/// Builds the services of this process and connects them.
///
/// # Errors
/// When a database can't be opened, or a role lacks one that it calls.
pub async fn assemble(setting: Setting) -> Result<System, Error> {
    let Setting {
        roles,
        peers,
        mut callers,
        clock,
        entropy,
        token_key,
        stop,
        ..
    } = setting;
    let ids = Arc::new(IdSource::new(clock.clone(), entropy.clone()));
    let gateway = add_caller(
        &mut callers,
        "gateway",
        CallerKind::Gateway,
        entropy.as_ref(),
    );
    let sibling = add_caller(
        &mut callers,
        "sibling",
        CallerKind::Service,
        entropy.as_ref(),
    );
    let layer = ServerLayer::new(Arc::new(callers), ids.clone(), setting.reflection);
    let mut tasks = Vec::new();
    let mut served = Vec::new();
    let mut stores = Stores::default();
    let here = |routes: &Routes, token: &str| Backend::in_process(routes.clone(), &layer, token);

    let mut to_verification = peers.verification;
    if let Some((database, config)) = roles.verification {
        let deps = rollcall_verification::Deps {
            clock: clock.clone(),
            entropy: entropy.clone(),
            ids: ids.clone(),
            token_key: token_key.clone(),
            dns: setting.dns,
            stop: stop.clone(),
        };
        let service = rollcall_verification::build(&database, config, deps).await?;
        to_verification = Some(here(&service.routes, &sibling));
        tasks.extend(service.tasks);
        served.push(service.routes);
        stores.verification = Some(service.store);
    }

    let mut to_provisioning = peers.provisioning.clone();
    let mut followed = peers.provisioning;
    if let Some((database, config)) = roles.provisioning {
        let verification = to_verification.clone();
        let deps = rollcall_provisioning::Deps {
            clock: clock.clone(),
            entropy: entropy.clone(),
            ids: ids.clone(),
            token_key: token_key.clone(),
            verification: verification.ok_or_else(|| lacks("provisioning", "verification"))?,
            stop: stop.clone(),
        };
        let service = rollcall_provisioning::build(&database, config, deps).await?;
        to_provisioning = Some(here(&service.routes, &gateway));
        followed = Some(here(&service.routes, &sibling));
        tasks.extend(service.tasks);
        served.push(service.routes);
        stores.provisioning = Some(service.store);
    }

    let mut recomputation = None;
    if let Some((database, config)) = roles.permissions {
        let provisioning = followed.clone();
        let deps = rollcall_permissions::Deps {
            clock,
            entropy,
            ids: ids.clone(),
            token_key,
            provisioning: provisioning.ok_or_else(|| lacks("permissions", "provisioning"))?,
            stop,
        };
        let service = rollcall_permissions::build(&database, config, deps).await?;
        tasks.extend(service.tasks);
        served.push(service.routes);
        stores.permissions = Some(service.store);
        recomputation = Some(service.recomputation);
    }

    let http = roles
        .gateway
        .map(|config| {
            let provisioning = to_provisioning.clone();
            let provisioning = provisioning.ok_or_else(|| lacks("gateway", "provisioning"))?;
            Ok::<_, Error>(rollcall_gateway::router(config, provisioning, ids))
        })
        .transpose()?;
    let gate = |backend: Option<Backend>| backend.map(|it| it.gate().clone()).unwrap_or_default();
    Ok(System {
        http,
        grpc: merge(served),
        layer,
        tasks,
        stores,
        gates: Gates {
            provisioning: gate(to_provisioning),
            verification: gate(to_verification),
            permissions: gate(followed),
        },
        recomputation,
    })
}

/// A role without one that it calls.
fn lacks(role: &str, called: &str) -> Error {
    format!(
        "{role} calls {called}: run it in this process too (--role {called}), or say where it is \
         with [peers.{called}]"
    )
    .into()
}

fn merge(all: Vec<Routes>) -> Option<Routes> {
    let routers = all.into_iter().map(|routes| {
        // Each brings the fallback of an unknown method; only one can stay.
        routes.into_axum_router().reset_fallback()
    });
    routers.reduce(Router::merge).map(Routes::from)
}

/// Adds a role of this process, which calls the others with a random token of this start.
fn add_caller(
    callers: &mut Callers,
    name: &str,
    kind: CallerKind,
    entropy: &dyn Entropy,
) -> String {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    let token = base32::encode(&bytes);
    let caller = Caller {
        name: name.into(),
        kind,
        scopes: Arc::default(),
        accounts: None,
    };
    callers.add(&token, caller);
    token
}

/// Only the operator, with a token that may do everything.
#[must_use]
pub fn operator(token: &str) -> Callers {
    let mut callers = Callers::default();
    let caller = Caller {
        name: "operator".into(),
        kind: CallerKind::Operator,
        scopes: Arc::new([rollcall_rpc::caller::OPERATE.to_owned()]),
        accounts: None,
    };
    callers.add(token, caller);
    callers
}
