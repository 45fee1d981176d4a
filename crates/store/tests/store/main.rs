//! The store as a service uses it: the writer, what survives a restart, and the feed with its
//! followers, on a SQLite file of their own each.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod crowd;
mod feed;
mod follower;
mod postgres;
mod reopen;
mod story;
mod things;
mod time;
mod world;
mod writer;
