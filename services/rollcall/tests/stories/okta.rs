//! Okta's whole story, played by the simulator.

use rollcall_simulator::{Access, Mode, Options, Silent};

use crate::world::{World, rounds};

#[tokio::test(flavor = "multi_thread")]
async fn okta_provisions_twice_in_each_mode_without_a_wrong_answer() {
    let world = World::start().await;
    for mode in [Mode::Wizard, Mode::Oin, Mode::OinPatch] {
        for _ in 0..2 {
            let mut options = Options::new(format!("{}/scim/v2", world.base), world.token.clone());
            options.mode = mode;
            options.users = rounds(200, 20);
            options.roles = vec!["Sales Manager".to_owned(), "Service Agent".to_owned()];
            options.expect_access = Some(Access::HeldDomainUnverified);

            let report = rollcall_simulator::run(&options, &Silent).await;

            assert!(report.passed(), "{report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: D-06 (part)
async fn okta_gets_its_answers_while_verification_and_permissions_are_away() {
    let world = World::start().await;
    world.gates.verification.close();
    world.gates.permissions.close();
    let mut options = Options::new(format!("{}/scim/v2", world.base), world.token.clone());
    options.users = 10;

    let report = rollcall_simulator::run(&options, &Silent).await;

    assert!(report.passed(), "{report}");
}
