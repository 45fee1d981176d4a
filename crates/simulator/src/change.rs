//! How Okta writes a change down: the body of a create, of a PUT and of a PATCH.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::person::Person;
use crate::state::{Attribute, CORE, ENTERPRISE, MANAGED, PATCH_OP, State};

/// What a write says about roles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Roles {
    /// Nothing on purpose: a PUT carries what the GET returned.
    AsReturned,
    /// The key is left out, as by an app that does not map roles.
    Omitted,
    /// This value, in the shape that the administrator's mapping produces.
    Sent(Value),
}

/// One change of a user.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The user as it must be afterwards.
    pub(crate) after: State,
    /// Values that are spelled in another way than they come back: the empty ones.
    pub(crate) spelled: BTreeMap<Attribute, Value>,
    pub(crate) roles: Roles,
    /// A PATCH sends every attribute, not only those that differ.
    pub(crate) refresh: bool,
}

impl Change {
    pub(crate) fn to(after: State) -> Self {
        Self {
            after,
            spelled: BTreeMap::new(),
            roles: Roles::AsReturned,
            refresh: false,
        }
    }

    /// Unsets an attribute by sending `empty`.
    pub(crate) fn empty(mut self, attribute: Attribute, empty: Value) -> Self {
        self.after.unset(attribute);
        self.spelled.insert(attribute, empty);
        self
    }

    pub(crate) fn with_roles(mut self, roles: Roles) -> Self {
        self.roles = roles;
        self
    }

    /// The user that a GET returned, edited: what Okta PUTs.
    pub(crate) fn edit(&self, returned: &Value, person: &Person) -> Option<Value> {
        let mut user = returned.as_object()?.clone();
        for attribute in MANAGED {
            let value = self
                .spelled
                .get(&attribute)
                .or_else(|| self.after.get(attribute));
            match value {
                Some(value) => attribute.write(&mut user, value.clone()),
                None => attribute.remove(&mut user),
            }
        }
        user.insert("active".to_owned(), json!(self.after.active));
        match &self.roles {
            Roles::AsReturned => {}
            Roles::Omitted => {
                user.shift_remove("roles");
            }
            Roles::Sent(roles) => {
                user.insert("roles".to_owned(), roles.clone());
            }
        }
        // Okta: `groups` is always there, the placeholder password only sometimes.
        user.entry("groups").or_insert_with(|| json!([]));
        if person.number % 4 == 3 {
            user.insert("password".to_owned(), json!(person.password()));
        }
        list_enterprise(&mut user);
        Some(Value::Object(user))
    }

    /// The PATCH that leads from `before` to the change, by paths or by one object without a path.
    pub(crate) fn patch(&self, before: &State, by_path: bool) -> Value {
        let mut values: Vec<(Attribute, Value)> = Vec::new();
        for attribute in MANAGED {
            let after = self
                .spelled
                .get(&attribute)
                .or_else(|| self.after.get(attribute));
            let differs = !self.after.agrees(attribute, before.get(attribute));
            match after {
                Some(value) if differs || self.refresh => values.push((attribute, value.clone())),
                None if differs => values.push((attribute, Value::Null)),
                _ => {}
            }
        }
        let mut rest = Map::new();
        if let Roles::Sent(roles) = &self.roles {
            rest.insert("roles".to_owned(), roles.clone());
        }
        if before.active != self.after.active {
            rest.insert("active".to_owned(), json!(self.after.active));
        }
        // Okta: an operation without anything in it is not sent; what does not change is repeated.
        if values.is_empty() && rest.is_empty() {
            let unchanged = MANAGED
                .into_iter()
                .find_map(|attribute| Some((attribute, self.after.get(attribute)?.clone())));
            values.extend(unchanged);
        }
        if by_path {
            let values = values
                .into_iter()
                .map(|(path, value)| (path.to_string(), value));
            return patch_op(
                &values
                    .chain(rest)
                    .map(|(path, value)| match value {
                        Value::Null => json!({"op": "remove", "path": path}),
                        value => json!({"op": "replace", "path": path, "value": value}),
                    })
                    .collect::<Vec<_>>(),
            );
        }
        let mut object = Map::new();
        for (attribute, value) in values {
            attribute.write(&mut object, value);
        }
        object.extend(rest);
        patch_op(&[json!({"op": "replace", "value": object})])
    }
}

/// The body of a create, as Okta's documentation and wire logs show it.
pub(crate) fn create(person: &Person, profile: &State, roles: Option<&Value>) -> Value {
    let mut user = Map::new();
    user.insert("schemas".to_owned(), json!([CORE]));
    for attribute in MANAGED {
        if let Some(value) = profile.get(attribute) {
            attribute.write(&mut user, value.clone());
        }
    }
    if let Some(roles) = roles {
        user.insert("roles".to_owned(), roles.clone());
    }
    // Okta: the password comes even while password sync is off, and `groups` is always empty.
    user.insert("groups".to_owned(), json!([]));
    user.insert("password".to_owned(), json!(person.password()));
    user.insert("active".to_owned(), json!(true));
    list_enterprise(&mut user);
    Value::Object(user)
}

/// The PATCH by which a catalog app deactivates and reactivates.
pub(crate) fn patch_active(active: bool) -> Value {
    patch_op(&[json!({"op": "replace", "value": {"active": active}})])
}

fn patch_op(operations: &[Value]) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

fn list_enterprise(user: &mut Map<String, Value>) {
    if !user.contains_key(ENTERPRISE) {
        return;
    }
    if let Some(schemas) = user.get_mut("schemas").and_then(Value::as_array_mut)
        && !schemas.iter().any(|schema| schema == ENTERPRISE)
    {
        schemas.push(json!(ENTERPRISE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::state::{GIVEN_NAME, NICK_NAME, TITLE};

    fn person() -> Person {
        Person::new(&Options::new("http://localhost", "t"), 1)
    }

    #[test]
    fn a_put_carries_everything_that_the_get_returned() {
        let person = person();
        let mut after = person.profile();
        after.set(GIVEN_NAME, "Augusta");
        let returned = json!({
            "schemas": [CORE], "id": "7", "name": {"givenName": "Ada", "formatted": "Ada L."},
            "nickName": "A", "roles": [{"value": "R"}], "meta": {"version": "W/\"1\""},
        });

        let body = Change::to(after).edit(&returned, &person).unwrap();

        assert_eq!(body["id"], "7");
        assert_eq!(body["meta"], json!({"version": "W/\"1\""}));
        assert_eq!(body["name"]["formatted"], "Ada L.");
        assert_eq!(body["name"]["givenName"], "Augusta");
        assert_eq!(body["roles"], json!([{"value": "R"}]));
        assert_eq!(body["groups"], json!([]));
        assert_eq!(body["schemas"], json!([CORE, ENTERPRISE]));
        assert!(body.get("nickName").is_none());
    }

    #[test]
    fn a_patch_holds_only_what_differs() {
        let before = person().profile();
        let mut after = before.clone();
        after.set(GIVEN_NAME, "Augusta");
        let change = Change::to(after).empty(TITLE, json!(""));

        let operations = |body: Value| body["Operations"].clone();
        assert_eq!(
            operations(change.patch(&before, false)),
            json!([{"op": "replace", "value": {"name": {"givenName": "Augusta"}, "title": ""}}])
        );
        assert_eq!(
            operations(change.patch(&before, true)),
            json!([
                {"op": "replace", "path": "name.givenName", "value": "Augusta"},
                {"op": "replace", "path": "title", "value": ""},
            ])
        );
    }

    #[test]
    fn a_patch_unsets_by_null_or_by_remove() {
        let mut before = person().profile();
        before.set(NICK_NAME, "A");
        let change = Change::to(person().profile());

        assert_eq!(
            change.patch(&before, false)["Operations"],
            json!([{"op": "replace", "value": {"nickName": null}}])
        );
        assert_eq!(
            change.patch(&before, true)["Operations"],
            json!([{"op": "remove", "path": "nickName"}])
        );
    }

    #[test]
    fn a_create_has_the_shape_that_okta_sends() {
        let person = person();
        let body = create(&person, &person.profile(), None);

        assert_eq!(body["groups"], json!([]));
        assert_eq!(body["active"], json!(true));
        assert_eq!(body["password"].as_str().map(str::len), Some(8));
        assert_eq!(body["emails"][0]["primary"], json!(true));
        assert!(body["externalId"].as_str().unwrap().starts_with("00u"));
        assert!(body.get("nickName").is_none());
    }
}
