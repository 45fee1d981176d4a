//! What a user may do: the one place where roles become permission sets. Pure.

use std::collections::{BTreeMap, HashMap};

use rollcall_types::{ConnectionId, PermissionSetId};
use serde::{Deserialize, Serialize};

/// Whether a user has access, as provisioning says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
pub(crate) enum Access {
    /// It has.
    Active,
    /// Its email domain is not verified.
    Held,
    /// It was deactivated.
    Deactivated,
    /// A state of a newer provisioning: no access.
    Other(i32),
}

impl From<i32> for Access {
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Active,
            2 => Self::Held,
            3 => Self::Deactivated,
            other => Self::Other(other),
        }
    }
}

impl From<Access> for i32 {
    fn from(access: Access) -> Self {
        match access {
            Access::Active => 1,
            Access::Held => 2,
            Access::Deactivated => 3,
            Access::Other(number) => number,
        }
    }
}

/// What is taken from a user of provisioning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UserInput {
    /// Whether it has access.
    pub(crate) access: Access,
    /// The connection that last wrote it.
    pub(crate) connection: Option<ConnectionId>,
    /// The values of its Okta roles; `None` while the connection sends none.
    pub(crate) roles: Option<Vec<String>>,
}

/// The switch of an account, and the connection that is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Management {
    /// Whether it was turned on.
    pub(crate) enabled: bool,
    /// The connection that it belongs to.
    pub(crate) connection: Option<ConnectionId>,
    /// The connection that is installed now.
    pub(crate) installed: Option<ConnectionId>,
}

impl Management {
    /// Whether the switch is on: one of a connection that is gone counts as off.
    pub(crate) fn is_on(&self) -> bool {
        self.enabled && self.connection.is_some() && self.connection == self.installed
    }

    /// Whether it covers the user: only those that its connection manages.
    pub(crate) fn covers(&self, user: &UserInput) -> bool {
        self.is_on() && user.connection == self.connection
    }
}

/// One permission set, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// The name, code point for code point.
    pub(crate) name: String,
    /// What it grants.
    pub(crate) keys: Vec<String>,
}

/// The permission sets of an account, by id and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    by_id: BTreeMap<PermissionSetId, Set>,
    by_name: HashMap<String, PermissionSetId>,
}

impl Sets {
    /// Adds a set or replaces it.
    pub(crate) fn insert(&mut self, id: PermissionSetId, set: Set) {
        self.remove(id);
        self.by_name.insert(set.name.clone(), id);
        self.by_id.insert(id, set);
    }

    /// Takes a set away.
    pub(crate) fn remove(&mut self, id: PermissionSetId) {
        // While two sets exchange their names, the old one may already be the other's.
        if let Some(old) = self.by_id.remove(&id)
            && self.by_name.get(&old.name) == Some(&id)
        {
            self.by_name.remove(&old.name);
        }
    }

    /// The set that a role's value names: by its name exactly, or by its id.
    fn named(&self, value: &str) -> Option<(PermissionSetId, &Set)> {
        let id = self
            .by_name
            .get(value)
            .copied()
            .or_else(|| PermissionSetId::parse(value).ok())?;
        self.by_id.get(&id).map(|set| (id, set))
    }
}

/// What became of one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It names this set.
    Matched(PermissionSetId),
    /// Management does not cover the user.
    ManagementOff,
    /// The account has no set of that name or id.
    NoSuchSet,
}

/// Where a key comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySource {
    /// The sets that grant it, in order of their ids.
    pub(crate) sets: Vec<PermissionSetId>,
    /// Whether it is one of the minimal keys.
    pub(crate) minimal: bool,
}

/// What a user may do, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolution {
    /// The sets in effect, with their names.
    pub(crate) assigned: BTreeMap<PermissionSetId, String>,
    /// The keys in effect.
    pub(crate) keys: BTreeMap<String, KeySource>,
    /// One verdict a role, in the order in which they were sent.
    pub(crate) roles: Vec<(String, Outcome)>,
}

/// Works out what `user` may do.
///
/// A user who isn't active has nothing, though its roles keep their verdicts: they are suspended,
/// not forgotten (U-06, P-07).
pub(crate) fn resolve(
    user: &UserInput,
    sets: &Sets,
    management: &Management,
    minimal: &[String],
) -> Resolution {
    let covered = management.covers(user);
    let active = user.access == Access::Active;
    let mut resolution = Resolution::default();
    for value in user.roles.iter().flatten() {
        let outcome = match sets.named(value) {
            _ if !covered => Outcome::ManagementOff,
            None => Outcome::NoSuchSet,
            Some((id, set)) => {
                if active {
                    resolution.assigned.insert(id, set.name.clone());
                }
                Outcome::Matched(id)
            }
        };
        resolution.roles.push((value.clone(), outcome));
    }
    for id in resolution.assigned.keys() {
        for key in sets.by_id.get(id).iter().flat_map(|set| &set.keys) {
            let source = resolution.keys.entry(key.clone()).or_default();
            source.sets.push(*id);
        }
    }
    if active && resolution.assigned.is_empty() {
        for key in minimal {
            resolution.keys.entry(key.clone()).or_default().minimal = true;
        }
    }
    resolution
}

#[cfg(test)]
mod tests;
