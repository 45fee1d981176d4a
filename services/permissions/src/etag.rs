//! What a client expects of a version.

use rollcall_types::etag;

use crate::error::Error;

/// Checks the etag that a client expects; empty means any.
///
/// # Errors
/// [`Error::VersionMismatch`] with the present one.
pub(crate) fn check(expected: &str, version: i64) -> Result<(), Error> {
    let present = etag::of(version);
    if expected.is_empty() || etag::matches(expected, &present) {
        Ok(())
    } else {
        Err(Error::VersionMismatch { etag: present })
    }
}
