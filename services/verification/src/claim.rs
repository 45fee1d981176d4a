//! An account's claim to a domain: everything that is stored of it, and how it changes.

use std::time::Duration;

use rollcall_types::{AccountId, DomainId, DomainName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::challenge::{Challenge, Place};
use crate::diagnosis::Diagnosis;
use crate::judge::{Finding, Server, Warning};
use crate::schedule;
use crate::state::State;

/// Who asked for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Trigger {
    /// The schedule.
    Schedule,
    /// A person.
    Person,
}

impl Trigger {
    /// Its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Schedule => "SCHEDULE",
            Self::Person => "PERSON",
        }
    }
}

/// What a check means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    /// The value was found.
    Verified,
    /// It was not.
    NotVerified,
    /// It was, but another account holds the name.
    HeldByAnotherAccount,
}

impl Verdict {
    /// Its name in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Verified => "VERIFIED",
            Self::NotVerified => "NOT_VERIFIED",
            Self::HeldByAnotherAccount => "HELD_BY_ANOTHER_ACCOUNT",
        }
    }
}

/// The last look at the DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// When it ended.
    pub(crate) time: Timestamp,
    /// Who asked for it.
    pub(crate) trigger: Trigger,
    /// What it means.
    pub(crate) verdict: Verdict,
    /// Why not.
    pub(crate) diagnosis: Option<Diagnosis>,
    /// What each vantage said.
    pub(crate) servers: Vec<Server>,
    /// How the value was published.
    pub(crate) warnings: Vec<Warning>,
}

/// An account's claim to a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    #[serde(with = "account")]
    pub(crate) account: AccountId,
    pub(crate) id: DomainId,
    #[serde(with = "name")]
    pub(crate) name: DomainName,
    pub(crate) state: State,
    pub(crate) challenge: Challenge,
    pub(crate) last_check: Option<Check>,
    /// When the next automatic check is due; none once nothing more is checked.
    pub(crate) next_check: Option<Timestamp>,
    pub(crate) person_check: Option<Timestamp>,
    /// Rises with every change that the feed carries.
    pub(crate) version: i64,
    pub(crate) created: Timestamp,
    pub(crate) updated: Timestamp,
}

impl Claim {
    /// A claim that begins, due for its first check at once.
    pub(crate) fn new(
        account: AccountId,
        id: DomainId,
        name: DomainName,
        challenge: Challenge,
        now: Timestamp,
    ) -> Self {
        Self {
            account,
            id,
            name,
            state: State::begin(now),
            challenge,
            last_check: None,
            next_check: Some(now),
            person_check: None,
            version: 1,
            created: now,
            updated: now,
        }
    }

    /// The version as an entity tag.
    pub(crate) fn etag(&self) -> String {
        rollcall_types::etag::of(self.version)
    }

    /// Whether checks go on.
    pub(crate) fn is_open(&self) -> bool {
        self.state.attempt().is_some()
    }

    /// Once the value has expired; unchanged before.
    pub(crate) fn aged(&self, now: Timestamp) -> Self {
        let state = self.state.aged(self.challenge.expires(), now);
        Self {
            state,
            next_check: self.next_check.filter(|_| state.attempt().is_some()),
            ..self.clone()
        }
    }

    /// After a person pressed *Verify*.
    pub(crate) fn pressed(&self, now: Timestamp, longest: Option<Duration>) -> Self {
        let state = self.state.pressed(now);
        let mut next = Self {
            state,
            person_check: Some(now),
            ..self.clone()
        };
        if state != self.state {
            let slot = next.slot(now, longest);
            next.next_check = self.next_check.into_iter().chain(slot).min();
        }
        next
    }

    /// With a new value; `None` for a verified domain.
    pub(crate) fn renewed(&self, challenge: Challenge, now: Timestamp) -> Option<Self> {
        Some(Self {
            state: self.state.renewed(now)?,
            challenge,
            last_check: None,
            next_check: Some(now),
            ..self.clone()
        })
    }

    /// After a look that found `finding`. `proof` is where the value was found if this account
    /// may hold the name.
    pub(crate) fn checked(
        &self,
        finding: &Finding,
        proof: Option<Place>,
        trigger: Trigger,
        now: Timestamp,
        longest: Option<Duration>,
    ) -> Self {
        let verdict = match (&finding.proof, proof) {
            (Ok(_), Some(_)) => Verdict::Verified,
            (Ok(_), None) => Verdict::HeldByAnotherAccount,
            (Err(_), _) => Verdict::NotVerified,
        };
        let mut next = Self {
            state: self.state.checked(proof, now),
            last_check: Some(Check {
                time: now,
                trigger,
                verdict,
                diagnosis: finding.proof.as_ref().err().cloned(),
                servers: finding.servers.clone(),
                warnings: finding.warnings.clone(),
            }),
            ..self.clone()
        };
        // A slot that is still to come stays: a person's check never postpones it.
        next.next_check = match self.next_check {
            Some(due) if due > now && next.is_open() => Some(due),
            _ => next.slot(now, longest),
        };
        next.aged(now)
    }

    fn slot(&self, now: Timestamp, longest: Option<Duration>) -> Option<Timestamp> {
        let start = self.state.attempt()?;
        let expires = self.challenge.expires();
        Some(schedule::next(self.id, start, now, expires, longest))
    }

    /// The paths in which this claim differs from `before` for those who follow the feed: a check
    /// that finds the same again is no change.
    pub(crate) fn changed_paths(&self, before: &Self) -> Vec<&'static str> {
        let meaning = |claim: &Self| {
            let check = claim.last_check.as_ref();
            check.map(|check| (check.verdict, check.diagnosis.clone()))
        };
        let mut paths = Vec::new();
        if self.state != before.state {
            paths.push("state");
        }
        if self.challenge != before.challenge {
            paths.push("challenge");
        }
        if meaning(self) != meaning(before) {
            paths.push("last_check");
        }
        paths
    }
}

mod account {
    use rollcall_types::AccountId;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(id: &AccountId, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(id.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<AccountId, D::Error> {
        AccountId::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod name {
    use rollcall_types::DomainName;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(name: &DomainName, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DomainName, D::Error> {
        DomainName::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}
