//! The gateway as Okta and others speak to it, before a provisioning service that only remembers
//! what it was asked.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions, not in helpers"
)]

mod away;
mod bodies;
mod credentials;
mod discovery;
mod paths;
mod users;
mod world;
