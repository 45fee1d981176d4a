//! Everything that tells of the users of `acme` tells the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use rollcall_rpc::Backend;
use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::access_service_client::AccessServiceClient;
use rollcall_rpc::pb::permissions::v1::permission_set_service_client::PermissionSetServiceClient;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use serde_json::{Value, json};

use crate::mirror::Mirror;

/// How many users a SCIM page holds.
const PAGE: usize = 100;

/// A running system, in as many processes as there are.
pub(crate) trait Reached {
    /// Provisioning, called by the operator.
    async fn provisioning(&self) -> Backend;
    /// Permissions, called by the operator.
    async fn permissions(&self) -> Backend;
    /// What the gateway answers to a GET.
    async fn get(&self, path: &str) -> (u16, Value);
}

/// Compares the feed, followed from before, with its snapshot, the table over gRPC and over SCIM,
/// and what permissions grants.
pub(crate) async fn agrees(system: &impl Reached, mirror: &mut Mirror) {
    let backend = system.provisioning().await;
    let table = table(&backend).await;
    mirror.catch_up(&backend).await;
    same("the changes, and the table", &mirror.users, &table);
    let mut snapshot = Mirror::default();
    snapshot.catch_up(&backend).await;
    same("the snapshot, and the table", &snapshot.users, &table);

    let users: BTreeMap<String, Value> = table
        .iter()
        .map(|(id, user)| (id.clone(), shown(user)))
        .collect();
    same("SCIM, and the table", &scim(system).await, &users);
    let permissions = system.permissions().await;
    same(
        "what permissions grants, and what the roles say",
        &granted(&permissions, &mirror.last, &table).await,
        &expected(&permissions, &table).await,
    );
}

/// The users as Okta's import sees them.
async fn scim(system: &impl Reached) -> BTreeMap<String, Value> {
    let mut users = BTreeMap::new();
    for start in (1..).step_by(PAGE) {
        let path = format!("/Users?startIndex={start}&count={PAGE}");
        let (status, page) = system.get(&path).await;
        assert_eq!(status, 200, "{page}");
        for user in page["Resources"].as_array().into_iter().flatten() {
            users.insert(user["id"].as_str().unwrap().to_owned(), shown_by_scim(user));
        }
        if page["totalResults"].as_u64().unwrap() < (start + PAGE) as u64 {
            break;
        }
    }
    users
}

/// The keys of every user, once permissions has taken everything in.
async fn granted(
    backend: &Backend,
    last: &str,
    table: &BTreeMap<String, pb::User>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut access = AccessServiceClient::new(backend.clone());
    let mut granted = BTreeMap::new();
    for id in table.keys() {
        let request = permissions::GetEffectivePermissionsRequest {
            account_id: "acme".to_owned(),
            user_id: id.clone(),
            at_least: last.to_owned(),
        };
        let answer = access.get_effective_permissions(request).await.unwrap();
        granted.insert(id.clone(), answer.into_inner().keys.into_iter().collect());
    }
    granted
}

/// Expects both to tell the same of each user; a failure shows one that differs, not all.
fn same<T: PartialEq + Debug>(what: &str, one: &BTreeMap<String, T>, other: &BTreeMap<String, T>) {
    for id in one.keys().chain(other.keys()) {
        assert_eq!(one.get(id), other.get(id), "{what}: user {id}");
    }
}

/// The users over gRPC, page by page.
async fn table(backend: &Backend) -> BTreeMap<String, pb::User> {
    let mut users = BTreeMap::new();
    let mut request = pb::ListUsersRequest {
        account_id: "acme".to_owned(),
        page_size: 1_000,
        ..pb::ListUsersRequest::default()
    };
    loop {
        let answer = UserServiceClient::new(backend.clone())
            .list_users(request.clone())
            .await;
        let page = answer.unwrap().into_inner();
        for user in page.users {
            users.insert(user.user_id.clone(), user);
        }
        if page.next_page_token.is_empty() {
            return users;
        }
        request.page_token = page.next_page_token;
    }
}

/// What a user's roles say: the keys of the sets with their names, if the user has access.
async fn expected(
    backend: &Backend,
    table: &BTreeMap<String, pb::User>,
) -> BTreeMap<String, BTreeSet<String>> {
    let request = permissions::ListPermissionSetsRequest {
        account_id: "acme".to_owned(),
        page_size: 1_000,
        page_token: String::new(),
    };
    let mut client = PermissionSetServiceClient::new(backend.clone());
    let answer = client.list_permission_sets(request).await;
    let sets = answer.unwrap().into_inner().permission_sets;
    let keys = |user: &pb::User| {
        let roles = user.roles.clone().unwrap_or_default().roles;
        let named = |set: &&permissions::PermissionSet| {
            state(user) == pb::AccessState::Active
                && roles.iter().any(|role| role.value == set.name)
        };
        let sets = sets.iter().filter(named);
        sets.flat_map(|set| set.permission_keys.clone()).collect()
    };
    table
        .iter()
        .map(|(id, user)| (id.clone(), keys(user)))
        .collect()
}

fn state(user: &pb::User) -> pb::AccessState {
    user.access.as_ref().unwrap().state()
}

/// What both sides show of a user, from gRPC.
fn shown(user: &pb::User) -> Value {
    let attributes = user.attributes.clone().unwrap();
    let name = attributes.name.unwrap_or_default();
    let enterprise = attributes.enterprise.unwrap_or_default();
    let values = |list: Vec<pb::MultiValue>| -> Vec<String> {
        list.into_iter().map(|one| one.value).collect()
    };
    json!({
        "version": user.etag,
        "userName": attributes.user_name,
        "externalId": user.external_id,
        "active": attributes.active,
        "name": [name.given_name, name.family_name],
        "title": attributes.title,
        "nickName": attributes.nick_name,
        "emails": values(attributes.emails),
        "phoneNumbers": values(attributes.phone_numbers),
        "department": enterprise.department,
        "roles": values(user.roles.clone().unwrap_or_default().roles),
        "access": state(user).as_str_name().trim_start_matches("ACCESS_STATE_"),
    })
}

/// The same from SCIM.
fn shown_by_scim(user: &Value) -> Value {
    let enterprise = &user["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"];
    let access = &user["urn:rollcall:scim:schemas:extension:access:1.0:User"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let values = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|one| text(&one["value"])).collect()
    };
    json!({
        "version": user["meta"]["version"],
        "userName": user["userName"],
        "externalId": user["externalId"],
        "active": user["active"],
        "name": [text(&user["name"]["givenName"]), text(&user["name"]["familyName"])],
        "title": text(&user["title"]),
        "nickName": text(&user["nickName"]),
        "emails": values(&user["emails"]),
        "phoneNumbers": values(&user["phoneNumbers"]),
        "department": text(&enterprise["department"]),
        "roles": values(&user["roles"]),
        "access": access["state"],
    })
}
