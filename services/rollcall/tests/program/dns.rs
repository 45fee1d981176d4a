//! The domain story against servers that are not ours.
//!
//! These need Knot DNS and Unbound: `cargo xtask test` installs them, or leaves these out.

mod servers;

use std::time::Instant;

use rollcall_simulator::{Access, Mode, Options, Silent};

use crate::serve::cluster::{Cluster, Layout};
use servers::{Servers, ZONE};

#[tokio::test(flavor = "multi_thread")] // rule: U-09 (part)
async fn a_domain_is_proved_by_a_signed_zone_through_a_resolver_that_validates_it() {
    let servers = Servers::start().await;
    assert!(servers.validates().await, "the resolver is to validate");
    let mut cluster = Cluster::prepare(Layout::Each).await;
    cluster.ask_of(servers.resolver);
    cluster.migrate().await;
    cluster.begin_all().await;
    cluster.account().await;
    let mut options = Options::new(cluster.scim(0), cluster.token.clone());
    (options.mode, options.users) = (Mode::Oin, 10);
    options.expect_access = Some(Access::HeldDomainUnverified);
    let held = rollcall_simulator::run(&options, &Silent).await;
    assert!(held.passed(), "{held}");

    let value = cluster.claim(ZONE).await;
    let begun = Instant::now();
    servers.publish(&value).await;
    cluster.until_nobody_is_held().await;
    let took = begun.elapsed();

    options.expect_access = Some(Access::Active);
    let active = rollcall_simulator::run(&options, &Silent).await;
    assert!(active.passed(), "{active}");
    println!(
        "figure: from publication in Knot DNS, through Unbound, to active {} ms",
        took.as_millis()
    );
}
