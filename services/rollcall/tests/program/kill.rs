//! `kill -9` of the whole program while Okta provisions: what was answered stays, what was not is
//! wholly done or not at all, and everything that tells of users tells the same.

pub(crate) mod cut;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rollcall_rpc::Backend;
use rollcall_simulator::{Access, Ledger, Mode, Options, Silent, verify_recorded, verify_whole};
use serde_json::Value;
use tempfile::TempDir;

use crate::agree::{Reached, agrees};
use crate::mirror::Mirror;
use crate::program::{Program, rounds};
use cut::Cut;

const MODES: [Mode; 3] = [Mode::Wizard, Mode::Oin, Mode::OinPatch];
/// Repeats the moments of a run that failed.
const SEED: &str = "ROLLCALL_TEST_SEED";
/// A kill that comes some time after an answer comes up to so many microseconds after it: about as
/// long as a write takes, of which several are always under way.
const AFTER: u64 = 10_000;

#[tokio::test(flavor = "multi_thread")] // rule: REL-07 (part), REL-06 (part), U-12 (part)
async fn kill_9_loses_no_answered_write_and_leaves_none_half_done() {
    let seed = match std::env::var(SEED) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => rand::random(),
    };
    eprintln!("the moments come from {SEED}={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = TempDir::new().unwrap();
    let mut story = Story::begin(folder.path()).await;
    let rounds = rounds(20, 3);

    for round in 0..rounds {
        // Each round in its own part of the run, so that together they are spread over all of it.
        let part = random.random_range(0..1_000);
        let moment = |answers: usize| 1 + (round * 1_000 + part) * answers / (rounds * 1_000);
        // At once finds answers that leave before the COMMIT, some time after it all the rest.
        let at_once = random.random_bool(0.5);
        let after = Duration::from_micros(random.random_range(0..AFTER)) * u32::from(!at_once);
        story.round(round, moment, after).await;
    }

    println!(
        "figure: kill -9 of the program while Okta provisions: {rounds} rounds, {} writes \
         answered, 0 lost; {} under way, each wholly done or not at all",
        story.ledger.writes().len(),
        story.under_way,
    );
}

/// The program on one folder, and everybody who deals with it.
struct Story {
    program: Program,
    ledger: Arc<Ledger>,
    mirror: Mirror,
    /// How many writes of a whole run are answered, by mode.
    answers: Vec<usize>,
    /// How many writes were not answered because of a kill.
    under_way: usize,
}

impl Story {
    /// Starts it, and plays each mode once undisturbed.
    async fn begin(folder: &Path) -> Self {
        let mut story = Self {
            program: Program::start(folder).await,
            ledger: Arc::default(),
            mirror: Mirror::default(),
            answers: Vec::new(),
            under_way: 0,
        };
        for (mode, seed) in MODES.into_iter().zip(1..) {
            let before = story.ledger.writes().len();
            story.plays_whole(mode, seed).await;
            story.answers.push(story.ledger.writes().len() - before);
        }
        story.mirror.catch_up(&story.program.backend().await).await;
        story
    }

    /// Okta provisions new users until the program is killed; the program starts again.
    async fn round(&mut self, round: usize, moment: impl Fn(usize) -> usize, after: Duration) {
        let (which, seed) = (round % MODES.len(), round as u64 + 100);
        let mode = MODES[which];
        let moment = moment(self.answers[which]);
        let place = format!("round {round}, {mode}, killed {after:?} after answer {moment}");
        eprintln!("{place}");
        let follower =
            tokio::spawn(std::mem::take(&mut self.mirror).follow(self.program.backend().await));

        let cut = Cut::new(self.ledger.clone(), moment);
        let mut options = self.options(mode, seed);
        options.recorder = Some(cut.clone());
        // What is away stays away.
        options.reconnect_for = Duration::ZERO;
        let mut run = tokio::spawn(async move { rollcall_simulator::run(&options, &Silent).await });
        // On a busy machine a moment near the end may be noticed only after it.
        let whole = tokio::select! {
            () = cut.reached() => None,
            report = &mut run => Some(report),
        };
        // Even a sleep of nothing would last up to a millisecond.
        if !after.is_zero() {
            tokio::time::sleep(after).await;
        }
        self.program.kill().await;
        cut.end();
        let report = match whole {
            Some(report) => report.unwrap(),
            None => run.await.unwrap(),
        };
        let is_broken = |failure: &rollcall_simulator::Failure| failure.field == "answer";
        assert!(report.failures.iter().all(is_broken), "{place}: {report}");
        self.mirror = follower.await.unwrap();
        self.under_way += self.ledger.unanswered();

        self.program.restart().await;

        let options = self.options(mode, seed);
        let kept = verify_recorded(&options, &self.ledger.writes()).await;
        assert!(kept.passed(), "{place}: {kept}");
        let whole = verify_whole(&options, &self.ledger).await;
        assert!(whole.passed(), "{place}: {whole}");
        agrees(&self.program, &mut self.mirror).await;
        self.plays_whole(mode, seed).await;
        agrees(&self.program, &mut self.mirror).await;
    }

    /// Plays a whole run; every answer is as it must be.
    async fn plays_whole(&self, mode: Mode, seed: u64) {
        let options = self.options(mode, seed);
        let report = rollcall_simulator::run(&options, &Silent).await;
        assert!(report.passed(), "{report}");
    }

    fn options(&self, mode: Mode, seed: u64) -> Options {
        let account = self.program.account("acme");
        let base = self.program.handshake.scim_base_url.clone();
        let mut options = Options::new(base, account.scim_token.clone());
        options.mode = mode;
        options.seed = seed;
        options.users = rounds(100, 10);
        options.email_domain.clone_from(&account.email_domain);
        options.roles.clone_from(&account.roles);
        options.expect_access = Some(Access::Active);
        options.recorder = Some(self.ledger.clone());
        options
    }
}

impl Reached for Program {
    async fn provisioning(&self) -> Backend {
        self.backend().await
    }

    async fn permissions(&self) -> Backend {
        self.backend().await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.scim("GET", path, None).await
    }
}
