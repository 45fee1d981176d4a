//! A user: every attribute of RFC 7643, sections 4.1 and 4.3, and what administrators add.

use std::collections::BTreeMap;

use rollcall_types::EmailAddress;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::canonical::{self, Dropped, Reader};
use crate::error::{Error, ErrorKind, quote};
use crate::schema;

/// The bytes that a user may have in all, as JSON. A page of the most users has to fit one message
/// of bounded size, or an import could never pass it; a string alone may have 64 KiB.
pub const MAX_BYTES: usize = 256 * 1024;

/// What a client may say of a person. What the service adds (`id`, `meta`, `groups`, the access
/// extension) is not part of it, and a password never gets this far (S-7643-4.1.1-06).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The identifier that the client chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The name that the person signs in with, as it was sent.
    pub user_name: String,
    /// The parts of the person's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The casual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nick_name: Option<String>,
    /// The page about the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_url: Option<String>,
    /// The job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The relation to the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    /// The preferred language, as it was sent (S-7643-4.1.1-05).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_language: Option<String>,
    /// The locale, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The time zone, as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether the person may use the product; `None` when the client does not say
    /// (S-7643-4.1.1-07, S-7644-3.5.1-05).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Email addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<MultiValue>,
    /// Phone numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phone_numbers: Vec<MultiValue>,
    /// Instant messaging addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ims: Vec<MultiValue>,
    /// URLs of photos.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub photos: Vec<MultiValue>,
    /// Postal addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Entitlements, kept without effect.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entitlements: Vec<MultiValue>,
    /// Roles. `None`: the client did not send `roles`, it does not manage them; `Some` of nothing:
    /// it sent `[]` or null, the person has none (S-7644-3.5.1-05).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<MultiValue>>,
    /// X.509 certificates in base64.
    #[serde(rename = "x509Certificates", skip_serializing_if = "Vec::is_empty")]
    pub x509_certificates: Vec<MultiValue>,
    /// The enterprise extension.
    #[serde(
        rename = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        skip_serializing_if = "Option::is_none"
    )]
    pub enterprise: Option<Enterprise>,
    /// Objects under URNs that no schema here defines, by the spelling that was first sent
    /// (S-7643-3-05); 64 KiB in all.
    #[serde(flatten)]
    pub extensions: BTreeMap<String, Value>,
}

/// The parts of a person's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Name {
    /// The whole name as it was sent; never made up from the parts (S-7643-4.1.1-03).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// The middle names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    /// The title before the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honorific_prefix: Option<String>,
    /// The suffix after the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honorific_suffix: Option<String>,
}

/// One element of a multi-valued attribute (RFC 7643, section 2.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiValue {
    /// The value itself.
    pub value: String,
    /// The value as a person reads it; never a key (S-7643-2.4-03).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// What the value is for.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Whether this is the preferred value, if the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
}

impl MultiValue {
    /// An element that has nothing but its value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
    }
}

/// One postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Address {
    /// The whole address; it may hold line ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// The street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    /// The city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The state or region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// The country, as it was sent (S-7643-4.1.2-03).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What the address is for.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<String>,
    /// Whether this is the preferred address, if the client says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
}

/// The enterprise extension (RFC 7643, section 4.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Enterprise {
    /// The number that the organization gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employee_number: Option<String>,
    /// The cost center.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// The organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The division.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The person's manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<Manager>,
}

/// A person's manager: the id of a user here, or whatever the client calls the manager
/// (S-7643-4.3-01).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Manager {
    /// The id or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The manager's name, as the client sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

impl User {
    /// Reads the body of a POST or PUT, with the leniencies that real clients need.
    ///
    /// What the service owns is ignored, a password dropped, an attribute that no schema defines
    /// dropped and named in [`Dropped`].
    ///
    /// # Errors
    /// [`InvalidSyntax`](crate::ErrorKind::InvalidSyntax) when `schemas` is not that of a user;
    /// [`InvalidValue`](crate::ErrorKind::InvalidValue) when a value does not fit its attribute,
    /// userName is missing, several elements are primary, or a limit is passed;
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above [`MAX_BYTES`].
    pub fn from_json(object: Map<String, Value>) -> Result<(Self, Dropped), Error> {
        canonical::check_schemas(&object)?;
        let mut reader = Reader::default();
        let tree = reader.user(object)?;
        let user = Self::from_tree(tree)?;
        user.check_size()?;
        Ok((user, reader.dropped))
    }

    /// Refuses a user of more than [`MAX_BYTES`], naming its largest attribute.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge).
    pub fn check_size(&self) -> Result<(), Error> {
        let bytes = self.size();
        if bytes <= MAX_BYTES {
            return Ok(());
        }
        let attributes = self.to_tree().into_iter();
        let (most, name) = attributes
            .map(|(name, value)| (json_bytes(&value), name))
            .max()
            .unwrap_or_default();
        Err(Error::new(
            ErrorKind::TooLarge,
            format!(
                "the user would have {bytes} bytes in all, {most} of them in {}; shorten that: at \
                 most {MAX_BYTES} are taken",
                quote(&name)
            ),
        ))
    }

    /// The same for a user that was `before`: who does not grow is never refused, so that a user
    /// that is too large can still be deactivated.
    ///
    /// # Errors
    /// As [`User::check_size`].
    pub fn check_growth(&self, before: &Self) -> Result<(), Error> {
        let checked = self.check_size();
        if checked.is_err() && self.size() <= before.size() {
            return Ok(());
        }
        checked
    }

    /// The bytes of all attributes, as JSON. `active` does not count: `false` is longer than
    /// `true`.
    fn size(&self) -> usize {
        let active = self.active.iter().map(|active| json_bytes(active) + 10); // "active":,
        // `schemas` repeats the name of each extension.
        let urns = self.extensions.keys().map(|urn| json_bytes(urn) + 1);
        json_bytes(self) + urns.sum::<usize>() - active.sum::<usize>()
    }

    /// The canonical SCIM JSON of what is stored as one document: all but externalId and roles,
    /// which are stored beside it, with `schemas` in a fixed order.
    #[must_use]
    pub fn to_document(&self) -> Map<String, Value> {
        let enterprise = self.enterprise.iter().map(|_| schema::ENTERPRISE);
        let others = self.extensions.keys().map(String::as_str);
        let schemas: Vec<&str> = [schema::USER]
            .into_iter()
            .chain(enterprise)
            .chain(others)
            .collect();
        let mut document = Map::new();
        document.insert("schemas".to_owned(), json!(schemas));
        document.extend(self.to_tree());
        document.shift_remove("externalId");
        document.shift_remove("roles");
        document
    }

    /// The inverse of [`User::to_document`]; externalId and roles are for the caller to add.
    ///
    /// # Errors
    /// [`InvalidValue`](crate::ErrorKind::InvalidValue) for what [`User::to_document`] never wrote.
    pub fn from_document(mut document: Map<String, Value>) -> Result<Self, Error> {
        document.shift_remove("schemas");
        Self::from_tree(document)
    }

    /// Where the primary email stands, else the first one (U-09); `None` without emails.
    #[must_use]
    pub fn primary_email_index(&self) -> Option<usize> {
        let mut emails = self.emails.iter();
        let primary = emails.position(|email| email.primary == Some(true));
        primary.or((!self.emails.is_empty()).then_some(0))
    }

    /// The address whose domain decides whether the user is held: the primary email, else the
    /// first one, else a userName that is an address (U-09).
    #[must_use]
    pub fn email_domain_source(&self) -> Option<EmailAddress> {
        let text = self
            .primary_email_index()
            .and_then(|at| self.emails.get(at))
            .map_or(self.user_name.as_str(), |email| email.value.as_str());
        EmailAddress::parse(text).ok()
    }

    /// Gives each extension the spelling of its URN that `stored` has, so that the one first sent
    /// is kept (S-7643-2.1-02).
    pub fn keep_spellings(&mut self, stored: &Self) {
        self.extensions = std::mem::take(&mut self.extensions)
            .into_iter()
            .map(|(urn, value)| {
                let mut known = stored.extensions.keys();
                let known = known.find(|known| known.eq_ignore_ascii_case(&urn));
                (known.cloned().unwrap_or(urn), value)
            })
            .collect();
    }

    /// All attributes in their canonical form, externalId and roles among them, without `schemas`.
    pub(crate) fn to_tree(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(tree)) => tree,
            // Text, booleans and JSON under text keys: serde_json has no error for them.
            other => {
                debug_assert!(false, "a user did not serialise: {other:?}");
                Map::new()
            }
        }
    }

    pub(crate) fn from_tree(tree: Map<String, Value>) -> Result<Self, Error> {
        let user: Self = serde_json::from_value(Value::Object(tree)).map_err(|error| {
            Error::value(format!(
                "this is no user; correct it: {:.100}",
                error.to_string()
            ))
        })?;
        if user.user_name.is_empty() {
            return Err(Error::value("userName is required; send one"));
        }
        Ok(user)
    }
}

/// How many bytes `value` has as JSON text.
fn json_bytes(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    let written = serde_json::to_writer(&mut counter, value);
    // As in `to_tree`: there is nothing here that could fail.
    debug_assert!(written.is_ok(), "a user was not measured: {written:?}");
    counter.0
}

/// Roles as SCIM JSON.
#[must_use]
pub fn roles_json(roles: &[MultiValue]) -> Value {
    json!(roles)
}

#[cfg(test)]
mod tests;
