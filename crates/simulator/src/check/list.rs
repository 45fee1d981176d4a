//! Judges list answers (RFC 7644, section 3.4.2).

use serde_json::Value;

use super::{Check, lists, shown};
use crate::state::LIST;

/// One page of a list.
pub(crate) struct Page<'a> {
    pub(crate) total: u64,
    pub(crate) resources: &'a [Value],
}

impl<'a> Check<'a> {
    /// Expects the page that starts at `start` and may hold `count` resources.
    ///
    /// A page below the requested count must be the last: Okta always steps by what it asked for.
    pub(crate) fn page(&self, start: u64, count: u64) -> Option<Page<'a>> {
        if !self.status(&[200]) {
            return None;
        }
        let list = self.object()?;
        if !lists(list, LIST) {
            self.fail("schemas", format!("[{LIST:?}]"), shown(list.get("schemas")));
        }
        let resources = list.get("Resources").and_then(Value::as_array);
        if resources.is_none() {
            self.fail("Resources", "an array", shown(list.get("Resources")));
        }
        let resources = resources.map(Vec::as_slice).unwrap_or_default();
        let length = u64::try_from(resources.len()).unwrap_or(u64::MAX);

        let total = list.get("totalResults").and_then(Value::as_u64);
        if total.is_none() {
            self.fail(
                "totalResults",
                "an integer",
                shown(list.get("totalResults")),
            );
        }
        for (field, expected) in [("startIndex", start), ("itemsPerPage", length)] {
            if list.get(field).and_then(Value::as_u64) != Some(expected) {
                self.fail(
                    field,
                    format!("the integer {expected}"),
                    shown(list.get(field)),
                );
            }
        }
        let total = total?;
        let expected = total.saturating_sub(start.saturating_sub(1)).min(count);
        if length != expected {
            self.fail(
                "Resources",
                format!("{expected} resources of {total}"),
                format!("{length} resources"),
            );
        }
        Some(Page { total, resources })
    }
}
