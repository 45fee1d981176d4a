//! Everything that was sent and answered, and whether each user is wholly as one write left it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::check::{Check, shown};
use crate::client::Call;
use crate::journal::Journal;
use crate::options::Options;
use crate::record::{AnsweredWrite, Recorder, SentWrite};
use crate::report::Report;
use crate::run::Silent;
use crate::state::{self, MANAGED, State, same_roles};
use crate::step;
use crate::world::World;

/// A [`Recorder`] that keeps everything, over any number of runs.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    answered: Vec<AnsweredWrite>,
    /// By Okta's own id.
    users: BTreeMap<String, History>,
}

/// What a user may be like now.
#[derive(Clone, Debug, Default)]
struct History {
    /// After the last answered write.
    certain: Option<State>,
    /// After each later one, in the order in which they were sent.
    unanswered: Vec<State>,
}

impl Ledger {
    /// The answered writes, those of one user in their order.
    #[must_use]
    pub fn writes(&self) -> Vec<AnsweredWrite> {
        self.entries().answered.clone()
    }

    /// How many writes were sent whose answer never came.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        let entries = self.entries();
        entries.users.values().map(|one| one.unanswered.len()).sum()
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Ledger {
    fn sending(&self, write: &SentWrite) {
        let mut entries = self.entries();
        let user = entries.users.entry(write.external_id.clone()).or_default();
        user.unanswered.push(write.state.clone());
    }

    fn answered(&self, write: &AnsweredWrite) {
        let mut entries = self.entries();
        entries.answered.push(write.clone());
        let user = entries.users.entry(write.external_id.clone()).or_default();
        if let Some(state) = user.unanswered.pop() {
            user.certain = Some(state);
            user.unanswered.clear();
        }
    }
}

/// Checks that no write is half done: each user of the `ledger` is, with all attributes and roles,
/// as its last answered write left it, or as one that was sent after that and never answered would.
/// A user whose create was never answered may be absent.
///
/// Walks over all users of the service, and waits for one that is just starting, as long as
/// [`Options::reconnect_for`].
pub async fn verify_whole(options: &Options, ledger: &Ledger) -> Report {
    let journal = Journal::start();
    let world = World::new(options, &journal, &Silent);
    world.client.expect_start();
    let mut awaited = ledger.entries().users.clone();
    let total = awaited.len();
    world.begin(step::VERIFY);
    let walked = step::walk(&world, step::VERIFY, |check, user| {
        let external_id = state::EXTERNAL_ID.read(user).and_then(Value::as_str);
        if let Some(history) = external_id.and_then(|id| awaited.remove(id)) {
            let name = state::USER_NAME.read(user).and_then(Value::as_str);
            history.judge(&check.about(name.unwrap_or_default()), &State::read(user));
        }
    })
    .await;
    if walked.is_some() {
        for certain in awaited.into_values().filter_map(|one| one.certain) {
            let call = Call::get(step::VERIFY, "/Users").of(certain.text(state::USER_NAME));
            journal.fail(call.failure("the user, whose write was answered", "none".to_owned()));
        }
    }
    drop(world);
    let base = &options.base_url;
    journal.report(format!(
        "Sent writes of {total} users, each wholly there or absent, at {base}"
    ))
}

impl History {
    fn judge(&self, check: &Check<'_>, found: &State) {
        let allowed = self.certain.iter().chain(&self.unanswered);
        let mut any = allowed.clone();
        if any.any(|state| state.is_same(found)) {
            return;
        }
        // The fewest differences: what a half-done write comes closest to.
        let nearest = allowed
            .map(|state| differences(state, found))
            .min_by_key(Vec::len);
        for (field, expected, got) in nearest.unwrap_or_default() {
            check.fail(&field, expected, got);
        }
    }
}

/// Where two states differ, in words.
fn differences(state: &State, found: &State) -> Vec<(String, String, String)> {
    let mut differences: Vec<_> = MANAGED
        .into_iter()
        .filter(|attribute| !state.agrees(*attribute, found.get(*attribute)))
        .map(|attribute| {
            let [expected, got] = [state, found].map(|one| shown(one.get(attribute)));
            (attribute.to_string(), expected, got)
        })
        .collect();
    if !same_roles(&state.roles, &found.roles) {
        let [expected, got] = [state, found].map(|one| Value::from(one.roles.clone()).to_string());
        differences.push(("roles".to_owned(), expected, got));
    }
    if state.active != found.active {
        let [expected, got] = [state, found].map(|one| one.active.to_string());
        differences.push(("active".to_owned(), expected, got));
    }
    differences
}
