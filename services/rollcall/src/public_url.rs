//! The URL under which others reach the gateway.

use std::fmt;
use std::str::FromStr;

/// Scheme and host, and perhaps a port, such as `https://scim.example.com`; never a slash at the
/// end. What `meta.location` starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

impl FromStr for PublicUrl {
    type Err = String;

    /// Reads what was typed, with or without a slash at the end.
    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |what: &str| {
            format!("{what}: write it like https://scim.example.com, without /scim/v2")
        };
        // A Uri leaves a fragment out without a word.
        if text.contains('#') {
            return Err(refused("a public URL has no fragment"));
        }
        let uri: http::Uri = text.parse().map_err(|_| refused("it is no URL"))?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) {
            return Err(refused("it has to start with https:// or http://"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(refused("a public URL has no path and no query"));
        }
        match uri.authority() {
            Some(authority)
                if !authority.host().is_empty() && !authority.as_str().contains('@') => {}
            _ => return Err(refused("it has to name a host, and nothing before it")),
        }
        if uri.host().is_some_and(|host| host.contains('_')) {
            return Err(refused("Okta takes no host with an underscore"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_scheme_and_host_alone() {
        for (text, expected) in [
            ("https://scim.example.com", "https://scim.example.com"),
            ("https://scim.example.com/", "https://scim.example.com"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(PublicUrl::from_str(text).unwrap().to_string(), expected);
        }
        for (text, says) in [
            ("", "no URL"),
            ("scim.example.com", "start with https://"),
            ("/scim", "start with https://"),
            ("ftp://scim.example.com", "start with https://"),
            ("https://", "no URL"),
            ("https://scim.example.com/scim/v2", "no path"),
            ("https://scim.example.com//", "no path"),
            ("https://scim.example.com?a=b", "no query"),
            ("https://scim.example.com#top", "no fragment"),
            ("https://user:secret@scim.example.com", "nothing before"),
            ("https://scim example.com", "no URL"),
            (
                "https://my_tunnel.example.com",
                "no host with an underscore",
            ),
        ] {
            let refused = PublicUrl::from_str(text).unwrap_err();
            assert!(refused.contains(says), "{text}: {refused}");
            assert!(refused.contains("write it like https://"), "{refused}");
        }
    }
}
