//! Permissions as its callers see it: gRPC in process, with a provisioning that the test drives.

mod fake;
mod life;
mod sets;
mod world;
