//! Commands that call a running system over gRPC.

pub mod account;
pub mod connection;
pub mod domain;
pub(crate) mod output;
pub mod permission_set;
pub mod user;

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use rollcall_rpc::{Backend, Failure, Reason, failure};
use tonic::transport::Endpoint;

use crate::cli::{Error, Handshake};
use crate::dev::handshake;

/// How many of something a list asks for at once.
const PAGE: i32 = 1000;

/// Which system to call.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which system, and how to print")]
pub struct Target {
    /// Where gRPC is served; the handshake file says it if this does not.
    #[arg(long, global = true, env = "ROLLCALL_GRPC_URL")]
    grpc_url: Option<String>,
    /// A file that holds the caller's token.
    #[arg(long, global = true)]
    token_file: Option<std::path::PathBuf>,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    handshake: Handshake,
}

/// A switch on the command line: `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Target {
    /// Connects.
    ///
    /// # Errors
    /// When nothing says where, or nobody answers there.
    pub async fn backend(&self) -> Result<Backend, Error> {
        let token = match (&self.token_file, std::env::var("ROLLCALL_GRPC_TOKEN")) {
            (Some(file), _) => Some(
                std::fs::read_to_string(file)
                    .map_err(|error| format!("{}: {error}", file.display()))?,
            ),
            (None, Ok(token)) => Some(token),
            (None, Err(_)) => None,
        };
        let (url, token) = match (self.grpc_url.clone(), token) {
            (Some(url), Some(token)) => (url, token),
            (url, token) => {
                let found = handshake::read(&self.handshake.handshake)?;
                (
                    url.unwrap_or(found.grpc_url),
                    token.unwrap_or(found.grpc_token),
                )
            }
        };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|error| format!("--grpc-url {url}: {error}"))?;
        let channel = endpoint.connect().await.map_err(|error| {
            format!("nobody answers at {url} ({error}): is `rollcall dev` running?")
        })?;
        Ok(Backend::channel(channel, token.trim()))
    }
}

/// One line for a person: what is wrong, its reason, and the fix where there is one.
pub(crate) fn told(status: &tonic::Status) -> Error {
    let received = failure::read(status);
    let Some(reason) = received.reason else {
        return format!("{}: {}", status.code(), one_line(status.message())).into();
    };
    let message = match (reason, received.metadata.get("kind")) {
        (Reason::ResourceNotFound, Some(kind)) => {
            let id = received.metadata.get("id").cloned().unwrap_or_default();
            format!("there is no {} {id:?}", kind.replace('_', " "))
        }
        _ => one_line(status.message()),
    };
    let name = reason.as_str_name().trim_start_matches("REASON_");
    match fix(reason, &received.metadata) {
        Some(fix) => format!("{message} ({name}): {fix}").into(),
        None => format!("{message} ({name})").into(),
    }
}

/// The failure of a look-up that the command line makes itself, as a service would tell it.
pub(crate) fn not_found(kind: &'static str, id: &str) -> Error {
    told(&Failure::not_found(kind, id).into())
}

/// What to do; `None` where the message says it, or nobody knows.
fn fix(reason: Reason, metadata: &HashMap<String, String>) -> Option<&'static str> {
    let of = |key: &str| metadata.get(key).map_or("", String::as_str);
    match reason {
        Reason::ResourceNotFound => match of("kind") {
            "account" => Some("`rollcall account list` shows the accounts"),
            "connection" | "connection of account" => {
                Some("`rollcall connection install ACCOUNT` makes it")
            }
            "token" => Some("`rollcall connection token list ACCOUNT` shows the tokens"),
            "user" => Some("`rollcall user list ACCOUNT` shows the users"),
            "domain" => Some("`rollcall domain list ACCOUNT` shows the domains"),
            "permission_set" => {
                Some("`rollcall permission-set list ACCOUNT` shows the permission sets")
            }
            _ => None,
        },
        Reason::PermissionSetNameTaken => Some("choose another name, or update that set"),
        Reason::TokenExpired => Some("`rollcall domain renew ACCOUNT DOMAIN` makes a new value"),
        Reason::VersionMismatch => Some("repeat the command"),
        Reason::CredentialMissing | Reason::CredentialInvalid => {
            Some("name a file with a valid token with --token-file")
        }
        Reason::LimitReached if of("what").contains("token") => {
            Some("`rollcall connection token revoke ACCOUNT TOKEN` ends one")
        }
        _ => None,
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    output::visible(&words.join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_its_reason_and_the_fix() {
        for (failure, line) in [
            (
                Failure::not_found("permission_set", "Nobody's"),
                "there is no permission set \"Nobody's\" (RESOURCE_NOT_FOUND): `rollcall \
                 permission-set list ACCOUNT` shows the permission sets",
            ),
            (
                Failure::not_found("connection of account", "acme"),
                "there is no connection of account \"acme\" (RESOURCE_NOT_FOUND): `rollcall \
                 connection install ACCOUNT` makes it",
            ),
            (
                Failure::invalid_field("name", "two\nlines"),
                "name: two lines (INVALID_FIELD)",
            ),
        ] {
            assert_eq!(told(&failure.into()).to_string(), line);
        }
    }

    #[test]
    fn an_error_without_a_reason_of_ours_shows_its_code() {
        let status = tonic::Status::unavailable("the peer\nwent away");

        let line = told(&status).to_string();

        let code = tonic::Code::Unavailable;
        assert_eq!(line, format!("{code}: the peer went away"));
    }
}
