//! Permissions as its callers see it: gRPC in process, with a provisioning that the test drives.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod fake;
mod life;
mod sets;
mod world;
