//! What every process of Rollcall stands on: the HTTP accept loop and telemetry.
//!
//! Knows nothing of what is served.

pub mod http;
pub mod telemetry;

pub use self::http::{HttpLimits, serve};
