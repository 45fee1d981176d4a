//! Filters, as tables of cases.

use serde_json::{Map, Value, json};

use super::{Filter, Literal, Operator};
use crate::error::{Error, ErrorKind};
use crate::schema::{ACCESS, ENTERPRISE, USER};

/// A full resource, as SCIM returns it.
fn alice() -> Map<String, Value> {
    let resource = json!({
        "schemas": [USER, ENTERPRISE, ACCESS],
        "id": "0193a1b2-0000-7000-8000-00000000000a",
        "externalId": "00uAbC",
        "userName": "Alice@acme.example",
        "name": {"givenName": "Alice", "familyName": "Straße"},
        "profileUrl": "https://acme.example/Alice",
        "active": true,
        "title": "50% \\ _",
        "emails": [
            {"value": "alice@acme.example", "type": "work", "primary": true},
            {"value": "alice@home.example", "type": "home"},
            {"value": "alice@old.example"}
        ],
        "roles": [{"value": "Sales Manager"}, {"value": "clerk", "primary": false}],
        "x509Certificates": [{"value": "AAAA"}],
        ENTERPRISE: {"department": "Tools", "manager": {"value": "Bob"}},
        ACCESS: {"state": "ACTIVE", "since": "2026-11-24T09:00:00Z"},
        "meta": {
            "resourceType": "User",
            "created": "2026-11-24T09:10:11Z",
            "lastModified": "2026-11-24T10:00:00.5Z",
            "location": "https://scim.example/Users/1",
            "version": "W/\"1\""
        }
    });
    resource.as_object().unwrap().clone()
}

fn matches(filter: &str) -> bool {
    Filter::parse(filter).unwrap().matches(&alice())
}

fn refused(filter: &str) -> Error {
    Filter::parse(filter).unwrap_err()
}

fn check(cases: &[(&str, bool)]) {
    for (filter, expected) in cases {
        assert_eq!(matches(filter), *expected, "{filter}");
    }
}

/// The canonical spelling.
fn spelled(filter: &str) -> String {
    Filter::parse(filter).unwrap().to_string()
}

#[test] // rule: S-7644-3.4.2.2-01
fn operators_work_in_any_letter_case() {
    check(&[
        ("userName eq \"alice@acme.example\"", true),
        ("USERNAME EQ \"bob\"", false),
        ("userName Ne \"bob\"", true),
        ("userName ne \"ALICE@acme.example\"", false),
        ("userName co \"E@ACME\"", true),
        ("userName sw \"alice@\"", true),
        ("userName sw \"acme\"", false),
        ("userName ew \".EXAMPLE\"", true),
        ("userName ew \"alice\"", false),
        ("userName pR", true),
        ("nickName pr", false),
        ("userName gt \"alice\"", true),
        ("userName lt \"alice\"", false),
        ("userName ge \"ALICE@acme.example\"", true),
        ("userName le \"ALICE@acme.example\"", true),
        ("userName pr AND active eq true", true),
        ("nickName pr Or title pr", true),
        ("NOT (title pr)", false),
    ]);
    assert_eq!(refused("userName is \"x\"").kind, ErrorKind::InvalidFilter);
}

#[test] // rule: S-7644-3.4.2.2-02
fn not_binds_before_and_and_and_before_or() {
    let yes = "active eq true";
    let no = "active eq false";
    check(&[
        (&format!("{yes} or {no} and {no}"), true),
        (&format!("({yes} or {no}) and {no}"), false),
        (&format!("{no} and {no} or {yes}"), true),
        (&format!("not ({yes}) or {yes}"), true),
        (&format!("not ({yes} or {no})"), false),
        (&format!("not({no}) and {yes}"), true),
    ]);
    for (sent, canonical) in [
        (
            "title pr or title pr and title pr",
            "title pr or title pr and title pr",
        ),
        (
            "(title pr or title pr) and title pr",
            "(title pr or title pr) and title pr",
        ),
        (
            "title pr or (title pr and title pr)",
            "title pr or title pr and title pr",
        ),
        ("((title pr))", "title pr"),
        ("not(not (title pr))", "not (not (title pr))"),
    ] {
        assert_eq!(spelled(sent), canonical);
    }
}

#[test] // rule: S-7644-3.4.2.2-03
fn not_applies_to_parentheses_only() {
    assert!(!matches("not(userName pr)"));
    assert!(!matches("not   (userName pr)"));
    for bad in [
        "not userName pr",
        "not",
        "not userName eq \"x\"",
        "notuserName pr",
        "not )",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

#[test] // rule: S-7644-3.4.2.2-04
fn literals_are_those_of_json() {
    check(&[
        ("title eq \"50% \\\\ _\"", true),
        ("userName eq \"\\u0061lice@acme.example\"", true),
        ("userName eq \"a\\\"b\"", false),
        ("userName eq \"(a and b) [c]\"", false),
    ]);
    for bad in [
        "userName eq alice",
        "userName eq 'alice'",
        "userName eq \"alice",
        "userName eq \"a\\x\"",
        "userName eq \"a\"b",
        "userName eq",
        "userName eq ",
        "active eq True",
        "active eq true.",
        "userName eq [\"a\"]",
        "userName eq {}",
        "userName eq \"a\tb\"",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

#[test]
fn what_is_malformed_is_refused_with_its_place() {
    for bad in [
        "(",
        ")",
        "()",
        "(userName pr",
        "userName pr)",
        "userName",
        "userName pr and",
        "userName pr and and title pr",
        "and userName pr",
        "userName pr title pr",
        "userName pr, title pr",
        "userName.pr",
        "userName pr\0",
        "userName eq \"\\u0000\"",
        "emails[type eq \"work\"",
        "emails[type eq \"work\"] value eq \"x\"",
        "emails]",
        "\"userName\" eq \"x\"",
        "userName==\"x\"",
        "userName eq\"x\"",
        "é",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
    assert_eq!(
        refused("title eq \"é\" or userName is \"x\"").detail,
        "the filter is malformed at character 26; \
         write an operator there: eq, ne, co, sw, ew, pr, gt, ge, lt, le"
    );
}

#[test] // rule: S-7644-3.4.2.2-05
fn present_means_a_value_that_is_not_empty() {
    check(&[
        ("name pr", true),
        ("name.givenName pr", true),
        ("name.middleName pr", false),
        ("emails pr", true),
        ("emails.primary pr", true),
        ("emails.display pr", false),
        ("photos pr", false),
        ("addresses pr", false),
        ("roles.primary pr", true),
        ("meta pr", true),
        ("emails[type pr]", true),
    ]);
    let blank = json!({"title": "", "name": {"givenName": ""}, "emails": [], "nickName": null});
    for filter in ["title pr", "name pr", "emails pr", "nickName pr"] {
        let filter = Filter::parse(filter).unwrap();
        assert!(!filter.matches(blank.as_object().unwrap()), "{filter}");
    }
}

#[test] // rule: S-7644-3.4.2.2-06
fn order_is_by_text_or_by_instant() {
    check(&[
        ("meta.lastModified gt \"2026-11-24T10:00:00Z\"", true),
        (
            "meta.lastModified ge \"2026-11-24T12:00:00.500+02:00\"",
            true,
        ),
        ("meta.lastModified eq \"2026-11-24T12:00:00.5+02:00\"", true),
        ("meta.created lt \"2026-11-24T09:10:11Z\"", false),
        ("meta.created le \"2026-11-24T09:10:11Z\"", true),
        ("externalId gt \"00uABC\"", true),
        ("externalId lt \"00ub\"", true),
        ("name.familyName gt \"STRASSD\"", true),
    ]);
    for bad in [
        "active gt true",
        "active le false",
        "x509Certificates ge \"AAAA\"",
        "emails[primary lt true]",
        "meta.created gt \"yesterday\"",
        "meta.created gt \"2026-11-24T09:10:11\"",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

#[test] // rule: S-7644-3.4.2.2-07, S-7644-3.4.2.2-18 (part)
fn substrings_are_for_text_and_references_and_taken_literally() {
    check(&[
        ("profileUrl co \"/Alice\"", true),
        ("profileUrl co \"/alice\"", false),
        ("title co \"%\"", true),
        ("title co \"5%_\"", false),
        ("title sw \"_0\"", false),
        ("title ew \"\\\\ _\"", true),
        ("title co \"\"", true),
        ("roles co \"Manager\"", true),
        ("roles co \"manager\"", false),
    ]);
    for bad in [
        "active co \"t\"",
        "meta.created sw \"2026\"",
        "x509Certificates ew \"A\"",
        "emails.primary co \"true\"",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

#[test] // rule: S-7644-3.4.2.2-08
fn a_literal_has_the_type_of_its_attribute() {
    check(&[
        ("active eq \"True\"", true),
        ("active eq \"false\"", false),
        ("emails[primary eq \"TRUE\"]", true),
    ]);
    for bad in [
        "active eq \"yes\"",
        "active eq 1",
        "userName eq true",
        "userName eq 1",
        "externalId eq 7",
        "emails.value eq false",
        "meta.created eq 5",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

#[test] // rule: S-7644-3.4.2.2-09
fn a_multi_valued_attribute_matches_by_any_value_and_means_its_value() {
    check(&[
        ("emails eq \"ALICE@home.example\"", true),
        ("emails.value eq \"alice@home.example\"", true),
        ("emails.type eq \"home\"", true),
        ("emails.type eq \"other\"", false),
        ("emails ne \"alice@home.example\"", true),
        (
            "schemas eq \"urn:ietf:params:scim:schemas:core:2.0:User\"",
            true,
        ),
        (&format!("{ENTERPRISE}:manager eq \"bob\""), true),
    ]);
    assert_eq!(spelled("EMAILS co \"x\""), "emails.value co \"x\"");
}

#[test] // rule: S-7644-3.4.2.2-10
fn brackets_ask_one_element_for_all_of_it() {
    check(&[
        ("emails[type eq \"work\" and value co \"@home\"]", false),
        (
            "emails.type eq \"work\" and emails.value co \"@home\"",
            true,
        ),
        ("emails[type eq \"home\" and value co \"@home\"]", true),
        (
            "emails[type eq \"x\" or (primary eq true and value pr)]",
            true,
        ),
        ("emails[not (type pr)]", true),
        ("roles[not (value pr)]", false),
        ("photos[value pr]", false),
        (
            "emails[type eq \"work\"].value eq \"alice@acme.example\"",
            true,
        ),
        (
            "emails[type eq \"work\"].value eq \"alice@home.example\"",
            false,
        ),
        ("emails[type eq \"home\"].primary pr", false),
    ]);
    assert_eq!(
        spelled("Emails[ TYPE eq \"work\" ].VALUE eq \"x\" and title pr"),
        "emails[type eq \"work\" and value eq \"x\"] and title pr"
    );
}

#[test] // rule: S-7644-3.4.2.2-11
fn brackets_hold_sub_attributes_of_their_attribute_only() {
    for bad in [
        "emails[userName eq \"x\"]",
        "emails[emails.value eq \"x\"]",
        "emails[street eq \"x\"]",
        "emails[addresses[type pr]]",
        "emails[value[type pr]]",
        "emails[type eq \"work\"].userName eq \"x\"",
        "emails[type eq \"work\"][value pr]",
        "emails[]",
        "emails.value[type pr]",
        "userName[value pr]",
        "name[givenName pr]",
        "schemas[value pr]",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

#[test] // rule: S-7644-3.4.2.2-12
fn null_selects_what_is_unassigned() {
    check(&[
        ("nickName eq null", true),
        ("nickName ne null", false),
        ("userName eq null", false),
        ("name eq null", false),
        ("photos eq null", true),
        ("not (nickName pr)", true),
        ("nickName ne \"x\"", true),
        ("photos.value ne \"x\"", true),
        ("emails[type eq null]", true),
        ("emails[type ne \"work\" and value co \"@old\"]", true),
        ("nickName eq \"\"", false),
    ]);
    for bad in ["title gt null", "title co null"] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
    assert_eq!(spelled("title eq null"), "not (title pr)");
    assert_eq!(spelled("title ne null"), "title pr");
}

#[test] // rule: S-7644-3.4.2.2-13
fn qualified_names_work() {
    check(&[
        (&format!("{USER}:userName eq \"alice@acme.example\""), true),
        (
            &format!("{}:EMAILS.value co \"acme\"", USER.to_uppercase()),
            true,
        ),
        (&format!("{USER}:emails[type eq \"work\"]"), true),
        (&format!("{ENTERPRISE}:department eq \"tools\""), true),
        (&format!("{ENTERPRISE}:manager.value eq \"bob\""), true),
        (&format!("{ENTERPRISE}:division pr"), false),
        (&format!("{ACCESS}:state eq \"ACTIVE\""), true),
    ]);
}

#[test] // rule: S-7644-3.4.2.2-14, S-7644-3.4.2.2-15, S-7644-3.9-06 (part)
fn attributes_that_can_not_be_compared_are_refused() {
    for bad in [
        "color eq \"red\"",
        "emails.color eq \"red\"",
        "department eq \"x\"",
        "members eq \"x\"",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName eq \"x\"",
        "urn:acme:hr:floor eq \"3\"",
        "urn:ietf:params:scim:schemas:core:2.0:User eq \"x\"",
        "name eq \"Alice\"",
        "addresses eq \"x\"",
        "meta eq \"x\"",
        "meta.location eq \"x\"",
        "groups.$ref eq \"x\"",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref pr",
    ] {
        assert_eq!(refused(bad).kind, ErrorKind::InvalidFilter, "{bad}");
    }
    assert_eq!(
        refused("name eq \"Alice\"").detail,
        "name has parts; name one of them, such as name.formatted"
    );
}

#[test] // rule: S-7644-3.4.2.2-16, S-7643-7-05 (part)
fn a_password_is_sensitive_whatever_is_asked_of_it() {
    for asked in [
        "password eq \"x\"",
        "PASSWORD pr",
        "password eq 1",
        "password is",
        "password",
        "title pr and not (password sw \"a\")",
        "urn:ietf:params:scim:schemas:core:2.0:User:password co \"x\"",
    ] {
        let error = refused(asked);
        assert_eq!(error.kind, ErrorKind::Sensitive, "{asked}");
        assert_eq!(error.kind.status(), 403);
    }
}

#[test] // rule: S-7644-3.4.2.2-17 (part)
fn each_limit_holds_at_its_last_value_and_not_beyond() {
    let long = |bytes: usize| {
        let fixed = "title eq \"\"".len();
        format!("title eq \"{}\"", "a".repeat(bytes - fixed))
    };
    let deep = |levels: usize| format!("{}title pr{}", "(".repeat(levels), ")".repeat(levels));
    let nots = |levels: usize| format!("{}title pr{}", "not (".repeat(levels), ")".repeat(levels));
    let bracketed = |levels: usize| {
        let (open, close) = ("(".repeat(levels - 1), ")".repeat(levels - 1));
        format!("{open}emails[type pr]{close}")
    };
    let many = |terms: usize| vec!["title pr"; terms].join(" or ");

    for good in [long(8_192), deep(16), nots(16), bracketed(16), many(64)] {
        assert!(Filter::parse(&good).is_ok());
    }
    for bad in [
        long(8_193),
        deep(17),
        nots(17),
        bracketed(17),
        many(65),
        "(".repeat(8_000),
    ] {
        assert_eq!(refused(&bad).kind, ErrorKind::InvalidFilter);
    }
}

#[test] // rule: S-7644-3.4.2.2-19
fn what_the_service_keeps_is_filterable() {
    check(&[
        ("id eq \"0193a1b2-0000-7000-8000-00000000000a\"", true),
        ("meta.resourceType eq \"User\"", true),
        ("meta.resourceType eq \"user\"", false),
        ("meta.created pr", true),
        ("meta.lastModified pr", true),
        ("meta.version eq \"W/\\\"1\\\"\"", true),
        ("schemas co \"enterprise\"", true),
        ("externalId eq \"00uAbC\"", true),
    ]);
}

#[test] // rule: S-7643-3.1-03 (part), S-7643-7-10 (part), S-7643-4.1.2-04 (part)
fn case_exact_decides_whether_letter_case_counts() {
    check(&[
        ("externalId eq \"00uabc\"", false),
        ("id eq \"0193A1B2-0000-7000-8000-00000000000A\"", false),
        ("roles eq \"Sales Manager\"", true),
        ("roles eq \"sales manager\"", false),
        ("profileUrl eq \"https://acme.example/alice\"", false),
        ("name.familyName eq \"STRASSE\"", true),
        ("name.familyName co \"ss\"", true),
        ("userName eq \"\u{ff21}lice@acme.example\"", true),
        ("emails.type eq \"WORK\"", true),
    ]);
}

#[test] // rule: S-7644-3.4.2.2-20 (part)
fn an_empty_filter_is_refused() {
    for empty in ["", " ", "\t\n"] {
        assert_eq!(refused(empty).kind, ErrorKind::InvalidFilter);
    }
}

#[test]
fn the_tree_is_resolved_for_whoever_walks_it() {
    let filter =
        Filter::parse("emails[type eq \"work\"] and meta.created gt \"2026-01-01T00:00:00Z\"");
    let Filter::And(all) = filter.unwrap() else {
        panic!("not an and");
    };
    let [
        Filter::ValuePath { path, filter },
        Filter::Compare {
            path: created,
            op,
            value,
        },
    ] = all.as_slice()
    else {
        panic!("{all:?}");
    };
    assert_eq!((path.name().as_str(), path.schema), ("emails", USER));
    assert!(matches!(&**filter, Filter::Compare { path, .. } if path.name() == "emails.type"));
    assert_eq!(
        (created.name().as_str(), *op),
        ("meta.created", Operator::Gt)
    );
    assert!(matches!(value, Literal::DateTime(_)));
}
