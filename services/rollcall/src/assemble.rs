//! The only wiring: each service is built, then given to those that call it, in process.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use futures::future::BoxFuture;
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers, Gate};
use rollcall_store::{Database, Postgres, Store, TokenKey};
use rollcall_types::{Clock, Entropy, IdSource, base32};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::cli::Error;

/// What the system needs from outside.
#[derive(Debug)]
pub struct Setting {
    /// Where the data is.
    pub databases: Databases,
    /// The URL under which Okta reaches the gateway, without `/scim/v2`.
    pub public_url: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Seals change tokens.
    pub token_key: Arc<TokenKey>,
    /// The operator's token.
    pub operator_token: String,
    /// Email domains.
    pub verification: rollcall_verification::Config,
    /// The DNS, where a test gives it; else the resolvers of `verification`.
    pub dns: Option<Arc<dyn rollcall_verification::Dns>>,
    /// Permission sets.
    pub permissions: rollcall_permissions::Config,
    /// Ends the background tasks.
    pub stop: CancellationToken,
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
    /// Files in a folder.
    #[must_use]
    pub fn files(folder: &Path) -> Self {
        let file = |name| Database::File(folder.join(name));
        Self {
            provisioning: file("provisioning.db"),
            permissions: file("permissions.db"),
            verification: file("verification.db"),
        }
    }

    /// Schemas of one PostgreSQL database.
    #[must_use]
    pub fn schemas(database: &Postgres) -> Self {
        let schema = |name| Database::Postgres(database.clone().with_schema(name));
        Self {
            provisioning: schema("provisioning"),
            permissions: schema("permissions"),
            verification: schema("verification"),
        }
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

/// Everything in one process, ready to be served.
pub struct System {
    /// The SCIM gateway.
    pub http: Router,
    /// Every gRPC service, to be served behind `layer`.
    pub grpc: Routes,
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
    pub recomputation: rollcall_permissions::Recomputation,
}

/// The database of each service.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Accounts, connections and users.
    pub provisioning: Store,
    /// Permission sets.
    pub permissions: Store,
    /// Email domains.
    pub verification: Store,
}

impl Stores {
    /// Ends the writers after what waits, and closes the files: followers before whom they follow.
    pub async fn close(&self) {
        self.permissions.close().await;
        self.provisioning.close().await;
        self.verification.close().await;
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System")
            .field("gates", &self.gates)
            .finish_non_exhaustive()
    }
}

/// Builds every service and connects them.
///
/// # Errors
/// When a database can't be opened.
pub async fn assemble(setting: Setting) -> Result<System, Error> {
    let ids = Arc::new(IdSource::new(
        setting.clock.clone(),
        setting.entropy.clone(),
    ));
    let (callers, gateway, sibling) = callers(&setting);
    let layer = ServerLayer::new(Arc::new(callers), ids.clone(), true);

    let verification = rollcall_verification::build(
        &setting.databases.verification,
        setting.verification,
        rollcall_verification::Deps {
            clock: setting.clock.clone(),
            entropy: setting.entropy.clone(),
            ids: ids.clone(),
            token_key: setting.token_key.clone(),
            dns: setting.dns,
            stop: setting.stop.clone(),
        },
    )
    .await?;
    let to_verification = Backend::in_process(verification.routes.clone(), &layer, &sibling);

    let provisioning = rollcall_provisioning::build(
        &setting.databases.provisioning,
        rollcall_provisioning::Config::default(),
        rollcall_provisioning::Deps {
            clock: setting.clock.clone(),
            entropy: setting.entropy.clone(),
            ids: ids.clone(),
            token_key: setting.token_key.clone(),
            verification: to_verification.clone(),
            stop: setting.stop.clone(),
        },
    )
    .await?;
    let to_provisioning = Backend::in_process(provisioning.routes.clone(), &layer, &gateway);
    let followed = Backend::in_process(provisioning.routes.clone(), &layer, &sibling);

    let permissions = rollcall_permissions::build(
        &setting.databases.permissions,
        setting.permissions,
        rollcall_permissions::Deps {
            clock: setting.clock.clone(),
            entropy: setting.entropy.clone(),
            ids: ids.clone(),
            token_key: setting.token_key.clone(),
            provisioning: followed.clone(),
            stop: setting.stop.clone(),
        },
    )
    .await?;

    let config = rollcall_gateway::Config::new(setting.public_url);
    let http = rollcall_gateway::router(config, to_provisioning.clone(), ids);
    let gates = Gates {
        provisioning: to_provisioning.gate().clone(),
        verification: to_verification.gate().clone(),
        permissions: followed.gate().clone(),
    };
    let mut tasks = verification.tasks;
    tasks.extend(provisioning.tasks);
    tasks.extend(permissions.tasks);
    let grpc = merge([provisioning.routes, verification.routes, permissions.routes]);
    let stores = Stores {
        provisioning: provisioning.store,
        permissions: permissions.store,
        verification: verification.store,
    };
    Ok(System {
        http,
        grpc,
        layer,
        tasks,
        stores,
        gates,
        recomputation: permissions.recomputation,
    })
}

fn merge(all: [Routes; 3]) -> Routes {
    let router = all.into_iter().fold(Router::new(), |router, routes| {
        // Each brings the fallback of an unknown method; only one can stay.
        router.merge(routes.into_axum_router().reset_fallback())
    });
    Routes::from(router)
}

/// Who may call in one process: the operator, and the roles with random tokens of this start.
fn callers(setting: &Setting) -> (Callers, String, String) {
    let mut callers = Callers::default();
    let mut add = |token: &str, name: &str, kind, scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        callers.add(
            token,
            Caller {
                name: name.into(),
                kind,
                scopes,
                accounts: None,
            },
        );
    };
    let fresh = || {
        let mut bytes = [0; 32];
        setting.entropy.fill(&mut bytes);
        base32::encode(&bytes)
    };
    let (gateway, sibling) = (fresh(), fresh());
    add(
        &setting.operator_token,
        "operator",
        CallerKind::Operator,
        &["operate"],
    );
    add(&gateway, "gateway", CallerKind::Gateway, &[]);
    add(&sibling, "sibling", CallerKind::Service, &[]);
    (callers, gateway, sibling)
}
