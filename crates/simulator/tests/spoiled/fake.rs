//! A small SCIM service in memory, correct enough for Okta, that can be told to spoil its answers.

use std::collections::HashMap;

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::spoil::Spoil;

pub(crate) const TOKEN: &str = "the-right-token";
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";
/// Users that are there before Okta comes, so that an import needs a second page.
const FOREIGN: usize = 105;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

#[derive(Clone)]
pub(crate) struct Stored {
    id: String,
    user: Map<String, Value>,
    created: i64,
    modified: i64,
    version: u64,
}

pub(crate) struct Store {
    spoil: Option<Spoil>,
    pub(crate) users: Vec<Stored>,
    /// Answers deactivations with 429 once so many users were deactivated.
    pub(crate) brake: Option<usize>,
    /// Answers a PATCH with 204.
    pub(crate) is_terse: bool,
    pub(crate) base_url: String,
    pub(crate) requests: u64,
    deactivated: usize,
    clock: i64,
    next_id: u64,
}

impl Store {
    pub(crate) fn new(spoil: Option<Spoil>) -> Self {
        let mut store = Self {
            spoil,
            users: Vec::new(),
            brake: None,
            is_terse: false,
            base_url: String::new(),
            requests: 0,
            deactivated: 0,
            clock: 1_790_000_000,
            next_id: 0,
        };
        for number in 0..FOREIGN {
            let name = format!("foreign.{number}@acme.example");
            store.insert(normalise(
                &json!({"userName": name, "active": number % 9 != 0}),
            ));
        }
        store
    }

    fn is(&self, spoil: Spoil) -> bool {
        self.spoil == Some(spoil)
    }

    pub(crate) fn handle(
        &mut self,
        method: &str,
        target: &str,
        authorization: &str,
        body: &[u8],
    ) -> Reply {
        self.requests += 1;
        let mut reply = self.route(method, target, authorization, body);
        let number = format!("R-0000-{:04}", self.requests % 10_000);
        let is_numbered = !self.is(Spoil::DetailWithoutNumber);
        if let Some(Value::String(detail)) =
            reply.body.as_mut().and_then(|body| body.get_mut("detail"))
            && is_numbered
        {
            detail.push(' ');
            detail.push_str(&number);
        }
        let media_type = match self.spoil {
            Some(Spoil::PlainJson) => "application/json",
            _ => "application/scim+json; charset=utf-8",
        };
        reply.headers.push(("content-type", media_type.to_owned()));
        reply.headers.push(("x-request-number", number));
        reply
    }

    fn route(&mut self, method: &str, target: &str, authorization: &str, body: &[u8]) -> Reply {
        if authorization != format!("Bearer {TOKEN}") && !self.is(Spoil::AcceptsAnyToken) {
            let mut reply = self.error(401, None, "The token is not valid.");
            if !self.is(Spoil::NoChallenge) {
                reply
                    .headers
                    .push(("www-authenticate", "Bearer".to_owned()));
            }
            return reply;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query: HashMap<&str, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name, decode(value)))
            .collect();
        match (method, path, path.strip_prefix("/Users/")) {
            ("GET", "/Groups", _) if self.is(Spoil::NoGroups) => {
                self.error(404, None, "There are no groups here.")
            }
            ("GET", "/Groups", _) => self.list(&[], &query),
            ("GET", "/Users", _) => self.search(&query),
            ("POST", "/Users", _) => self.create(body),
            ("GET", _, Some(id)) => match self.find(id) {
                Some(place) => self.one(200, place),
                None => self.no_such_user(),
            },
            ("PUT" | "PATCH", _, Some(id)) => match self.find(id) {
                Some(place) => self.update(method, place, body),
                None => self.no_such_user(),
            },
            _ => self.error(404, None, "There is no such endpoint."),
        }
    }

    fn search(&self, query: &HashMap<&str, String>) -> Reply {
        let Some(filter) = query.get("filter") else {
            let mut all: Vec<&Stored> = self.users.iter().collect();
            if self.is(Spoil::HidesUserFromImport) && all.len() > FOREIGN {
                all.remove(FOREIGN);
            }
            if self.is(Spoil::ForgetsForeignUser) && all.len() > FOREIGN {
                all.remove(3);
            }
            return self.list(&all, query);
        };
        let name = filter.strip_prefix("userName eq ").map(str::to_owned);
        let name = name.and_then(|text| serde_json::from_str::<String>(&text).ok());
        let Some(name) = name else {
            if self.is(Spoil::IgnoresBadFilter) {
                return self.list(&[], query);
            }
            return self.error(400, Some("invalidFilter"), "The filter cannot be read.");
        };
        let found: Vec<&Stored> = self
            .users
            .iter()
            .filter(|user| {
                let own = user.user["userName"].as_str().unwrap_or_default();
                if self.is(Spoil::CaseSensitiveFilter) {
                    own == name
                } else {
                    own.to_lowercase() == name.to_lowercase()
                }
            })
            .filter(|user| !self.is(Spoil::HidesInactive) || user.user["active"] == json!(true))
            .collect();
        if found.is_empty() && self.is(Spoil::EmptyListAs404) {
            return self.no_such_user();
        }
        self.list(&found, query)
    }

    fn list(&self, users: &[&Stored], query: &HashMap<&str, String>) -> Reply {
        let number = |name: &str, default: usize| {
            query
                .get(name)
                .and_then(|text| text.parse().ok())
                .unwrap_or(default)
        };
        let (start, mut count) = (number("startIndex", 1), number("count", 100));
        if self.is(Spoil::CapsPages) {
            count = count.min(50);
        }
        let skipped = match self.spoil {
            Some(Spoil::RepeatsAcrossPages) if start > 1 => start - 2,
            _ => start - 1,
        };
        let mut page: Vec<Value> = users
            .iter()
            .skip(skipped)
            .take(count)
            .map(|user| self.resource(user))
            .collect();
        if self.is(Spoil::ShortPage) && page.len() > 3 {
            page.pop();
        }
        let items = page.len() + usize::from(self.is(Spoil::WrongItemsPerPage));
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": users.len(), "startIndex": start, "itemsPerPage": items,
            "Resources": page,
        });
        match self.spoil {
            Some(Spoil::TotalAsString) => body["totalResults"] = json!(users.len().to_string()),
            Some(Spoil::NoListSchema) => body["schemas"] = json!([]),
            _ => {}
        }
        Reply {
            status: 200,
            headers: Vec::new(),
            body: Some(body),
        }
    }

    fn create(&mut self, body: &[u8]) -> Reply {
        let Some(body) = parse(body) else {
            let scim_type = match self.spoil {
                Some(Spoil::WrongScimType) => "invalidValue",
                _ => "invalidSyntax",
            };
            return self.error(400, Some(scim_type), "The body is not a JSON object.");
        };
        let user = normalise(&body);
        if self.is_taken(&user, None) && !self.is(Spoil::CreatesTwice) {
            return self.error(409, Some("uniqueness"), "There is such a user already.");
        }
        let place = self.insert(user);
        let status = if self.is(Spoil::CreatedAs200) {
            200
        } else {
            201
        };
        let mut reply = self.one(status, place);
        let location = match self.spoil {
            Some(Spoil::NoLocation) => return reply,
            Some(Spoil::ForeignLocation) => format!("{}/Users/foreign", self.base_url),
            _ => format!("{}/Users/{}", self.base_url, self.users[place].id),
        };
        if self.is(Spoil::ReturnsPassword)
            && let Some(user) = reply.body.as_mut()
        {
            user["password"] = body["password"].clone();
        }
        reply.headers.push(("location", location));
        reply
    }

    fn update(&mut self, method: &str, place: usize, body: &[u8]) -> Reply {
        let Some(body) = parse(body) else {
            return self.error(400, Some("invalidSyntax"), "The body is not a JSON object.");
        };
        let old = self.users[place].user.clone();
        let mut new = if method == "PUT" {
            normalise(&body)
        } else {
            patched(&old, &body)
        };
        for name in ["active", "roles"] {
            let is_kept = name == "active" || !self.is(Spoil::PutClearsRoles);
            if is_kept
                && body.get(name).is_none()
                && method == "PUT"
                && let Some(value) = old.get(name)
            {
                new.insert(name.to_owned(), value.clone());
            }
        }
        if self.is_taken(&new, Some(place)) {
            return self.error(409, Some("uniqueness"), "There is such a user already.");
        }
        let deactivates = old["active"] == json!(true) && new["active"] == json!(false);
        if deactivates && self.brake.is_some_and(|limit| self.deactivated >= limit) {
            let mut reply = self.error(429, None, "Too many users at once.");
            reply.headers.push(("retry-after", "300".to_owned()));
            return reply;
        }
        self.deactivated += usize::from(deactivates);
        match self.spoil {
            Some(Spoil::IgnoresActive) => {
                new.insert("active".to_owned(), json!(true));
            }
            Some(Spoil::IgnoresRename) => {
                new.insert("userName".to_owned(), old["userName"].clone());
            }
            Some(Spoil::DerivesDisplayName) => {
                let name = format!("{} X", new["name"]["givenName"]);
                new.insert("displayName".to_owned(), json!(name));
            }
            Some(Spoil::EmptyStringKept) if new.get("title").is_none() => {
                new.insert("title".to_owned(), json!(""));
            }
            _ => {}
        }
        if new != old || self.is(Spoil::VersionMovesAlways) {
            self.clock += 1;
            let user = &mut self.users[place];
            user.modified = self.clock;
            user.version += 1;
            user.user = new;
        }
        if self.is(Spoil::IdChangesOnPut) && method == "PUT" {
            self.next_id += 1;
            self.users[place].id = format!("id-{}", self.next_id);
        }
        if self.is_terse && method == "PATCH" {
            return Reply {
                status: 204,
                headers: Vec::new(),
                body: None,
            };
        }
        self.one(200, place)
    }

    fn insert(&mut self, mut user: Map<String, Value>) -> usize {
        self.clock += 1;
        self.next_id += 1;
        if self.is(Spoil::ForgetsTitle) {
            user.shift_remove("title");
        }
        if self.is(Spoil::DropsExternalId) {
            user.shift_remove("externalId");
        }
        self.users.push(Stored {
            id: format!("id-{}", self.next_id),
            user,
            created: self.clock,
            modified: self.clock,
            version: 1,
        });
        self.users.len() - 1
    }

    fn find(&self, id: &str) -> Option<usize> {
        self.users.iter().position(|user| user.id == id)
    }

    fn is_taken(&self, new: &Map<String, Value>, except: Option<usize>) -> bool {
        let name = |user: &Map<String, Value>| {
            user.get("userName")
                .and_then(Value::as_str)
                .map(str::to_lowercase)
        };
        self.users.iter().enumerate().any(|(place, user)| {
            Some(place) != except
                && (name(&user.user) == name(new)
                    || new
                        .get("externalId")
                        .is_some_and(|id| user.user.get("externalId") == Some(id)))
        })
    }

    fn one(&self, status: u16, place: usize) -> Reply {
        let stored = &self.users[place];
        let body = self.resource(stored);
        let tag = match self.spoil {
            Some(Spoil::EtagDiffers) => "W/\"other\"".to_owned(),
            _ => body["meta"]["version"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        };
        let headers = if self.is(Spoil::NoEtag) {
            Vec::new()
        } else {
            vec![("etag", tag)]
        };
        Reply {
            status,
            headers,
            body: Some(body),
        }
    }

    fn resource(&self, stored: &Stored) -> Value {
        let time = |seconds| {
            DateTime::from_timestamp(seconds, 0)
                .map(|time| time.to_rfc3339().replace("+00:00", "Z"))
        };
        let is_active = stored.user["active"] == json!(true);
        let mut user = Map::new();
        user.insert("schemas".to_owned(), json!([CORE, ACCESS]));
        user.insert("id".to_owned(), json!(stored.id));
        user.extend(stored.user.clone());
        let access = if is_active || self.is(Spoil::AccessStays) {
            "ACTIVE"
        } else {
            "DEACTIVATED"
        };
        user.insert(ACCESS.to_owned(), json!({"state": access}));
        let version = match self.spoil {
            Some(Spoil::StrongVersion) => format!("\"{}\"", stored.version),
            Some(Spoil::VersionStays) => "W/\"v0\"".to_owned(),
            _ => format!("W/\"v{}\"", stored.version),
        };
        let early = i64::from(self.is(Spoil::ModifiedBeforeCreated)) * 60;
        user.insert(
            "meta".to_owned(),
            json!({
                "resourceType": if self.is(Spoil::WrongResourceType) { "user" } else { "User" },
                "created": time(stored.created), "lastModified": time(stored.modified - early),
                "location": format!("{}/Users/{}", self.base_url, stored.id), "version": version,
            }),
        );
        if user.contains_key(ENTERPRISE) && !self.is(Spoil::UnlistedExtension) {
            user["schemas"] = json!([CORE, ENTERPRISE, ACCESS]);
        }
        match self.spoil {
            Some(Spoil::ReturnsNull) => {
                user.insert("timezone".to_owned(), Value::Null);
            }
            Some(Spoil::ReturnsEmptyArray) => {
                user.insert("photos".to_owned(), json!([]));
            }
            Some(Spoil::ActiveAsString) => {
                user["active"] = json!(user["active"].to_string());
            }
            Some(Spoil::RolesAsStrings) => {
                if let Some(Value::Array(roles)) = user.get_mut("roles") {
                    *roles = roles.iter().map(|role| role["value"].clone()).collect();
                }
            }
            Some(Spoil::InventsRoleType) => {
                for role in user
                    .get_mut("roles")
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    role["type"] = json!("Primary");
                }
            }
            _ => {}
        }
        Value::Object(user)
    }

    fn no_such_user(&self) -> Reply {
        self.error(404, None, "There is no such user.")
    }

    fn error(&self, status: u16, scim_type: Option<&str>, detail: &str) -> Reply {
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(), "detail": detail,
        });
        if let Some(scim_type) = scim_type {
            body["scimType"] = json!(scim_type);
        }
        match self.spoil {
            Some(Spoil::NumericErrorStatus) => body["status"] = json!(status),
            Some(Spoil::NoErrorSchema) => body["schemas"] = json!([CORE]),
            Some(Spoil::NoDetail) if status == 404 => {
                body.as_object_mut().map(|body| body.shift_remove("detail"));
            }
            _ => {}
        }
        Reply {
            status,
            headers: Vec::new(),
            body: Some(body),
        }
    }
}

fn parse(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().filter(Value::is_object)
}

/// What is stored of a resource: no unassigned values, nothing that clients cannot set.
fn normalise(body: &Value) -> Map<String, Value> {
    let mut user = Map::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        let is_foreign = ["schemas", "id", "meta", "groups", "password", ACCESS].contains(&&**name);
        let value = match value {
            Value::String(text) if name == "roles" => json!([{"value": text}]),
            Value::Array(roles) if name == "roles" => roles
                .iter()
                .map(|role| {
                    if role.is_string() {
                        json!({"value": role})
                    } else {
                        role.clone()
                    }
                })
                .collect(),
            Value::Object(inner) => Value::Object(
                inner
                    .iter()
                    .filter(|(_, value)| !is_unassigned(value))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            ),
            other => other.clone(),
        };
        if !is_foreign && !is_unassigned(&value) {
            user.insert(name.clone(), value);
        }
    }
    user
}

fn is_unassigned(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

fn patched(old: &Map<String, Value>, body: &Value) -> Map<String, Value> {
    let mut user = Value::Object(old.clone());
    for operation in body["Operations"].as_array().into_iter().flatten() {
        let value = operation.get("value").cloned().unwrap_or_default();
        match operation["path"].as_str() {
            None => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    match value {
                        Value::Object(inner) => {
                            for (sub, value) in inner {
                                user[name][sub] = value.clone();
                            }
                        }
                        other => user[name] = other.clone(),
                    }
                }
            }
            Some(path) if path.starts_with("urn:") => {
                let (urn, name) = path.rsplit_once(':').unwrap_or((path, ""));
                user[urn][name] = value;
            }
            Some(path) => match path.split_once('.') {
                Some((name, sub)) => user[name][sub] = value,
                None => user[path] = value,
            },
        }
    }
    normalise(&user)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
            let digits = String::from_utf8_lossy(&digits).into_owned();
            bytes.push(u8::from_str_radix(&digits, 16).unwrap_or(b'?'));
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
