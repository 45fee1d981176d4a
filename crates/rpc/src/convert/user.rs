//! Users: SCIM's attributes as messages and back.

use std::collections::BTreeMap;

use rollcall_scim as scim;
use rollcall_scim::User;

use crate::failure::Failure;
use crate::pb::provisioning::v1 as pb;

/// The attributes of a user; externalId and roles travel beside them.
#[must_use]
pub fn to_proto(user: &User) -> pb::UserAttributes {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    pb::UserAttributes {
        user_name: user.user_name.clone(),
        name: user.name.as_ref().map(|name| pb::Name {
            formatted: text(&name.formatted),
            family_name: text(&name.family_name),
            given_name: text(&name.given_name),
            middle_name: text(&name.middle_name),
            honorific_prefix: text(&name.honorific_prefix),
            honorific_suffix: text(&name.honorific_suffix),
        }),
        display_name: text(&user.display_name),
        nick_name: text(&user.nick_name),
        profile_url: text(&user.profile_url),
        title: text(&user.title),
        user_type: text(&user.user_type),
        preferred_language: text(&user.preferred_language),
        locale: text(&user.locale),
        timezone: text(&user.timezone),
        active: user.active,
        emails: values_to_proto(&user.emails),
        phone_numbers: values_to_proto(&user.phone_numbers),
        ims: values_to_proto(&user.ims),
        photos: values_to_proto(&user.photos),
        addresses: user.addresses.iter().map(address_to_proto).collect(),
        entitlements: values_to_proto(&user.entitlements),
        x509_certificates: values_to_proto(&user.x509_certificates),
        enterprise: user
            .enterprise
            .as_ref()
            .map(|enterprise| pb::EnterpriseUser {
                employee_number: text(&enterprise.employee_number),
                cost_center: text(&enterprise.cost_center),
                organization: text(&enterprise.organization),
                division: text(&enterprise.division),
                department: text(&enterprise.department),
                manager: enterprise
                    .manager
                    .as_ref()
                    .map(|m| text(&m.value))
                    .unwrap_or_default(),
                manager_display_name: enterprise
                    .manager
                    .as_ref()
                    .map(|manager| text(&manager.display_name))
                    .unwrap_or_default(),
            }),
        extensions: user
            .extensions
            .iter()
            .map(|(urn, value)| (urn.clone(), value.to_string()))
            .collect(),
    }
}

/// Roles as a message.
#[must_use]
pub fn roles_to_proto(roles: &[scim::MultiValue]) -> pb::RoleList {
    pb::RoleList {
        roles: values_to_proto(roles),
    }
}

/// The user of a message; externalId and roles are for the caller to add.
///
/// # Errors
/// `INVALID_FIELD` for an extension that is no JSON.
pub fn from_proto(attributes: pb::UserAttributes) -> Result<User, Failure> {
    let mut extensions = BTreeMap::new();
    for (urn, json) in attributes.extensions {
        let value = serde_json::from_str(&json).map_err(|error| {
            Failure::invalid_field(
                "attributes.extensions",
                format!("{urn} is no JSON: {error}"),
            )
        })?;
        extensions.insert(urn, value);
    }
    Ok(User {
        external_id: None,
        user_name: attributes.user_name,
        name: attributes.name.map(|name| scim::Name {
            formatted: some(name.formatted),
            family_name: some(name.family_name),
            given_name: some(name.given_name),
            middle_name: some(name.middle_name),
            honorific_prefix: some(name.honorific_prefix),
            honorific_suffix: some(name.honorific_suffix),
        }),
        display_name: some(attributes.display_name),
        nick_name: some(attributes.nick_name),
        profile_url: some(attributes.profile_url),
        title: some(attributes.title),
        user_type: some(attributes.user_type),
        preferred_language: some(attributes.preferred_language),
        locale: some(attributes.locale),
        timezone: some(attributes.timezone),
        active: attributes.active,
        emails: values_from_proto(attributes.emails),
        phone_numbers: values_from_proto(attributes.phone_numbers),
        ims: values_from_proto(attributes.ims),
        photos: values_from_proto(attributes.photos),
        addresses: attributes
            .addresses
            .into_iter()
            .map(address_from_proto)
            .collect(),
        entitlements: values_from_proto(attributes.entitlements),
        roles: None,
        x509_certificates: values_from_proto(attributes.x509_certificates),
        enterprise: attributes.enterprise.map(|enterprise| {
            let manager = scim::Manager {
                value: some(enterprise.manager),
                display_name: some(enterprise.manager_display_name),
            };
            scim::Enterprise {
                employee_number: some(enterprise.employee_number),
                cost_center: some(enterprise.cost_center),
                organization: some(enterprise.organization),
                division: some(enterprise.division),
                department: some(enterprise.department),
                manager: Some(manager).filter(|manager| *manager != scim::Manager::default()),
            }
        }),
        extensions,
    })
}

/// The roles of a message.
#[must_use]
pub fn roles_from_proto(roles: pb::RoleList) -> Vec<scim::MultiValue> {
    values_from_proto(roles.roles)
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn values_to_proto(values: &[scim::MultiValue]) -> Vec<pb::MultiValue> {
    values
        .iter()
        .map(|value| pb::MultiValue {
            value: value.value.clone(),
            display: value.display.clone().unwrap_or_default(),
            r#type: value.type_.clone().unwrap_or_default(),
            primary: value.primary,
        })
        .collect()
}

fn values_from_proto(values: Vec<pb::MultiValue>) -> Vec<scim::MultiValue> {
    values
        .into_iter()
        .map(|value| scim::MultiValue {
            value: value.value,
            display: some(value.display),
            type_: some(value.r#type),
            primary: value.primary,
        })
        .collect()
}

fn address_to_proto(address: &scim::Address) -> pb::Address {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    pb::Address {
        formatted: text(&address.formatted),
        street_address: text(&address.street_address),
        locality: text(&address.locality),
        region: text(&address.region),
        postal_code: text(&address.postal_code),
        country: text(&address.country),
        r#type: text(&address.type_),
        primary: address.primary,
    }
}

fn address_from_proto(address: pb::Address) -> scim::Address {
    scim::Address {
        formatted: some(address.formatted),
        street_address: some(address.street_address),
        locality: some(address.locality),
        region: some(address.region),
        postal_code: some(address.postal_code),
        country: some(address.country),
        type_: some(address.r#type),
        primary: address.primary,
    }
}
