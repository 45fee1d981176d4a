//! Assignment to the app: existence check, then create or re-assignment.

use http::{Method, StatusCode};
use serde_json::Value;

use super::ASSIGN;
use crate::change::{Change, create};
use crate::check::Check;
use crate::client::{Call, Sent};
use crate::options::Mode;
use crate::state::State;
use crate::step::profile::renamed;
use crate::world::{Link, Lookup, User, World, Written};

/// How often a create is tried whose answers are lost.
const TRIES: u32 = 5;

enum Created {
    Yes,
    /// Nobody knows; the existence check will tell.
    Maybe,
    /// The service says that there is such a user already.
    Taken,
    No,
}

/// Assigns one user, as Okta does it whether or not the service knows the user already.
pub(crate) async fn assign(world: &World<'_>, user: &mut User) {
    let mut is_unsure = false;
    for _ in 0..TRIES {
        match world
            .look_up(ASSIGN, user.name(), &user.person.user_name)
            .await
        {
            Lookup::Unknown => return,
            Lookup::Found(found) => return reassign(world, user, &found).await,
            Lookup::Absent => {}
        }
        match post(world, user, is_unsure).await {
            Created::Yes | Created::No => return,
            Created::Maybe => is_unsure = true,
            // A run that was broken off between its renames left the user under the other name.
            Created::Taken => {
                let name = renamed(&user.person.user_name);
                if let Lookup::Found(found) = world.look_up(ASSIGN, user.name(), &name).await {
                    return reassign(world, user, &found).await;
                }
                is_unsure = true;
            }
        }
    }
    let call = Call::write(ASSIGN, Method::POST, "/Users", &Value::Null).of(user.name());
    let got = format!("none, {TRIES} times");
    world
        .journal
        .fail(call.failure("a user, created or found", got));
}

async fn post(world: &World<'_>, user: &mut User, is_unsure: bool) -> Created {
    let mut state = user.person.profile();
    let roles = user
        .person
        .roles(&world.options.roles)
        .filter(|_| user.person.is_created_with_roles())
        .map(|(sent, roles)| {
            state.roles = roles;
            sent
        });
    let body = create(&user.person, &state, roles.as_ref());
    let call = Call::write(ASSIGN, Method::POST, "/Users", &body).of(&user.person.user_name);
    world.sending(&state);
    let answer = match world.client.send_once(&call).await {
        Sent::Answer(answer) => answer,
        Sent::Lost => return Created::Maybe,
        Sent::Failed => return Created::No,
    };
    if answer.status == StatusCode::CONFLICT && !is_unsure {
        return Created::Taken;
    }
    let check = Check::new(world.journal, &call, &answer);
    if answer.status == StatusCode::CONFLICT {
        check.error(409, Some("uniqueness"));
        return Created::Maybe;
    }
    let Some(created) = check.one_user(201) else {
        return Created::No;
    };
    check.header("Location");
    check.state(created, &world.expected(None, &state));
    user.link = Link::to(created);
    user.state = state;
    world.record(user);
    Created::Yes
}

/// Okta: no POST; the found user is read, refreshed and made active, and keeps its id.
async fn reassign(world: &World<'_>, user: &mut User, found: &Value) {
    user.link = Link::to(found);
    user.state = State::read(found);
    let mode = world.options.mode;
    let mut after = user.person.profile();
    after.roles.clone_from(&user.state.roles);
    if mode != Mode::Wizard {
        // A catalog app activates by a PATCH of its own.
        after.active = user.state.active;
    }
    if mode == Mode::OinPatch && world.fetch(ASSIGN, user).await.is_none() {
        return;
    }
    let refreshed = Change {
        refresh: true,
        ..Change::to(after)
    };
    if world.change(ASSIGN, user, refreshed).await == Written::Yes && mode != Mode::Wizard {
        world.set_active(ASSIGN, user, true).await;
    }
}
