//! From method and path to an operation, or to why there is none.

use http::{Method, StatusCode};
use rollcall_scim::{Error, ErrorKind};

use super::error::Problem;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /Users`.
    ListUsers,
    /// `POST /Users`.
    CreateUser,
    /// `GET /Users/{id}`.
    GetUser(String),
    /// `PUT /Users/{id}`.
    ReplaceUser(String),
    /// `PATCH /Users/{id}`.
    PatchUser(String),
    /// `DELETE /Users/{id}`.
    DeleteUser(String),
    /// `GET /Groups`.
    ListGroups,
    /// `GET /Groups/{id}`.
    GetGroup(String),
    /// What needs no credential.
    Discovery(Discovery),
}

/// An endpoint of RFC 7644, section 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    /// `/ServiceProviderConfig`.
    ServiceProviderConfig,
    /// `/Schemas`.
    Schemas,
    /// `/Schemas/{urn}`.
    Schema(String),
    /// `/ResourceTypes`.
    ResourceTypes,
    /// `/ResourceTypes/{name}`.
    ResourceType(String),
}

impl Route {
    /// Reads a path at or below `/scim`, with or without `/v2` (S-7644-3.13-02). A HEAD is a GET,
    /// whose body the listener leaves out.
    ///
    /// # Errors
    /// 400 `invalidVers`, 404, 405, 501.
    pub(crate) fn parse(method: &Method, path: &str) -> Result<Self, Problem> {
        let below = path.strip_prefix("/scim").unwrap_or(path);
        let mut segments: Vec<&str> = below.split('/').skip(1).collect();
        if segments.last() == Some(&"") {
            segments.pop();
        }
        let mut segments = segments.as_slice();
        if let [version, rest @ ..] = segments
            && is_version(version)
        {
            if *version != "v2" {
                return Err(Problem::from(Error::new(
                    ErrorKind::InvalidVers,
                    "this service speaks SCIM 2.0 only: let the base URL end with /scim/v2",
                )));
            }
            segments = rest;
        }
        let segments: Vec<String> = segments.iter().map(|segment| decode(segment)).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Self::find(
            if method == Method::HEAD {
                &Method::GET
            } else {
                method
            },
            &segments,
        )
    }

    fn find(method: &Method, segments: &[&str]) -> Result<Self, Problem> {
        let get = |route: Self| match *method {
            Method::GET => Ok(route),
            _ => Err(not_allowed("GET")),
        };
        match segments {
            [] => Err(not_offered(
                "queries over all resources: ask for /Users or /Groups",
            )),
            ["Bulk"] => Err(not_offered("/Bulk: send each operation by itself")),
            ["Me", ..] => Err(not_offered("/Me: ask for the user by its id")),
            ["Roles", ..] => Err(not_offered("/Roles: send roles with the user")),
            [".search"] | ["Users" | "Groups", ".search"] => {
                Err(not_offered("/.search: send the query with GET"))
            }
            ["Users"] => match *method {
                Method::GET => Ok(Self::ListUsers),
                Method::POST => Ok(Self::CreateUser),
                _ => Err(not_allowed("GET, POST")),
            },
            ["Users", id] => {
                let id = (*id).to_owned();
                match *method {
                    Method::GET => Ok(Self::GetUser(id)),
                    Method::PUT => Ok(Self::ReplaceUser(id)),
                    Method::PATCH => Ok(Self::PatchUser(id)),
                    Method::DELETE => Ok(Self::DeleteUser(id)),
                    _ => Err(not_allowed("GET, PUT, PATCH, DELETE")),
                }
            }
            ["Groups"] | ["Groups", _] if is_write(method) => Err(not_offered(
                "pushing groups: switch Push Groups off in Okta",
            )),
            ["Groups"] => get(Self::ListGroups),
            ["Groups", id] => get(Self::GetGroup((*id).to_owned())),
            ["ServiceProviderConfig"] => get(Self::Discovery(Discovery::ServiceProviderConfig)),
            ["Schemas"] => get(Self::Discovery(Discovery::Schemas)),
            ["Schemas", urn] => get(Self::Discovery(Discovery::Schema((*urn).to_owned()))),
            ["ResourceTypes"] => get(Self::Discovery(Discovery::ResourceTypes)),
            ["ResourceTypes", name] => {
                get(Self::Discovery(Discovery::ResourceType((*name).to_owned())))
            }
            _ => Err(Problem::new(
                StatusCode::NOT_FOUND,
                "there is no such endpoint: let the base URL in Okta end with /scim/v2; below it \
                 are /Users and /Groups, in this letter case",
            )),
        }
    }
}

fn is_write(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

/// Whether a path segment names a version of the protocol (RFC 7644, section 3.13).
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix(['v', 'V'])
        .is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))
}

fn not_offered(what: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_IMPLEMENTED,
        format!("this release does not offer {what}"),
    )
}

fn not_allowed(allow: &'static str) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("this endpoint does not offer the method; use {allow}"),
    )
    .with_header(http::header::ALLOW, allow)
}

/// Percent-decodes a path segment (RFC 3986, section 2.1). What is no escape, and bytes that are
/// no UTF-8, name nothing and so need no error of their own.
fn decode(segment: &str) -> String {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        let ahead = bytes.clone();
        let escape = (byte == b'%').then(|| escape(&mut bytes)).flatten();
        if escape.is_none() {
            bytes = ahead;
        }
        decoded.push(escape.unwrap_or(byte));
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn escape(bytes: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high * 16 + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7644-3.13-01, S-7644-3.13-02
    fn the_version_segment_is_v2_or_left_out() {
        for path in ["/scim/v2/Users", "/scim/Users", "/scim/v2/Users/"] {
            let route = Route::parse(&Method::GET, path).unwrap();
            assert_eq!(route, Route::ListUsers, "{path}");
        }
        for path in [
            "/scim/v1/Users",
            "/scim/v3",
            "/scim/V2/Users",
            "/scim/v2.1/Users",
        ] {
            let problem = Route::parse(&Method::GET, path).unwrap_err();
            assert_eq!(problem.scim_type(), Some("invalidVers"), "{path}");
        }
    }

    #[test]
    fn a_segment_is_decoded_once_and_never_splits_the_path() {
        for (segment, decoded) in [
            ("urn%3Aietf", "urn:ietf"),
            ("a%2Fb", "a/b"),
            ("%2561", "%61"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%C3%A9", "é"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decode(segment), decoded, "{segment}");
        }
    }
}
