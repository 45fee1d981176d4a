//! The stories of provisioning alone, through its gRPC methods in this process.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test where they fail"
)]

mod domains;
mod okta;
mod postgres;
mod world;
