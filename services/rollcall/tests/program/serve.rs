//! Each role in a process of its own, on files and on PostgreSQL.

pub(crate) mod cluster;

use rollcall_simulator::{Mode, Options, Silent};

use cluster::{Cluster, Layout};

/// Plays Okta in a mode: everything must be as expected.
pub(crate) async fn play(cluster: &Cluster, gateway: usize, mode: Mode, seed: u64) {
    let mut options = Options::new(cluster.scim(gateway), cluster.token.clone());
    options.mode = mode;
    options.seed = seed;
    options.users = if std::env::var_os("ROLLCALL_SOAK").is_some() {
        200
    } else {
        20
    };
    options.roles = vec!["Sales Manager".to_owned()];
    let report = rollcall_simulator::run(&options, &Silent).await;
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread")] // rule: D-06 (part)
async fn okta_provisions_while_each_role_is_a_process_of_its_own() {
    let cluster = Cluster::start(Layout::Each).await;

    for (seed, mode) in (0..).zip([Mode::Wizard, Mode::Oin, Mode::OinPatch]) {
        for _ in 0..2 {
            play(&cluster, 0, mode, seed).await;
        }
    }

    // What permissions follows over a socket.
    let user = cluster.active_user_with_role("Sales Manager").await;
    cluster.until_allowed(&user, "deals.write").await;
}

#[tokio::test(flavor = "multi_thread")] // rule: REL-24 (part)
async fn a_service_that_is_away_is_missed_by_whom_it_concerns_and_found_again() {
    let mut cluster = Cluster::start(Layout::Each).await;
    assert_eq!(cluster.ready("gateway").await, (200, "ready\n".to_owned()));

    cluster.kill("provisioning").await;
    let (status, body) = cluster.get(0, "/Users?count=1").await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(
        cluster.ready("gateway").await.0,
        200,
        "it answers what it can"
    );
    cluster.begin("provisioning").await;
    cluster.until_answered(0).await;

    cluster.kill("permissions").await;
    cluster.kill("verification").await;
    play(&cluster, 0, Mode::Oin, 7).await;
    cluster.begin("verification").await;
    cluster.begin("permissions").await;
    let user = cluster.active_user_with_role("Sales Manager").await;
    cluster.until_allowed(&user, "deals.write").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_told_to_stop_says_so_first_and_loses_nothing() {
    let mut cluster = Cluster::start(Layout::Each).await;

    let playing = play(&cluster, 0, Mode::Wizard, 3);
    playing.await;
    cluster.terminate("gateway").await;
    cluster.until_not_ready("gateway").await;
    let (status, _) = cluster.get(0, "/ServiceProviderConfig").await;
    assert_eq!(status, 200, "who does not know yet is answered");
    let status = cluster.ended("gateway").await;
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_run_as_it_is_configured_says_which_key_to_change() {
    let cluster = Cluster::start(Layout::Each).await;
    for (role, with, told) in [
        (
            "gateway",
            "[tls]\nterminated_upstream = false",
            "tls.terminated_upstream",
        ),
        (
            "gateway",
            "[gateway]\npublic_url = \"nowhere\"",
            "gateway.public_url",
        ),
        (
            "gateway",
            "[gatway]\nlisten = \"1\"",
            "there is no \"gatway\"",
        ),
        ("gateway", "[peers]", "[peers.provisioning]"),
        (
            "permissions",
            "[secrets]\ntoken_key = \"/nowhere\"",
            "/nowhere",
        ),
        (
            "permissions",
            "[permissions.database]",
            "permissions.database.url",
        ),
        (
            "permissions",
            "[permissions]\nmax_permission_sets = \"many\"",
            "max_permission_sets",
        ),
    ] {
        let ran = cluster.try_with(role, with).await;

        assert_eq!(ran.code, Some(1), "{with}: {ran:?}");
        assert!(ran.stderr.contains(told), "{with}: {}", ran.stderr);
        assert_eq!(ran.stderr.trim_end().lines().count(), 1, "{}", ran.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_printed_with_its_origins_and_without_its_secrets() {
    let cluster = Cluster::start(Layout::Each).await;

    let ran = cluster.check("permissions").await;

    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = |key: &str| {
        let found = ran.stdout.lines().find(|line| line.starts_with(key));
        found.unwrap_or_else(|| panic!("{key}: {}", ran.stdout))
    };
    assert!(line("permissions.database.url = [redacted]").ends_with("permissions.toml"));
    assert!(line("permissions.max_permission_sets = 100").ends_with("default"));
    assert!(line("grpc.listen = ").ends_with("permissions.toml"));
    assert!(line("log.filter = \"warn\"").ends_with("environment"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_what_the_configuration_names() {
    let mut cluster = Cluster::start(Layout::Each).await;

    let well = cluster.doctor("permissions").await;
    cluster.kill("provisioning").await;
    let broken = cluster.doctor("permissions").await;

    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(
        well.stdout.contains("ok      database of permissions"),
        "{well:?}"
    );
    assert!(
        well.stdout.contains("ok      peer provisioning"),
        "{well:?}"
    );
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(
        broken.stdout.contains("BROKEN  peer provisioning"),
        "{broken:?}"
    );
}
