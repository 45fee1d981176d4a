//! `rollcall simulate okta`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;
use rollcall_simulator::{Ended, Mode, Progress};

use crate::cli::{Error, Handshake};
use crate::client::output::{hint, reaches};
use crate::client::{found, must_be_url};

/// How long the service is away before it is worth a word.
const NOTICEABLE: Duration = Duration::from_secs(1);

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
    /// How many users: 1 to 1000000.
    #[arg(long, default_value_t = 20, value_parser = from_1_to(1_000_000))]
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
    /// How many users at once: 1 to 1000.
    #[arg(long, default_value_t = 8, value_parser = from_1_to(1_000))]
    concurrency: usize,
    #[command(flatten)]
    handshake: Handshake,
}

fn from_1_to(most: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=most)
}

/// Plays Okta; exits non-zero on any wrong answer.
///
/// # Errors
/// When there is nothing to play against.
pub async fn run(options: Options) -> Result<ExitCode, Error> {
    let played = prepare(&options)?;
    let line = Line::default();
    let report = rollcall_simulator::run(&played, &line).await;
    line.clear();
    let url = &played.base_url;
    let start = options.how_to_start();
    match &report.ended {
        Some(Ended::Unreachable(reason)) => {
            return Err(format!("nobody answers at {url} ({reason}): {start}").into());
        }
        Some(Ended::TokenRefused) => {
            return Err(format!("{url} refuses the token: {}", options.token_source()).into());
        }
        Some(Ended::Away(_)) | None => {}
    }
    // A reader that has heard enough doesn't make a failed run a good one.
    reaches(&report)?;
    if report.ended.is_some() {
        hint(format!(
            "The service at {url} went away: {start}, then repeat the command."
        ));
    }
    Ok(if report.passed() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Options {
    /// What to do when nobody answers.
    fn how_to_start(&self) -> &'static str {
        if self.base_url.is_some() {
            "start that service (`rollcall dev`, if it is this one), or correct --base-url"
        } else {
            "start `rollcall dev`"
        }
    }

    /// Where a token comes from.
    fn token_source(&self) -> String {
        if self.base_url.is_some() {
            return "give that service's own token with --token; for Rollcall `rollcall connection \
                    token create ACCOUNT` makes one"
                .to_owned();
        }
        format!(
            "`rollcall connection token create {}` makes one for --token",
            self.account
        )
    }
}

fn prepare(options: &Options) -> Result<rollcall_simulator::Options, Error> {
    if let Some(url) = &options.base_url {
        must_be_url("--base-url", url, "https://scim.example.com/scim/v2")?;
    }
    let (base_url, token, domain, roles) = match (&options.base_url, &options.token) {
        (Some(url), Some(token)) => (url.clone(), token.clone(), None, Vec::new()),
        _ => {
            let found = found(&options.handshake)?;
            let account = found
                .accounts
                .into_iter()
                .find(|one| one.id == options.account);
            let account = account.ok_or_else(|| {
                format!(
                    "the demo has no account {:?}: try --account acme, or say where to with \
                     --base-url, --token and --email-domain",
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
struct Line(Mutex<Told>);

/// What was told last.
#[derive(Default, PartialEq, Eq)]
enum Told {
    #[default]
    Step,
    Away,
}

impl Line {
    /// Leaves no half a line behind on a terminal.
    fn clear(&self) {
        let guard = self.0.lock();
        let mut out = std::io::stderr();
        if out.is_terminal() {
            drop(write!(out, "\r\x1b[K"));
        }
        drop(guard);
    }
}

impl Progress for Line {
    fn step(&self, name: &str, done: usize, total: usize) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Told::Step;
        let mut out = std::io::stderr();
        if out.is_terminal() {
            drop(write!(out, "\r\x1b[K{name}: {done} of {total}"));
            drop(out.flush());
        } else if done == total {
            drop(writeln!(out, "{name}: {total}"));
        }
    }

    fn waiting(&self, wait: Duration, status: u16) {
        drop(writeln!(
            std::io::stderr(),
            "\n{status}: asked to wait {} s",
            wait.as_secs()
        ));
    }

    fn away(&self, away: Duration, limit: Duration) {
        if away < NOTICEABLE {
            return;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = std::mem::replace(&mut *told, Told::Away) == Told::Step;
        let mut out = std::io::stderr();
        let (away, limit) = (away.as_secs(), limit.as_secs());
        if out.is_terminal() {
            let text = format!("nobody answers: waiting for the service, {away} of {limit} s");
            drop(write!(out, "\r\x1b[K{text}"));
            drop(out.flush());
        } else if is_first {
            let text = format!("nobody answers: waiting up to {limit} s for the service");
            drop(writeln!(out, "{text}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(name: &str, value: &str) -> Result<Options, clap::Error> {
        Alone::try_parse_from(["okta", name, value]).map(|alone| alone.options)
    }

    #[test]
    fn numbers_of_users_have_bounds() {
        for (name, value) in [
            ("--users", "0"),
            ("--users", "1000001"),
            ("--users", "99999999999999"),
            ("--users", "99999999999999999999999"),
            ("--concurrency", "0"),
            ("--concurrency", "1001"),
        ] {
            let refused = parsed(name, value).expect_err(value);

            assert_eq!(refused.kind(), ErrorKind::ValueValidation, "{name} {value}");
        }
        assert_eq!(parsed("--users", "1000000").unwrap().users, 1_000_000);
        assert_eq!(parsed("--concurrency", "1000").unwrap().concurrency, 1_000);
    }
}
