//! What a change did to the attributes of a user, for the feed and the audit log.

use rollcall_scim as scim;
use serde_json::{Map, Value};

use super::User;

/// The paths that differ, such as `name.givenName` or `emails`, and the values before, as JSON
/// text. Both are empty for a new user.
#[must_use]
pub fn changed_paths(before: Option<&User>, after: &User) -> (Vec<String>, String) {
    let Some(before) = before else {
        return (Vec::new(), String::new());
    };
    let (old, new) = (tree(&before.attributes), tree(&after.attributes));
    let mut paths = Vec::new();
    let mut values = Map::new();
    for name in union(&old, &new) {
        if old.get(name) == new.get(name) {
            continue;
        }
        match (old.get(name), new.get(name)) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                for sub in union(old, new) {
                    if old.get(sub) != new.get(sub) {
                        let separator = if name.contains(':') { ':' } else { '.' };
                        let path = format!("{name}{separator}{sub}");
                        values.insert(path.clone(), old.get(sub).cloned().unwrap_or_default());
                        paths.push(path);
                    }
                }
            }
            (old, _) => {
                values.insert(name.clone(), old.cloned().unwrap_or_default());
                paths.push(name.clone());
            }
        }
    }
    if before.access().state != after.access().state {
        values.insert("access".to_owned(), before.access().state.as_str().into());
        paths.push("access".to_owned());
    }
    (paths, Value::Object(values).to_string())
}

fn tree(attributes: &scim::User) -> Map<String, Value> {
    let mut tree = attributes.to_document();
    tree.shift_remove("schemas");
    if let Some(id) = &attributes.external_id {
        tree.insert("externalId".to_owned(), id.as_str().into());
    }
    if let Some(roles) = &attributes.roles {
        tree.insert("roles".to_owned(), scim::user::roles_json(roles));
    }
    tree
}

fn union<'a>(
    a: &'a Map<String, Value>,
    b: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a String> {
    a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)))
}
