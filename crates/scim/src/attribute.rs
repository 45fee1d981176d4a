//! Names of attributes as paths and filters write them (RFC 7644, section 3.10), resolved against
//! the schemas of a user.

use std::fmt;

use serde_json::{Map, Value};

use crate::schema::{self, Attribute, CORE_SCHEMA, GROUP_SCHEMA, Schema};

/// An attribute that a schema defines, or one of its sub-attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrRef {
    /// The URN of the schema that defines it.
    pub schema: &'static str,
    /// The attribute.
    pub attribute: &'static Attribute,
    /// The sub-attribute, when one is named.
    pub sub: Option<&'static Attribute>,
}

impl AttrRef {
    /// The attribute of a user that `text` names, in any letter case: `userName`, `emails.value`,
    /// `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        match resolve(text)? {
            Resolved::Attribute(attribute) => Some(attribute),
            Resolved::Schema(_) | Resolved::Unknown(_) => None,
        }
    }

    /// The attribute of a group that `text` names.
    pub(crate) fn find_of_group(text: &str) -> Option<Self> {
        let qualified = after_urn(text, GROUP_SCHEMA.urn).and_then(|rest| rest.strip_prefix(':'));
        match attribute(&GROUP_SCHEMA, qualified.unwrap_or(text))? {
            Resolved::Attribute(attribute) => Some(attribute),
            Resolved::Schema(_) | Resolved::Unknown(_) => None,
        }
    }

    /// The canonical name: plain for the core schema, with its URN for an extension.
    #[must_use]
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// The sub-attribute when one is named, else the attribute: what a value is compared as.
    #[must_use]
    pub fn leaf(&self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// The same attribute, with this sub-attribute.
    #[must_use]
    pub fn with_sub(self, sub: &'static Attribute) -> Self {
        let sub = Some(sub);
        Self { sub, ..self }
    }

    /// Whether the attribute or the part named belongs to the service alone.
    pub(crate) fn is_read_only(&self) -> bool {
        self.attribute.is_read_only() || self.leaf().is_read_only()
    }

    /// The value of the attribute (not of the sub-attribute) in a canonical resource.
    pub(crate) fn value_in<'r>(&self, resource: &'r Map<String, Value>) -> Option<&'r Value> {
        if self.schema == CORE_SCHEMA.urn {
            return resource.get(self.attribute.name);
        }
        resource.get(self.schema)?.get(self.attribute.name)
    }
}

impl fmt::Display for AttrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema != CORE_SCHEMA.urn {
            write!(f, "{}:", self.schema)?;
        }
        f.write_str(self.attribute.name)?;
        match self.sub {
            Some(sub) => write!(f, ".{}", sub.name),
            None => Ok(()),
        }
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolved<'t> {
    /// An attribute that a schema defines.
    Attribute(AttrRef),
    /// A schema as a whole.
    Schema(&'static Schema),
    /// A URN that no schema here has, perhaps followed by an attribute.
    Unknown(&'t str),
}

/// `None` for a name that a known schema does not define, and for one of another resource type.
pub(crate) fn resolve(text: &str) -> Option<Resolved<'_>> {
    if !text.contains(':') {
        return attribute(&CORE_SCHEMA, text);
    }
    // The URN itself holds dots and colons: known ones are matched as a whole (S-7644-3.4.2.2-13).
    for schema in schema::USER_SCHEMAS {
        match after_urn(text, schema.urn) {
            Some("") => return Some(Resolved::Schema(schema)),
            Some(rest) => {
                if let Some(name) = rest.strip_prefix(':') {
                    return attribute(schema, name);
                }
            }
            None => {}
        }
    }
    if schema::is_registered_prefix(text) {
        return None;
    }
    Some(Resolved::Unknown(text))
}

fn after_urn<'t>(text: &'t str, urn: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(urn.len())?;
    start.eq_ignore_ascii_case(urn).then_some(rest)
}

fn attribute(schema: &'static Schema, name: &str) -> Option<Resolved<'static>> {
    let (name, sub) = match name.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (name, None),
    };
    let attribute = schema.attribute(name)?;
    let sub = match sub {
        Some(sub) => Some(attribute.sub(sub)?),
        None => None,
    };
    Some(Resolved::Attribute(AttrRef {
        schema: schema.urn,
        attribute,
        sub,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7643-2.1-01, S-7643-2.1-02, S-7644-3.4.2.2-13
    fn a_name_has_one_canonical_form_whatever_its_letter_case_and_prefix() {
        let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
        let manager = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value";
        for (text, name) in [
            ("USERNAME", "userName"),
            ("emails.VALUE", "emails.value"),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:userName",
                "userName",
            ),
            (
                "URN:ietf:params:SCIM:schemas:core:2.0:user:name.familyname",
                "name.familyName",
            ),
            (department, department),
            (&manager.to_lowercase(), manager),
        ] {
            assert_eq!(AttrRef::find(text).unwrap().name(), name);
        }
        for unknown in [
            "department",
            "emails.value.x",
            "userName.value",
            "",
            ".",
            "urn:example:User:x",
            "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
            "urn:ietf:params:scim:schemas:core:2.0:User",
        ] {
            assert_eq!(AttrRef::find(unknown), None, "{unknown}");
        }
    }
}
