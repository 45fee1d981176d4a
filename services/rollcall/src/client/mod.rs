//! Commands that call a running system over gRPC.

pub mod account;
pub mod connection;
pub mod domain;
pub(crate) mod output;
pub mod permission_set;
pub mod user;

use std::collections::HashMap;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rollcall_rpc::{Backend, Failure, Reason, failure};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::cli::{Error, Handshake};
use crate::dev::handshake;

/// How many of something a list asks for at once.
const PAGE: i32 = 1000;
/// How long a connection, and whatever answers on it first, may take.
const PATIENCE: Duration = Duration::from_secs(10);

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
            (Some(file), _) => {
                Some(std::fs::read_to_string(file).map_err(|error| unread_token(file, &error))?)
            }
            (None, Ok(token)) => Some(token),
            (None, Err(_)) => None,
        };
        if let Some(url) = &self.grpc_url {
            must_be_url("--grpc-url", url, "http://127.0.0.1:9090")?;
        }
        let (url, token) = match (self.grpc_url.clone(), token) {
            (Some(url), Some(token)) => (url, token),
            (url, token) => {
                let found = found(&self.handshake)?;
                (
                    url.unwrap_or(found.grpc_url),
                    token.unwrap_or(found.grpc_token),
                )
            }
        };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|error| format!("--grpc-url {url}: {error}"))?;
        let channel = endpoint.connect_timeout(PATIENCE).connect().await;
        let channel = channel.map_err(|error| {
            format!("nobody answers at {url} ({error}): is `rollcall dev` running?")
        })?;
        let backend = Backend::channel(channel, token.trim());
        must_speak_grpc(&backend, &url).await?;
        Ok(backend)
    }
}

/// Fails unless the text is an http or https URL with a host.
pub(crate) fn must_be_url(option: &str, text: &str, example: &str) -> Result<(), Error> {
    let url: Option<http::Uri> = text.parse().ok();
    let is_url = url.is_some_and(|url| {
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        is_http && url.host().is_some_and(|host| !host.is_empty())
    });
    if is_url {
        return Ok(());
    }
    Err(format!("{option} {text:?} is no URL: write one such as {example}").into())
}

/// The handshake file of a running `rollcall dev`.
pub(crate) fn found(at: &Handshake) -> Result<handshake::Handshake, Error> {
    let file = &at.handshake;
    handshake::read(file).map_err(|error| {
        // A file that can't be read is told with its fix.
        if std::fs::read(file).is_err() {
            return error;
        }
        format!("{error}: name the file that a running `rollcall dev` wrote with --handshake")
            .into()
    })
}

fn unread_token(file: &std::path::Path, error: &std::io::Error) -> String {
    format!(
        "the token file {} can't be read ({error}): name one that holds a token with \
         --token-file, or leave it out where `rollcall dev` runs",
        file.display()
    )
}

/// Fails unless gRPC is answered there, whatever the answer says.
async fn must_speak_grpc(backend: &Backend, url: &str) -> Result<(), Error> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    request.set_timeout(PATIENCE);
    let mut client = HealthClient::new(backend.clone());
    let answer = tokio::time::timeout(PATIENCE, client.check(request)).await;
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(status)) if !is_broken(&status) && !is_plain_http(&status) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(format!(
            "what answers at {url} does not speak gRPC: give --grpc-url the gRPC address that \
             `rollcall dev` printed, not the HTTP one"
        )
        .into()),
    }
}

/// Whether a call was not answered: the failure was made on this side of the connection.
fn is_broken(status: &tonic::Status) -> bool {
    std::error::Error::source(status).is_some()
}

/// Whether an answer has an HTTP status and none of gRPC.
fn is_plain_http(status: &tonic::Status) -> bool {
    failure::read(status).reason.is_none()
        && status.message().contains("grpc-status header missing")
}

/// One line for a person: what is wrong, its reason, and the fix where there is one.
pub(crate) fn told(status: &tonic::Status) -> Error {
    told_of("ACCOUNT", status)
}

/// The same of a call for an account, which the fix names.
pub(crate) fn told_of(account: &str, status: &tonic::Status) -> Error {
    let received = failure::read(status);
    let Some(reason) = received.reason else {
        if is_broken(status) {
            return "the service went away before it answered: start `rollcall dev`, then repeat \
                    the command"
                .into();
        }
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
        Some(fix) => {
            let fix = fix.replace("ACCOUNT", &output::visible(account));
            format!("{message} ({name}): {fix}").into()
        }
        None => format!("{message} ({name})").into(),
    }
}

/// The failure of a look-up that the command line makes itself, as a service would tell it.
pub(crate) fn not_found(account: &str, kind: &'static str, id: &str) -> Error {
    told_of(account, &Failure::not_found(kind, id).into())
}

/// What to do, for the account ACCOUNT; `None` where the message says it, or nobody knows.
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
                 permission-set list acme` shows the permission sets",
            ),
            (
                Failure::not_found("connection of account", "acme"),
                "there is no connection of account \"acme\" (RESOURCE_NOT_FOUND): `rollcall \
                 connection install acme` makes it",
            ),
            (
                Failure::invalid_field("name", "two\nlines"),
                "name: two lines (INVALID_FIELD)",
            ),
        ] {
            assert_eq!(told_of("acme", &failure.into()).to_string(), line);
        }
    }

    #[test]
    fn an_error_without_a_reason_of_ours_shows_its_code() {
        let status = tonic::Status::unavailable("the peer\nwent away");

        let line = told(&status).to_string();

        let code = tonic::Code::Unavailable;
        assert_eq!(line, format!("{code}: the peer went away"));
    }

    #[test]
    fn a_url_has_a_scheme_and_a_host() {
        for text in [
            "",
            "nonsense",
            "127.0.0.1:9090",
            "ftp://127.0.0.1",
            "http://",
            "a b",
        ] {
            let refused = must_be_url("--grpc-url", text, "http://127.0.0.1:9090");

            let line = refused.expect_err(text).to_string();
            let fix = "is no URL: write one such as http://127.0.0.1:9090";
            assert_eq!(line, format!("--grpc-url {text:?} {fix}"));
        }
        for text in ["http://127.0.0.1:9090", "https://grpc.example.com/"] {
            assert!(must_be_url("--grpc-url", text, "").is_ok(), "{text}");
        }
    }
}
