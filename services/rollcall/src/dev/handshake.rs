//! The handshake file: what scripts and the other commands need to reach a running `rollcall dev`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::Error;

/// The keys that scripts rely on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Handshake {
    /// Where the listener serves SCIM. Okta is given this, or the same path below the public URL.
    pub scim_base_url: String,
    /// The listener's base URL.
    pub console_url: String,
    /// Where gRPC is served.
    pub grpc_url: String,
    /// A token with every scope.
    pub grpc_token: String,
    /// The loopback DNS server.
    pub dns_address: String,
    /// Its zone file, which may be edited.
    pub zone_file: String,
    /// The processes.
    pub pids: Vec<u32>,
    /// The demo accounts.
    pub accounts: Vec<Account>,
}

/// One demo account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// Its connection's bearer token.
    pub scim_token: String,
    /// Its email domain.
    pub email_domain: String,
    /// Roles that name its permission sets.
    pub roles: Vec<String>,
}

/// Reads the file.
///
/// # Errors
/// When there is none: nothing is running, or elsewhere.
pub fn read(path: &Path) -> Result<Handshake, Error> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!(
            "{}: {error}. Start `rollcall dev` first, or name its file with --handshake",
            path.display()
        )
    })?;
    serde_json::from_str(&text)
        .map_err(|error| format!("{} is no handshake file: {error}", path.display()).into())
}
