//! `rollcall simulate okta`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use clap::Args;
use rollcall_simulator::{Mode, Progress};

use crate::cli::{Error, Handshake};
use crate::dev::handshake;

/// What to play, against what.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Which demo account of `rollcall dev` to provision.
    #[arg(long, default_value = "acme")]
    account: String,
    /// Another SCIM service than that of the handshake file.
    #[arg(long)]
    base_url: Option<String>,
    /// Its bearer token.
    #[arg(long)]
    token: Option<String>,
    /// Which kind of Okta app: wizard (GET then PUT), oin (PUT, PATCH for active), oin-patch.
    #[arg(long, default_value = "oin")]
    mode: Mode,
    /// How many users.
    #[arg(long, default_value_t = 20)]
    users: usize,
    /// The domain of their email addresses.
    #[arg(long)]
    email_domain: Option<String>,
    /// Roles to give them; repeat it for several.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// Other users with another seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many users at once.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    #[command(flatten)]
    handshake: Handshake,
}

/// Plays Okta; exits non-zero on any wrong answer.
///
/// # Errors
/// When there is nothing to play against.
pub async fn run(options: Options) -> Result<ExitCode, Error> {
    let played = prepare(&options)?;
    let report = rollcall_simulator::run(&played, &Line::default()).await;
    println!("\n{report}");
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn prepare(options: &Options) -> Result<rollcall_simulator::Options, Error> {
    let (base_url, token, domain, roles) = match (&options.base_url, &options.token) {
        (Some(url), Some(token)) => (url.clone(), token.clone(), None, Vec::new()),
        _ => {
            let found = handshake::read(&options.handshake.handshake)?;
            let account = found
                .accounts
                .into_iter()
                .find(|one| one.id == options.account);
            let account = account.ok_or_else(|| {
                format!(
                    "the demo has no account {:?}: try --account acme",
                    options.account
                )
            })?;
            (
                options.base_url.clone().unwrap_or(found.scim_base_url),
                options.token.clone().unwrap_or(account.scim_token),
                Some(account.email_domain),
                account.roles,
            )
        }
    };
    let mut played = rollcall_simulator::Options::new(base_url, token);
    played.mode = options.mode;
    played.users = options.users;
    played.seed = options.seed;
    played.concurrency = options.concurrency;
    played.longest_wait = Some(Duration::from_secs(600));
    if let Some(domain) = options.email_domain.clone().or(domain) {
        played.email_domain = domain;
    }
    played.roles = if options.roles.is_empty() {
        roles
    } else {
        options.roles.clone()
    };
    Ok(played)
}

/// One line that is written over on a terminal; a line a step elsewhere.
#[derive(Default)]
struct Line(Mutex<()>);

impl Progress for Line {
    fn step(&self, name: &str, done: usize, total: usize) {
        let guard = self.0.lock();
        let mut out = std::io::stderr();
        if out.is_terminal() {
            drop(write!(out, "\r\x1b[K{name}: {done} of {total}"));
            drop(out.flush());
        } else if done == total {
            drop(writeln!(out, "{name}: {total}"));
        }
        drop(guard);
    }

    fn waiting(&self, wait: Duration, status: u16) {
        drop(writeln!(
            std::io::stderr(),
            "\n{status}: asked to wait {} s",
            wait.as_secs()
        ));
    }
}
