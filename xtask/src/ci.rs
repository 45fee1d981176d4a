//! `cargo xtask ci`: everything that must be green on each commit, cheapest first.

use crate::failure::Failure;
use crate::steps::{Mode, Step};
use crate::tools::{self, CARGO_DENY};
use crate::{command, coverage, proto, test};

/// The steps, ordered by what they cost.
pub(crate) const STEPS: [Step; 10] = [
    Step {
        name: "format",
        work: format,
    },
    Step {
        name: "rule coverage",
        work: rule_coverage,
    },
    Step {
        name: "proto",
        work: check_proto,
    },
    Step {
        name: "dependencies",
        work: dependencies,
    },
    test::TOOLS,
    test::TESTS,
    test::APART_TESTS,
    test::POSTGRES_TESTS,
    test::DOC_TESTS,
    Step {
        name: "clippy",
        work: clippy,
    },
];

fn format(_: Mode) -> Result<String, Failure> {
    command::run(command::cargo().args(["fmt", "--all", "--check"]))
        .map_err(|failure| failure.with_remedy("run `cargo fmt --all`"))?;
    Ok(String::new())
}

fn rule_coverage(_: Mode) -> Result<String, Failure> {
    coverage::run(true)?;
    Ok(String::new())
}

fn check_proto(mode: Mode) -> Result<String, Failure> {
    proto::run(false, mode)?;
    Ok(String::new())
}

fn dependencies(_: Mode) -> Result<String, Failure> {
    let deny = tools::ensure(&CARGO_DENY)?;
    command::run(command::cargo().args(["fetch", "--locked", "--quiet"])).map_err(|failure| {
        failure.with_remedy("run `cargo check`, and commit Cargo.lock if that changed it")
    })?;
    // The fourth check, advisories, needs a database from the network.
    let checks = ["--offline", "check", "bans", "licenses", "sources"];
    command::run(command::program(deny).args(checks)).map_err(|failure| {
        failure.with_remedy("leave the dependency out, or allow it in deny.toml with a reason")
    })?;
    Ok(String::new())
}

fn clippy(_: Mode) -> Result<String, Failure> {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    command::run(command::cargo().args(args))?;
    Ok(String::new())
}
