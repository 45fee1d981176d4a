//! The permission catalogue: the keys that the product knows, the same for all accounts.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Violation};

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Permission {
    /// The product's key.
    pub(crate) key: String,
    /// What a screen calls it.
    pub(crate) label: String,
    /// What it allows.
    pub(crate) description: String,
    /// Whether no further set may take it.
    pub(crate) retired: bool,
}

/// Permissions that a screen shows together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    /// The heading.
    pub(crate) label: String,
    /// The permissions.
    pub(crate) permissions: Vec<Permission>,
}

/// The catalogue; the default is the empty one before the first was put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalogue {
    /// Rises by one a change; 0 before the first.
    pub(crate) version: i64,
    /// The permissions.
    pub(crate) groups: Vec<Group>,
}

impl Catalogue {
    /// Every key, and whether it is retired.
    pub(crate) fn keys(&self) -> BTreeMap<&str, bool> {
        keys(&self.groups)
    }
}

/// Every key of the groups, and whether it is retired.
pub(crate) fn keys(groups: &[Group]) -> BTreeMap<&str, bool> {
    groups
        .iter()
        .flat_map(|group| &group.permissions)
        .map(|permission| (permission.key.as_str(), permission.retired))
        .collect()
}

/// Checks what a client put.
///
/// # Errors
/// [`Error::Invalid`] with every violation: a key that is empty, over 128 characters, given twice
/// or not printable; a text with U+0000, which not every engine can keep.
pub(crate) fn check(groups: &[Group]) -> Result<(), Error> {
    let mut wrong: Vec<Violation> = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, group) in groups.iter().enumerate() {
        let field = format!("catalogue.groups[{at}]");
        if group.label.contains('\0') {
            wrong.push((format!("{field}.label"), "must not hold U+0000".to_owned()));
        }
        for (at, permission) in group.permissions.iter().enumerate() {
            let field = format!("{field}.permissions[{at}]");
            let key = &permission.key;
            if !(1..=128).contains(&key.chars().count()) {
                wrong.push((
                    format!("{field}.key"),
                    "must have 1 to 128 characters".to_owned(),
                ));
            } else if key.chars().any(|c| c.is_control() || c.is_whitespace()) {
                let why = "must not hold spaces or control characters";
                wrong.push((format!("{field}.key"), why.to_owned()));
            } else if !seen.insert(key) {
                wrong.push((format!("{field}.key"), format!("{key} is given twice")));
            }
            for (name, text) in [
                ("label", &permission.label),
                ("description", &permission.description),
            ] {
                if text.contains('\0') {
                    wrong.push((format!("{field}.{name}"), "must not hold U+0000".to_owned()));
                }
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(wrong))
    }
}
