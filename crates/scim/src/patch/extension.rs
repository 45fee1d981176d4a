//! One operation under a URN that no schema here has (S-7643-3-05): the JSON there is the
//! client's, and what the path means follows from what is stored and sent.

use serde_json::{Map, Value};

use super::Op;
use super::budget::Budget;
use crate::canonical::{check_extension_size, object};
use crate::error::Error;
use crate::json::is_unassigned;
use crate::path::ExtensionPath;

pub(super) fn edit(
    tree: &mut Map<String, Value>,
    budget: &mut Budget,
    op: Op,
    path: &ExtensionPath,
    value: Option<Value>,
) -> Result<(), Error> {
    let value = value.filter(|value| op != Op::Remove && !is_unassigned(value));
    let text = path.as_str();
    let member = path.split();
    let (urn, name) = match (stored(tree, text), member) {
        (Some(urn), _) => (urn, None),
        (None, Some((urn, name))) => match (stored(tree, urn), &value) {
            (Some(urn), _) => (urn, Some(name)),
            (None, None) => return Ok(()),
            (None, Some(Value::Object(_))) => (text.to_owned(), None),
            (None, Some(_)) => (urn.to_owned(), Some(name)),
        },
        (None, None) => (text.to_owned(), None),
    };
    let mut extension = match tree.shift_remove(&urn) {
        Some(Value::Object(extension)) => extension,
        _ => Map::new(),
    };
    match (name, value) {
        (None, None) => extension.clear(),
        (None, Some(value)) => {
            for (key, value) in object(value, &urn)? {
                if !key.eq_ignore_ascii_case("schemas") {
                    set(&mut extension, budget, op, &key, Some(value))?;
                }
            }
        }
        (Some(name), value) => match name.split_once('.') {
            None => set(&mut extension, budget, op, name, value)?,
            Some((name, part)) => {
                let key = spelling(&extension, name);
                let mut inner = match extension.shift_remove(&key) {
                    Some(Value::Object(inner)) => inner,
                    _ => Map::new(),
                };
                set(&mut inner, budget, op, part, value)?;
                if !inner.is_empty() {
                    extension.insert(key, Value::Object(inner));
                }
            }
        },
    }
    if !extension.is_empty() {
        tree.insert(urn, Value::Object(extension));
    }
    check_extension_size(tree)
}

/// The spelling under which the extension is stored.
fn stored(tree: &Map<String, Value>, urn: &str) -> Option<String> {
    let mut keys = tree.keys();
    keys.find(|key| key.eq_ignore_ascii_case(urn)).cloned()
}

/// The spelling that a member has already, else the one sent.
fn spelling(members: &Map<String, Value>, name: &str) -> String {
    let mut keys = members.keys();
    let known = keys.find(|key| key.eq_ignore_ascii_case(name));
    known.cloned().unwrap_or_else(|| name.to_owned())
}

fn set(
    members: &mut Map<String, Value>,
    budget: &mut Budget,
    op: Op,
    name: &str,
    value: Option<Value>,
) -> Result<(), Error> {
    // A spelling that is not this one is told apart by a glance.
    budget.charge(1 + members.len() / 16)?;
    let key = spelling(members, name);
    let Some(value) = value.filter(|value| !is_unassigned(value)) else {
        members.shift_remove(&key);
        return Ok(());
    };
    match (op, members.get_mut(&key), value) {
        (Op::Add, Some(Value::Array(stored)), Value::Array(sent)) => {
            budget.charge(sent.len().saturating_mul(stored.len() + sent.len()))?;
            for element in sent {
                if !stored.contains(&element) {
                    stored.push(element);
                }
            }
        }
        (_, _, value) => {
            members.insert(key, value);
        }
    }
    Ok(())
}
