//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{client, dev, serve, simulate};

/// What a command can fail with: one line that names the fix.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// User provisioning from Okta: SCIM outside, gRPC inside.
#[derive(Debug, Parser)]
#[command(
    name = "rollcall",
    version,
    about,
    after_help = "Examples:
  rollcall dev                          everything on this machine, on SQLite
  rollcall serve --config FILE          some or all roles, as in production
  rollcall simulate okta --users 200    play Okta against it
  rollcall user list acme               see what arrived"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, with two demo accounts. Not for production.
    #[command(
        after_help = "Examples:\n  rollcall dev --data .rollcall --listen 127.0.0.1:8080\n  rollcall \
                      dev --public-url https://scim.example.com    behind a tunnel that ends TLS"
    )]
    Dev(dev::Options),
    /// Run some or all roles in this process, as the configuration says.
    #[command(
        after_help = "Examples:\n  rollcall serve --config rollcall.toml    all roles\n  \
                            rollcall serve --role gateway --config gateway.toml\n  \
                            ROLLCALL_GRPC__LISTEN=0.0.0.0:9091 rollcall serve --role permissions"
    )]
    Serve(serve::Options),
    /// Bring the schemas of services up to date, as their owner.
    #[command(
        after_help = "Example:\n  rollcall migrate --role provisioning --config rollcall.toml"
    )]
    Migrate(serve::Options),
    /// Try everything that the configuration names: databases, peers, DNS.
    #[command(after_help = "Example:\n  rollcall doctor --role gateway --config rollcall.toml")]
    Doctor(serve::Options),
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: serve::check::Command,
    },
    /// Make secrets.
    Secret {
        #[command(subcommand)]
        command: serve::secret::Command,
    },
    /// Play an identity provider against a SCIM service.
    Simulate {
        #[command(subcommand)]
        provider: Provider,
    },
    /// The product's accounts.
    Account {
        #[command(flatten)]
        target: client::Target,
        #[command(subcommand)]
        command: client::account::Command,
    },
    /// Connections to Okta and their bearer tokens.
    Connection {
        #[command(flatten)]
        target: client::Target,
        #[command(subcommand)]
        command: client::connection::Command,
    },
    /// Email domains and their proof by DNS.
    Domain {
        #[command(flatten)]
        target: client::Target,
        #[command(subcommand)]
        command: client::domain::Command,
    },
    /// Permission sets, and whether Okta roles select them.
    PermissionSet {
        #[command(flatten)]
        target: client::Target,
        #[command(subcommand)]
        command: client::permission_set::Command,
    },
    /// Users, their access and their changes.
    User {
        #[command(flatten)]
        target: client::Target,
        #[command(subcommand)]
        command: client::user::Command,
    },
}

#[derive(Debug, Subcommand)]
enum Provider {
    /// Okta: connection test, import, assign, update, roles, deactivate, reactivate.
    #[command(after_help = "Example:\n  rollcall simulate okta --users 200 --mode wizard")]
    Okta(simulate::Options),
}

/// Where the handshake file of `rollcall dev` is looked for.
#[derive(Clone, Debug, Args)]
pub struct Handshake {
    /// The handshake file of a running `rollcall dev`.
    #[arg(long, global = true, default_value = ".rollcall/dev.json")]
    pub handshake: PathBuf,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// One line for a person, with the fix.
    pub async fn run(self) -> Result<ExitCode, Error> {
        match self.command {
            Command::Dev(options) => dev::run(options).await,
            Command::Serve(options) => serve::run(options).await,
            Command::Migrate(options) => serve::migrate::run(options).await,
            Command::Doctor(options) => serve::doctor::run(options).await,
            Command::Config { command } => serve::check::run(command),
            Command::Secret { command } => serve::secret::run(command),
            Command::Simulate {
                provider: Provider::Okta(options),
            } => simulate::run(options).await,
            Command::Account { target, command } => client::account::run(&target, command).await,
            Command::Connection { target, command } => {
                client::connection::run(&target, command).await
            }
            Command::Domain { target, command } => client::domain::run(&target, command).await,
            Command::PermissionSet { target, command } => {
                client::permission_set::run(&target, command).await
            }
            Command::User { target, command } => client::user::run(&target, command).await,
        }
    }
}
