//! The gRPC side of Rollcall: generated code, who may call what, errors with a reason, back ends
//! (in process or over a channel) with deadlines, and the follower of a feed.
//!
//! Knows nothing of HTTP outside gRPC and nothing of storage.

pub mod access;
pub mod backend;
pub mod caller;
pub mod convert;
pub mod deadline;
pub mod failure;
pub mod feeds;
pub mod follower;
pub mod metadata;
pub mod server;

pub use backend::{Backend, Gate};
pub use caller::{Caller, CallerKind, Callers};
pub use failure::{Failure, Reason};
pub use prost_types;

/// Generated code, one module a proto package.
#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    clippy::pedantic,
    reason = "generated from proto/, whose comments are the reference manual"
)]
pub mod pb {
    /// What the packages share.
    pub mod common {
        pub mod v1 {
            tonic::include_proto!("rollcall.common.v1");
        }
    }
    /// Permission sets and what they grant.
    pub mod permissions {
        pub mod v1 {
            tonic::include_proto!("rollcall.permissions.v1");
        }
    }
    /// Accounts, connections, users and their feed.
    pub mod provisioning {
        pub mod v1 {
            tonic::include_proto!("rollcall.provisioning.v1");
        }
    }
    /// The gateway's calls.
    pub mod scim {
        pub mod v1 {
            tonic::include_proto!("rollcall.scim.v1");
        }
    }
    /// Email domains and their proof.
    pub mod verification {
        pub mod v1 {
            tonic::include_proto!("rollcall.verification.v1");
        }
    }
}

/// The encoded descriptor set of everything in `proto/`, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rollcall.bin"));
