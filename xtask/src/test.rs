//! `cargo xtask test`: what the tests need, then the tests.

use std::process::Command;

use crate::failure::Failure;
use crate::steps::{Mode, Step};
use crate::tools::{self, BUF, NEXTEST};
use crate::{command, dns, postgres};

/// Names the program that the foreign-client tests call.
pub(crate) const BUF_VARIABLE: &str = "ROLLCALL_TEST_BUF";

/// How the names of the foreign-client tests begin. They fail without that program.
pub(crate) const FOREIGN: &str = "foreign::";

/// The steps of `cargo xtask test`.
pub(crate) const STEPS: [Step; 5] = [TOOLS, TESTS, APART_TESTS, POSTGRES_TESTS, DOC_TESTS];

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

/// Runs the stories again, each role apart from the others, called over a socket.
pub(crate) const APART_TESTS: Step = Step {
    name: "stories apart",
    work: test_apart,
};

/// Runs the stories again, on PostgreSQL, together and apart.
pub(crate) const POSTGRES_TESTS: Step = Step {
    name: "stories on PostgreSQL",
    work: test_on_postgres,
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
    let left_out = match (postgres::programs(), mode) {
        (Ok(folder), _) => {
            println!("  PostgreSQL at {}", folder.display());
            left_out
        }
        (Err(failure), Mode::Strict) => return Err(failure),
        (Err(failure), Mode::Lenient) => {
            println!("  PostgreSQL is left out\n  {failure}");
            left_out + "; LEFT OUT: stories on PostgreSQL, for want of it"
        }
    };
    let left_out = match (dns::ensure(), mode) {
        (Ok(()), _) => {
            println!("  Knot DNS and Unbound are there");
            left_out
        }
        (Err(failure), Mode::Strict) => return Err(failure),
        (Err(failure), Mode::Lenient) => {
            println!("  Knot DNS and Unbound are left out\n  {failure}");
            left_out + "; LEFT OUT: the domain story on real servers, for want of them"
        }
    };
    Ok(runner + &left_out)
}

/// How the names of the tests begin that need real DNS servers.
pub(crate) const DNS: &str = "dns::";

/// Names the server on which tests make their databases; without it they use files.
pub(crate) const POSTGRES_VARIABLE: &str = "ROLLCALL_TEST_POSTGRES";

/// How the names of the tests begin that need that server.
pub(crate) const POSTGRES: &str = "postgres::";

/// The test binaries that take their database from there: package and name.
const STORIES: [(&str, &str); 6] = [
    ("rollcall", "program"),
    ("rollcall", "stories"),
    ("rollcall-permissions", "story"),
    ("rollcall-provisioning", "provisioning"),
    ("rollcall-store", "store"),
    ("rollcall-verification", "stories"),
];

fn test(mode: Mode) -> Result<String, Failure> {
    run(mode, Lane::default())
}

fn test_apart(mode: Mode) -> Result<String, Failure> {
    let lane = Lane {
        is_apart: true,
        ..Lane::default()
    };
    run(mode, lane)
}

fn test_on_postgres(mode: Mode) -> Result<String, Failure> {
    let Some(programs) = postgres::find() else {
        return Ok("LEFT OUT, for want of PostgreSQL".to_owned());
    };
    let server = postgres::Server::start(&programs)?;
    println!("  a server of its own: {}", server.url());
    let server = Some(&server);
    let together = Lane {
        server,
        is_apart: false,
    };
    let apart = Lane {
        server,
        is_apart: true,
    };
    run(mode, together)?;
    run(mode, apart)
}

/// On what the tests run, and how the roles of a system reach one another.
#[derive(Clone, Copy, Default)]
struct Lane<'a> {
    /// The server that keeps the data; files if none.
    server: Option<&'a postgres::Server>,
    /// Whether each role has a gRPC server of its own.
    is_apart: bool,
}

impl Lane<'_> {
    /// The test binaries that it runs: package and name; `None` for everything.
    fn binaries(self) -> Option<&'static [(&'static str, &'static str)]> {
        if self.is_apart {
            Some(&SYSTEM)
        } else {
            self.server.map(|_| &STORIES[..])
        }
    }
}

/// Has the roles of a system reach one another over sockets.
const APART_VARIABLE: &str = "ROLLCALL_TEST_APART";

/// The test binary whose stories are of a whole system.
const SYSTEM: [(&str, &str); 1] = [("rollcall", "stories")];

/// What only files have, of the tests of the store: batches and what lies beside them, and a clock
/// that stands still while PostgreSQL works.
const FILES: [&str; 3] = ["writer::", "reopen::", "feed::an_idle_stream"];

/// Runs the tests of a lane.
fn run(mode: Mode, lane: Lane<'_>) -> Result<String, Failure> {
    let (server, binaries) = (lane.server, lane.binaries());
    let buf = tools::find(&BUF);
    let mut tests = if let Some(mut nextest) = find_nextest() {
        let profile = if mode == Mode::Strict {
            "ci"
        } else {
            "default"
        };
        nextest.args(["nextest", "run", "--workspace", "--locked"]);
        nextest.args(["--profile", profile]);
        let mut filters = Vec::new();
        if let Some(binaries) = binaries {
            let of = |(package, name)| format!("(package(={package}) & binary(={name}))");
            let stories: Vec<String> = binaries.iter().copied().map(of).collect();
            filters.push(format!("({})", stories.join(" | ")));
        }
        if server.is_some() {
            let files = FILES.map(|test| format!("test(/^{test}/)")).join(" | ");
            filters.push(format!("not (package(=rollcall-store) & ({files}))"));
        } else {
            filters.push(format!("not test(/^{POSTGRES}/)"));
        }
        if buf.is_none() {
            filters.push(format!("not test(/^{FOREIGN}/)"));
        }
        if !dns::are_there() {
            filters.push(format!("not test(/^{DNS}/)"));
        }
        nextest.args(["-E", &filters.join(" & ")]);
        nextest
    } else {
        let mut cargo = command::cargo();
        cargo.args(["test", "--workspace", "--locked"]);
        if let Some(binaries) = binaries {
            cargo.args(binaries.iter().flat_map(|(_, name)| ["--test", name]));
        } else {
            cargo.args(["--lib", "--bins", "--tests"]);
        }
        cargo.arg("--");
        if buf.is_none() {
            cargo.args(["--skip", FOREIGN]);
        }
        if !dns::are_there() {
            cargo.args(["--skip", DNS]);
        }
        let skipped = if server.is_some() {
            &FILES[..]
        } else {
            &[POSTGRES]
        };
        cargo.args(skipped.iter().flat_map(|test| ["--skip", test]));
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
    if lane.is_apart {
        tests.env(APART_VARIABLE, "true");
    } else {
        tests.env_remove(APART_VARIABLE);
    }
    match server {
        Some(server) => tests.env(POSTGRES_VARIABLE, server.url()),
        // One that somebody named would be used where files are meant.
        None => tests.env_remove(POSTGRES_VARIABLE),
    };
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
