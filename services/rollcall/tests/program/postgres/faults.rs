//! Okta provisions while something breaks: a process is killed, PostgreSQL restarts or crashes, its
//! connections are cut, every connection of the pools is taken, a service is away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rollcall_simulator::{Access, Ledger, Mode, Options, Silent, verify_recorded, verify_whole};
use sea_orm::{ConnectionTrait, TransactionTrait};

use super::server::Server;
use crate::agree::agrees;
use crate::kill::cut::Cut;
use crate::mirror::Mirror;
use crate::program::rounds;
use crate::serve::cluster::{Cluster, Layout};

/// How long everything may take to work again without help.
const RECOVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill(&'static str),
    Restart,
    Crash,
    Cut,
    /// Nothing of the users can be read nor written, until every connection of the pools waits.
    Exhaust,
    Away(&'static str),
}

const FAULTS: [Fault; 9] = [
    Fault::Kill("gateway"),
    Fault::Kill("provisioning"),
    Fault::Kill("permissions"),
    Fault::Kill("verification"),
    Fault::Restart,
    Fault::Crash,
    Fault::Cut,
    Fault::Exhaust,
    Fault::Away("provisioning"),
];

const MODES: [Mode; 3] = [Mode::Wizard, Mode::Oin, Mode::OinPatch];

struct Story {
    server: Server,
    cluster: Cluster,
    ledger: Arc<Ledger>,
    mirror: Mirror,
    /// The longest recovery.
    slowest: Duration,
    /// How many requests were repeated on a new connection, since theirs broke.
    broken: usize,
}

#[tokio::test(flavor = "multi_thread")] // rule: REL-06 (part), REL-07 (part), U-12 (part), D-06 (part)
async fn nothing_that_was_answered_is_lost_whatever_breaks_while_okta_provisions() {
    let server = Server::start().await;
    let cluster = Cluster::start_on(Layout::Each, &server.url()).await;
    let mut story = Story {
        server,
        cluster,
        ledger: Arc::default(),
        mirror: Mirror::default(),
        slowest: Duration::ZERO,
        broken: 0,
    };
    let mut random = StdRng::seed_from_u64(1);
    let rounds = rounds(30, FAULTS.len());

    for round in 0..rounds {
        let fault = FAULTS[round % FAULTS.len()];
        story.round(round, fault, &mut random).await;
    }

    println!(
        "figure: faults while Okta provisions, each service in a process of its own on PostgreSQL: \
         {rounds} rounds over {} kinds, {} writes answered, 0 lost, 0 doubled; {} requests repeated \
         since their connection broke; the longest recovery {} ms",
        FAULTS.len(),
        story.ledger.writes().len(),
        story.broken,
        story.slowest.as_millis(),
    );
}

impl Story {
    async fn round(&mut self, round: usize, fault: Fault, random: &mut StdRng) {
        let mode = MODES[round % MODES.len()];
        let users = rounds(40, 10);
        // Somewhere in the run, of which each user is some six writes.
        let moment = random.random_range(1..users * 5);
        let place = format!("round {round}, {mode}, {fault:?} after answer {moment}");
        eprintln!("{place}");
        let cut = Cut::new(self.ledger.clone(), moment);
        let mut options = self.options(mode, round, users);
        options.recorder = Some(cut.clone());

        let run = tokio::spawn(async move { rollcall_simulator::run(&options, &Silent).await });
        cut.reached().await;
        self.happen(fault).await;
        let begun = Instant::now();
        let recovered = tokio::time::timeout(RECOVERY, self.recovered()).await;
        recovered.unwrap_or_else(|_| panic!("{place}: it does not recover"));
        self.slowest = self.slowest.max(begun.elapsed());
        let report = run.await.unwrap();

        assert!(report.passed(), "{place}: {report}");
        self.broken += report.reconnected;
        let options = self.options(mode, round, users);
        let kept = verify_recorded(&options, &self.ledger.writes()).await;
        assert!(kept.passed(), "{place}: {kept}");
        let whole = verify_whole(&options, &self.ledger).await;
        assert!(whole.passed(), "{place}: {whole}");
        agrees(&self.cluster, &mut self.mirror).await;
    }

    async fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(name) => {
                self.cluster.kill(name).await;
                self.cluster.begin(name).await;
            }
            Fault::Restart => self.server.restart().await,
            Fault::Crash => self.server.crash().await,
            Fault::Cut => {
                let connection = self.server.connect("postgres").await;
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE datname = 'rollcall'";
                connection.execute_unprepared(cut).await.unwrap();
                connection.close().await.unwrap();
            }
            Fault::Exhaust => self.exhaust().await,
            Fault::Away(name) => {
                self.cluster.kill(name).await;
                tokio::time::sleep(Duration::from_secs(rounds(60, 3) as u64)).await;
                self.cluster.begin(name).await;
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "no store locks a whole table")]
    async fn exhaust(&self) {
        let connection = self.server.connect("rollcall").await;
        let tx = connection.begin().await.unwrap();
        let lock = "LOCK TABLE provisioning.users IN ACCESS EXCLUSIVE MODE";
        tx.execute_unprepared(lock).await.unwrap();
        // Longer than a call waits for a connection.
        tokio::time::sleep(Duration::from_secs(7)).await;
        tx.rollback().await.unwrap();
        connection.close().await.unwrap();
    }

    /// Waits until every process is ready, and Okta is answered.
    async fn recovered(&self) {
        for name in ["gateway", "provisioning", "permissions", "verification"] {
            self.cluster.until_ready(name).await;
        }
        self.cluster.until_answered(0).await;
    }

    fn options(&self, mode: Mode, round: usize, users: usize) -> Options {
        let mut options = Options::new(self.cluster.scim(0), self.cluster.token.clone());
        options.mode = mode;
        options.seed = round as u64 + 1;
        options.users = users;
        options.roles = vec!["Sales Manager".to_owned()];
        options.expect_access = Some(Access::Active);
        // A service may be away for a minute, and says each second that it is.
        options.tries = 200;
        options.recorder = Some(self.ledger.clone());
        options
    }
}
