//! The program as its users have it: the built binary as a process of its own.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a story that can't go on has failed"
)]

mod agree;
mod cli;
mod dev;
mod dns;
mod foreign;
mod kill;
mod mirror;
mod postgres;
mod program;
mod serve;
