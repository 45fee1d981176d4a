//! Profile updates: changed, emptied and renamed, and back again.

use serde_json::json;

use super::UPDATE;
use crate::change::Change;
use crate::person::email;
use crate::state::{
    DEPARTMENT, EMAILS, FAMILY_NAME, GIVEN_NAME, NICK_NAME, PHONE_NUMBERS, State, TITLE, USER_NAME,
};
use crate::world::{User, World};

/// The name of a user between its two renames.
pub(crate) fn renamed(name: &str) -> String {
    format!("renamed.{name}")
}

/// Changes the profile, pushes empty values, renames, and leaves the first profile behind.
pub(crate) async fn update(world: &World<'_>, user: &mut User) {
    let mut changed = user.state.clone();
    changed.set(GIVEN_NAME, "Maëlle");
    changed.set(FAMILY_NAME, "Married-Name");
    changed.set(TITLE, "Head of \"Everything\"");
    changed.set(DEPARTMENT, "R&D / Résearch");
    changed.set(NICK_NAME, "Mae");
    changed.set(
        PHONE_NUMBERS,
        json!([{"value": "+49 30 123456", "type": "work"}]),
    );
    world.change(UPDATE, user, Change::to(changed)).await;
    world.fetch(UPDATE, user).await;

    // Okta: "push empty values" comes in all three forms, and all mean the same.
    let emptied = Change::to(user.state.clone())
        .empty(TITLE, json!(""))
        .empty(NICK_NAME, json!(null))
        .empty(PHONE_NUMBERS, json!([]));
    world.change(UPDATE, user, emptied).await;
    world.fetch(UPDATE, user).await;

    let mut other = user.state.clone();
    other.set(USER_NAME, renamed(&user.person.user_name));
    other.set(EMAILS, email(&renamed(&user.person.email)));
    world.change(UPDATE, user, Change::to(other)).await;
    let name = user.state.text(USER_NAME).to_owned();
    world.expect_found(UPDATE, user, &name).await;

    let first = State {
        roles: user.state.roles.clone(),
        ..user.person.profile()
    };
    world.change(UPDATE, user, Change::to(first)).await;
    world.fetch(UPDATE, user).await;
}
