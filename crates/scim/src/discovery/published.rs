//! What `/Schemas` says is what the model does: each test is made from the published JSON.

use serde_json::{Map, Value, json};

use super::schemas;
use crate::filter::Filter;
use crate::patch::{Op, Operation, apply};
use crate::schema::{ACCESS, ENTERPRISE, USER};
use crate::user::{Address, Enterprise, Manager, MultiValue, Name, User};
use crate::{Dropped, ErrorKind};

/// One published attribute without parts: of its own, or a part of `parent`.
#[derive(Clone, Debug)]
struct Leaf {
    urn: String,
    parent: Option<Value>,
    attribute: Value,
}

impl Leaf {
    fn text(&self, key: &str) -> &str {
        self.attribute[key].as_str().unwrap()
    }

    fn name(&self) -> &str {
        self.text("name")
    }

    /// The attribute that the leaf is, or is a part of.
    fn top(&self) -> &Value {
        self.parent.as_ref().unwrap_or(&self.attribute)
    }

    fn is_read_only(&self) -> bool {
        self.text("mutability") == "readOnly" || self.top()["mutability"] == "readOnly"
    }

    /// The path of an attribute of the leaf's schema.
    fn qualified(&self, name: &str) -> String {
        if self.urn == USER {
            name.to_owned()
        } else {
            format!("{}:{name}", self.urn)
        }
    }

    fn top_path(&self) -> String {
        self.qualified(self.top()["name"].as_str().unwrap())
    }

    fn path(&self) -> String {
        match self.parent {
            Some(_) => format!("{}.{}", self.top_path(), self.name()),
            None => self.top_path(),
        }
    }

    /// A value that fits.
    fn sample(&self) -> Value {
        match self.text("type") {
            "boolean" => json!(true),
            "dateTime" => json!("2026-11-24T09:10:11Z"),
            "binary" => json!("AAAA"),
            "reference" => json!("https://acme.example/x"),
            "string" if self.path() == "emails.value" => json!("x@acme.example"),
            "string" => json!("some text"),
            other => panic!("{} is of type {other}", self.path()),
        }
    }

    /// The top attribute with `value` at the leaf, beside the `value` that an element needs.
    fn top_value(&self, value: &Value) -> Value {
        let Some(parent) = &self.parent else {
            return value.clone();
        };
        let mut object = Map::new();
        let many = parent["multiValued"] == true;
        let parts = leaves_of(&self.urn, parent);
        let key = parts.iter().find(|part| part.name() == "value");
        if let Some(key) = key.filter(|_| many) {
            object.insert("value".to_owned(), key.sample());
        }
        object.insert(self.name().to_owned(), value.clone());
        if many {
            json!([object])
        } else {
            Value::Object(object)
        }
    }

    /// A body that has `value` at the leaf.
    fn body(&self, value: &Value) -> Map<String, Value> {
        self.with_top(self.top_value(value))
    }

    fn with_top(&self, value: Value) -> Map<String, Value> {
        let mut body = json!({"schemas": [USER], "userName": "alice"});
        let top = self.top()["name"].as_str().unwrap();
        if self.urn == USER {
            body[top] = value;
        } else {
            body[&self.urn] = json!({top: value});
        }
        body.as_object().unwrap().clone()
    }

    /// The value at the leaf, or in the leaf's only element.
    fn of(&self, tree: &Map<String, Value>) -> Option<Value> {
        let top = self.top()["name"].as_str().unwrap();
        let found = match self.urn.as_str() {
            USER => tree.get(top)?,
            urn => tree.get(urn)?.get(top)?,
        };
        let found = found.get(0).unwrap_or(found);
        match self.parent {
            Some(_) => found.get(self.name()).cloned(),
            None => Some(found.clone()),
        }
    }
}

/// The leaves of one published attribute.
fn leaves_of(urn: &str, attribute: &Value) -> Vec<Leaf> {
    let leaf = |parent: Option<&Value>, attribute: &Value| Leaf {
        urn: urn.to_owned(),
        parent: parent.cloned(),
        attribute: attribute.clone(),
    };
    match attribute.get("subAttributes").and_then(Value::as_array) {
        None => vec![leaf(None, attribute)],
        Some(parts) => {
            let parts = parts.iter();
            parts.map(|part| leaf(Some(attribute), part)).collect()
        }
    }
}

/// All leaves of `/Schemas` but `schemas`, which says what the others are.
fn leaves() -> Vec<Leaf> {
    let mut leaves = Vec::new();
    for schema in schemas("https://scim.example.com/scim/v2") {
        let urn = schema["id"].as_str().unwrap();
        for attribute in schema["attributes"].as_array().unwrap() {
            leaves.extend(leaves_of(urn, attribute));
        }
    }
    leaves.retain(|leaf| leaf.path() != "schemas");
    leaves
}

fn writable() -> impl Iterator<Item = Leaf> {
    leaves().into_iter().filter(|leaf| !leaf.is_read_only())
}

fn bare() -> User {
    User {
        user_name: "alice".to_owned(),
        ..User::default()
    }
}

fn replace(path: String, value: Value) -> [Operation; 1] {
    [Operation {
        op: Op::Replace,
        path: Some(path),
        value: Some(value),
    }]
}

/// The same but for `roles`, where "none" is not "not said".
fn without_empty_roles(mut user: User) -> User {
    user.roles = user.roles.filter(|roles| !roles.is_empty());
    user
}

#[test] // rule: S-7644-4-04 (part)
fn each_published_attribute_that_a_client_may_write_is_set_read_filtered_patched_and_cleared() {
    for leaf in writable() {
        let path = leaf.path();
        let value = leaf.sample();

        let (user, dropped) = User::from_json(leaf.body(&value)).unwrap();
        assert_eq!(dropped, Dropped::default(), "{path}");
        assert_eq!(
            leaf.of(&user.to_tree()),
            Some(value.clone()),
            "{path} is read"
        );

        let filter = Filter::parse(&format!("{path} eq {value}")).unwrap();
        assert!(filter.matches(&user.to_tree()), "{path} is found");
        let other = Filter::parse(&format!("not ({path} pr)")).unwrap();
        assert!(!other.matches(&user.to_tree()), "{path} is assigned");
        if path != "userName" {
            assert!(!filter.matches(&bare().to_tree()), "{path} is not found");
        }

        let set = replace(leaf.top_path(), leaf.top_value(&value));
        assert_eq!(
            apply(&bare(), &set).unwrap().user,
            user,
            "{path} is patched"
        );

        let (nulled, _) = match User::from_json(leaf.with_top(Value::Null)) {
            Ok(read) => read,
            Err(error) => {
                assert_eq!(
                    (path.as_str(), error.kind),
                    ("userName", ErrorKind::InvalidValue)
                );
                continue;
            }
        };
        assert_eq!(
            without_empty_roles(nulled),
            bare(),
            "{path} is cleared by null"
        );
        let remove = [Operation {
            op: Op::Remove,
            path: Some(leaf.top_path()),
            value: None,
        }];
        let cleared = apply(&user, &remove).unwrap().user;
        assert_eq!(without_empty_roles(cleared), bare(), "{path} is removed");
    }
}

#[test] // rule: S-7643-2.3-01 (part)
fn each_published_type_is_the_one_that_is_taken() {
    for leaf in writable() {
        let path = leaf.path();
        let wrong = match leaf.text("type") {
            "boolean" => vec![json!(1), json!("maybe"), json!({"a": 1}), json!([true])],
            "binary" => vec![json!(true), json!("!"), json!({"a": 1})],
            "reference" => vec![json!(true), json!("no URI"), json!({"a": 1})],
            _ => vec![json!(true), json!({"a": 1}), json!(["a"])],
        };
        for value in wrong {
            let error = User::from_json(leaf.body(&value)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidValue, "{path}: {value}");
            assert!(
                error.detail.contains(leaf.name()),
                "{path}: {}",
                error.detail
            );
        }
        if leaf.parent.is_none() {
            continue;
        }
        // A part's attribute is an object, or an array of objects, as `multiValued` says.
        let many = leaf.top()["multiValued"] == true;
        let other = if many { json!(5) } else { json!([{"a": 1}]) };
        let error = User::from_json(leaf.with_top(other)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue, "{path}");
    }
}

#[test] // rule: S-7643-7-01 (part), S-7643-7-02 (part)
fn each_published_attribute_that_is_read_only_is_ignored_in_a_body_and_refused_in_a_patch() {
    let read_only: Vec<Leaf> = leaves().into_iter().filter(Leaf::is_read_only).collect();
    for part in ["id", "meta.version", "groups.value"] {
        assert!(read_only.iter().any(|leaf| leaf.path() == part), "{part}");
    }
    assert!(read_only.iter().any(|leaf| leaf.urn == ACCESS));
    for leaf in read_only {
        let path = leaf.path();

        let (user, _) = User::from_json(leaf.body(&leaf.sample())).unwrap();
        assert_eq!(leaf.of(&user.to_tree()), None, "{path} is ignored");

        let error = apply(&user, &replace(path.clone(), leaf.sample())).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Mutability, "{path}");
    }
}

/// What a leaf says beyond the default characteristics (RFC 7643, section 2.2).
fn beyond_default(leaf: &Leaf) -> Option<String> {
    let mut told = Vec::new();
    for (key, default) in [
        ("type", "string"),
        ("mutability", "readWrite"),
        ("returned", "default"),
        ("uniqueness", "none"),
    ] {
        let value = leaf.text(key);
        if value != default {
            told.push(value);
        }
    }
    for flag in ["required", "caseExact", "multiValued"] {
        if leaf.attribute[flag] == true {
            told.push(flag);
        }
    }
    let path = leaf.path();
    (!told.is_empty()).then(|| format!("{}: {}", path.replace(ACCESS, "access"), told.join(" ")))
}

#[test] // rule: S-7643-2.2-01, S-7643-7-10 (part)
fn characteristics_differ_from_the_default_where_the_requirements_say_so_and_nowhere_else() {
    let told: Vec<String> = leaves().iter().filter_map(beyond_default).collect();

    assert_eq!(
        told,
        [
            "id: readOnly always server caseExact",
            "externalId: caseExact",
            "meta.resourceType: readOnly caseExact",
            "meta.created: dateTime readOnly",
            "meta.lastModified: dateTime readOnly",
            "meta.location: reference readOnly caseExact",
            "meta.version: readOnly caseExact",
            "userName: server required",
            "profileUrl: reference caseExact",
            "active: boolean",
            "emails.primary: boolean",
            "phoneNumbers.primary: boolean",
            "ims.primary: boolean",
            "photos.value: reference caseExact",
            "photos.primary: boolean",
            "addresses.primary: boolean",
            "groups.value: readOnly caseExact",
            "groups.$ref: reference readOnly caseExact",
            "groups.display: readOnly",
            "groups.type: readOnly",
            "entitlements.primary: boolean",
            "roles.value: caseExact",
            "roles.primary: boolean",
            "x509Certificates.value: binary caseExact",
            "x509Certificates.primary: boolean",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref: reference readOnly caseExact",
            "access:state: readOnly",
            "access:since: dateTime readOnly",
            "access:cause: readOnly",
            "access:message: readOnly",
        ]
    );
}

/// A user with every field: none is left to a default, so that a new one has to be added here.
fn complete() -> User {
    let text = || Some("text".to_owned());
    let element = || MultiValue {
        value: "text".to_owned(),
        display: text(),
        type_: text(),
        primary: Some(true),
    };
    User {
        external_id: text(),
        user_name: "alice".to_owned(),
        name: Some(Name {
            formatted: text(),
            family_name: text(),
            given_name: text(),
            middle_name: text(),
            honorific_prefix: text(),
            honorific_suffix: text(),
        }),
        display_name: text(),
        nick_name: text(),
        profile_url: text(),
        title: text(),
        user_type: text(),
        preferred_language: text(),
        locale: text(),
        timezone: text(),
        active: Some(true),
        emails: vec![element()],
        phone_numbers: vec![element()],
        ims: vec![element()],
        photos: vec![element()],
        addresses: vec![Address {
            formatted: text(),
            street_address: text(),
            locality: text(),
            region: text(),
            postal_code: text(),
            country: text(),
            type_: text(),
            primary: Some(true),
        }],
        entitlements: vec![element()],
        roles: Some(vec![element()]),
        x509_certificates: vec![element()],
        enterprise: Some(Enterprise {
            employee_number: text(),
            cost_center: text(),
            organization: text(),
            division: text(),
            department: text(),
            manager: Some(Manager {
                value: text(),
                display_name: text(),
            }),
        }),
        extensions: std::collections::BTreeMap::new(),
    }
}

/// The paths of all that is no object and no array.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, member) in object {
                let path = match at {
                    "" => key.clone(),
                    urn if urn == ENTERPRISE => format!("{urn}:{key}"),
                    at => format!("{at}.{key}"),
                };
                paths(member, &path, found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                paths(element, at, found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

#[test] // rule: S-7644-4-04 (part)
fn what_is_published_as_writable_is_exactly_what_the_model_holds() {
    let mut published: Vec<String> = writable().map(|leaf| leaf.path()).collect();
    let mut held = Vec::new();
    paths(&Value::Object(complete().to_tree()), "", &mut held);

    published.sort();
    held.sort();
    assert_eq!(published, held);
}

#[test] // rule: S-7643-3-05 (part), S-7643-7-05 (part)
fn what_is_not_published_is_dropped_and_a_password_is_never_told() {
    for (members, unknown) in [
        (json!({"nonesuch": "x"}), "nonesuch"),
        (json!({"name": {"nonesuch": "x"}}), "name.nonesuch"),
        (
            json!({"emails": [{"value": "a@b.example", "nonesuch": "x"}]}),
            "emails.nonesuch",
        ),
        (json!({ENTERPRISE: {"nonesuch": "x"}}), "nonesuch"),
    ] {
        let mut body = json!({"schemas": [USER], "userName": "alice"});
        for (key, value) in members.as_object().unwrap() {
            body[key] = value.clone();
        }
        let (user, dropped) = User::from_json(body.as_object().unwrap().clone()).unwrap();
        assert!(!json!(user).to_string().contains("nonesuch"), "{members}");
        let [name] = dropped.unknown.as_slice() else {
            panic!("{members}: {dropped:?}")
        };
        assert!(name.ends_with(unknown), "{name}");
    }
    let body = json!({"schemas": [USER], "userName": "alice", "password": "Pa55word"});
    let (user, _) = User::from_json(body.as_object().unwrap().clone()).unwrap();
    assert_eq!(user, bare());
    assert!(leaves().iter().all(|leaf| leaf.name() != "password"));
    let filter = Filter::parse("password eq \"Pa55word\"");
    assert_eq!(filter.unwrap_err().kind, ErrorKind::Sensitive);
}
