//! The service's own tables, and the only place that knows SQL.

pub(crate) mod catalogue;
pub(crate) mod change;
pub(crate) mod connection;
pub(crate) mod input;
pub(crate) mod management;
mod migrations;
pub(crate) mod permission_set;
pub(crate) mod user;

pub(crate) use migrations::Migrator;
use rollcall_store::Error;
use rollcall_types::AccountId;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The account of a row.
fn account(text: &str) -> Result<AccountId, Error> {
    AccountId::parse(text).map_err(|_| Error::Corrupt("account id"))
}

/// The text of a value that is stored whole.
fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|_| Error::Corrupt("value"))
}

/// The value of a text that [`to_json`] made.
fn from_json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|_| Error::Corrupt(what))
}
