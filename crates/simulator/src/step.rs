//! The steps of a run; each stands in a module of its own.

mod active;
mod assign;
mod conflict;
mod connection;
mod errors;
mod import;
mod profile;
mod roles;

pub(crate) use active::{deactivate, reactivate};
pub(crate) use assign::assign;
pub(crate) use conflict::conflict;
pub(crate) use connection::connection_test;
pub(crate) use errors::errors;
pub(crate) use import::{final_import, import, walk};
pub(crate) use profile::update;
pub(crate) use roles::roles;

pub(crate) const CONNECTION_TEST: &str = "connection test";
pub(crate) const IMPORT: &str = "import";
pub(crate) const ASSIGN: &str = "assign";
pub(crate) const CONFLICT: &str = "conflict";
pub(crate) const UPDATE: &str = "update";
pub(crate) const ROLES: &str = "roles";
pub(crate) const DEACTIVATE: &str = "deactivate";
pub(crate) const REACTIVATE: &str = "reactivate";
pub(crate) const ERRORS: &str = "errors";
pub(crate) const FINAL_IMPORT: &str = "final import";
pub(crate) const BRAKE: &str = "brake";
pub(crate) const VERIFY: &str = "verify";
