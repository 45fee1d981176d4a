//! The list of rules and how far each is built: `docs/rules.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::failure::Failure;

/// Where the list stands, from the root.
pub(crate) const FILE: &str = "docs/rules.toml";

/// How far a rule is built, and so what its proofs must be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Whole: at least one proof of the whole rule.
    Done,
    /// In part: at least one proof.
    Part,
    /// Not built: no proof needed.
    Open,
}

impl State {
    /// The state as the list spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Part => "part",
            Self::Open => "open",
        }
    }
}

/// One rule of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) state: State,
    pub(crate) title: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    rules: BTreeMap<String, Rule>,
}

/// Reads the list, by rule id.
///
/// # Errors
/// When the file is missing or is not such a list.
pub(crate) fn load(root: &Path) -> Result<BTreeMap<String, Rule>, Failure> {
    let text = fs::read_to_string(root.join(FILE))
        .map_err(|error| Failure::new(format!("{FILE}: {error}"), "restore the file"))?;
    let list: List = toml::from_str(&text).map_err(|error| {
        Failure::new(
            format!("{FILE}: {error}"),
            "write each rule as the others are written",
        )
    })?;
    Ok(list.rules)
}
