//! `rollcall serve`: any roles in one process, as the configuration says.

pub mod check;
mod config;
pub mod doctor;
pub mod migrate;
pub mod secret;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures::FutureExt;
use rollcall_runtime::HttpLimits;
use rollcall_runtime::admin::{self, Check, Readiness};
use rollcall_store::{Store, TokenKey};
use rollcall_types::{Entropy, OsEntropy, SystemClock};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::assemble::{Peers, Roles, Setting, Stores, System, assemble};
use crate::cli::Error;
use config::Config;

/// How often a gRPC connection is closed after its next answer, so that load moves to new replicas.
const GRPC_AGE: Duration = Duration::from_secs(10 * 60);

/// How long the end of connections to databases may take.
const CLOSE: Duration = Duration::from_secs(3);

/// A part of the system that can run in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// SCIM for Okta.
    Gateway,
    /// Accounts, connections, users.
    Provisioning,
    /// Permission sets.
    Permissions,
    /// Email domains.
    Verification,
}

/// Which roles, as which configuration says.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// A role of this process, as often as needed; all if not said.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<Role>,
    /// The configuration file (TOML); keys are also read from the environment, `a.b` as
    /// `ROLLCALL_A__B`.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Options {
    /// The roles that run.
    fn roles(&self) -> &[Role] {
        if self.roles.is_empty() {
            Role::value_variants()
        } else {
            &self.roles
        }
    }

    fn has(&self, role: Role) -> bool {
        self.roles().contains(&role)
    }

    fn has_service(&self) -> bool {
        [Role::Provisioning, Role::Permissions, Role::Verification]
            .into_iter()
            .any(|role| self.has(role))
    }
}

/// What the configuration says of the roles of this process, and of whom they call.
fn roles(options: &Options, config: &Config) -> Result<(Roles, Peers), Error> {
    let mut roles = Roles::default();
    let mut peers = Peers::default();
    let callers_of_provisioning = [Role::Gateway, Role::Permissions];
    if !options.has(Role::Provisioning) && callers_of_provisioning.iter().all(|it| options.has(*it))
    {
        let why = "gateway and permissions call provisioning with a token each: run provisioning in \
                   this process too, or the two in processes of their own";
        return Err(why.into());
    }
    if options.has(Role::Gateway) {
        roles.gateway = Some(config.gateway()?);
    }
    if options.has(Role::Provisioning) {
        let database = config.provisioning.database.running("provisioning")?;
        roles.provisioning = Some((database, config.provisioning()));
    } else {
        peers.provisioning = config.peer("provisioning")?;
    }
    if options.has(Role::Permissions) {
        let database = config.permissions.database.running("permissions")?;
        roles.permissions = Some((database, config.permissions()));
    }
    if options.has(Role::Verification) {
        let database = config.verification.database.running("verification")?;
        roles.verification = Some((database, config.verification()));
    } else {
        peers.verification = config.peer("verification")?;
    }
    Ok((roles, peers))
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// One line that names the fix: a key of the configuration, a port taken.
pub async fn run(options: Options) -> Result<ExitCode, Error> {
    let config = config::load(options.config.as_deref())?;
    rollcall_runtime::telemetry::init(&config.log.filter, config.log.format)?;
    config.check_transport()?;
    let (roles, peers) = roles(&options, &config)?;
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let stop = CancellationToken::new();
    let setting = Setting {
        roles,
        peers,
        callers: config.callers()?,
        reflection: false,
        clock: Arc::new(SystemClock),
        entropy: entropy.clone(),
        token_key: Arc::new(token_key(&options, &config, entropy)?),
        dns: None,
        stop: stop.clone(),
    };
    let mut signals = Signals::new()?;
    let readiness = Readiness::default();
    let admin = listen("admin", config.admin.listen).await?;
    let mut http = None;
    if options.has(Role::Gateway) {
        http = Some(listen("gateway", config.gateway.listen).await?);
    }
    let mut grpc = None;
    if options.has_service() {
        grpc = Some(listen("grpc", config.grpc.listen).await?);
    }
    let limits = HttpLimits {
        drain: config.shutdown.drain(),
        ..HttpLimits::default()
    };
    // It answers until the very end, that nothing is ready any more.
    let admin = tokio::spawn({
        let (app, limits) = (admin::router(readiness.clone()), limits.clone());
        async move { rollcall_runtime::serve(admin, app, &limits, CancellationToken::new()).await }
    });
    let system = tokio::select! {
        system = assemble(setting) => system?,
        () = signals.told() => return Ok(ExitCode::SUCCESS),
    };
    let System {
        http: app,
        grpc: routes,
        layer,
        tasks,
        stores,
        ..
    } = system;
    let mut running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    if let (Some(listener), Some(app)) = (http, app) {
        let stop = stop.clone();
        running.push(tokio::spawn(async move {
            if let Err(error) = rollcall_runtime::serve(listener, app, &limits, stop).await {
                tracing::error!(%error, "SCIM is not served any more");
            }
        }));
    }
    if let (Some(listener), Some(routes)) = (grpc, routes) {
        let (_, health) = tonic_health::server::health_reporter();
        let server = tonic::transport::Server::builder()
            .max_connection_age(GRPC_AGE)
            .layer(layer)
            .add_routes(routes)
            .add_service(health);
        let stop = stop.clone().cancelled_owned();
        running.push(tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            if let Err(error) = server.serve_with_incoming_shutdown(incoming, stop).await {
                tracing::error!(%error, "gRPC is not served any more");
            }
        }));
    }
    readiness.running(checks(&stores));
    tracing::info!(roles = ?options.roles(), "ready");

    signals.told().await;
    // Both happen at the same time when a pod is deleted: it is told to stop, and taken out of the
    // addresses that are called. Until the latter is known everywhere, requests come.
    readiness.stopping();
    tracing::info!("stopping");
    tokio::select! {
        () = tokio::time::sleep(config.shutdown.delay()) => {}
        () = signals.told() => {}
    }
    stop.cancel();
    let ended = async {
        for task in running {
            drop(task.await);
        }
    };
    if tokio::time::timeout(config.shutdown.drain(), ended)
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off");
    }
    // What the network has lost would keep it from ending.
    if tokio::time::timeout(CLOSE, stores.close()).await.is_err() {
        tracing::warn!("some connections to databases were cut off");
    }
    admin.abort();
    Ok(ExitCode::SUCCESS)
}

/// The key of change tokens; a process that neither makes nor reads any has one of its own.
fn token_key(
    options: &Options,
    config: &Config,
    entropy: Arc<dyn Entropy>,
) -> Result<TokenKey, Error> {
    if options.has_service() {
        let keys = config.token_key()?;
        return Ok(TokenKey::new(&keys.current, entropy).with_previous(keys.previous.as_ref()));
    }
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    Ok(TokenKey::new(&bytes, entropy))
}

/// What has to answer for the process to be ready. Peers are not among it: while one is away, what
/// doesn't need it is answered.
fn checks(stores: &Stores) -> Vec<Check> {
    let check = |(name, store): (&str, &Store)| {
        let store = store.clone();
        Check::new(format!("database of {name}"), move || {
            let store = store.clone();
            async move {
                store
                    .now()
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            }
            .boxed()
        })
    };
    stores.all().map(check).collect()
}

async fn listen(section: &str, at: std::net::SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(at).await.map_err(|error| {
        format!("{at}: {error}. Choose another address with {section}.listen").into()
    })
}

/// SIGTERM and Ctrl-C, none of which is missed while nobody waits.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits until the process is told to stop.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
