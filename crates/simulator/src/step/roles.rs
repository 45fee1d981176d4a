//! Roles, in the shapes that administrators' mappings produce.

use serde_json::json;

use super::ROLES;
use crate::change::{Change, Roles};
use crate::state::State;
use crate::world::{User, World};

/// Sets roles, writes without them, and takes them from some users again.
pub(crate) async fn roles(world: &World<'_>, user: &mut User) {
    let Some((sent, roles)) = user.person.roles(&world.options.roles) else {
        return;
    };
    let after = State {
        roles,
        ..user.state.clone()
    };
    world
        .change(ROLES, user, Change::to(after).with_roles(Roles::Sent(sent)))
        .await;
    world.fetch(ROLES, user).await;

    // An app that does not map roles leaves the key out, and must not take them away.
    let same = Change::to(user.state.clone()).with_roles(Roles::Omitted);
    world.change(ROLES, user, same).await;
    world.fetch(ROLES, user).await;

    if user.person.loses_roles() {
        let after = State {
            roles: Vec::new(),
            ..user.state.clone()
        };
        world
            .change(
                ROLES,
                user,
                Change::to(after).with_roles(Roles::Sent(json!([]))),
            )
            .await;
        world.fetch(ROLES, user).await;
    }
}
