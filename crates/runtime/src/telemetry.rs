//! Where events go: lines of text or JSON on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How an event looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A line for a person.
    #[default]
    Text,
    /// A JSON object on a line, for a collector.
    Json,
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("the log filter {filter:?} can't be read: {source}; write one such as \"info\"")]
    Filter {
        /// What was given.
        filter: String,
        /// Where it breaks.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something in this process has set a subscriber before.
    #[error("telemetry was started before")]
    Started,
}

/// Sends events to standard error from now on, those that `filter` lets through
/// (`info,rollcall_gateway=debug`).
///
/// # Errors
/// [`Error::Filter`] for a filter that can't be read, [`Error::Started`] on the second call.
pub fn init(filter: &str, format: Format) -> Result<(), Error> {
    let level = EnvFilter::try_new(filter).map_err(|source| Error::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    let started = match format {
        Format::Text => lines.with_target(false).finish().try_init(),
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    started.map_err(|_| Error::Started)
}
