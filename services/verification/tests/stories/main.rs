//! The stories of verification, through its gRPC methods in this process.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test where they fail"
)]

mod domains;
mod feed;
mod limits;
mod schedule;
mod world;
