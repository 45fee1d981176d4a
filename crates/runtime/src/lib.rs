//! What every process of Rollcall stands on: the HTTP accept loop, the admin port and telemetry.
//!
//! Knows nothing of what is served.

pub mod admin;
pub mod http;
pub mod telemetry;

pub use self::http::{HttpLimits, serve};
