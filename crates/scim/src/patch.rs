//! PATCH (RFC 7644, section 3.5.2), with the shapes that Okta and Entra really send.

mod budget;
mod edit;
mod elements;
mod extension;

use serde_json::{Map, Value};

use crate::canonical::Dropped;
use crate::error::{Error, ErrorKind, quote};
use crate::json::find;
use crate::schema;
use crate::user::User;

/// Operations of one request.
pub const MAX_OPERATIONS: usize = 1_000;
/// Comparisons of one request, of each term in brackets and each element sent with each element
/// stored; long texts count more than once.
pub const MAX_COMPARISONS: usize = 100 * MAX_OPERATIONS;

/// What an operation does to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Adds values, or sets what is single-valued.
    Add,
    /// Unassigns.
    Remove,
    /// Sets in place of what was there.
    Replace,
}

impl Op {
    /// Reads the word in any letter case; Entra sends `Add` (S-7644-3.5.2-02).
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Add, Self::Remove, Self::Replace]
            .into_iter()
            .find(|op| op.as_str().eq_ignore_ascii_case(word))
    }

    /// The word in the standard's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
        }
    }
}

/// One operation as it was sent; path and value are judged when it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What to do.
    pub op: Op,
    /// Where, if the client says.
    pub path: Option<String>,
    /// With what. `Some(Value::Null)` is a null that was sent, which clears; `None` is no value.
    pub value: Option<Value>,
}

/// The body of a PATCH request.
#[derive(Clone, Copy, Debug)]
pub struct PatchRequest;

impl PatchRequest {
    /// Reads the operations of a request, without judging their paths and values.
    ///
    /// # Errors
    /// [`InvalidSyntax`](ErrorKind::InvalidSyntax) when it is no PatchOp message;
    /// [`TooLarge`](ErrorKind::TooLarge) above [`MAX_OPERATIONS`].
    pub fn from_json(mut body: Map<String, Value>) -> Result<Vec<Operation>, Error> {
        let is_patch = |urn: &Value| {
            let urn = urn.as_str().unwrap_or_default();
            urn.eq_ignore_ascii_case(schema::PATCH_OP)
        };
        let schemas = find(&body, "schemas").and_then(Value::as_array);
        if !schemas.is_some_and(|urns| urns.iter().any(is_patch)) {
            return Err(Error::syntax(format!(
                "schemas lacks {}; add it",
                quote(schema::PATCH_OP)
            )));
        }
        let key = body
            .keys()
            .find(|key| key.eq_ignore_ascii_case("Operations"));
        let operations = match key.cloned().and_then(|key| body.remove(&key)) {
            Some(Value::Array(operations)) if !operations.is_empty() => operations,
            _ => {
                return Err(Error::syntax(
                    "Operations is missing or empty; send an array of operations",
                ));
            }
        };
        if operations.len() > MAX_OPERATIONS {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the request has {} operations; send at most {MAX_OPERATIONS}",
                    operations.len()
                ),
            ));
        }
        operations
            .into_iter()
            .enumerate()
            .map(|(index, one)| operation(one).map_err(|error| error.in_operation(index + 1)))
            .collect()
    }
}

fn operation(value: Value) -> Result<Operation, Error> {
    let Value::Object(mut members) = value else {
        return Err(Error::syntax(
            "it is no object; send one with op, path and value",
        ));
    };
    let mut take = |name: &str| {
        let key = members.keys().find(|key| key.eq_ignore_ascii_case(name));
        key.cloned().and_then(|key| members.remove(&key))
    };
    let op = match take("op") {
        Some(Value::String(word)) => Op::parse(&word),
        _ => None,
    };
    let op =
        op.ok_or_else(|| Error::syntax("op is missing or unknown; send add, remove or replace"))?;
    let path = match take("path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) => Some(path),
        Some(_) => return Err(Error::path("path is no string; send one")),
    };
    let value = take("value");
    Ok(Operation { op, path, value })
}

/// What a PATCH makes of a user.
#[derive(Clone, Debug, PartialEq)]
pub struct Patched {
    /// The user afterwards; equal to the one before when nothing changed.
    pub user: User,
    /// Whether an operation named `roles`, be it without effect.
    pub roles_touched: bool,
    /// What was sent and not stored.
    pub dropped: Dropped,
}

/// Applies all operations in their order, or none (S-7644-3.5.2-03, -04).
///
/// # Errors
/// That of the first operation that fails; its `detail` starts with `operation 2: `, counted
/// from 1; [`TooLarge`](ErrorKind::TooLarge) when all of them together let the user grow too large.
pub fn apply(user: &User, operations: &[Operation]) -> Result<Patched, Error> {
    let mut editor = edit::Editor::new(user);
    for (index, operation) in operations.iter().enumerate() {
        editor
            .operate(operation)
            .map_err(|error| error.in_operation(index + 1))?;
    }
    let patched = editor.finish()?;
    patched.user.check_growth(user)?;
    Ok(patched)
}

#[cfg(test)]
mod tests;
