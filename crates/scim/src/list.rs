//! Lists: what a client asks for by query, and the message it gets (RFC 7644, section 3.4.2).

use serde_json::{Value, json};

use crate::error::{Error, quote};
use crate::schema;

/// Resources of one page when the client asks for no number; Okta steps by it.
pub const DEFAULT_COUNT: u32 = 100;
/// Resources of one page at most.
pub const MAX_COUNT: u32 = 200;

/// Which page of which resources a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    /// The first resource of the page, from 1.
    pub start_index: u64,
    /// The most resources to return; 0 asks for the total alone.
    pub count: u32,
    /// The filter as it was sent; [`Filter::parse`](crate::Filter::parse) judges it.
    pub filter: Option<String>,
}

impl Default for ListQuery {
    /// The first page of everything.
    fn default() -> Self {
        Self {
            start_index: 1,
            count: DEFAULT_COUNT,
            filter: None,
        }
    }
}

impl ListQuery {
    /// Reads decoded query parameters; names in any letter case, unknown ones ignored.
    ///
    /// # Errors
    /// [`InvalidValue`](crate::ErrorKind::InvalidValue) for a startIndex or count that is no
    /// integer, or a parameter sent twice; [`InvalidFilter`](crate::ErrorKind::InvalidFilter) for
    /// an empty filter (S-7644-3.4.2.2-20).
    pub fn parse<'q>(pairs: impl IntoIterator<Item = (&'q str, &'q str)>) -> Result<Self, Error> {
        let (mut start_index, mut count, mut filter) = (None, None, None);
        for (name, value) in pairs {
            let slot = match name.to_ascii_lowercase().as_str() {
                "startindex" => &mut start_index,
                "count" => &mut count,
                "filter" => &mut filter,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(Error::value(format!(
                    "{} occurs twice in the query; send it once",
                    quote(name)
                )));
            }
        }
        if filter.is_some_and(|filter| filter.trim_ascii().is_empty()) {
            return Err(Error::filter(
                "the filter is empty; leave it out to list everything",
            ));
        }
        let standard = Self::default();
        let start_index = match start_index {
            // S-7644-3.4.2.4-01; nothing is ever stored beyond what fits 63 bits.
            Some(text) => u64::try_from(integer("startIndex", text)?.max(1)).unwrap_or(1),
            None => standard.start_index,
        };
        let count = match count {
            // S-7644-3.4.2.4-02
            Some(text) => {
                let count = integer("count", text)?.clamp(0, i64::from(MAX_COUNT));
                u32::try_from(count).unwrap_or(MAX_COUNT)
            }
            None => standard.count,
        };
        let filter = filter.map(str::to_owned);
        Ok(Self {
            start_index,
            count,
            filter,
        })
    }
}

/// S-7644-3.4.2.4-03. What has too many digits is an integer too, and far beyond the end.
fn integer(name: &str, text: &str) -> Result<i64, Error> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::value(format!(
            "{name} is {}; send an integer",
            quote(text)
        )));
    }
    let beyond = if negative { i64::MIN } else { i64::MAX };
    Ok(text.parse().unwrap_or(beyond))
}

/// One page of resources.
#[derive(Clone, Debug, PartialEq)]
pub struct ListResponse {
    /// All resources that the query selects, on whatever page.
    pub total_results: u64,
    /// The first resource of this page, from 1.
    pub start_index: u64,
    /// The resources of this page.
    pub resources: Vec<Value>,
}

impl ListResponse {
    /// All of a short collection on one page.
    #[must_use]
    pub fn whole(resources: Vec<Value>) -> Self {
        Self {
            total_results: resources.len() as u64,
            start_index: 1,
            resources,
        }
    }

    /// The message; `itemsPerPage` is what this page holds, `Resources` is there when empty.
    #[must_use]
    pub fn to_json(self) -> Value {
        json!({
            "schemas": [schema::LIST_RESPONSE],
            "totalResults": self.total_results,
            "startIndex": self.start_index,
            "itemsPerPage": self.resources.len(),
            "Resources": self.resources,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ErrorKind;

    fn parse(pairs: &[(&'static str, &'static str)]) -> Result<ListQuery, Error> {
        ListQuery::parse(pairs.iter().copied())
    }

    #[test] // rule: S-7644-3.4.2.4-01 (part), S-7644-3.4.2.4-02 (part), S-7644-3.4.2.4-04
    fn start_index_and_count_are_brought_into_their_bounds() {
        assert_eq!(parse(&[]).unwrap(), ListQuery::default());
        for (start_index, count, expected) in [
            ("1", "2", (1, 2)),
            ("101", "100", (101, 100)),
            ("0", "200", (1, 200)),
            ("-5", "201", (1, 200)),
            ("1", "0", (1, 0)),
            ("1", "-1", (1, 0)),
            (
                "99999999999999999999",
                "99999999999999999999",
                (9_223_372_036_854_775_807, 200),
            ),
            ("-99999999999999999999", "-99999999999999999999", (1, 0)),
        ] {
            let query = parse(&[("startIndex", start_index), ("count", count)]).unwrap();
            assert_eq!((query.start_index, query.count), expected);
        }
    }

    #[test] // rule: S-7644-3.4.2.4-03
    fn what_is_no_integer_is_refused() {
        for bad in [
            "", " ", "x", "1.0", "1e3", " 1", "1 ", "+1", "-", "--1", "+-1", "-+1", "1-", "0x10",
            "1_000", "1,000", "null", "NaN", "∞", "１", "١", "\u{0}1",
        ] {
            for name in ["startIndex", "count"] {
                let error = ListQuery::parse([(name, bad)]).unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidValue, "{name}={bad}");
                assert!(error.detail.starts_with(name), "{name}: {}", error.detail);
                assert!(
                    error.detail.ends_with("; send an integer"),
                    "{}",
                    error.detail
                );
            }
        }
    }

    #[test]
    fn each_parameter_stands_alone_and_is_sent_once() {
        let standard = ListQuery::default();
        for (pairs, expected) in [
            (&[("startIndex", "7")][..], (7, standard.count)),
            (&[("count", "7")][..], (standard.start_index, 7)),
            (&[("STARTINDEX", "7"), ("Count", "8")][..], (7, 8)),
            (&[("count", "8"), ("startIndex", "7")][..], (7, 8)),
            (&[("start_index", "x"), ("limit", "x")][..], (1, 100)),
        ] {
            let query = parse(pairs).unwrap();
            assert_eq!((query.start_index, query.count), expected, "{pairs:?}");
        }
        for twice in [
            &[("startIndex", "1"), ("startIndex", "1")][..],
            &[("count", "1"), ("COUNT", "1")][..],
            &[("filter", "title pr"), ("filter", "title pr")][..],
        ] {
            let error = parse(twice).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidValue, "{twice:?}");
        }
    }

    proptest! {
        // rule: S-7644-3.4.2.4-01 (part), S-7644-3.4.2.4-02 (part)
        #[test]
        fn any_integer_counts_as_the_nearest_that_is_in_bounds(
            start_index in any::<i128>(),
            count in prop_oneof![-300_i128..300, any::<i128>()],
            zeros in 0_usize..4,
        ) {
            let zeroed = |number: i128| {
                let sign = if number < 0 { "-" } else { "" };
                format!("{sign}{}{}", "0".repeat(zeros), number.unsigned_abs())
            };
            let (start, most) = (zeroed(start_index), zeroed(count));

            let query = ListQuery::parse([
                ("startIndex", start.as_str()),
                ("count", most.as_str()),
            ]).unwrap();

            let furthest = i128::from(i64::MAX);
            prop_assert_eq!(i128::from(query.start_index), start_index.clamp(1, furthest));
            prop_assert_eq!(i128::from(query.count), count.clamp(0, 200));
        }

        // rule: S-7644-3.4.2.4-03 (part)
        #[test]
        fn any_text_is_an_integer_or_refused(text in "[-+0-9 .xe]{0,24}|\\PC{0,8}") {
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let is_integer = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
            for name in ["startIndex", "count"] {
                match ListQuery::parse([(name, text.as_str())]) {
                    Ok(_) => prop_assert!(is_integer, "{:?}", text),
                    Err(error) => {
                        prop_assert!(!is_integer, "{:?}", text);
                        prop_assert_eq!(error.kind, ErrorKind::InvalidValue);
                    }
                }
            }
        }

        // rule: S-7644-3.4.2-01 (part), S-7644-3.4.2.4-01 (part)
        #[test]
        fn a_page_tells_its_place_its_size_and_the_whole_also_beyond_the_end(
            total_results in any::<u64>(),
            start_index in 1_u64..,
            length in 0_usize..=200,
        ) {
            let resources: Vec<Value> = (0..length).map(|id| json!({"id": id})).collect();

            let page = ListResponse { total_results, start_index, resources: resources.clone() };

            prop_assert_eq!(page.to_json(), json!({
                "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
                "totalResults": total_results,
                "startIndex": start_index,
                "itemsPerPage": length,
                "Resources": resources,
            }));
        }
    }

    #[test]
    fn a_short_collection_is_one_page() {
        for length in [0, 1, 3, 201] {
            let resources = vec![json!({"id": "a"}); length];
            let page = ListResponse::whole(resources).to_json();
            let numbers = ["totalResults", "startIndex", "itemsPerPage"];
            let numbers = numbers.map(|key| page[key].as_u64().unwrap());
            assert_eq!(numbers, [length as u64, 1, length as u64]);
        }
    }

    #[test] // rule: S-7644-3.4.2.2-20
    fn an_absent_filter_is_no_filter_and_an_empty_one_is_refused() {
        assert_eq!(parse(&[("count", "1")]).unwrap().filter, None);
        for empty in ["", "  "] {
            let error = parse(&[("filter", empty)]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidFilter);
        }
        let query = parse(&[("FILTER", "title pr"), ("attributes", "id")]).unwrap();
        assert_eq!(query.filter.as_deref(), Some("title pr"));
        assert!(parse(&[("count", "1"), ("Count", "2")]).is_err());
    }

    #[test] // rule: S-7644-3.4.2-01, S-7644-3.4.2-02 (part), S-7644-3.4.2-03
    fn an_empty_page_is_what_okta_expects() {
        let empty = ListResponse {
            total_results: 0,
            start_index: 1,
            resources: Vec::new(),
        };
        assert_eq!(
            empty.to_json().to_string(),
            r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}"#
        );

        let page = ListResponse {
            total_results: 7,
            start_index: 3,
            resources: vec![json!({"id": "a"}), json!({"id": "b"})],
        };
        assert_eq!(page.clone().to_json()["itemsPerPage"], 2);
        assert_eq!(page.to_json()["totalResults"], 7);
    }
}
