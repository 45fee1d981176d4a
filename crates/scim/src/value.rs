//! The text forms of single values: moments, octets, URIs (RFC 7643, section 2.3).

use chrono::{DateTime, Datelike, Utc};
use rollcall_types::Timestamp;

/// Reads an xsd:dateTime; it has to name its zone (S-7643-2.3-03).
pub(crate) fn date_time(text: &str) -> Option<Timestamp> {
    // chrono also takes a space between date and time.
    let separated = matches!(text.as_bytes().get(10), Some(b'T'));
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    // At either end of the calendar the change to UTC leads to years of five digits or a sign.
    let writable = (0..=9999).contains(&time.year());
    (separated && writable).then(|| Timestamp::new(time))
}

/// Whether `text` is base64, in the standard or the URL-safe alphabet, with its padding or
/// without (S-7643-2.3-04; RFC 4648, sections 4 and 5).
pub(crate) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let padded = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    let other = |b: u8, pair: [u8; 2]| pair.contains(&b);
    let all = |pair: [u8; 2]| {
        let mut bytes = digits.bytes();
        bytes.all(|b| b.is_ascii_alphanumeric() || other(b, pair))
    };
    padded && digits.len() % 4 != 1 && (all(*b"+/") || all(*b"-_"))
}

/// Whether `text` is a URI or a relative reference (S-7643-2.3-04; RFC 3986, appendix A). Its
/// parts are not looked at: nobody here follows it.
pub(crate) fn is_uri_reference(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b);
    let escapes = text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes().take(2);
        let hex = |digit: Option<u8>| digit.is_some_and(|b| b.is_ascii_hexdigit());
        hex(digits.next()) && hex(digits.next())
    });
    let scheme = match text.find([':', '/', '?', '#']) {
        Some(end) if text[end..].starts_with(':') => &text[..end],
        _ => "none",
    };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    text.bytes().all(allowed) && escapes && named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7643-2.3-03
    fn a_date_time_has_a_zone_and_is_kept_in_utc() {
        for (sent, kept) in [
            ("2026-11-24T09:10:11Z", Some("2026-11-24T09:10:11Z")),
            (
                "2026-11-24T09:10:11.5+02:00",
                Some("2026-11-24T07:10:11.500Z"),
            ),
            ("2026-11-24T09:10:11", None),
            ("2026-11-24 09:10:11Z", None),
            ("2026-11-24", None),
            ("9999-12-31T23:00:00-02:00", None),
            ("tomorrow", None),
            ("", None),
        ] {
            let read = date_time(sent).map(Timestamp::to_rfc3339);
            assert_eq!(read.as_deref(), kept, "{sent}");
        }
    }

    #[test] // rule: S-7643-2.3-04 (part)
    fn binary_is_base64_in_either_alphabet() {
        for good in ["", "Zg==", "Zg", "Zm8=", "Zm9v", "+/+/", "-_-_"] {
            assert!(is_base64(good), "{good}");
        }
        for bad in [
            "Z", "Zg=", "Zg===", "Zm9v====", "+_AA", "Zm 9v", "é", "Zm9v\n",
        ] {
            assert!(!is_base64(bad), "{bad}");
        }
    }

    #[test] // rule: S-7643-2.3-04 (part)
    fn a_reference_is_a_uri_absolute_or_relative() {
        for good in [
            "https://example.com/alice?x=%C3%A9#top",
            "../Users/1",
            "/Users/1",
            "urn:ietf:params:scim",
            "alice",
            "a/b:c",
        ] {
            assert!(is_uri_reference(good), "{good}");
        }
        for bad in [
            "not a uri",
            "http://ü",
            "a%2",
            "a%zz",
            "<a>",
            ":a",
            "1a:b",
            "a\\b",
        ] {
            assert!(!is_uri_reference(bad), "{bad}");
        }
    }
}
