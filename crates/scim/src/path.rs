//! PATCH paths (RFC 7644, figure 7): which attribute, which of its elements, which part of them.

use crate::attribute::{AttrRef, Resolved};
use crate::error::Error;
use crate::filter::{self, Filter};
use crate::schema::{self, Schema};

/// What a PATCH path points at.
#[derive(Clone, Debug, PartialEq)]
pub enum Path {
    /// The whole resource: the bare core URN (S-7644-3.5.2-09).
    Resource,
    /// All attributes of a known extension: its bare URN.
    Schema(&'static Schema),
    /// An attribute or one of its sub-attributes, perhaps in selected elements only.
    Attribute {
        /// The attribute, with the sub-attribute before or after the brackets.
        attribute: AttrRef,
        /// What stands in the brackets.
        filter: Option<Filter>,
    },
    /// Something under a URN that no schema here has: the whole extension, or the attribute after
    /// the last colon. Only the value and what is stored tell which.
    Extension(ExtensionPath),
}

/// A path under an unknown extension URN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionPath(String);

impl ExtensionPath {
    /// The path as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URN and the attribute, if the last part is meant as an attribute.
    #[must_use]
    pub fn split(&self) -> Option<(&str, &str)> {
        let (urn, name) = self.0.rsplit_once(':')?;
        let mut letters = name.chars();
        let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
        let rest = letters.all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        (first && rest && urn.contains(':')).then_some((urn, name))
    }
}

impl Path {
    /// Parses `attr`, `attr.sub`, `attr[filter]` or `attr[filter].sub`, each with or without the
    /// URN of its schema, or a URN alone.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) for a malformed path or one to an attribute
    /// that users don't have; [`InvalidFilter`](crate::ErrorKind::InvalidFilter) for what stands in
    /// the brackets.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parts = filter::path(text)?;
        Ok(match parts.target {
            Resolved::Attribute(attribute) => Self::Attribute {
                attribute,
                filter: parts.filter,
            },
            Resolved::Schema(schema) if schema.urn == schema::USER => Self::Resource,
            Resolved::Schema(schema) => Self::Schema(schema),
            Resolved::Unknown(text) => Self::Extension(extension(text)?),
        })
    }
}

/// An unknown URN has to look like one: a scheme and something after it.
fn extension(text: &str) -> Result<ExtensionPath, Error> {
    let whole = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !rest.is_empty()
            && !rest.ends_with(':')
    });
    if whole {
        return Ok(ExtensionPath(text.to_owned()));
    }
    Err(filter::malformed_path(text))
}

#[cfg(test)]
mod tests;
