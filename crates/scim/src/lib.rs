//! SCIM 2.0 resources, attribute paths, filters, patches, lists, errors and discovery (RFC 7643,
//! RFC 7644) as plain values.
//!
//! Knows nothing of HTTP, gRPC or SQL: text and JSON come in, typed values go out. What a user may
//! hold stands in one place, the tables of [`schema`]; reading, filtering, patching and discovery
//! follow them.
//!
//! ```
//! use rollcall_scim::{Filter, Limits, PatchRequest, User, json, patch};
//!
//! let limits = Limits::default();
//! let body = br#"{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
//!                 "userName": "alice@example.com", "active": true}"#;
//! let (alice, _) = User::from_json(json::read_object(body, &limits)?)?;
//!
//! let body = br#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
//!                 "Operations": [{"op": "replace", "value": {"active": false}}]}"#;
//! let operations = PatchRequest::from_json(json::read_object(body, &limits)?)?;
//! let patched = patch::apply(&alice, &operations)?;
//! assert_eq!(patched.user.active, Some(false));
//!
//! let filter = Filter::parse(r#"userName eq "ALICE@example.com" and active eq false"#)?;
//! assert!(filter.matches(&patched.user.to_document()));
//! # Ok::<(), rollcall_scim::Error>(())
//! ```

pub mod attribute;
mod canonical;
pub mod discovery;
pub mod error;
pub mod filter;
pub mod json;
pub mod list;
pub mod patch;
pub mod path;
pub mod schema;
pub mod user;
mod value;

pub use attribute::AttrRef;
pub use canonical::Dropped;
pub use error::{Error, ErrorBody, ErrorKind};
pub use filter::{Filter, Literal, Operator};
pub use json::Limits;
pub use list::{ListQuery, ListResponse};
pub use patch::{Op, Operation, PatchRequest, Patched};
pub use path::Path;
pub use user::{Address, Enterprise, Manager, MultiValue, Name, User};
