//! Why a domain could not be verified, in words for an administrator (D-04; domain-verification,
//! section 4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::challenge::Place;

/// What stands above every diagnosis.
pub(crate) const TITLE: &str = "This domain couldn't be verified";

/// Why a look did not find the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The registrable domain does not exist.
    DomainDoesNotExist,
    /// A resolver, or the domain's name servers, failed.
    ServFail,
    /// Nobody answered in time.
    Timeout,
    /// This place is an alias of that name, whose records don't count.
    CnameAtName(Place, String),
    /// A value that resembles ours, as it may be shown.
    ValueMismatch(String),
    /// So many TXT records, none of which resembles ours.
    NoMatchingTxt(usize),
    /// No TXT record at either place.
    NoTxt,
}

impl Reason {
    /// The order in which reasons are told, the first one first.
    pub(crate) fn priority(&self) -> u8 {
        match self {
            Self::DomainDoesNotExist => 0,
            Self::ServFail => 1,
            Self::Timeout => 2,
            Self::CnameAtName(..) => 3,
            Self::ValueMismatch(_) => 4,
            Self::NoMatchingTxt(_) => 5,
            Self::NoTxt => 6,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::DomainDoesNotExist => "DOMAIN_DOES_NOT_EXIST",
            Self::ServFail => "SERVFAIL",
            Self::Timeout => "TIMEOUT",
            Self::CnameAtName(..) => "CNAME_AT_NAME",
            Self::ValueMismatch(_) => "VALUE_MISMATCH",
            Self::NoMatchingTxt(_) => "NO_MATCHING_TXT",
            Self::NoTxt => "NO_TXT",
        }
    }

    fn explanation(&self) -> String {
        match self {
            Self::DomainDoesNotExist => {
                // The last case is that of names within a zone, such as those of `rollcall dev`.
                "The DNS has no such name: the domain is not registered, not delegated to any \
                 name server, or a name in another zone that has no record yet."
                    .to_owned()
            }
            Self::ServFail => "The domain's name servers answered with an error.".to_owned(),
            Self::Timeout => "The domain's name servers did not answer in time.".to_owned(),
            Self::CnameAtName(place, target) => {
                let name = match place {
                    Place::AtDomain => "The domain itself",
                    Place::AtChallenge => "The name that begins with an underscore",
                };
                format!(
                    "{name} is an alias (a CNAME record) of {target}. TXT records of another name \
                     prove nothing about the domain."
                )
            }
            Self::ValueMismatch(found) => {
                format!("A TXT record was found that is not the value to publish: {found}")
            }
            Self::NoMatchingTxt(1) => {
                "One TXT record was found, and it is not the value to publish.".to_owned()
            }
            Self::NoMatchingTxt(count) => {
                format!("{count} TXT records were found, and none is the value to publish.")
            }
            Self::NoTxt => "No TXT record was found.".to_owned(),
        }
    }

    fn next_step(&self) -> &'static str {
        match self {
            Self::DomainDoesNotExist => {
                "Check the spelling of the domain, and that its registration has not run out. If \
                 it is a name in another zone, create the TXT record there."
            }
            Self::ServFail => {
                "Ask whoever manages the domain's DNS to look at its name servers. The check is \
                 repeated by itself."
            }
            Self::Timeout => "Nothing need be done: the check is repeated by itself.",
            Self::CnameAtName(Place::AtDomain, _) => {
                "Create a TXT record with the value shown here at the other of the two names, the \
                 one that begins with an underscore."
            }
            Self::CnameAtName(Place::AtChallenge, _) => {
                "Create a TXT record with the value shown here at the domain itself, or at that \
                 very name in place of the alias."
            }
            Self::ValueMismatch(_) => {
                "Replace the record's value with the one shown here: copy the whole of it, \
                 without quotes."
            }
            Self::NoMatchingTxt(_) => {
                "Add one more TXT record with the value shown here; the other records can stay."
            }
            Self::NoTxt => {
                "Create a TXT record with the value shown here at one of the two names. A new \
                 record can take some minutes to be seen everywhere."
            }
        }
    }
}

/// One reason with its sentences and what varies in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Diagnosis {
    /// The reason's name.
    pub(crate) reason: String,
    /// What was seen.
    pub(crate) explanation: String,
    /// What to do.
    pub(crate) next_step: String,
    /// What varies.
    pub(crate) facts: BTreeMap<String, String>,
}

impl Diagnosis {
    /// The diagnosis of `reason`, when `matched` of `vantages` showed the value.
    pub(crate) fn new(reason: &Reason, matched: usize, vantages: usize) -> Self {
        let mut facts = BTreeMap::new();
        match reason {
            Reason::CnameAtName(_, target) => {
                facts.insert("target".to_owned(), target.clone());
            }
            Reason::ValueMismatch(found) => {
                facts.insert("found".to_owned(), found.clone());
            }
            Reason::NoMatchingTxt(count) => {
                facts.insert("count".to_owned(), count.to_string());
            }
            _ => {}
        }
        let mut explanation = reason.explanation();
        if matched > 0 {
            facts.insert("resolvers_with_value".to_owned(), matched.to_string());
            facts.insert("resolvers".to_owned(), vantages.to_string());
            explanation.push_str(" Some resolvers see the value already, but not enough of them.");
        }
        Self {
            reason: reason.name().to_owned(),
            explanation,
            next_step: reason.next_step().to_owned(),
            facts,
        }
    }
}
