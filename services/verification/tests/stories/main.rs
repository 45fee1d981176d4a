//! The stories of verification, through its gRPC methods in this process.

mod domains;
mod feed;
mod limits;
mod schedule;
mod world;
