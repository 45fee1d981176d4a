//! `rollcall dev`: everything in one process on SQLite, with two demo accounts.

mod database_url;
mod demo;
pub mod folder;
pub mod handshake;
pub mod zone;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Args;
use rollcall_rpc::Backend;
use rollcall_runtime::HttpLimits;
use rollcall_store::TokenKey;
use rollcall_types::{Entropy, OsEntropy, SystemClock, base32};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::assemble::{Databases, Peers, Roles, Setting, System, assemble, operator};
use crate::cli::Error;
use crate::public_url::PublicUrl;
use database_url::DatabaseUrl;
use folder::Folder;
use handshake::Handshake;

/// How long requests may take to end once the program is told to stop.
const DRAIN: Duration = Duration::from_millis(1500);

/// Where to run.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The folder of databases and secrets.
    #[arg(long, default_value = ".rollcall")]
    pub data: PathBuf,
    /// A PostgreSQL database to keep the data in, such as postgres://me@localhost/rollcall; files
    /// in DATA if not said. Each service makes a schema of its own in it.
    #[arg(
        long,
        value_name = "URL",
        env = "ROLLCALL_DATABASE_URL",
        hide_env_values = true
    )]
    pub database_url: Option<DatabaseUrl>,
    /// Where SCIM is served.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// What to log, such as `info` or `warn,rollcall_verification=info`. What one machine has for
    /// certain, such as a single resolver, is not warned about unless asked for.
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "warn,rollcall_verification=error"
    )]
    pub log: String,
    /// The URL under which Okta reaches the listener, such as that of a tunnel; without /scim/v2.
    /// It stands in every location; the listener's own if not said.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// Where gRPC is served.
    #[arg(long, default_value = "127.0.0.1:9090")]
    pub grpc_listen: SocketAddr,
    /// Where to write the handshake file; DATA/dev.json if not said.
    #[arg(long)]
    pub handshake: Option<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// One line that names the fix: a port taken, the folder in use, a secret others may read.
pub async fn run(options: Options) -> Result<ExitCode, Error> {
    rollcall_runtime::telemetry::init(&options.log, rollcall_runtime::telemetry::Format::Text)?;
    let folder = Folder::open(&options.data)?;
    let file = options
        .handshake
        .clone()
        .unwrap_or_else(|| folder.path().join("dev.json"));
    remove(&file)?;
    let http = listen(options.listen, "--listen").await?;
    let grpc = listen(options.grpc_listen, "--grpc-listen").await?;
    let (http_at, grpc_at) = (http.local_addr()?, grpc.local_addr()?);
    let base = format!("http://{http_at}");
    let public = options
        .public_url
        .map_or(base.clone(), |url| url.to_string());

    let stop = CancellationToken::new();
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let zone = zone::serve(folder.path(), stop.clone()).await?;
    let key = folder.random("token_key", entropy.as_ref())?;
    let operator_token = base32::encode(&folder.random("grpc_token", entropy.as_ref())?);
    let files = Databases::files(folder.path());
    let databases = options.database_url.as_ref();
    let databases = databases.and_then(DatabaseUrl::schemas).unwrap_or(files);
    let setting = Setting {
        roles: Roles {
            gateway: Some(rollcall_gateway::Config::new(public.clone())),
            provisioning: Some((
                databases.provisioning,
                rollcall_provisioning::Config::default(),
            )),
            permissions: Some((
                databases.permissions,
                rollcall_permissions::Config::default(),
            )),
            verification: Some((databases.verification, verification(zone.address))),
        },
        peers: Peers::default(),
        callers: operator(&operator_token),
        reflection: true,
        clock: Arc::new(SystemClock),
        entropy: entropy.clone(),
        token_key: Arc::new(TokenKey::new(&key, entropy)),
        dns: None,
        stop: stop.clone(),
    };
    let system = assemble(setting)
        .await
        .map_err(|error| match &options.database_url {
            Some(_) => format!("{error}: is PostgreSQL running, and --database-url right?").into(),
            None => error,
        })?;
    let System {
        http: Some(gateway),
        grpc: Some(routes),
        layer,
        tasks,
        stores,
        ..
    } = system
    else {
        return Err("not every role was built".into());
    };
    let backend = Backend::in_process(routes.clone(), &layer, &operator_token);
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();

    let page = start_page(&public);
    let app: Router = gateway.route("/", get(move || std::future::ready(page)));
    let limits = HttpLimits {
        drain: DRAIN,
        ..HttpLimits::dev()
    };
    let serving = tokio::spawn({
        let stop = stop.clone();
        async move { rollcall_runtime::serve(http, app, &limits, stop).await }
    });
    let (_, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(rollcall_rpc::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let rpc = tonic::transport::Server::builder()
        .layer(layer)
        .add_routes(routes)
        .add_service(health)
        .add_service(reflection);
    let calling = tokio::spawn({
        let stop = stop.clone();
        async move {
            let incoming = TcpListenerStream::new(grpc);
            rpc.serve_with_incoming_shutdown(incoming, stop.cancelled_owned())
                .await
        }
    });

    let accounts = demo::make(&backend, &folder, &zone.file).await?;
    let told = Handshake {
        scim_base_url: format!("{base}/scim/v2"),
        console_url: base,
        grpc_url: format!("http://{grpc_at}"),
        grpc_token: operator_token,
        dns_address: zone.address.to_string(),
        zone_file: zone.file.display().to_string(),
        pids: vec![std::process::id()],
        accounts,
    };
    folder::write_private(
        &file,
        &format!("{}\n", serde_json::to_string_pretty(&told)?),
    )?;
    welcome(&told, &public, &file);

    stopped().await?;
    eprintln!("stopping");
    remove(&file)?;
    stop.cancel();
    let ended = async {
        drop(serving.await);
        drop(calling.await);
        for task in running {
            drop(task.await);
        }
    };
    if tokio::time::timeout(DRAIN, ended).await.is_err() {
        tracing::warn!("some requests were cut off");
    }
    stores.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Dev's rules for domains: special-use names, the loopback server alone, no rate limits, and a
/// pending domain looked at every 5 s at least.
fn verification(dns: SocketAddr) -> rollcall_verification::Config {
    rollcall_verification::Config {
        slug: "rollcall".to_owned(),
        resolvers: vec![rollcall_verification::Resolver {
            address: dns.ip(),
            port: dns.port(),
        }],
        allow_special_use: true,
        require_known_tld: false,
        allow_private_suffix: false,
        max_check_interval: Some(Duration::from_secs(5)),
        rate_limits: false,
    }
}

async fn listen(at: SocketAddr, flag: &str) -> Result<TcpListener, Error> {
    TcpListener::bind(at)
        .await
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "{at} is taken by another program: stop it, or choose another address, such as \
             {flag} {}:0 for any free port",
                at.ip()
            )
            .into(),
            _ => format!("{at}: {error}. Choose another address with {flag}").into(),
        })
}

fn remove(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", file.display()).into())
        }
        _ => Ok(()),
    }
}

async fn stopped() -> Result<(), Error> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        end = tokio::signal::ctrl_c() => end?,
        _ = term.recv() => {}
    }
    Ok(())
}

fn start_page(public: &str) -> String {
    format!(
        "Rollcall is running.\n\nSCIM base URL for Okta: {public}/scim/v2\nNext step: `rollcall \
         simulate okta` in another terminal plays Okta against it (README.md, step 2).\n"
    )
}

fn welcome(told: &Handshake, public: &str, file: &Path) {
    println!(
        "Rollcall is running on this machine. NOT FOR PRODUCTION: its secrets lie in a folder.\n"
    );
    println!("  SCIM base URL   {public}/scim/v2");
    println!("  gRPC            {}", told.grpc_url);
    println!(
        "  DNS zone file   {} (served on {})",
        told.zone_file, told.dns_address
    );
    println!("  handshake file  {}", file.display());
    for account in &told.accounts {
        println!("\n  account {} ({})", account.id, account.email_domain);
        println!("    bearer token  {}", account.scim_token);
        println!("    roles         {}", account.roles.join(", "));
    }
    let elsewhere = if file.ends_with(".rollcall/dev.json") {
        String::new()
    } else {
        format!(" --handshake {}", file.display())
    };
    println!(
        "\nNext: play Okta in another terminal\n  cargo run --release -- simulate okta --users \
         200{elsewhere}"
    );
    println!("Ctrl-C stops it; a second start keeps everything.");
}
