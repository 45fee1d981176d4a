//! Paths, as tables of cases.

use super::Path;
use crate::error::ErrorKind;
use crate::schema;

/// How a parsed path reads: the attribute, and the filter apart.
fn read(text: &str) -> String {
    match Path::parse(text).unwrap() {
        Path::Resource => "resource".to_owned(),
        Path::Schema(schema) => format!("schema {}", schema.name),
        Path::Extension(path) => match path.split() {
            Some((urn, name)) => format!("extension {urn} | {name}"),
            None => format!("extension {}", path.as_str()),
        },
        Path::Attribute { attribute, filter } => match filter {
            Some(filter) => format!("{attribute} where {filter}"),
            None => attribute.name(),
        },
    }
}

#[test] // rule: S-7644-3.5.2-07 (part)
fn each_form_of_a_path_is_read() {
    let enterprise = schema::ENTERPRISE;
    for (text, expected) in [
        ("userName", "userName"),
        ("NAME.givenname", "name.givenName"),
        (
            "emails[type eq \"work\"]",
            "emails where emails.type eq \"work\"",
        ),
        (
            "Emails[Type EQ \"work\"].Value",
            "emails.value where emails.type eq \"work\"",
        ),
        (
            "emails[ not (type eq \"a]b\") and value pr ].display",
            "emails.display where not (emails.type eq \"a]b\") and emails.value pr",
        ),
        (
            "roles[primary eq \"True\"].value",
            "roles.value where roles.primary eq true",
        ),
        (&format!("{}:userName", schema::USER), "userName"),
        (
            &format!(
                "{}:emails[type eq \"work\"].value",
                schema::USER.to_lowercase()
            ),
            "emails.value where emails.type eq \"work\"",
        ),
        (
            &format!("{enterprise}:department"),
            &format!("{enterprise}:department"),
        ),
        (
            &format!("{enterprise}:manager.value"),
            &format!("{enterprise}:manager.value"),
        ),
        (schema::USER, "resource"),
        (&enterprise.to_uppercase(), "schema EnterpriseUser"),
        (
            "urn:acme:hr:1.0:User:floor",
            "extension urn:acme:hr:1.0:User | floor",
        ),
        (
            "urn:acme:hr:1.0:User:desk.no",
            "extension urn:acme:hr:1.0:User | desk.no",
        ),
        ("urn:acme:hr:1.0", "extension urn:acme:hr:1.0"),
        ("password", "password"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test] // rule: S-7644-3.5.2-07 (part), S-7644-3.5.2-08 (part)
fn a_malformed_path_and_one_to_no_attribute_are_invalid_paths() {
    for bad in [
        "",
        " ",
        " userName",
        "userName ",
        "user name",
        "[type eq \"work\"]",
        "emails[",
        "emails[type eq \"work\"",
        "emails[type eq \"work\"]]",
        "emails[type eq \"work\"]value",
        "emails[type eq \"work\"].",
        "emails[type eq \"work\"].x",
        "emails[type eq \"work\"].value.x",
        "emails.value[type eq \"work\"]",
        "userName[value eq \"x\"]",
        "name[givenName eq \"x\"]",
        "schemas[value eq \"x\"]",
        "emails)",
        "unknown",
        "emails.unknown",
        "emails.",
        ".value",
        "userName.value",
        ":",
        "urn:",
        "a:",
        ":a",
        "urn:acme:hr:1.0:User:floor[x eq 1]",
        "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
        "urn:ietf:params:scim:schemas:core:2.0:Group",
        "urn:ietf:params:scim:schemas:core:2.0:User:unknown",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User[x eq 1]",
        "user\0Name",
    ] {
        let error = Path::parse(bad).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidPath, "{bad:?}: {error}");
    }
    let long = format!("emails[type eq \"{}\"]", "a".repeat(8 * 1024));
    assert_eq!(Path::parse(&long).unwrap_err().kind, ErrorKind::InvalidPath);
}

#[test] // rule: S-7644-3.5.2-07 (part)
fn a_malformed_filter_in_the_brackets_is_an_invalid_filter() {
    for bad in [
        "emails[]",
        "emails[ ]",
        "emails[type]",
        "emails[type eq work]",
        "emails[type eq \"work]",
        "emails[type is \"work\"]",
        "emails[kind eq \"work\"]",
        "emails[emails.type eq \"work\"]",
        "emails[primary gt true]",
        "emails[type eq \"a\" and emails[value pr]]",
        "emails[type eq \"work\" x]",
    ] {
        let error = Path::parse(bad).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFilter, "{bad:?}: {error}");
    }
}
