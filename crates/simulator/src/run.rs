//! The whole story, step by step.

use std::collections::HashSet;
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
/// the connection test if that fails; everything else goes on, so that one report shows all that is
/// wrong. Every user that could be assigned ends active, with its first profile, unless its
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
    let mut users = people(world.options);

    world
        .each(step::ASSIGN, users.iter_mut(), |user| {
            step::assign(world, user)
        })
        .await;
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
    step::errors(world).await;
    step::final_import(world, &users, &known).await;
}

/// The people of the run, not yet assigned.
pub(crate) fn people(options: &Options) -> Vec<User> {
    (0..options.users)
        .map(|number| User::new(Person::new(options, number)))
        .collect()
}

/// Those who could be assigned.
pub(crate) fn linked(users: &mut [User]) -> impl Iterator<Item = &mut User> {
    users.iter_mut().filter(|user| user.link.is_some())
}

/// The ids of users that an import has seen.
pub(crate) type Ids = HashSet<String>;
