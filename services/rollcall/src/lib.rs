//! Rollcall: user provisioning from Okta for a SaaS product, as one program.
//!
//! [`assemble`] is the only wiring of the services; [`dev`] runs all of them on one machine,
//! [`serve`] any of them as the configuration says; [`client`] holds the commands that call a running system over gRPC.

pub mod assemble;
pub mod cli;
pub mod client;
pub mod dev;
mod public_url;
pub mod serve;
pub mod simulate;
