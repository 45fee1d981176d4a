//! The whole story, step by step.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::journal::Journal;
use crate::options::Options;
use crate::person::Person;
use crate::report::Report;
use crate::step;
use crate::world::{User, World};

/// Hears how far a run is; all methods are called often and must return at once.
pub trait Progress: Send + Sync {
    /// `done` of `total` parts of the step are done.
    fn step(&self, name: &str, done: usize, total: usize);

    /// The service asked by `status` to wait; the request is repeated after `wait`.
    fn waiting(&self, wait: Duration, status: u16) {
        let _ = (wait, status);
    }

    /// Nobody has answered any request for this long; the run ends if that lasts as long as `limit`.
    fn away(&self, away: Duration, limit: Duration) {
        let _ = (away, limit);
    }
}

/// A [`Progress`] that tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _name: &str, _done: usize, _total: usize) {}
}

/// Plays Okta against a service and checks every answer.
///
/// Steps follow one another, users within a step are worked on at the same time. The run stops after
/// the connection test if that fails, and when the service stays away for as long as
/// [`Options::reconnect_for`]; everything else goes on, so that one report shows all that is wrong.
/// Every user that could be assigned ends active, with its first profile, unless its
/// reactivation failed. Safe to repeat with the same options.
pub async fn run(options: &Options, progress: &dyn Progress) -> Report {
    let journal = Journal::start();
    let world = World::new(options, &journal, progress);
    play(&world).await;
    drop(world);
    journal.report(title(options, "as"))
}

/// The first line of a report.
pub(crate) fn title(options: &Options, verb: &str) -> String {
    let Options {
        mode,
        users,
        seed,
        base_url,
        ..
    } = options;
    let base_url = base_url.trim_end_matches('/');
    format!("Okta {verb} {mode} app, {users} users, seed {seed}, {base_url}")
}

async fn play(world: &World<'_>) {
    if !step::connection_test(world).await {
        return;
    }
    let known = step::import(world).await.unwrap_or_default();
    let mut users = assign_all(world).await;

    world
        .each(step::CONFLICT, linked(&mut users), |user| {
            step::conflict(world, user)
        })
        .await;
    world
        .each(step::UPDATE, linked(&mut users), |user| {
            step::update(world, user)
        })
        .await;
    if !world.options.roles.is_empty() {
        world
            .each(step::ROLES, linked(&mut users), |user| {
                step::roles(world, user)
            })
            .await;
    }
    let leaving = |user: &&mut User| user.person.is_deactivated();
    let leavers = linked(&mut users).filter(leaving);
    world
        .each(step::DEACTIVATE, leavers, |user| {
            step::deactivate(world, user)
        })
        .await;
    let leavers = linked(&mut users).filter(leaving);
    world
        .each(step::REACTIVATE, leavers, |user| {
            step::reactivate(world, user)
        })
        .await;
    if world.is_over() {
        return;
    }
    step::errors(world).await;
    if world.is_over() {
        return;
    }
    step::final_import(world, &users, &known).await;
}

/// Assigns the people of the run, who are made only when it is their turn.
pub(crate) async fn assign_all(world: &World<'_>) -> Vec<User> {
    let total = world.options.users;
    let users = Mutex::new(Vec::new());
    world
        .each_of(step::ASSIGN, total, 0..total, async |number| {
            let mut user = User::new(Person::new(world.options, number));
            step::assign(world, &mut user).await;
            users
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(user);
        })
        .await;
    let mut users = users.into_inner().unwrap_or_else(PoisonError::into_inner);
    users.sort_by_key(|user| user.person.number);
    users
}

/// Those who could be assigned.
pub(crate) fn linked(users: &mut [User]) -> impl Iterator<Item = &mut User> {
    users.iter_mut().filter(|user| user.link.is_some())
}

/// The ids of users that an import has seen.
pub(crate) type Ids = HashSet<String>;
