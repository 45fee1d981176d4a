//! Versions as etags.

use crate::error::Error;

/// The text of a version: the form of SCIM's `meta.version`.
pub(crate) fn text(version: i64) -> String {
    format!("W/\"{version}\"")
}

/// Checks the etag that a client expects; empty means any.
///
/// # Errors
/// [`Error::VersionMismatch`] with the present one.
pub(crate) fn check(expected: &str, version: i64) -> Result<(), Error> {
    let present = text(version);
    if expected.is_empty() || expected == present {
        Ok(())
    } else {
        Err(Error::VersionMismatch { etag: present })
    }
}
