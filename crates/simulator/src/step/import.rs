//! Import "To Okta": the walk over all pages.

use std::collections::HashMap;

use serde_json::Value;

use super::{FINAL_IMPORT, IMPORT};
use crate::check::Check;
use crate::client::Call;
use crate::run::Ids;
use crate::world::{PAGE, User, World};

/// Reads all users before anything is changed.
pub(crate) async fn import(world: &World<'_>) -> Option<Ids> {
    world.begin(IMPORT);
    let ids = walk(world, IMPORT, |_, _| {}).await;
    if !world.is_over() {
        world.end(IMPORT);
    }
    ids
}

/// Reads all users again: the run's own as it left them, and none of the `known` ones lost.
pub(crate) async fn final_import(world: &World<'_>, users: &[User], known: &Ids) {
    world.begin(FINAL_IMPORT);
    let own: HashMap<&str, &User> = users
        .iter()
        .filter_map(|user| Some((user.link.as_ref()?.id.as_str(), user)))
        .collect();
    let seen = walk(world, FINAL_IMPORT, |check, resource| {
        let id = resource
            .get("id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if let Some(user) = own.get(id) {
            let check = check.about(user.name());
            check.state(resource, &world.expected(user.link.as_ref(), &user.state));
        }
    })
    .await;
    if let Some(seen) = seen {
        for (id, user) in own.iter().filter(|(id, _)| !seen.contains(**id)) {
            lost(world, Some(user.name()), id);
        }
        for id in known
            .iter()
            .filter(|id| !seen.contains(*id) && !own.contains_key(id.as_str()))
        {
            lost(world, None, id);
        }
    }
    world.end(FINAL_IMPORT);
}

fn lost(world: &World<'_>, user: Option<&str>, id: &str) {
    let call = Call {
        user,
        ..page_call(FINAL_IMPORT, 1)
    };
    let mut failure = call.failure(
        &format!("user {id:?} on one of the pages"),
        "none".to_owned(),
    );
    "Resources".clone_into(&mut failure.field);
    world.journal.fail(failure);
}

/// Okta: always steps by what it asked for, whatever the page held.
pub(crate) async fn walk(
    world: &World<'_>,
    step: &'static str,
    mut visit: impl FnMut(&Check<'_>, &Value),
) -> Option<Ids> {
    let mut ids = Ids::new();
    let mut names = Ids::new();
    let mut start = 1;
    loop {
        let call = page_call(step, start);
        let answer = world.client.send(&call).await?;
        let check = Check::new(world.journal, &call, &answer);
        let page = check.page(start, PAGE)?;
        for user in page.resources {
            check.user(user);
            let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default();
            if !ids.insert(text("id").to_owned()) {
                check.fail("id", "each user once", format!("{:?} twice", text("id")));
            }
            if !names.insert(text("userName").to_lowercase()) {
                let got = format!("{:?} twice", text("userName"));
                check.fail("userName", "each name once", got);
            }
            visit(&check, user);
        }
        start += PAGE;
        if start > page.total {
            return Some(ids);
        }
        let [seen, total] =
            [start - 1, page.total].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        world.note(step, seen, total);
    }
}

fn page_call(step: &'static str, start: u64) -> Call<'static> {
    Call::get(step, format!("/Users?startIndex={start}&count={PAGE}"))
}
