//! What the DNS says about one owner name.

/// The answer of one resolver to one question for TXT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxtAnswer {
    /// The TXT records, each with its character-strings joined with nothing between
    /// (RFC 7208, section 3.3, as everybody does it).
    Records(Vec<Vec<u8>>),
    /// The name has no TXT record of its own: it is an alias, and the TXT records that were found
    /// belong to another name.
    Alias {
        /// What its CNAME record points at, in lower case, without a trailing dot.
        target: String,
    },
    /// The name exists and has no TXT record.
    NoData,
    /// The name does not exist.
    NxDomain {
        /// The owner of the SOA record in the answer: the zone that says so. In lower case,
        /// without a trailing dot.
        zone: Option<String>,
    },
    /// The resolver could not or would not find out.
    ServFail,
    /// No answer in time.
    Timeout,
}

/// What one vantage answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The resolver's address and port; `system` for the system's resolvers.
    pub vantage: String,
    /// What it said.
    pub answer: TxtAnswer,
}

/// Our own resolvers can't be used: nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the resolvers can't be used: {0}")]
pub struct Unavailable(pub String);

/// Asks every vantage.
#[async_trait::async_trait]
pub trait Dns: Send + Sync + std::fmt::Debug {
    /// Asks for the TXT records of `owner`, a name without a trailing dot, and gives one answer
    /// for each vantage, always in the same order.
    async fn txt(&self, owner: &str) -> Result<Vec<Heard>, Unavailable>;
}
