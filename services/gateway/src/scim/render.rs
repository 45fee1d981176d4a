//! A user as SCIM shows it: the stored document as it is, and what the gateway adds.

use rollcall_rpc::convert::{time, user::roles_from_proto};
use rollcall_rpc::pb::provisioning::v1::{Access, AccessState};
use rollcall_rpc::pb::scim::v1::{ListUsersResponse, ScimUser};
use rollcall_scim::{schema, user::roles_json};
use rollcall_types::Timestamp;
use serde_json::{Map, Value, json};

use super::error::Problem;

/// Where a user is found.
pub(super) fn location(base: &str, user_id: &str) -> String {
    format!("{base}/Users/{user_id}")
}

/// The JSON text of a user. The document is not parsed: what is added goes in before its end.
pub(super) fn user(base: &str, user: &ScimUser) -> Result<String, Problem> {
    let mut body = String::with_capacity(user.document.len() + 768);
    push_user(&mut body, base, user)?;
    Ok(body)
}

/// The JSON text of a page of users (S-7644-3.4.2-01).
pub(super) fn list(
    base: &str,
    start_index: u64,
    page: &ListUsersResponse,
) -> Result<String, Problem> {
    let length: usize = page
        .users
        .iter()
        .map(|user| user.document.len() + 768)
        .sum();
    let mut body = String::with_capacity(length + 256);
    let head = format!(
        "{{\"schemas\":[\"{}\"],\"totalResults\":{},\"startIndex\":{start_index},\
         \"itemsPerPage\":{},\"Resources\":[",
        schema::LIST_RESPONSE,
        page.total_results,
        page.users.len(),
    );
    body.push_str(&head);
    for (index, user) in page.users.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        push_user(&mut body, base, user)?;
    }
    body.push_str("]}");
    Ok(body)
}

fn push_user(body: &mut String, base: &str, user: &ScimUser) -> Result<(), Problem> {
    let document = user.document.trim_ascii();
    let members = document
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .map(str::trim_ascii)
        .ok_or_else(|| Problem::internal("a stored user is no JSON object"))?;
    body.push('{');
    body.push_str(members);
    for (name, value) in added(base, user) {
        if !body.ends_with('{') {
            body.push(',');
        }
        body.push_str(&Value::String(name).to_string());
        body.push(':');
        body.push_str(&value.to_string());
    }
    body.push('}');
    Ok(())
}

/// What the stored document lacks.
fn added(base: &str, user: &ScimUser) -> Map<String, Value> {
    let mut added = Map::new();
    added.insert("id".to_owned(), json!(user.user_id));
    if !user.external_id.is_empty() {
        added.insert("externalId".to_owned(), json!(user.external_id));
    }
    // S-7643-2.5-02: what has no value is left out.
    if let Some(roles) = user.roles.clone().filter(|list| !list.roles.is_empty()) {
        added.insert("roles".to_owned(), roles_json(&roles_from_proto(roles)));
    }
    if let Some(access) = &user.access {
        added.insert(schema::ACCESS.to_owned(), access_json(access));
    }
    let mut meta = Map::new();
    meta.insert("resourceType".to_owned(), json!("User"));
    for (name, moment) in [
        ("created", &user.create_time),
        ("lastModified", &user.update_time),
    ] {
        if let Some(moment) = moment.as_ref().and_then(time::from_proto) {
            meta.insert(name.to_owned(), json!(moment.to_rfc3339()));
        }
    }
    meta.insert("location".to_owned(), json!(location(base, &user.user_id)));
    meta.insert("version".to_owned(), json!(user.etag));
    added.insert("meta".to_owned(), Value::Object(meta));
    added
}

/// The access extension (U-10). A state of a newer peer is left out: no client may take it for
/// access.
fn access_json(access: &Access) -> Value {
    let mut members = Map::new();
    let state = match access.state() {
        AccessState::Active => Some("ACTIVE"),
        AccessState::HeldDomainUnverified => Some("HELD_DOMAIN_UNVERIFIED"),
        AccessState::Deactivated => Some("DEACTIVATED"),
        AccessState::Unspecified | AccessState::NoSuchUser => None,
    };
    let since = access.since_time.as_ref().and_then(time::from_proto);
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    for (name, value) in [
        ("state", state.map(str::to_owned)),
        ("since", since.map(Timestamp::to_rfc3339)),
        ("cause", text(&access.cause)),
        ("message", text(&access.message)),
    ] {
        if let Some(value) = value {
            members.insert(name.to_owned(), Value::String(value));
        }
    }
    Value::Object(members)
}
