//! The nouns that every part of Rollcall shares: typed ids, email addresses, domain names, the
//! one normaliser of identifiers, who makes a change, entity tags, time, random bytes and bearer
//! credentials.
//!
//! Knows nothing of SCIM, gRPC, HTTP or storage, and does no IO but reading the system's clock
//! and random source, each behind a trait.
//!
//! ```
//! use rollcall_types::{AccountId, fold};
//!
//! let account = AccountId::parse("acme").unwrap();
//! assert_eq!(account.as_str(), "acme");
//! assert_eq!(fold::fold("Alice@Example.COM"), "alice@example.com");
//! ```

pub mod actor;
pub mod base32;
pub mod clock;
pub mod credential;
pub mod domain;
pub mod email;
pub mod entropy;
pub mod etag;
pub mod fold;
pub mod id;
pub mod request;

pub use actor::{Actor, ActorKind};
pub use clock::{Clock, SystemClock, TestClock, Timestamp};
pub use credential::Credential;
pub use domain::DomainName;
pub use email::EmailAddress;
pub use entropy::{Entropy, OsEntropy};
pub use id::{AccountId, ConnectionId, DomainId, IdSource, PermissionSetId, TokenId, UserId};
pub use request::{RequestId, RequestNumber};
pub use secrecy::{ExposeSecret, SecretString};
