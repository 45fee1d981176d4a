//! Commands that call a running system over gRPC.

pub mod account;
pub mod connection;
pub mod domain;
pub mod user;

use clap::Args;
use rollcall_rpc::Backend;
use tonic::transport::Endpoint;

use crate::cli::{Error, Handshake};
use crate::dev::handshake;

/// Which system to call.
#[derive(Clone, Debug, Args)]
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

/// One line for a person: the message, with its reason.
pub(crate) fn told(status: &tonic::Status) -> Error {
    let reason = rollcall_rpc::failure::read(status).reason;
    match reason {
        Some(reason) => {
            let name = reason
                .as_str_name()
                .trim_start_matches("REASON_")
                .to_owned();
            format!("{} ({name})", status.message()).into()
        }
        None => format!("{}: {}", status.code(), status.message()).into(),
    }
}

/// A table whose columns are as wide as they must be.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain(head.get(column).map(|cell| cell.len()))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut text = vec![line(head.to_vec())];
    text.extend(
        rows.iter()
            .map(|row| line(row.iter().map(String::as_str).collect())),
    );
    text.join("\n")
}
