//! What Okta believes a user to be: the attributes that the run manages, roles and `active`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

pub(crate) const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(crate) const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";
pub(crate) const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
pub(crate) const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
pub(crate) const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The place of one attribute in a user: at the top, or inside `name` or an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attribute {
    parent: Option<&'static str>,
    name: &'static str,
}

pub(crate) const USER_NAME: Attribute = Attribute::top("userName");
pub(crate) const EXTERNAL_ID: Attribute = Attribute::top("externalId");
pub(crate) const GIVEN_NAME: Attribute = Attribute::inside("name", "givenName");
pub(crate) const FAMILY_NAME: Attribute = Attribute::inside("name", "familyName");
pub(crate) const DISPLAY_NAME: Attribute = Attribute::top("displayName");
pub(crate) const NICK_NAME: Attribute = Attribute::top("nickName");
pub(crate) const TITLE: Attribute = Attribute::top("title");
pub(crate) const LOCALE: Attribute = Attribute::top("locale");
pub(crate) const EMAILS: Attribute = Attribute::top("emails");
pub(crate) const PHONE_NUMBERS: Attribute = Attribute::top("phoneNumbers");
pub(crate) const EMPLOYEE_NUMBER: Attribute = Attribute::inside(ENTERPRISE, "employeeNumber");
pub(crate) const COST_CENTER: Attribute = Attribute::inside(ENTERPRISE, "costCenter");
pub(crate) const ORGANIZATION: Attribute = Attribute::inside(ENTERPRISE, "organization");
pub(crate) const DIVISION: Attribute = Attribute::inside(ENTERPRISE, "division");
pub(crate) const DEPARTMENT: Attribute = Attribute::inside(ENTERPRISE, "department");
pub(crate) const MANAGER: Attribute = Attribute::inside(ENTERPRISE, "manager");

/// Every attribute that the run sets, and so must find again, or find absent.
pub(crate) const MANAGED: [Attribute; 16] = [
    USER_NAME,
    EXTERNAL_ID,
    GIVEN_NAME,
    FAMILY_NAME,
    DISPLAY_NAME,
    NICK_NAME,
    TITLE,
    LOCALE,
    EMAILS,
    PHONE_NUMBERS,
    EMPLOYEE_NUMBER,
    COST_CENTER,
    ORGANIZATION,
    DIVISION,
    DEPARTMENT,
    MANAGER,
];

impl Attribute {
    const fn top(name: &'static str) -> Self {
        Self { parent: None, name }
    }

    const fn inside(parent: &'static str, name: &'static str) -> Self {
        Self {
            parent: Some(parent),
            name,
        }
    }

    /// Its value in a user resource.
    pub(crate) fn read(self, user: &Value) -> Option<&Value> {
        match self.parent {
            Some(parent) => user.get(parent)?.get(self.name),
            None => user.get(self.name),
        }
    }

    /// Puts `value` in its place, with the object around it.
    pub(crate) fn write(self, user: &mut Map<String, Value>, value: Value) {
        let Some(parent) = self.parent else {
            user.insert(self.name.to_owned(), value);
            return;
        };
        let around = user.entry(parent).or_insert_with(|| json!({}));
        if !around.is_object() {
            *around = json!({});
        }
        if let Some(around) = around.as_object_mut() {
            around.insert(self.name.to_owned(), value);
        }
    }

    /// Takes it out, with the object around it if nothing else is in there.
    pub(crate) fn remove(self, user: &mut Map<String, Value>) {
        let Some(parent) = self.parent else {
            user.shift_remove(self.name);
            return;
        };
        if let Some(around) = user.get_mut(parent).and_then(Value::as_object_mut) {
            around.shift_remove(self.name);
            if around.is_empty() {
                user.shift_remove(parent);
            }
        }
    }
}

/// Its attribute path (RFC 7644, section 3.10).
impl fmt::Display for Attribute {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parent {
            None => out.write_str(self.name),
            Some(parent) if parent.contains(':') => write!(out, "{parent}:{}", self.name),
            Some(parent) => write!(out, "{parent}.{}", self.name),
        }
    }
}

/// A user as Okta believes it to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) attributes: BTreeMap<Attribute, Value>,
    pub(crate) roles: Vec<Value>,
    pub(crate) active: bool,
}

impl State {
    /// What a resource says about the managed attributes.
    pub(crate) fn read(user: &Value) -> Self {
        Self {
            attributes: MANAGED
                .into_iter()
                .filter_map(|attribute| Some((attribute, attribute.read(user)?.clone())))
                .collect(),
            roles: user
                .get("roles")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
            active: user
                .get("active")
                .and_then(Value::as_bool)
                .unwrap_or_default(),
        }
    }

    pub(crate) fn get(&self, attribute: Attribute) -> Option<&Value> {
        self.attributes.get(&attribute)
    }

    /// The text of a string attribute, empty if it has none.
    pub(crate) fn text(&self, attribute: Attribute) -> &str {
        self.get(attribute)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub(crate) fn set(&mut self, attribute: Attribute, value: impl Into<Value>) {
        self.attributes.insert(attribute, value.into());
    }

    pub(crate) fn unset(&mut self, attribute: Attribute) {
        self.attributes.remove(&attribute);
    }

    /// Whether both have this attribute alike: what is sent must come back, more may come with it.
    pub(crate) fn agrees(&self, attribute: Attribute, got: Option<&Value>) -> bool {
        match (self.get(attribute), got) {
            (None, None) => true,
            (Some(expected), Some(got)) => covers(got, expected),
            _ => false,
        }
    }

    /// Whether a write from one to the other changes anything that a service shows.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.active == other.active
            && same_roles(&self.roles, &other.roles)
            && MANAGED
                .into_iter()
                .all(|attribute| self.agrees(attribute, other.get(attribute)))
    }

    /// The values of the roles, in their order.
    pub(crate) fn role_values(&self) -> Vec<String> {
        role_values(&self.roles)
    }
}

/// The values of normalised roles.
pub(crate) fn role_values(roles: &[Value]) -> Vec<String> {
    roles
        .iter()
        .filter_map(|role| role.get("value").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

/// Whether both hold the same roles, sub-attribute for sub-attribute; the order means nothing.
pub(crate) fn same_roles(one: &[Value], other: &[Value]) -> bool {
    one.len() == other.len() && one.iter().all(|role| other.contains(role))
}

/// Whether `got` holds all of `expected`: objects may have more members, arrays another order.
fn covers(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => expected
            .iter()
            .all(|(name, expected)| got.get(name).is_some_and(|got| covers(got, expected))),
        (Value::Array(got), Value::Array(expected)) => {
            got.len() == expected.len()
                && expected
                    .iter()
                    .all(|expected| got.iter().any(|got| covers(got, expected)))
        }
        (got, expected) => got == expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_read_where_it_was_written() {
        let mut user = Map::new();
        for attribute in MANAGED {
            attribute.write(&mut user, json!("x"));
        }
        let value = Value::Object(user.clone());
        assert!(
            MANAGED
                .into_iter()
                .all(|attribute| attribute.read(&value) == Some(&json!("x")))
        );

        for attribute in MANAGED {
            attribute.remove(&mut user);
        }
        assert!(user.is_empty());
    }

    #[test]
    fn a_path_names_the_extension_by_its_urn() {
        assert_eq!(GIVEN_NAME.to_string(), "name.givenName");
        assert_eq!(DEPARTMENT.to_string(), format!("{ENTERPRISE}:department"));
    }

    #[test]
    fn more_may_come_back_than_was_sent_but_not_less() {
        let sent = json!([{"value": "a", "type": "work"}]);

        assert!(covers(
            &json!([{"type": "work", "value": "a", "display": "A"}]),
            &sent
        ));
        assert!(!covers(&json!([{"value": "a"}]), &sent));
        assert!(!covers(
            &json!([{"value": "a", "type": "work"}, {"value": "b"}]),
            &sent
        ));
    }

    #[test]
    fn roles_come_back_with_exactly_the_sub_attributes_that_were_sent() {
        assert!(same_roles(
            &[json!({"value": "A"}), json!({"value": "B"})],
            &[json!({"value": "B"}), json!({"value": "A"})],
        ));
        assert!(!same_roles(
            &[json!({"value": "A"})],
            &[json!({"value": "A", "type": "x"})]
        ));
    }
}
