//! Conversions between protobuf messages and the types of `rollcall-types` and `rollcall-scim`.

pub mod time;
pub mod user;
