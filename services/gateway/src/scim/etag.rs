//! Entity tags in headers (RFC 9110, sections 8.8.3, 13.1.1 and 13.1.2).

use http::HeaderMap;
use http::header::HeaderName;

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

/// Whether a tag of a list, or `*`, is that of the resource, compared weakly.
pub(super) fn matches(tag: &str, own: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    tag == "*" || opaque(tag) == opaque(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::IF_MATCH;

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
