//! Judges one answer, part by part.

mod list;
mod user;

use serde_json::Value;

use crate::client::{Answer, Call};
use crate::journal::Journal;
use crate::report::Failure;
use crate::state::ERROR;

pub(crate) use user::Expected;

/// How much of a value a failure shows.
const SHOWN: usize = 300;

/// The judge of one answer; what is wrong goes to the journal.
pub(crate) struct Check<'a> {
    journal: &'a Journal,
    step: &'static str,
    user: Option<&'a str>,
    answer: &'a Answer,
}

impl<'a> Check<'a> {
    pub(crate) fn new(journal: &'a Journal, call: &Call<'a>, answer: &'a Answer) -> Self {
        Self {
            journal,
            step: call.step,
            user: call.user,
            answer,
        }
    }

    /// The judge of one user within the answer.
    pub(crate) fn about<'b>(&self, user: &'b str) -> Check<'b>
    where
        'a: 'b,
    {
        Check {
            user: Some(user),
            ..*self
        }
    }

    /// Reports that `field` of the answer is wrong.
    pub(crate) fn fail(&self, field: &str, expected: impl Into<String>, got: impl Into<String>) {
        self.journal.fail(Failure {
            step: self.step,
            user: self.user.map(str::to_owned),
            method: self.answer.method.to_string(),
            target: printable(&self.answer.target),
            field: printable(field),
            expected: printable(&expected.into()),
            got: printable(&got.into()),
            request_number: self.answer.header("x-request-number").map(printable),
        });
    }

    /// Whether the status is the expected one; if not, says what the service told instead.
    pub(crate) fn status(&self, expected: &[u16]) -> bool {
        let status = self.answer.status.as_u16();
        if expected.contains(&status) {
            return true;
        }
        let wanted: Vec<String> = expected.iter().map(u16::to_string).collect();
        let detail = self
            .answer
            .json
            .as_ref()
            .and_then(|json| json.get("detail"));
        let got = match detail.and_then(Value::as_str) {
            Some(detail) => format!("{status}: {detail}"),
            None => status.to_string(),
        };
        self.fail("status", wanted.join(" or "), got);
        false
    }

    /// The body, which must be a JSON object of the SCIM media type.
    pub(crate) fn object(&self) -> Option<&'a Value> {
        let media_type = self.answer.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/scim+json") {
            self.fail(
                "Content-Type",
                "application/scim+json",
                or_missing(media_type),
            );
        }
        let object = self.answer.json.as_ref().filter(|json| json.is_object());
        if object.is_none() {
            let text = String::from_utf8_lossy(&self.answer.body);
            self.fail("body", "a JSON object", or_missing(&text));
        }
        object
    }

    /// Expects a SCIM error (RFC 7644, section 3.12) that an Okta administrator can act on.
    pub(crate) fn error(&self, status: u16, scim_type: Option<&str>) {
        if !self.status(&[status]) {
            return;
        }
        let Some(error) = self.object() else { return };
        if !lists(error, ERROR) {
            self.fail(
                "schemas",
                format!("[{ERROR:?}]"),
                shown(error.get("schemas")),
            );
        }
        let text = status.to_string();
        if error.get("status").and_then(Value::as_str) != Some(text.as_str()) {
            self.fail(
                "body.status",
                format!("the string {text:?}"),
                shown(error.get("status")),
            );
        }
        if let Some(scim_type) = scim_type
            && error.get("scimType").and_then(Value::as_str) != Some(scim_type)
        {
            self.fail(
                "scimType",
                format!("{scim_type:?}"),
                shown(error.get("scimType")),
            );
        }
        let detail = error
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if detail.trim().is_empty() {
            self.fail(
                "detail",
                "a text for an administrator",
                shown(error.get("detail")),
            );
        } else if let Some(number) = self.answer.header("x-request-number") {
            if !is_request_number(number) {
                self.fail("X-Request-Number", "R-XXXX-XXXX", number);
            }
            if !detail.trim_end_matches(['.', ')', ']']).ends_with(number) {
                self.fail("detail", format!("a text that ends with {number}"), detail);
            }
        }
    }

    /// Expects a header to be there.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let value = self.answer.header(name).filter(|value| !value.is_empty());
        if value.is_none() {
            self.fail(name, "a value", "nothing");
        }
        value
    }
}

/// Whether `schemas` of a message or resource lists `urn`, in any letter case.
pub(crate) fn lists(object: &Value, urn: &str) -> bool {
    object
        .get("schemas")
        .and_then(Value::as_array)
        .is_some_and(|schemas| {
            schemas
                .iter()
                .filter_map(Value::as_str)
                .any(|schema| schema.eq_ignore_ascii_case(urn))
        })
}

/// A value as a failure shows it.
pub(crate) fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn or_missing(text: &str) -> String {
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        text.to_owned()
    }
}

/// Text of the service, cut and without what could steer a terminal.
fn printable(text: &str) -> String {
    let mut printable: String = text
        .chars()
        .take(SHOWN)
        .map(|letter| {
            if letter.is_control() {
                '\u{FFFD}'
            } else {
                letter
            }
        })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        printable.push_str("...");
    }
    printable
}

fn is_request_number(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_group = |part: Option<&str>| {
        part.is_some_and(|part| {
            part.len() == 4
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        })
    };
    parts.next() == Some("R")
        && is_group(parts.next())
        && is_group(parts.next())
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_number_has_two_groups_of_four() {
        assert!(is_request_number("R-7K3M-9QFA"));
        for text in [
            "R-7K3M",
            "r-7K3M-9QFA",
            "R-7k3m-9QFA",
            "R-7K3M-9QFA-1",
            "R-7K3MX-9QFA",
        ] {
            assert!(!is_request_number(text), "{text}");
        }
    }

    #[test]
    fn text_of_the_service_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{FFFD}[2Jb");
        assert_eq!(printable(&"x".repeat(400)).len(), SHOWN + 3);
    }
}
