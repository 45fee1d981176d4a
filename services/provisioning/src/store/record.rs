//! What the feed keeps of a resource after a change: JSON text, the service's own.

use rollcall_scim as scim;
use rollcall_types::{AccountId, ConnectionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::user::User;

/// A user, whole.
#[derive(Debug, Serialize, Deserialize)]
struct UserRecord {
    document: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<scim::MultiValue>>,
    active: bool,
    admitted: bool,
    since: Timestamp,
    connection: Option<ConnectionId>,
    created: Timestamp,
    updated: Timestamp,
}

/// The text of a user.
///
/// # Errors
/// Never for a user of ours.
pub fn user_to_text(user: &User) -> Result<String, rollcall_store::Error> {
    let record = UserRecord {
        document: user.attributes.to_document(),
        external_id: user.attributes.external_id.clone(),
        roles: user.attributes.roles.clone(),
        active: user.active,
        admitted: user.admitted,
        since: user.since,
        connection: user.connection,
        created: user.created,
        updated: user.updated,
    };
    to_text(&record)
}

/// The user of a text.
///
/// # Errors
/// [`rollcall_store::Error::Corrupt`] for a text that [`user_to_text`] did not write.
pub fn user_from_text(
    account: &AccountId,
    id: UserId,
    version: i64,
    text: &str,
) -> Result<User, rollcall_store::Error> {
    let record: UserRecord = from_text(text, "user")?;
    let mut attributes = scim::User::from_document(record.document)
        .map_err(|_| rollcall_store::Error::Corrupt("user"))?;
    attributes.external_id = record.external_id;
    attributes.roles = record.roles;
    Ok(User {
        account: account.clone(),
        id,
        attributes,
        active: record.active,
        admitted: record.admitted,
        since: record.since,
        connection: record.connection,
        version,
        created: record.created,
        updated: record.updated,
    })
}

/// The text of any record.
///
/// # Errors
/// Never for the records of this service.
pub fn to_text(record: &impl Serialize) -> Result<String, rollcall_store::Error> {
    serde_json::to_string(record).map_err(|_| rollcall_store::Error::Corrupt("record"))
}

/// The record of a text.
///
/// # Errors
/// [`rollcall_store::Error::Corrupt`] for a text of another form.
pub fn from_text<T: for<'de> Deserialize<'de>>(
    text: &str,
    what: &'static str,
) -> Result<T, rollcall_store::Error> {
    serde_json::from_str(text).map_err(|_| rollcall_store::Error::Corrupt(what))
}
