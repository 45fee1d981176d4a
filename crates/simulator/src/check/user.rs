//! Judges user resources (RFC 7643, sections 3 and 4).

use serde_json::Value;

use super::{Check, lists, shown};
use crate::options::Access;
use crate::record::instant;
use crate::state::{ACCESS, CORE, MANAGED, State, same_roles};

/// What a user must look like, beyond being well formed.
pub(crate) struct Expected<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) state: &'a State,
    pub(crate) access: Option<Access>,
}

impl<'a> Check<'a> {
    /// Expects one well-formed user as the whole answer, with its version as entity tag.
    pub(crate) fn one_user(&self, status: u16) -> Option<&'a Value> {
        if !self.status(&[status]) {
            return None;
        }
        let user = self.object()?;
        self.user(user);
        let meta = user.get("meta");
        let member = |name: &str| meta.and_then(|meta| meta.get(name)).and_then(Value::as_str);
        if let Some(tag) = self.header("ETag")
            && member("version").is_some_and(|version| version != tag)
        {
            self.fail(
                "ETag",
                shown(meta.and_then(|meta| meta.get("version"))),
                tag,
            );
        }
        for header in ["Location", "Content-Location"] {
            if let Some(location) = self.answer.header(header)
                && member("location").is_some_and(|expected| expected != location)
            {
                self.fail(
                    header,
                    shown(meta.and_then(|meta| meta.get("location"))),
                    location,
                );
            }
        }
        Some(user)
    }

    /// Expects a user that any client could read.
    pub(crate) fn user(&self, user: &Value) {
        let Some(members) = user.as_object() else {
            return self.fail("Resources", "objects", user.to_string());
        };
        if !lists(user, CORE) {
            self.fail(
                "schemas",
                format!("a list with {CORE:?}"),
                shown(user.get("schemas")),
            );
        }
        for (name, value) in members {
            if name.starts_with("urn:") && !lists(user, name) {
                self.fail(
                    "schemas",
                    format!("a list with {name:?}"),
                    shown(user.get("schemas")),
                );
            }
            if name.eq_ignore_ascii_case("password") {
                self.fail("password", "no password", "one");
            }
            self.no_unassigned(name, value);
        }
        for name in ["id", "userName"] {
            if text(user, name).is_empty() {
                self.fail(name, "a text", shown(user.get(name)));
            }
        }
        for name in ["externalId", "displayName", "title", "locale", "nickName"] {
            if user.get(name).is_some_and(|value| !value.is_string()) {
                self.fail(name, "a string", shown(user.get(name)));
            }
        }
        if user
            .get("active")
            .is_some_and(|active| !active.is_boolean())
        {
            self.fail("active", "a boolean", shown(user.get("active")));
        }
        for name in ["emails", "phoneNumbers", "roles", "groups"] {
            self.multi_valued(name, user.get(name));
        }
        self.meta(user);
        self.access(user);
    }

    /// Expects the user to be as Okta believes it to be.
    pub(crate) fn state(&self, user: &Value, expected: &Expected<'_>) {
        let state = expected.state;
        if let Some(id) = expected.id
            && text(user, "id") != id
        {
            self.fail("id", format!("{id:?}"), shown(user.get("id")));
        }
        for attribute in MANAGED {
            let got = attribute.read(user);
            if !state.agrees(attribute, got) {
                let path = attribute.to_string();
                self.fail(&path, shown(state.get(attribute)), shown(got));
            }
        }
        let roles = user.get("roles").and_then(Value::as_array);
        let is_right = same_roles(&state.roles, roles.map(Vec::as_slice).unwrap_or_default());
        if !is_right {
            let roles = Value::Array(state.roles.clone());
            self.fail("roles", roles.to_string(), shown(user.get("roles")));
        }
        let active = user.get("active").and_then(Value::as_bool);
        if active != Some(state.active) {
            self.fail(
                "active",
                state.active.to_string(),
                shown(user.get("active")),
            );
        }
        if state.active {
            self.access_while_active(user, expected.access);
        }
    }

    /// Expects neither null nor an empty array: what is unassigned is left out (RFC 7643, section 2.5).
    fn no_unassigned(&self, path: &str, value: &Value) {
        match value {
            Value::Null => self.fail(path, "a value, or nothing at all", "null"),
            Value::Array(elements) if elements.is_empty() => {
                self.fail(path, "a value, or nothing at all", "[]");
            }
            Value::Array(elements) => {
                for element in elements {
                    self.no_unassigned(path, element);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    self.no_unassigned(&format!("{path}.{name}"), value);
                }
            }
            _ => {}
        }
    }

    fn multi_valued(&self, name: &str, value: Option<&Value>) {
        let Some(value) = value else { return };
        let elements = value.as_array().filter(|elements| {
            elements
                .iter()
                .all(|element| element.get("value").is_some_and(Value::is_string))
        });
        let Some(elements) = elements else {
            return self.fail(name, "an array of objects with a value", value.to_string());
        };
        let is_primary = |element: &&Value| element.get("primary") == Some(&Value::Bool(true));
        if elements.iter().filter(is_primary).count() > 1 {
            self.fail(name, "at most one primary", value.to_string());
        }
    }

    fn meta(&self, user: &Value) {
        let none = Value::Null;
        let meta = user.get("meta").unwrap_or(&none);
        if text(meta, "resourceType") != "User" {
            self.fail(
                "meta.resourceType",
                "\"User\"",
                shown(meta.get("resourceType")),
            );
        }
        let path = format!("/Users/{}", text(user, "id"));
        if !text(meta, "location").ends_with(&path) {
            self.fail(
                "meta.location",
                format!("an URL that ends with {path}"),
                shown(meta.get("location")),
            );
        }
        let version = text(meta, "version");
        if version.len() < 5 || !version.starts_with("W/\"") || !version.ends_with('"') {
            self.fail(
                "meta.version",
                "a weak entity tag",
                shown(meta.get("version")),
            );
        }
        let created = instant(text(meta, "created"));
        if created.is_none() {
            self.fail("meta.created", "a dateTime", shown(meta.get("created")));
        }
        match instant(text(meta, "lastModified")) {
            None => self.fail(
                "meta.lastModified",
                "a dateTime",
                shown(meta.get("lastModified")),
            ),
            Some(modified) if created.is_some_and(|created| modified < created) => self.fail(
                "meta.lastModified",
                format!("not before {}", shown(meta.get("created"))),
                shown(meta.get("lastModified")),
            ),
            Some(_) => {}
        }
    }

    /// Rollcall's access extension, where there is one.
    fn access(&self, user: &Value) {
        let Some(access) = user.get(ACCESS) else {
            return;
        };
        let state = text(access, "state");
        let expected: &[&str] = match user.get("active").and_then(Value::as_bool) {
            Some(false) => &["DEACTIVATED"],
            // Deactivated also if it is locked locally.
            _ => &["ACTIVE", "HELD_DOMAIN_UNVERIFIED", "DEACTIVATED"],
        };
        if !expected.contains(&state) {
            self.fail(
                &format!("{ACCESS}:state"),
                expected.join(" or "),
                shown(access.get("state")),
            );
        }
    }

    fn access_while_active(&self, user: &Value, expected: Option<Access>) {
        let state = user.get(ACCESS).and_then(|access| access.get("state"));
        let expected: &[&str] = match (expected, state) {
            (Some(access), _) => &[access.state()],
            (None, Some(_)) => &["ACTIVE", "HELD_DOMAIN_UNVERIFIED"],
            (None, None) => return,
        };
        if !state
            .and_then(Value::as_str)
            .is_some_and(|state| expected.contains(&state))
        {
            self.fail(
                &format!("{ACCESS}:state"),
                expected.join(" or "),
                shown(state),
            );
        }
    }
}

/// A string member, empty if there is none.
fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}
