//! Permission sets: named lists of permissions, and what may stand in them.

use std::collections::BTreeSet;

use rollcall_types::{AccountId, PermissionSetId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::error::{Error, Violation};

/// How many characters a name may have.
const NAME: usize = 200;
/// How many characters a description may have.
const DESCRIPTION: usize = 1000;
/// How many keys a set may have.
const KEYS: usize = 1000;

/// What a client writes of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// The name, kept code point for code point.
    pub(crate) name: String,
    /// What the set is for.
    pub(crate) description: String,
    /// The keys that it grants, each once.
    pub(crate) permission_keys: Vec<String>,
}

/// A permission set as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PermissionSet {
    /// The account.
    pub(crate) account: AccountId,
    /// The id.
    pub(crate) id: PermissionSetId,
    /// What it holds.
    pub(crate) content: Content,
    /// Rises by one a change.
    pub(crate) version: i64,
    /// When it was created.
    pub(crate) create_time: Timestamp,
    /// When it last changed.
    pub(crate) update_time: Timestamp,
}

impl Content {
    /// Takes what a client sent; a key that comes twice is taken once.
    pub(crate) fn new(name: String, description: String, keys: Vec<String>) -> Self {
        let mut seen = BTreeSet::new();
        let permission_keys = keys
            .into_iter()
            .filter(|key| seen.insert(key.clone()))
            .collect();
        Self {
            name,
            description,
            permission_keys,
        }
    }

    /// Checks the forms, and that each key that `before` did not hold may be taken.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every violation; `field` is where the set stands in the request.
    pub(crate) fn check(
        &self,
        before: Option<&Self>,
        catalogue: &Catalogue,
        field: &str,
    ) -> Result<(), Error> {
        let mut wrong: Vec<Violation> = Vec::new();
        let mut refuse = |name: &str, why: String| wrong.push((format!("{field}.{name}"), why));
        if !(1..=NAME).contains(&self.name.chars().count()) {
            refuse("name", format!("must have 1 to {NAME} characters"));
        } else if self.name.chars().any(char::is_control) {
            refuse("name", "must not hold control characters".to_owned());
        }
        if self.description.chars().count() > DESCRIPTION {
            refuse(
                "description",
                format!("must have at most {DESCRIPTION} characters"),
            );
        } else if self.description.contains('\0') {
            refuse("description", "must not hold U+0000".to_owned());
        }
        if self.permission_keys.len() > KEYS {
            refuse("permission_keys", format!("must be at most {KEYS}"));
        }
        let known = catalogue.keys();
        let held = |key: &String| before.is_some_and(|set| set.permission_keys.contains(key));
        for key in self
            .permission_keys
            .iter()
            .filter(|key| !held(key))
            .take(KEYS)
        {
            match known.get(key.as_str()) {
                Some(false) => {}
                Some(true) => refuse("permission_keys", format!("{key:?} is retired")),
                None => refuse("permission_keys", format!("the catalogue has no {key:?}")),
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(wrong))
        }
    }

    /// The paths in which two contents differ, separated by spaces.
    pub(crate) fn changed_paths(&self, before: &Self) -> String {
        let paths = [
            ("name", self.name != before.name),
            ("description", self.description != before.description),
            (
                "permission_keys",
                self.permission_keys != before.permission_keys,
            ),
        ];
        let changed: Vec<&str> = paths
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|p| p.0)
            .collect();
        changed.join(" ")
    }
}

/// Which part of a set a change takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// The name.
    Name,
    /// The description.
    Description,
    /// The keys.
    PermissionKeys,
}

/// One change of a set.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// The set.
    pub(crate) id: PermissionSetId,
    /// The new values.
    pub(crate) content: Content,
    /// Which of them to take.
    pub(crate) paths: Vec<Path>,
    /// The etag that the set must have; empty means any.
    pub(crate) etag: String,
}

impl Update {
    /// What the set holds afterwards.
    pub(crate) fn apply(&self, before: &Content) -> Content {
        let mut after = before.clone();
        for path in &self.paths {
            match path {
                Path::Name => after.name.clone_from(&self.content.name),
                Path::Description => after.description.clone_from(&self.content.description),
                Path::PermissionKeys => {
                    after
                        .permission_keys
                        .clone_from(&self.content.permission_keys);
                }
            }
        }
        after
    }
}
