//! Who may call which method: the `access` option of the proto files, as a table.

/// One method and its rule.
#[derive(Debug)]
pub struct Method {
    /// The path of the call, `/package.Service/Method`.
    pub path: &'static str,
    /// The kinds of caller, by their number in `rollcall.common.v1.CallerKind`.
    pub callers: &'static [i32],
    /// The scope that a platform's token needs; empty where no platform may call.
    pub scope: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/access.rs"));

/// The rule of the method with that path; `None` for a path that is no method of ours.
#[must_use]
pub fn find(path: &str) -> Option<&'static Method> {
    METHODS
        .binary_search_by(|method| method.path.cmp(path))
        .ok()
        .and_then(|at| METHODS.get(at))
}

/// Every method, sorted by path.
#[must_use]
pub fn methods() -> &'static [Method] {
    METHODS
}
