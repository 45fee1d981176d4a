//! `cargo xtask test`: what the tests need, then the tests.

use std::process::Command;

use crate::command;
use crate::failure::Failure;
use crate::steps::{Mode, Step};
use crate::tools::{self, BUF, NEXTEST};

/// Names the program that the foreign-client tests call.
pub(crate) const BUF_VARIABLE: &str = "ROLLCALL_TEST_BUF";

/// How the names of the foreign-client tests begin. They fail without that program.
pub(crate) const FOREIGN: &str = "foreign::";

/// The steps of `cargo xtask test`.
pub(crate) const STEPS: [Step; 3] = [TOOLS, TESTS, DOC_TESTS];

/// Makes the test tools present.
pub(crate) const TOOLS: Step = Step {
    name: "tools",
    work: install,
};

/// Runs unit and integration tests.
pub(crate) const TESTS: Step = Step {
    name: "tests",
    work: test,
};

/// Runs the examples in the documentation.
pub(crate) const DOC_TESTS: Step = Step {
    name: "doc tests",
    work: doc_test,
};

fn install(mode: Mode) -> Result<String, Failure> {
    println!("  {}", command::output(command::cargo().arg("--version"))?);
    let runner = match nextest() {
        Ok(_) => "cargo nextest".to_owned(),
        Err(failure) => {
            println!(
                "  {} is left out, cargo test runs the tests\n  {failure}",
                NEXTEST.program
            );
            "cargo test".to_owned()
        }
    };
    println!("  tests run by {runner}");
    let left_out = match (tools::ensure(&BUF), mode) {
        (Ok(path), _) => {
            println!("  buf at {}", path.display());
            String::new()
        }
        (Err(failure), Mode::Strict) => return Err(failure),
        (Err(failure), Mode::Lenient) => {
            println!("  buf is left out\n  {failure}");
            "; LEFT OUT: foreign-client tests, for want of buf".to_owned()
        }
    };
    Ok(runner + &left_out)
}

fn test(mode: Mode) -> Result<String, Failure> {
    let buf = tools::find(&BUF);
    let mut tests = if let Some(mut nextest) = find_nextest() {
        let profile = if mode == Mode::Strict {
            "ci"
        } else {
            "default"
        };
        nextest.args([
            "nextest",
            "run",
            "--workspace",
            "--locked",
            "--profile",
            profile,
        ]);
        if buf.is_none() {
            nextest.args(["-E", &format!("not test(/^{FOREIGN}/)")]);
        }
        nextest
    } else {
        let mut cargo = command::cargo();
        cargo.args([
            "test",
            "--workspace",
            "--locked",
            "--lib",
            "--bins",
            "--tests",
        ]);
        if buf.is_none() {
            cargo.args(["--", "--skip", FOREIGN]);
        }
        cargo
    };
    let note = if let Some(buf) = buf {
        tests.env(BUF_VARIABLE, buf);
        ""
    } else {
        "without the foreign-client tests"
    };
    if mode == Mode::Strict {
        tests.env("CI", "true");
    }
    command::run(&mut tests)?;
    Ok(note.to_owned())
}

fn doc_test(_: Mode) -> Result<String, Failure> {
    command::run(command::cargo().args(["test", "--doc", "--workspace", "--locked"]))?;
    Ok(String::new())
}

/// The command that `nextest run` is added to: the installed one, whatever its version, else ours,
/// fetched if need be.
///
/// # Errors
/// When it is not installed and cannot be fetched.
pub(crate) fn nextest() -> Result<Command, Failure> {
    if let Some(present) = find_nextest() {
        return Ok(present);
    }
    Ok(command::program(tools::ensure(&NEXTEST)?))
}

fn find_nextest() -> Option<Command> {
    if command::output(command::cargo().args(["nextest", "--version"])).is_ok() {
        return Some(command::cargo());
    }
    tools::find(&NEXTEST).map(command::program)
}
