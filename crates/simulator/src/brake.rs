//! A mistake in Okta: everybody is taken off the app at once.

use std::fmt;
use std::time::Duration;

use crate::client::Call;
use crate::journal::Journal;
use crate::options::Options;
use crate::report::Report;
use crate::run::{Progress, assign_all, linked, title};
use crate::step;
use crate::world::{User, World, Written};

/// What a service did when everybody was deactivated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrakeReport {
    /// All requests, and what was wrong with their answers.
    pub report: Report,
    /// How many users were deactivated before the service said stop.
    pub deactivated: usize,
    /// How many deactivations the service has put off by 429.
    pub waiting: usize,
    /// The longest `Retry-After` that came with a 429.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for BrakeReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.report)?;
        write!(
            out,
            "{} users deactivated, {} put off",
            self.deactivated, self.waiting
        )?;
        match self.retry_after {
            Some(wait) => write!(out, " for {wait:?}"),
            None => Ok(()),
        }
    }
}

/// Assigns all users, then deactivates them one by one without waiting when the service says stop.
///
/// Expects 429 with an integer `Retry-After` and a SCIM error at some point, that users whose
/// deactivation is put off stay active, and that other writes go on. Nobody is reactivated, so that
/// the decision can be made in the console; [`crate::run`] assigns everybody again.
pub async fn run_brake(options: &Options, progress: &dyn Progress) -> BrakeReport {
    let journal = Journal::start();
    let world = World::new(options, &journal, progress);
    // Okta would wait and repeat; here the refusal is what is looked at.
    let impatient = Options {
        longest_wait: Some(Duration::ZERO),
        ..options.clone()
    };
    let hasty = World::new(&impatient, &journal, progress).taking_refusal();
    let mut outcome = Outcome::default();

    if step::connection_test(&world).await {
        let mut users = assign_all(&world).await;
        deactivate_all(&world, &hasty, &mut users, &mut outcome).await;
    }
    drop((world, hasty));
    BrakeReport {
        report: journal.report(title(options, "taking everybody off")),
        deactivated: outcome.deactivated,
        waiting: outcome.waiting,
        retry_after: outcome.retry_after,
    }
}

#[derive(Default)]
struct Outcome {
    deactivated: usize,
    waiting: usize,
    retry_after: Option<Duration>,
}

async fn deactivate_all(
    world: &World<'_>,
    hasty: &World<'_>,
    users: &mut [User],
    outcome: &mut Outcome,
) {
    if world.is_over() {
        return;
    }
    world.journal.open(step::BRAKE);
    let total = users.len();
    for (done, user) in linked(users).enumerate() {
        let written = hasty.set_active(step::BRAKE, user, false).await;
        if world.is_over() {
            return;
        }
        if let Written::PutOff(wait) = written {
            outcome.waiting += 1;
            outcome.retry_after = outcome.retry_after.max(Some(wait));
            // The user is still active, and everything else about it can be written.
            world.fetch(step::BRAKE, user).await;
            if outcome.waiting == 1 {
                step::update(world, user).await;
            }
        } else if written == Written::Yes {
            outcome.deactivated += 1;
        }
        world.note(step::BRAKE, done + 1, total);
    }
    if outcome.waiting == 0 {
        let call = Call::get(step::BRAKE, "/Users");
        let got = format!("{} deactivations without one", outcome.deactivated);
        world
            .journal
            .fail(call.failure("a 429 before everybody is deactivated", got));
    }
}
