//! Versions as entity tags, in SCIM's `meta.version` and over gRPC alike (RFC 9110, section 8.8.3).

/// The tag of a version: weak, since two answers of one version may differ in their bytes.
#[must_use]
pub fn of(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a tag that a client expects is `own`, compared weakly (RFC 9110, section 8.8.3.2):
/// clients send tags back with or without the mark. `*` is no tag but a word of HTTP's headers.
///
/// ```
/// use rollcall_types::etag;
///
/// assert!(etag::matches("\"7\"", &etag::of(7)));
/// assert!(!etag::matches("7", &etag::of(7)));
/// ```
#[must_use]
pub fn matches(tag: &str, own: &str) -> bool {
    let opaque = |tag| str::strip_prefix(tag, "W/").unwrap_or(tag);
    opaque(tag) == opaque(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_fits_its_own_version_only_with_or_without_the_mark() {
        let own = of(7);
        assert_eq!(own, "W/\"7\"");
        for tag in ["W/\"7\"", "\"7\""] {
            assert!(matches(tag, &own), "{tag}");
        }
        for tag in ["", "*", "7", "W/7", "w/\"7\"", "W/\"77\"", "\"7"] {
            assert!(!matches(tag, &own), "{tag}");
        }
    }
}
