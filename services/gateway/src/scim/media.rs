//! Media types (RFC 7644, section 3.8): what a body may be, and what an answer is.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use super::error::Problem;

/// The type of an answer's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/scim+json`.
    #[default]
    Scim,
    /// `application/json`, for who accepts nothing else.
    Json,
}

impl MediaType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Scim => "application/scim+json",
            Self::Json => "application/json",
        }
    }
}

/// The type that the header Accept leaves; `None` if none of ours (S-7644-3.8-02). The most
/// precise range that names a type decides about it (RFC 9110, section 12.5.1).
pub(crate) fn answer_type(headers: &HeaderMap) -> Option<MediaType> {
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| !value.trim_ascii().is_empty())
        .collect();
    if values.is_empty() {
        return Some(MediaType::Scim);
    }
    let ranges: Vec<(String, bool)> = values
        .iter()
        .flat_map(|value| value.split(','))
        .map(range)
        .collect();
    let accepted = |name: &str| {
        [name, "application/*", "*/*"]
            .into_iter()
            .find_map(|wanted| ranges.iter().find(|(range, _)| range == wanted))
            .is_some_and(|(_, wanted)| *wanted)
    };
    [MediaType::Scim, MediaType::Json]
        .into_iter()
        .find(|media_type| accepted(media_type.as_str()))
}

/// A media range in lower case, and whether it is wanted: `;q=0` says no.
fn range(text: &str) -> (String, bool) {
    let mut parts = text.split(';').map(str::trim_ascii);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts.any(|parameter| {
        let quality = parameter
            .split_once('=')
            .filter(|(key, _)| key.trim_ascii().eq_ignore_ascii_case("q"))
            .and_then(|(_, value)| value.trim_ascii().parse::<f32>().ok());
        quality.is_some_and(|quality| quality <= 0.0)
    });
    (name, !refused)
}

pub(crate) fn not_acceptable() -> Problem {
    Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "this service answers in application/scim+json or application/json; accept one of them",
    )
}

/// Refuses a body that is not JSON in UTF-8, uncompressed (S-7644-3.8-01). A client that names no
/// type is taken to mean JSON.
///
/// # Errors
/// 415.
pub(crate) fn check_body(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |detail: &str| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(unsupported(
            "the body is compressed; send it without Content-Encoding",
        ));
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let mut parts = value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .map(str::trim_ascii);
    let name = parts.next().unwrap_or_default();
    if ![MediaType::Scim, MediaType::Json]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own.as_str()))
    {
        return Err(unsupported(
            "the body has to be application/scim+json or application/json; name that in \
             Content-Type",
        ));
    }
    let other = parts
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(key, _)| key.trim_ascii().eq_ignore_ascii_case("charset"))
        .any(|(_, value)| {
            !value
                .trim_ascii()
                .trim_matches('"')
                .eq_ignore_ascii_case("utf-8")
        });
    if other {
        return Err(unsupported("the body has to be in UTF-8; send it so"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(accept: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        answer_type(&headers).map(MediaType::as_str)
    }

    #[test] // rule: S-7644-3.8-02
    fn the_answer_is_scim_json_unless_only_json_is_accepted() {
        let scim = Some("application/scim+json");
        let json = Some("application/json");
        for (accept, expected) in [
            ("", scim),
            ("*/*", scim),
            ("application/*", scim),
            ("Application/SCIM+JSON; charset=utf-8", scim),
            ("application/json, application/scim+json;q=0.1", scim),
            ("application/json", json),
            ("text/html, APPLICATION/JSON;q=0.9", json),
            ("application/scim+json;q=0, */*", json),
            ("text/html", None),
            ("text/*;q=1", None),
            ("application/scim+json;q=0, application/json;q=0.0", None),
            ("*/*;q=0", None),
        ] {
            assert_eq!(answer(accept), expected, "{accept}");
        }
        assert_eq!(answer_type(&HeaderMap::new()), Some(MediaType::Scim));
    }
}
