//! What can be wrong with a request, in the words of RFC 7644, section 3.12.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::schema;

/// The longest piece of a request that a `detail` repeats, in characters.
const QUOTE_LENGTH: usize = 100;

/// The kind of a failure: the `scimType` values of RFC 7644, table 9, and what has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The filter is malformed, or compares what can't be compared.
    InvalidFilter,
    /// The request would cost too much to answer.
    TooMany,
    /// A value that has to be unique is taken.
    Uniqueness,
    /// The attribute can't be changed this way.
    Mutability,
    /// The body is not a message of the expected form.
    InvalidSyntax,
    /// The `path` of a PATCH operation is malformed or names no attribute.
    InvalidPath,
    /// The `path` of a PATCH operation selects nothing that could be changed.
    NoTarget,
    /// A required value is missing, or a value does not fit its attribute.
    InvalidValue,
    /// The protocol version is not offered.
    InvalidVers,
    /// The request would disclose a protected value.
    Sensitive,
    /// The request is larger than this service takes; it has no `scimType`.
    TooLarge,
}

impl ErrorKind {
    /// The `scimType` of the error body, where the standard defines one.
    #[must_use]
    pub fn scim_type(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidVers => "invalidVers",
            Self::Sensitive => "sensitive",
            Self::TooLarge => return None,
        })
    }

    /// The status that RFC 7644, section 3.12 gives the kind.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            Self::Sensitive => 403,
            Self::TooLarge => 413,
            _ => 400,
        }
    }
}

/// Why a request can't be served, with the sentence that an Okta administrator reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// What a program may act on.
    pub kind: ErrorKind,
    /// What is wrong, with which attribute, and what to do.
    pub detail: String,
}

impl Error {
    /// An error of `kind` with its sentence.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, detail }
    }

    /// The `scimType` of the error body, where the standard defines one.
    #[must_use]
    pub fn scim_type(&self) -> Option<&'static str> {
        self.kind.scim_type()
    }

    pub(crate) fn filter(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidFilter, detail)
    }

    pub(crate) fn path(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidPath, detail)
    }

    pub(crate) fn syntax(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidSyntax, detail)
    }

    pub(crate) fn value(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidValue, detail)
    }

    /// The same error, told as one of the `number`th PATCH operation (S-7644-3.5.2-04).
    pub(crate) fn in_operation(self, number: usize) -> Self {
        let detail = format!("operation {number}: {}", self.detail);
        Self { detail, ..self }
    }
}

impl From<&Error> for ErrorBody {
    fn from(error: &Error) -> Self {
        Self {
            status: error.kind.status(),
            scim_type: error.scim_type(),
            detail: error.detail.clone(),
        }
    }
}

/// The body of an error response (RFC 7644, section 3.12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// The HTTP status, which the body repeats.
    pub status: u16,
    /// The kind of error, where the standard defines one.
    pub scim_type: Option<&'static str>,
    /// The sentence for a person.
    pub detail: String,
}

impl ErrorBody {
    /// The body as JSON; `status` is text there.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut body = Map::new();
        body.insert("schemas".to_owned(), json!([schema::ERROR]));
        body.insert("status".to_owned(), json!(self.status.to_string()));
        if let Some(scim_type) = self.scim_type {
            body.insert("scimType".to_owned(), json!(scim_type));
        }
        body.insert("detail".to_owned(), json!(self.detail));
        Value::Object(body)
    }
}

/// `text` in quotation marks for a `detail`: one line, and never more than a glance of it.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    let mut letters = text.chars();
    for letter in letters.by_ref().take(QUOTE_LENGTH) {
        if letter.is_control() {
            // Writing to a String can't fail.
            let _ = write!(quoted, "{}", letter.escape_default());
        } else {
            quoted.push(letter);
        }
    }
    if letters.next().is_some() {
        quoted.push('…');
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7644-3.12-01 (part)
    fn an_error_body_has_its_status_as_text_and_a_scim_type_only_where_one_is_defined() {
        let taken = Error::new(ErrorKind::Uniqueness, "userName is already in use");
        assert_eq!(
            ErrorBody::from(&taken).to_json(),
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "status": "409",
                "scimType": "uniqueness",
                "detail": "userName is already in use",
            })
        );

        let large = Error::new(ErrorKind::TooLarge, "too many operations");
        assert_eq!(
            ErrorBody::from(&large).to_json(),
            json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                "status": "413",
                "detail": "too many operations",
            })
        );
    }

    #[test] // rule: S-7644-3.12-02 (part)
    fn each_kind_has_the_scim_type_and_status_of_rfc_7644_table_9() {
        for (kind, scim_type, status) in [
            (ErrorKind::InvalidFilter, "invalidFilter", 400),
            (ErrorKind::TooMany, "tooMany", 400),
            (ErrorKind::Uniqueness, "uniqueness", 409),
            (ErrorKind::Mutability, "mutability", 400),
            (ErrorKind::InvalidSyntax, "invalidSyntax", 400),
            (ErrorKind::InvalidPath, "invalidPath", 400),
            (ErrorKind::NoTarget, "noTarget", 400),
            (ErrorKind::InvalidValue, "invalidValue", 400),
            (ErrorKind::InvalidVers, "invalidVers", 400),
            (ErrorKind::Sensitive, "sensitive", 403),
        ] {
            assert_eq!((kind.scim_type(), kind.status()), (Some(scim_type), status));
        }
    }

    #[test]
    fn a_detail_repeats_no_more_than_a_glance_of_the_request() {
        assert_eq!(quote("a\nb"), "\"a\\nb\"");
        assert_eq!(quote(&"é".repeat(100)), format!("\"{}\"", "é".repeat(100)));
        assert_eq!(quote(&"é".repeat(101)), format!("\"{}…\"", "é".repeat(100)));
    }
}
