//! Stories through the whole system: HTTP as Okta speaks it outside, gRPC inside.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a story that can't go on has failed"
)]

mod accounts;
mod bad_input;
mod domain;
mod feed;
mod okta;
mod postgres;
mod races;
mod released;
mod users;
mod world;
