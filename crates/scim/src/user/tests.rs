//! Users as clients send them, as tables of cases.

use serde_json::{Map, Value, json};

use super::{Dropped, Enterprise, MAX_BYTES, Manager, MultiValue, User, roles_json};
use crate::error::{Error, ErrorKind};
use crate::schema;

const CUSTOM: &str = "urn:acme:scim:schemas:extension:hr:1.0:User";

/// `members` with the `schemas` and `userName` that a user needs.
fn body(members: &Value) -> Map<String, Value> {
    let mut body = json!({"schemas": [schema::USER], "userName": "alice@acme.example"});
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.as_object().unwrap().clone()
}

fn read(members: &Value) -> User {
    User::from_json(body(members)).unwrap().0
}

fn dropped(members: &Value) -> Dropped {
    User::from_json(body(members)).unwrap().1
}

fn refused(members: &Value) -> Error {
    User::from_json(body(members)).unwrap_err()
}

/// What is stored of `members`, beside userName.
fn stored(members: &Value) -> Value {
    let mut document = read(members).to_document();
    document.shift_remove("schemas");
    document.shift_remove("userName");
    Value::Object(document)
}

#[test]
fn what_okta_sends_to_create_a_user_is_read() {
    let sent = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User", "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "password": "1mz050nq", "active": true
    });

    let (user, dropped) = User::from_json(sent.as_object().unwrap().clone()).unwrap();

    assert_eq!(dropped, Dropped::default());
    assert_eq!(user.external_id.as_deref(), Some("00ujl29u0le5T6Aj10h7"));
    assert_eq!((user.active, user.roles.as_ref()), (Some(true), None));
    assert_eq!(
        Value::Object(user.to_document()),
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "test.user@okta.local",
            "name": {"familyName": "User", "givenName": "Test"},
            "displayName": "Test User",
            "locale": "en-US",
            "active": true,
            "emails": [{"value": "test.user@okta.local", "type": "work", "primary": true}]
        })
    );
}

#[test] // rule: S-7643-2.1-01, S-7643-2.1-02
fn names_and_urns_in_any_letter_case_get_their_registered_spelling() {
    let sent = json!({
        "SCHEMAS": [schema::USER.to_uppercase(), schema::ENTERPRISE.to_lowercase()],
        "USERNAME": "alice",
        "Name": {"GIVENNAME": "Alice"},
        "eMails": [{"VALUE": "a@acme.example", "Type": "work"}],
        "URN:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User": {"Department": "Tools"},
    });
    let (user, dropped) = User::from_json(sent.as_object().unwrap().clone()).unwrap();
    assert_eq!(dropped, Dropped::default());
    assert_eq!(
        Value::Object(user.to_document()),
        json!({
            "schemas": [schema::USER, schema::ENTERPRISE],
            "userName": "alice",
            "name": {"givenName": "Alice"},
            "emails": [{"value": "a@acme.example", "type": "work"}],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Tools"},
        })
    );
}

#[test] // rule: S-7643-3-01 (part), S-7643-3-02, S-7643-3-06
fn schemas_has_to_name_a_user_and_no_other_known_schema() {
    let good = [
        json!([schema::USER]),
        json!([schema::ENTERPRISE, schema::USER, schema::ACCESS]),
        json!([schema::USER, "urn:unknown:schema", "http://example.com/x"]),
    ];
    for schemas in good {
        let sent = body(&json!({ "schemas": schemas }));
        assert!(User::from_json(sent).is_ok(), "{schemas}");
    }
    let bad = [
        json!(null),
        json!([]),
        json!("urn:ietf:params:scim:schemas:core:2.0:User"),
        json!([1]),
        json!([schema::ENTERPRISE]),
        json!(["urn:unknown:schema"]),
        json!([schema::USER, schema::GROUP]),
        json!([schema::USER, schema::PATCH_OP]),
    ];
    for schemas in bad {
        let error = refused(&json!({ "schemas": schemas }));
        assert_eq!(error.kind, ErrorKind::InvalidSyntax, "{schemas}");
    }
    let mut none = body(&json!({}));
    none.remove("schemas");
    let error = User::from_json(none).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSyntax);
}

#[test] // rule: S-7643-3-03 (part), S-7643-3-04
fn extension_data_without_its_urn_in_schemas_is_taken_and_the_urn_added() {
    let user = read(&json!({CUSTOM: {"floor": 3}, schema::ENTERPRISE: {"division": "East"}}));
    assert_eq!(
        user.to_document()["schemas"],
        json!([schema::USER, schema::ENTERPRISE, CUSTOM])
    );
}

#[test] // rule: S-7643-3-05 (part)
fn unknown_attributes_are_dropped_and_named_and_unknown_extensions_are_kept() {
    let sent = json!({
        "favouriteColour": "red",
        "name": {"nick": "Al"},
        "emails": [{"value": "a@acme.example", "verified": true}],
        schema::ENTERPRISE: {"floor": "3", "manager": {"mood": "good"}},
        CUSTOM: {"floor": 3, "tags": ["a", "b"], "gone": null, "empty": "", "none": []},
        "urn:acme:flat": "text",
    });
    let mut named = dropped(&sent).unknown;
    named.sort();
    assert_eq!(
        named,
        [
            "emails.verified",
            "favouriteColour",
            "name.nick",
            "urn:acme:flat",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:floor",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.mood",
        ]
    );
    assert_eq!(
        stored(&sent),
        json!({
            "emails": [{"value": "a@acme.example"}],
            CUSTOM: {"floor": 3, "tags": ["a", "b"]},
        })
    );
}

#[test]
fn a_client_that_sends_many_unknown_attributes_is_told_of_100() {
    let many: Map<String, Value> = (0..900).map(|n| (format!("x{n}"), json!(1))).collect();
    assert_eq!(dropped(&Value::Object(many)).unknown.len(), 100);
    let long = json!({"x".repeat(5_000): 1});
    assert_eq!(dropped(&long).unknown[0].len(), 100);
}

#[test] // rule: S-7643-3-05 (part)
fn unknown_extensions_take_64_kib_in_all() {
    let text = |bytes: usize| json!({"urn:a:b": {"x": "x".repeat(bytes)}, "urn:a:c": {"y": "y"}});
    let fixed = "urn:a:b".len() * 2 + r#"{"x":""}{"y":"y"}"#.len();
    assert!(User::from_json(body(&text(65_536 - fixed))).is_ok());
    let error = refused(&text(65_536 - fixed + 1));
    assert_eq!(error.kind, ErrorKind::InvalidValue);
}

#[test] // rule: S-7643-2.1-02 (part)
fn an_unknown_urn_keeps_the_spelling_first_sent() {
    let first = read(&json!({CUSTOM: {"floor": 3}}));
    let mut second = read(&json!({CUSTOM.to_uppercase(): {"floor": 4}, "urn:x:y": {"a": 1}}));

    second.keep_spellings(&first);

    let urns: Vec<&String> = second.extensions.keys().collect();
    assert_eq!(urns, [CUSTOM, "urn:x:y"]);
    assert_eq!(second.extensions[CUSTOM], json!({"floor": 4}));
}

#[test] // rule: S-7643-7-01, S-7643-3.1-02 (part), S-7643-3.1-06 (part), S-7643-4.1.1-06 (part)
fn what_the_service_owns_is_ignored_and_a_password_dropped() {
    let sent = json!({
        "id": "x", "meta": {"version": 1}, "groups": [{"value": "g"}], "password": "s3cret",
        schema::ACCESS: {"state": "ACTIVE"},
        schema::ENTERPRISE: {"manager": {"$ref": null, "value": "m"}},
    });
    let user = read(&sent);
    assert_eq!(dropped(&sent), Dropped::default());
    assert_eq!(
        stored(&sent),
        json!({schema::ENTERPRISE: {"manager": {"value": "m"}}})
    );
    assert!(!format!("{user:?}").contains("s3cret"));
}

#[test] // rule: S-7643-2.3-01
fn a_value_of_another_json_type_is_refused_with_the_name_of_its_attribute() {
    for (sent, name) in [
        (json!({"userName": 1}), "userName"),
        (json!({"userName": {"a": 1}}), "userName"),
        (json!({"title": true}), "title"),
        (json!({"title": {}}), "title"),
        (json!({"title": ["x"]}), "title"),
        (json!({"active": 1}), "active"),
        (json!({"active": {}}), "active"),
        (json!({"name": "Alice"}), "name"),
        (json!({"name": {"givenName": 1}}), "name.givenName"),
        (json!({"emails": "a@acme.example"}), "emails"),
        (json!({"emails": {"value": "a@acme.example"}}), "emails"),
        (json!({"emails": ["a@acme.example"]}), "emails"),
        (json!({"emails": [{"value": 1}]}), "emails.value"),
        (
            json!({"emails": [{"value": "a@acme.example", "primary": 1}]}),
            "emails.primary",
        ),
        (json!({"roles": 1}), "roles"),
        (json!({"roles": [1]}), "roles"),
        (json!({"externalId": true}), "externalId"),
        (json!({schema::ENTERPRISE: "x"}), schema::ENTERPRISE),
    ] {
        let error = refused(&sent);
        assert_eq!(error.kind, ErrorKind::InvalidValue, "{sent}");
        assert!(
            error.detail.starts_with(&format!("{name} is ")),
            "{}",
            error.detail
        );
    }
}

#[test] // rule: S-7643-2.3-02
fn booleans_are_taken_as_text_in_any_letter_case_and_nothing_else_is() {
    for (text, active) in [("true", true), ("False", false), ("TRUE", true)] {
        let sent = json!({"active": text});
        assert_eq!(read(&sent).active, Some(active));
        assert_eq!(dropped(&sent).lenient, ["active"]);
    }
    let emails = json!({"emails": [{"value": "a@acme.example", "primary": "True"}]});
    assert_eq!(read(&emails).emails[0].primary, Some(true));
    for bad in ["yes", "1", "", " true"] {
        assert_eq!(
            refused(&json!({"active": bad})).kind,
            ErrorKind::InvalidValue
        );
    }
    assert_eq!(stored(&json!({"title": "true"})), json!({"title": "true"}));
}

#[test] // rule: S-7643-2.3-06
fn what_clients_are_known_to_send_is_converted() {
    let number = read(&json!({"externalId": 701_984}));
    assert_eq!(number.external_id.as_deref(), Some("701984"));

    let manager = read(&json!({schema::ENTERPRISE: {"manager": "26118915"}}));
    let expected = Manager {
        value: Some("26118915".into()),
        display_name: None,
    };
    assert_eq!(manager.enterprise.unwrap().manager, Some(expected));

    for (sent, roles) in [
        (json!(["A", "B"]), json!([{"value": "A"}, {"value": "B"}])),
        (json!("A b"), json!([{"value": "A b"}])),
        (
            json!([{"type": "Primary", "value": "A"}]),
            json!([{"value": "A", "type": "Primary"}]),
        ),
        (
            json!([{"primary": true, "value": "A"}]),
            json!([{"value": "A", "primary": true}]),
        ),
        (
            json!([{"value": "1", "display": "A"}]),
            json!([{"value": "1", "display": "A"}]),
        ),
        (json!({"value": "A"}), json!([{"value": "A"}])),
    ] {
        let user = read(&json!({ "roles": sent }));
        assert_eq!(roles_json(&user.roles.unwrap()), roles, "{sent}");
    }
    let entitlements = json!({"entitlements": ["Basic"]});
    assert_eq!(
        stored(&entitlements),
        json!({"entitlements": [{"value": "Basic"}]})
    );
}

#[test] // rule: S-7643-2.5-01, S-7643-2.5-02 (part), S-7643-2.5-03
fn null_an_empty_array_and_an_empty_text_are_unassigned() {
    for sent in [
        json!({"title": null, "name": null, "emails": null, "active": null, "externalId": null}),
        json!({"title": "", "name": {"givenName": ""}, "emails": "", "externalId": ""}),
        json!({"title": [], "name": {}, "emails": [], "active": [], "photos": []}),
        json!({"emails": [null, "", {}, {"value": ""}, {"type": "work"}, {"value": null}]}),
        json!({"addresses": [{}, {"locality": ""}], CUSTOM: {}, schema::ENTERPRISE: null}),
        json!({schema::ENTERPRISE: {"department": "", "manager": {"value": ""}}, CUSTOM: null}),
        json!({schema::ENTERPRISE: {"manager": ""}, "profileUrl": "", CUSTOM: {"x": null}}),
    ] {
        assert_eq!(stored(&sent), json!({}), "{sent}");
        assert_eq!(read(&sent), read(&json!({})), "{sent}");
    }
    for empty in [json!(""), json!(null), json!([])] {
        let error = refused(&json!({"userName": empty}));
        assert_eq!(error.kind, ErrorKind::InvalidValue, "{empty}");
    }
}

#[test] // rule: S-7643-2.5-01 (part)
fn roles_tell_not_sent_and_none_apart() {
    assert_eq!(read(&json!({})).roles, None);
    for none in [
        json!([]),
        json!(null),
        json!(""),
        json!([""]),
        json!([null]),
    ] {
        assert_eq!(
            read(&json!({ "roles": none })).roles,
            Some(Vec::new()),
            "{none}"
        );
    }
}

#[test] // rule: S-7643-4.1.1-01 (part), S-7643-7-11
fn a_user_without_user_name_is_refused() {
    let sent = json!({"schemas": [schema::USER], "displayName": "Alice"});
    let error = User::from_json(sent.as_object().unwrap().clone()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidValue);
    assert_eq!(error.detail, "userName is required; send one");
}

#[test] // rule: S-7643-4.1.1-02 (part)
fn control_characters_are_refused_in_identifiers_and_kept_in_text() {
    for bad in ["a\tb", "a\u{7f}", "\u{85}a"] {
        assert_eq!(
            refused(&json!({"userName": bad})).kind,
            ErrorKind::InvalidValue
        );
    }
    let lines = json!({"addresses": [{"formatted": "Main Street 1\nSpringfield"}]});
    assert_eq!(stored(&lines), lines);
    let odd = "ＡＬＩＣＥ\u{200b}";
    assert_eq!(
        read(&json!({"userName": odd})).user_name,
        odd,
        "stored as sent"
    );
}

#[test] // rule: S-7643-4.1.2-01 (part)
fn an_email_has_to_be_an_address() {
    for bad in ["alice", "a@b", "a b@acme.example", "a@acme.example\n"] {
        let error = refused(&json!({"emails": [{"value": bad}]}));
        assert_eq!(error.kind, ErrorKind::InvalidValue, "{bad}");
        assert!(
            error.detail.starts_with("emails.value is \""),
            "{}",
            error.detail
        );
    }
    let kept = json!({"emails": [{"value": "Alice@ACME.example"}]});
    assert_eq!(stored(&kept), kept);
}

#[test] // rule: S-7643-2.3-04
fn binary_and_reference_values_have_their_forms() {
    let good = json!({
        "profileUrl": "https://acme.example/alice",
        "photos": [{"value": "../photos/alice.png", "type": "photo"}],
        "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQA="}],
    });
    assert_eq!(stored(&good), good);
    for bad in [
        json!({"profileUrl": "not a url"}),
        json!({"photos": [{"value": "<photo>"}]}),
        json!({"x509Certificates": [{"value": "-----BEGIN CERTIFICATE-----"}]}),
    ] {
        assert_eq!(refused(&bad).kind, ErrorKind::InvalidValue, "{bad}");
    }
}

#[test] // rule: S-7643-2.4-01
fn at_most_one_element_is_primary() {
    let two = json!([{"value": "a", "primary": true}, {"value": "b", "primary": "true"}]);
    for name in ["phoneNumbers", "roles", "ims", "entitlements"] {
        let error = refused(&json!({ name: two }));
        assert_eq!(error.kind, ErrorKind::InvalidValue, "{name}");
    }
    let addresses = json!({"addresses": [{"locality": "A", "primary": true},
                                         {"locality": "B", "primary": true}]});
    assert_eq!(refused(&addresses).kind, ErrorKind::InvalidValue);
}

#[test] // rule: S-7643-2.4-02
fn exact_duplicates_are_folded() {
    let sent = json!({
        "emails": [{"value": "a@acme.example", "type": "work"},
                   {"TYPE": "work", "value": "a@acme.example"},
                   {"value": "a@acme.example", "type": "home"}],
        "roles": ["A", {"value": "A"}, "a"],
    });
    let user = read(&sent);
    assert_eq!(user.emails.len(), 2);
    assert_eq!(
        user.roles,
        Some(vec![MultiValue::new("A"), MultiValue::new("a")])
    );
}

#[test] // rule: S-7643-7-12, S-7643-4.1.1-05 (part), S-7643-4.1.2-03 (part), S-7643-4.3-01 (part)
fn suggestions_are_no_limits() {
    let sent = json!({
        "preferredLanguage": "tlh", "locale": "not a locale", "timezone": "Moon/Crater",
        "phoneNumbers": [{"value": "not a number", "type": "carrier pigeon"}],
        "addresses": [{"country": "Atlantis", "type": "summer"}],
        schema::ENTERPRISE: {"manager": {"value": "the boss", "displayName": "Bob"}},
    });
    assert_eq!(stored(&sent), sent);
}

#[test] // rule: S-7643-4.1.1-03
fn a_formatted_name_is_never_made_up() {
    let sent = json!({"name": {"familyName": "Smith", "givenName": "Alice"}});
    assert_eq!(stored(&sent), sent);
    let stale = json!({"name": {"formatted": "Old Name", "givenName": "Alice"}});
    assert_eq!(stored(&stale), stale);
}

#[test]
fn a_multi_valued_attribute_holds_200_elements() {
    let many = |count: usize| -> Vec<String> { (0..count).map(|n| format!("r{n}")).collect() };
    assert_eq!(read(&json!({"roles": many(200)})).roles.unwrap().len(), 200);
    let error = refused(&json!({"roles": many(201)}));
    assert_eq!(error.kind, ErrorKind::InvalidValue);
    assert_eq!(error.detail, "roles has 201 elements; send at most 200");
}

#[test]
fn a_document_is_read_back_as_it_was_written() {
    let sent = json!({
        "externalId": "x", "roles": ["A"], "active": false, "nickName": "Al", "userType": "Temp",
        "addresses": [{"streetAddress": "Main Street 1", "postalCode": "1", "primary": true}],
        schema::ENTERPRISE: {"employeeNumber": "7", "costCenter": "c", "organization": "o"},
        CUSTOM: {"deep": {"list": [1, {"x": null}]}},
    });
    let user = read(&sent);
    assert_eq!(
        user.enterprise,
        Some(Enterprise {
            employee_number: Some("7".into()),
            cost_center: Some("c".into()),
            organization: Some("o".into()),
            ..Enterprise::default()
        })
    );

    let document = user.to_document();
    let mut again = User::from_document(document.clone()).unwrap();

    assert!(!document.contains_key("externalId") && !document.contains_key("roles"));
    assert_eq!((again.external_id.take(), again.roles.take()), (None, None));
    again.external_id.clone_from(&user.external_id);
    again.roles.clone_from(&user.roles);
    assert_eq!(again, user);
    assert!(User::from_document(Map::new()).is_err());
}

#[test] // rule: U-09 (part)
fn the_email_domain_is_that_of_the_primary_email_else_the_first_else_the_user_name() {
    let domain = |sent: &Value| {
        let source = read(sent).email_domain_source();
        source.map(|email| email.domain().as_str().to_owned())
    };
    for (sent, expected) in [
        (
            json!({"emails": [{"value": "a@first.example"},
                              {"value": "a@Primary.example", "primary": true}]}),
            Some("primary.example"),
        ),
        (
            json!({"emails": [{"value": "a@first.example", "primary": false},
                              {"value": "a@second.example"}]}),
            Some("first.example"),
        ),
        (json!({}), Some("acme.example")),
        (json!({"userName": "alice"}), None),
    ] {
        assert_eq!(domain(&sent).as_deref(), expected, "{sent}");
    }
    assert_eq!(read(&json!({})).primary_email_index(), None);
}

#[test] // rule: G-02 (part)
fn a_user_has_a_largest_size_and_who_passes_it_is_told_what_to_shorten() {
    let roles = |bytes: usize| {
        let user = User {
            user_name: "alice".to_owned(),
            active: Some(true),
            roles: Some(vec![MultiValue::new("r".repeat(bytes))]),
            ..User::default()
        };
        user.check_size()
    };
    let frame = r#"{"userName":"alice","roles":[{"value":""}]}"#.len();
    assert_eq!(roles(MAX_BYTES - frame), Ok(()));
    let error = roles(MAX_BYTES - frame + 1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert_eq!(
        error.detail,
        "the user would have 262145 bytes in all, 262116 of them in \"roles\"; shorten that: at \
         most 262144 are taken"
    );

    let larger = |bytes: usize| User {
        user_name: "a".repeat(bytes),
        ..User::default()
    };
    let before = larger(MAX_BYTES + 9);
    for (bytes, fits) in [
        (MAX_BYTES + 8, true),
        (MAX_BYTES + 9, true),
        (MAX_BYTES + 10, false),
    ] {
        assert_eq!(larger(bytes).check_growth(&before).is_ok(), fits, "{bytes}");
    }

    let text = "x".repeat(60_000);
    let photos: Vec<_> = (0..5)
        .map(|n| json!({"value": format!("{n}{text}")}))
        .collect();
    let refused = refused(&json!({"photos": photos, "title": text}));
    assert_eq!(refused.kind, ErrorKind::TooLarge);
    assert!(
        refused.detail.contains("in \"photos\"; shorten that"),
        "{refused}"
    );
}

#[test] // rule: G-02 (part)
fn a_deactivation_is_never_too_large_and_long_names_of_extensions_count_twice() {
    let mut user = User {
        user_name: "a".repeat(MAX_BYTES - r#"{"userName":""}"#.len()),
        active: Some(true),
        ..User::default()
    };
    for active in [Some(true), Some(false), None] {
        user.active = active;
        assert_eq!(user.check_size(), Ok(()), "{active:?}");
    }

    let urn = format!("urn:{}", "x".repeat(MAX_BYTES / 2));
    let user = User {
        user_name: "alice".to_owned(),
        extensions: [(urn, json!({"a": 1}))].into(),
        ..User::default()
    };
    assert!(user.check_size().is_err());
}
