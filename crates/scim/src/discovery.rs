//! What the service says of itself (RFC 7644, section 4; RFC 7643, sections 5 to 7): only what
//! this release has. `base` is the URL that the endpoints stand under, without a slash at its end.

use serde_json::{Map, Value, json};

use crate::list::{DEFAULT_COUNT, MAX_COUNT};
use crate::schema::{
    ACCESS, Attribute, ENTERPRISE, Kind, RESOURCE_TYPE, SCHEMA, SERVICE_PROVIDER_CONFIG, Schema,
    USER, USER_SCHEMAS,
};

/// The body of `/ServiceProviderConfig`.
#[must_use]
pub fn service_provider_config(base: &str) -> Value {
    json!({
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": MAX_COUNT},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "pagination": {
            "cursor": false,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": DEFAULT_COUNT,
            "maxPageSize": MAX_COUNT,
        },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "OAuth Bearer Token",
            "description": "A static bearer token that an administrator of the account makes.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{base}/ServiceProviderConfig"),
        },
    })
}

/// The resources of `/ResourceTypes`.
#[must_use]
pub fn resource_types(base: &str) -> Vec<Value> {
    vec![json!({
        "schemas": [RESOURCE_TYPE],
        "id": "User",
        "name": "User",
        "description": "A person's account.",
        "endpoint": "/Users",
        "schema": USER,
        "schemaExtensions": [
            {"schema": ENTERPRISE, "required": false},
            {"schema": ACCESS, "required": false},
        ],
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{base}/ResourceTypes/User"),
        },
    })]
}

/// The body of `/ResourceTypes/{name}`; `None` for a name that is not offered.
#[must_use]
pub fn resource_type(base: &str, name: &str) -> Option<Value> {
    let mut all = resource_types(base).into_iter();
    all.find(|one| one.get("name").and_then(Value::as_str) == Some(name))
}

/// The resources of `/Schemas`.
#[must_use]
pub fn schemas(base: &str) -> Vec<Value> {
    let all = USER_SCHEMAS.into_iter();
    all.map(|one| schema_json(one, base)).collect()
}

/// The body of `/Schemas/{urn}`; `None` for a URN that is not offered.
#[must_use]
pub fn schema(base: &str, urn: &str) -> Option<Value> {
    Some(schema_json(crate::schema::find(urn)?, base))
}

fn schema_json(schema: &Schema, base: &str) -> Value {
    json!({
        "schemas": [SCHEMA],
        "id": schema.urn,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.published().map(attribute_json).collect::<Vec<_>>(),
        "meta": {
            "resourceType": "Schema",
            "location": format!("{base}/Schemas/{}", schema.urn),
        },
    })
}

/// Every characteristic, also where it is the default, and no null (S-7643-7-13).
fn attribute_json(attribute: &Attribute) -> Value {
    let mut json = Map::new();
    let mut put = |name: &str, value: Value| json.insert(name.to_owned(), value);
    put("name", json!(attribute.name));
    put("type", json!(attribute.kind.as_str()));
    put("multiValued", json!(attribute.multi_valued));
    put("description", json!(attribute.description));
    put("required", json!(attribute.required));
    put("caseExact", json!(attribute.case_exact));
    put("mutability", json!(attribute.mutability.as_str()));
    put("returned", json!(attribute.returned.as_str()));
    put("uniqueness", json!(attribute.uniqueness.as_str()));
    if !attribute.canonical_values.is_empty() {
        put("canonicalValues", json!(attribute.canonical_values));
    }
    if attribute.kind == Kind::Reference {
        put("referenceTypes", json!(attribute.reference_types));
    }
    if attribute.kind == Kind::Complex {
        let subs = attribute.sub_attributes.iter().map(attribute_json);
        put("subAttributes", Value::Array(subs.collect()));
    }
    Value::Object(json)
}

#[cfg(test)]
mod published;

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://scim.example.com/scim/v2";

    #[test] // rule: S-7643-5-01
    fn the_service_provider_config_tells_what_this_release_has() {
        assert_eq!(
            service_provider_config(BASE),
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
                "patch": {"supported": true},
                "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
                "filter": {"supported": true, "maxResults": 200},
                "changePassword": {"supported": false},
                "sort": {"supported": false},
                "etag": {"supported": true},
                "pagination": {
                    "cursor": false,
                    "index": true,
                    "defaultPaginationMethod": "index",
                    "defaultPageSize": 100,
                    "maxPageSize": 200
                },
                "authenticationSchemes": [{
                    "type": "oauthbearertoken",
                    "name": "OAuth Bearer Token",
                    "description": "A static bearer token that an administrator of the account makes.",
                    "specUri": "https://www.rfc-editor.org/info/rfc6750",
                    "primary": true
                }],
                "meta": {
                    "resourceType": "ServiceProviderConfig",
                    "location": "https://scim.example.com/scim/v2/ServiceProviderConfig"
                }
            })
        );
    }

    #[test] // rule: S-7643-6-01
    fn the_one_resource_type_is_user_with_two_optional_extensions() {
        assert_eq!(
            resource_types(BASE),
            vec![json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
                "id": "User",
                "name": "User",
                "description": "A person's account.",
                "endpoint": "/Users",
                "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
                "schemaExtensions": [
                    {
                        "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                        "required": false
                    },
                    {
                        "schema": "urn:rollcall:scim:schemas:extension:access:1.0:User",
                        "required": false
                    }
                ],
                "meta": {
                    "resourceType": "ResourceType",
                    "location": "https://scim.example.com/scim/v2/ResourceTypes/User"
                }
            })]
        );
        assert!(resource_type(BASE, "User").is_some());
        assert_eq!(resource_type(BASE, "Group"), None);
    }

    #[test] // rule: S-7643-7-13
    fn each_published_attribute_states_all_its_characteristics_and_no_null() {
        fn check(attribute: &Value) {
            let name = &attribute["name"];
            for key in [
                "name",
                "type",
                "multiValued",
                "description",
                "required",
                "caseExact",
                "mutability",
                "returned",
                "uniqueness",
            ] {
                assert!(attribute.get(key).is_some(), "{name} lacks {key}");
            }
            let reference = attribute["type"] == "reference";
            assert_eq!(
                attribute.get("referenceTypes").is_some(),
                reference,
                "{name}"
            );
            let subs = attribute.get("subAttributes").and_then(Value::as_array);
            assert_eq!(subs.is_some(), attribute["type"] == "complex", "{name}");
            for sub in subs.into_iter().flatten() {
                check(sub);
            }
        }

        let all = schemas(BASE);

        assert_eq!(all.len(), 3);
        for one in &all {
            assert!(!one.to_string().contains("null"), "{one}");
            one["attributes"].as_array().unwrap().iter().for_each(check);
        }
    }

    #[test]
    fn the_published_attributes_are_those_of_the_requirements() {
        let names = |urn: &str| -> Vec<String> {
            let schema = schema(BASE, urn).unwrap();
            let mut names = Vec::new();
            for one in schema["attributes"].as_array().unwrap() {
                let name = one["name"].as_str().unwrap();
                names.push(name.to_owned());
                for sub in one["subAttributes"].as_array().into_iter().flatten() {
                    names.push(format!("{name}.{}", sub["name"].as_str().unwrap()));
                }
            }
            names
        };

        let core = names(USER);

        for simple in [
            "schemas",
            "id",
            "externalId",
            "meta",
            "userName",
            "name.honorificSuffix",
            "displayName",
            "nickName",
            "profileUrl",
            "title",
            "userType",
            "preferredLanguage",
            "locale",
            "timezone",
            "active",
            "addresses.postalCode",
            "groups.$ref",
        ] {
            assert!(core.iter().any(|name| name == simple), "{simple}");
        }
        for many in [
            "emails",
            "phoneNumbers",
            "ims",
            "photos",
            "entitlements",
            "roles",
            "x509Certificates",
        ] {
            for sub in ["value", "display", "type", "primary"] {
                assert!(core.contains(&format!("{many}.{sub}")), "{many}.{sub}");
            }
        }
        assert!(!core.iter().any(|name| name == "password"));
        assert_eq!(
            names(ENTERPRISE),
            [
                "employeeNumber",
                "costCenter",
                "organization",
                "division",
                "department",
                "manager",
                "manager.value",
                "manager.$ref",
                "manager.displayName"
            ]
        );
        assert_eq!(names(ACCESS), ["state", "since", "cause", "message"]);
    }

    #[test] // rule: S-7644-4-01 (part)
    fn one_schema_is_found_by_its_urn_in_any_letter_case() {
        let found = schema(BASE, &USER.to_uppercase()).unwrap();
        assert_eq!(found["id"], USER);
        assert_eq!(found["meta"]["location"], format!("{BASE}/Schemas/{USER}"));
        assert_eq!(schema(BASE, crate::schema::GROUP), None);
    }
}
