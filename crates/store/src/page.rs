//! Keyset pages: sizes and opaque page tokens.

use rollcall_types::base32;

/// What a list call asks for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many rows.
    pub size: u64,
    /// The key of the last row of the page before; empty at the start.
    pub after: String,
}

/// Why a page can't be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// `page_size` is negative.
    #[error("page_size must not be negative")]
    Size,
    /// The token is torn or of another list.
    #[error("the page token is not one of this list; start the list again")]
    Token,
}

impl Page {
    /// Reads `page_size` (0 means 100, above 1,000 means 1,000) and `page_token`, which is bound
    /// to `list`: a text that names account and filter.
    ///
    /// # Errors
    /// [`PageError`].
    pub fn parse(size: i32, token: &str, list: &str) -> Result<Self, PageError> {
        let size = match u64::try_from(size).map_err(|_| PageError::Size)? {
            0 => 100,
            size => size.min(1000),
        };
        let after = if token.is_empty() {
            String::new()
        } else {
            open(token, list).ok_or(PageError::Token)?
        };
        Ok(Self { size, after })
    }
}

/// The token for the page after the row `key` of `list`.
#[must_use]
pub fn token(key: &str, list: &str) -> String {
    base32::encode(&[&sum(key, list).to_be_bytes(), key.as_bytes()].concat())
}

fn open(token: &str, list: &str) -> Option<String> {
    let bytes = base32::decode_all(token)?;
    let (expected, key) = bytes.split_at_checked(4)?;
    let key = std::str::from_utf8(key).ok()?;
    (sum(key, list).to_be_bytes() == expected).then(|| key.to_owned())
}

fn sum(key: &str, list: &str) -> u32 {
    crc32fast::hash(format!("{list}\0{key}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_belongs_to_one_list() {
        let token = token("0193", "acme users");

        assert_eq!(
            Page::parse(0, &token, "acme users"),
            Ok(Page {
                size: 100,
                after: "0193".into()
            })
        );
        assert_eq!(
            Page::parse(5000, "", "x"),
            Ok(Page {
                size: 1000,
                after: String::new()
            })
        );
        assert_eq!(
            Page::parse(0, &token, "globex users"),
            Err(PageError::Token)
        );
        assert_eq!(Page::parse(0, "zz", "acme users"), Err(PageError::Token));
        assert_eq!(Page::parse(-1, "", "acme users"), Err(PageError::Size));
    }
}
