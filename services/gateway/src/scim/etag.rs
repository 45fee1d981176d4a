//! Entity tags in headers (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2).

use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use rollcall_types::etag;

use super::error::Problem;

/// The tags that a header lists, in the weak form that ours have; `*` stays. What is no tag stays
/// as it is and so matches nothing: a condition that was sent is never ignored.
pub(super) fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let mut tags = Vec::new();
    for value in headers.get_all(name) {
        let mut rest = value.to_str().unwrap_or_default().trim_ascii();
        if rest.is_empty() {
            tags.push(String::new());
        }
        while !rest.is_empty() {
            let (tag, after) = first(rest);
            tags.push(tag);
            rest = after.trim_start_matches([',', ' ', '\t']);
        }
    }
    tags
}

/// Judges If-Match of a GET or of a list (RFC 9110, section 13.1.1): `own` is the tag of what is
/// asked for, if it has one.
///
/// # Errors
/// 412.
pub(super) fn check_match(headers: &HeaderMap, own: Option<&str>) -> Result<(), Problem> {
    let tags = values(headers, &IF_MATCH);
    let fits = |tag: &String| own.is_some_and(|own| matches(tag, own));
    if tags.is_empty() || tags.iter().any(fits) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::PRECONDITION_FAILED,
        "If-Match names no version that this resource has; leave it out, or send the version that \
         was read last",
    ))
}

/// Refuses If-None-Match where something is written: to judge it takes what is stored, and the
/// call that writes has no place for it. `*` asks that there is nothing, and there is.
///
/// # Errors
/// 412 for `*`, else 400.
pub(super) fn refuse_none_match(headers: &HeaderMap) -> Result<(), Problem> {
    let tags = values(headers, &IF_NONE_MATCH);
    if tags.is_empty() {
        return Ok(());
    }
    let status = if tags.iter().any(|tag| tag == "*") {
        StatusCode::PRECONDITION_FAILED
    } else {
        StatusCode::BAD_REQUEST
    };
    Err(Problem::new(
        status,
        "If-None-Match is for reading; leave it out, and send If-Match to change only the version \
         that was read",
    ))
}

/// The first tag of a list, and what follows it. A comma within quotation marks is part of a tag.
fn first(list: &str) -> (String, &str) {
    let opaque = list.strip_prefix("W/").unwrap_or(list);
    let quoted = opaque
        .strip_prefix('"')
        .and_then(|inner| inner.split_once('"'));
    if let Some((tag, after)) = quoted {
        return (format!("W/\"{tag}\""), after);
    }
    match list.split_once(',') {
        Some((tag, after)) => (tag.trim_ascii().to_owned(), after),
        None => (list.to_owned(), ""),
    }
}

/// Whether a tag of a list, or `*`, is that of the resource.
pub(super) fn matches(tag: &str, own: &str) -> bool {
    tag == "*" || etag::matches(tag, own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_is_read_whole_and_a_broken_one_matches_nothing() {
        for (text, expected) in [
            ("W/\"1\"", vec!["W/\"1\""]),
            ("\"1\"", vec!["W/\"1\""]),
            ("\"a,b\" , W/\"2\"", vec!["W/\"a,b\"", "W/\"2\""]),
            ("*", vec!["*"]),
            ("1, \"2\"", vec!["1", "W/\"2\""]),
            ("\"1", vec!["\"1"]),
            ("", vec![""]),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, text.parse().unwrap());
            assert_eq!(values(&headers, &IF_MATCH), expected, "{text}");
        }
        assert!(matches("W/\"1\"", "W/\"1\"") && matches("*", "W/\"1\""));
        assert!(!matches("1", "W/\"1\"") && !matches("", "W/\"1\""));
    }
}
