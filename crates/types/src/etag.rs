//! Versions as entity tags, in SCIM's `meta.version` and over gRPC alike (RFC 9110, section 8.8.3).

/// The tag of a version: weak, since two answers of one version may differ in their bytes.
#[must_use]
pub fn of(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Whether a tag that a client expects is `own`, compared weakly (RFC 9110, section 8.8.3.2):
/// clients send tags back with or without the mark. `*` fits everything that there is.
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
    tag == "*" || opaque(tag) == opaque(own)
}
