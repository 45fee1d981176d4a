//! PATCH, as tables of cases: a user, the operations, what becomes of it.

use serde_json::{Value, json};

use super::{Operation, PatchRequest, apply};
use crate::error::{Error, ErrorKind};
use crate::json::{Limits, read_object};
use crate::user::User;

fn alice() -> User {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "alice@acme.example",
        "name": {"givenName": "Alice", "familyName": "Smith"},
        "title": "Clerk",
        "active": true,
        "emails": [{"value": "alice@acme.example", "type": "work", "primary": true},
                   {"value": "alice@home.example", "type": "home"}],
        "roles": ["Sales"],
    });
    User::from_json(body.as_object().unwrap().clone())
        .unwrap()
        .0
}

fn operations(operations: &Value) -> Result<Vec<Operation>, Error> {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    });
    PatchRequest::from_json(read_object(body.to_string().as_bytes(), &Limits::default()).unwrap())
}

fn patched(asked: &Value) -> User {
    apply(&alice(), &operations(asked).unwrap()).unwrap().user
}

fn refused(asked: &Value) -> ErrorKind {
    let outcome = operations(asked).and_then(|asked| apply(&alice(), &asked));
    outcome.unwrap_err().kind
}

#[test] // rule: U-06 (part), S-7644-3.5.2-02, S-7643-2.3-02
fn every_shape_of_active_is_read() {
    for asked in [
        json!([{"op": "replace", "value": {"active": false}}]),
        json!([{"op": "Replace", "path": "active", "value": "False"}]),
        json!([{"op": "add", "path": "active", "value": false}]),
        json!([{"op": "replace", "path": "urn:ietf:params:scim:schemas:core:2.0:User:active",
                "value": false}]),
    ] {
        assert_eq!(patched(&asked).active, Some(false), "{asked}");
    }
    let removed = patched(&json!([{"op": "remove", "path": "active"}]));
    assert_eq!(removed.active, None);
}

#[test] // rule: S-7644-3.5.2-15, S-7644-3.5.2.1-03, S-7644-3.5.2.3-04
fn a_complex_attribute_is_merged_by_whatever_names_its_parts() {
    for asked in [
        json!([{"op": "replace", "value": {"name": {"givenName": "Ada"}}}]),
        json!([{"op": "replace", "value": {"name.givenName": "Ada"}}]),
        json!([{"op": "add", "path": "name", "value": {"givenName": "Ada"}}]),
        json!([{"op": "replace", "path": "name.givenName", "value": "Ada"}]),
    ] {
        let name = patched(&asked).name.unwrap();
        assert_eq!(name.given_name.as_deref(), Some("Ada"), "{asked}");
        assert_eq!(name.family_name.as_deref(), Some("Smith"), "{asked}");
    }
    let department = json!([{"op": "Add", "value":
        {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "Tools",
         "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager": "Bob"}}]);
    let enterprise = patched(&department).enterprise.unwrap();
    assert_eq!(enterprise.department.as_deref(), Some("Tools"));
    assert_eq!(enterprise.manager.unwrap().value.as_deref(), Some("Bob"));
}

#[test] // rule: S-7644-3.5.2.1-04, S-7644-3.5.2.2-04, S-7644-3.5.2.3-03, S-7644-3.5.2.3-05
fn elements_are_added_selected_swapped_and_removed() {
    let emails = |asked: Value| -> Vec<String> {
        patched(&asked)
            .emails
            .into_iter()
            .map(|email| email.value)
            .collect()
    };
    let value = json!({"value": "a@other.example", "type": "other"});
    assert_eq!(
        emails(json!([{"op": "add", "path": "emails", "value": [value]}])),
        [
            "alice@acme.example",
            "alice@home.example",
            "a@other.example"
        ]
    );
    assert_eq!(
        emails(
            json!([{"op": "replace", "path": "emails[type eq \"work\"].value",
                       "value": "ada@acme.example"}])
        ),
        ["ada@acme.example", "alice@home.example"]
    );
    assert_eq!(
        emails(json!([{"op": "remove", "path": "emails[type eq \"home\"]"}])),
        ["alice@acme.example"]
    );
    assert_eq!(
        emails(json!([{"op": "replace", "path": "emails", "value": [value]}])),
        ["a@other.example"]
    );
    assert!(emails(json!([{"op": "replace", "path": "emails", "value": []}])).is_empty());
}

#[test] // rule: S-7644-3.5.2.1-06, S-7644-3.5.2.3-06 (part)
fn a_missing_element_is_made_from_the_filter() {
    for op in ["Add", "Replace"] {
        let asked =
            json!([{"op": op, "path": "phoneNumbers[type eq \"work\"].value", "value": "1"}]);
        let phones = patched(&asked).phone_numbers;
        assert_eq!(phones.len(), 1);
        assert_eq!(
            (phones[0].value.as_str(), phones[0].type_.as_deref()),
            ("1", Some("work"))
        );
    }
}

#[test] // rule: S-7644-3.5.2-13
fn a_new_primary_is_the_only_one() {
    let asked = json!([{"op": "add", "path": "emails",
        "value": [{"value": "b@acme.example", "primary": true}]}]);
    let emails = patched(&asked).emails;
    let primary: Vec<&str> = emails
        .iter()
        .filter(|email| email.primary == Some(true))
        .map(|email| email.value.as_str())
        .collect();
    assert_eq!(primary, ["b@acme.example"]);
}

#[test] // rule: S-7644-3.5.2.1-05, S-7644-3.5.2.3-07, S-7644-3.5.2.2-05, S-7643-7-03
fn what_changes_nothing_leaves_the_user_equal() {
    for asked in [
        json!([{"op": "add", "path": "emails", "value": [{"value": "alice@home.example", "type": "home"}]}]),
        json!([{"op": "replace", "path": "title", "value": "Clerk"}]),
        json!([{"op": "remove", "path": "emails[type eq \"fax\"]"}]),
        json!([{"op": "remove", "path": "nickName"}]),
        json!([{"op": "replace", "value": {"id": "x", "groups": [], "password": "s3cret"}}]),
    ] {
        assert_eq!(patched(&asked), alice(), "{asked}");
    }
}

#[test] // rule: S-7644-3.5.2-03
fn operations_work_on_the_result_of_the_one_before() {
    let asked = json!([
        {"op": "replace", "path": "title", "value": "Boss"},
        {"op": "remove", "path": "title"},
    ]);
    assert_eq!(patched(&asked).title, None);
}

#[test] // rule: S-7644-3.5.2-07, S-7644-3.5.2-08 (part), S-7644-3.5.2-10, S-7644-3.5.2-11, S-7644-3.5.2-14, S-7644-3.5.2.2-01, S-7644-3.5.2.2-07
fn what_can_not_be_done_is_refused_by_its_name() {
    use ErrorKind::{InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget};
    let two = json!([{"value": "a@b.example", "primary": true}, {"value": "c@b.example", "primary": true}]);
    for (asked, kind) in [
        (json!([]), InvalidSyntax),
        (json!([{"op": "move", "path": "title"}]), InvalidSyntax),
        (json!([{"op": "replace", "path": "title["}]), InvalidPath),
        (
            json!([{"op": "replace", "path": "nonsense", "value": 1}]),
            InvalidPath,
        ),
        (json!([{"op": "replace", "path": "title"}]), InvalidValue),
        (
            json!([{"op": "replace", "path": "title", "value": {}}]),
            InvalidValue,
        ),
        (json!([{"op": "replace", "value": "x"}]), InvalidValue),
        (
            json!([{"op": "replace", "path": "userName", "value": ""}]),
            InvalidValue,
        ),
        (
            json!([{"op": "add", "path": "emails", "value": two}]),
            InvalidValue,
        ),
        (json!([{"op": "remove"}]), NoTarget),
        (
            json!([{"op": "replace", "path": "emails[type eq \"fax\"]", "value": {"value": "a@b.example"}}]),
            NoTarget,
        ),
        (json!([{"op": "remove", "path": "userName"}]), Mutability),
        (
            json!([{"op": "replace", "path": "id", "value": "x"}]),
            Mutability,
        ),
        (
            json!([{"op": "add", "path": "groups", "value": []}]),
            Mutability,
        ),
    ] {
        assert_eq!(refused(&asked), kind, "{asked}");
    }
}

/// A user with 190 messengers of 5 KB each that are no ASCII.
fn full() -> User {
    let ims = (0..190).map(|n| crate::user::MultiValue::new(format!("{n}{}", "é".repeat(2_500))));
    User {
        ims: ims.collect(),
        ..alice()
    }
}

fn applied(user: &User, asked: &Value) -> Result<User, Error> {
    Ok(apply(user, &operations(asked)?)?.user)
}

#[test] // rule: SEC-IN-02 (part)
fn what_is_compared_is_counted_with_what_is_stored_before_it_is_done() {
    let listed: Vec<Value> = (0..200)
        .map(|n| json!({"value": format!("é{n}")}))
        .collect();
    // Each text is folded once, so that one list on a full user passes and many do not.
    let remove = json!({"op": "remove", "path": "ims", "value": listed});
    assert_eq!(applied(&full(), &json!([remove])).unwrap(), full());
    let add = json!({"op": "add", "path": "ims", "value": [{"value": "é"}]});
    let terms = vec!["value eq \"é\""; 60].join(" or ");
    let filter = json!({"op": "remove", "path": format!("ims[{terms}]")});
    let codes: Vec<usize> = (0..1_000).collect();
    let array = json!({"op": "add", "value": {"urn:acme:1.0:User": {"codes": codes}}});
    for operation in [remove, add, filter, array] {
        let refused = applied(&full(), &json!(vec![operation; 7])).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::TooLarge, "{}", refused.detail);
    }
}

#[test] // rule: SEC-IN-02 (part)
fn a_long_request_of_the_usual_shapes_stays_within_the_count() {
    let path = "emails[type eq \"work\"].display";
    let displays =
        (0..1_000).map(|n| json!({"op": "replace", "path": path, "value": n.to_string()}));
    assert!(applied(&alice(), &Value::Array(displays.collect())).is_ok());
    let roles = (0..190)
        .map(|n| json!({"op": "add", "path": "roles", "value": [{"value": format!("Role {n}")}]}));
    assert!(applied(&alice(), &Value::Array(roles.collect())).is_ok());
}
