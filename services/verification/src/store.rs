//! The service's own tables, and the only place that knows SQL.

pub(crate) mod claim;
pub(crate) mod held_name;
mod migrations;
mod snapshot;

pub(crate) use migrations::Migrator;
pub(crate) use snapshot::Snapshot;

/// The feed's number for domains.
pub(crate) const KIND: u8 = 1;
