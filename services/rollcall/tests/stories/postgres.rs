//! What happens to Okta while PostgreSQL loses its connections.
//!
//! These need a server: `cargo xtask test` starts one, and runs them there alone.

use std::time::{Duration, Instant};

use rollcall_simulator::{Access, Mode, Options, Silent};
use rollcall_store::testing;

use crate::world::{World, rounds, user};

/// Between two cuts: longer than who was refused is told to wait.
const PAUSE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")] // rule: U-12 (part)
async fn okta_gets_a_right_answer_to_everything_while_connections_are_cut() {
    let world = World::start().await;
    world.sales_manager().await;
    let (mut cuts, mut connections) = (0, 0);
    for round in 0..rounds(30, 2) {
        let mut options = Options::new(format!("{}/scim/v2", world.base), world.token.clone());
        options.mode = [Mode::Wizard, Mode::Oin, Mode::OinPatch][round % 3];
        options.users = 80;
        options.seed = u64::try_from(round).unwrap();
        options.roles = vec!["Sales Manager".to_owned()];
        options.expect_access = Some(Access::HeldDomainUnverified);

        let cutting = async {
            loop {
                tokio::time::sleep(PAUSE).await;
                connections += testing::cut(world.folder()).await;
                cuts += 1;
            }
        };
        let report = tokio::select! {
            report = rollcall_simulator::run(&options, &Silent) => report,
            () = cutting => panic!("it goes on until the run has ended"),
        };

        assert!(report.passed(), "{report}");
    }
    assert!(cuts > 0 && connections > 0, "{cuts} cuts, {connections}");
    assert!(testing::cut(world.folder()).await > 0);

    let made = loop {
        let answer = world
            .send("POST", "/Users", Some(user("last@acme.example")))
            .await;
        match answer.status {
            503 => assert!(answer.headers.contains_key("retry-after")),
            status => {
                assert_eq!(status, 201, "{}", answer.body);
                break answer.body["id"].as_str().unwrap().to_owned();
            }
        }
    };
    // The followers may still be on their way, and what a dead connection of a pool fails with is
    // told once.
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let differences = world.recomputation.differences().await;
        if differences.as_ref().is_ok_and(Vec::is_empty) {
            break;
        }
        assert!(Instant::now() < until, "{differences:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.wait_until_allowed(&made, false).await;
    println!(
        "figure: connections cut while Okta provisions: {cuts} times, {connections} connections, \
         no wrong answer"
    );
}
