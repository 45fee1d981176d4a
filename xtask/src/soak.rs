//! `cargo xtask soak`: the long tests in full counts, and what they measured.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::postgres::{self, Server};
use crate::steps::Mode;
use crate::test;
use crate::tools::{self, BUF};
use crate::{command, dns};

/// Where the figures are kept, from the root.
const FILE: &str = "docs/measurements.md";

const HEAD: &str = "\
# Measurements

What `cargo xtask soak` measured, newest last. It appends here; the tests print the figures.
";

/// Tells the tests to take the full counts.
const SOAK_VARIABLE: &str = "ROLLCALL_SOAK";

/// The stories of the whole program, and what else is made for long runs.
const TESTS: &str = "(package(rollcall) & kind(test)) | test(/(^|::)soak_/)";

/// What a test puts before a figure that is to be kept, on standard output.
const FIGURE: &str = "figure: ";

/// Reads `--filter`: part of a test's name.
///
/// # Errors
/// When it has other characters than names have.
pub(crate) fn parse_filter(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if !text.is_empty() && text.chars().all(is_name) {
        Ok(text.to_owned())
    } else {
        Err("part of a test's name: letters, digits, `_` and `::`".to_owned())
    }
}

/// Runs the tests and appends the figures, also those printed before a failure.
///
/// # Errors
/// When a test fails, or cargo-nextest can't be had.
pub(crate) fn run(filter: Option<&str>, on_postgres: bool, mode: Mode) -> Result<(), Failure> {
    let server = if on_postgres {
        Some(Server::start(&postgres::programs()?)?)
    } else {
        None
    };
    let buf = match (tools::ensure(&BUF), mode) {
        (Ok(buf), _) => Some(buf),
        (Err(failure), Mode::Strict) => return Err(failure),
        (Err(failure), Mode::Lenient) => {
            println!("LEFT OUT: foreign-client tests, for want of buf\n{failure}");
            None
        }
    };
    match (dns::ensure(), mode) {
        (Ok(()), _) => {}
        (Err(failure), Mode::Strict) => return Err(failure),
        (Err(failure), Mode::Lenient) => {
            println!("LEFT OUT: the domain story on real servers, for want of them\n{failure}");
        }
    }
    let mut left_out = Vec::new();
    if buf.is_none() {
        left_out.push(test::FOREIGN);
    }
    if !dns::are_there() {
        left_out.push(test::DNS);
    }
    if !on_postgres {
        left_out.push(test::POSTGRES);
    }
    let mut tests = soak_tests(&wanted(filter, &left_out))?;
    match &server {
        Some(server) => tests.env(test::POSTGRES_VARIABLE, server.url()),
        None => tests.env_remove(test::POSTGRES_VARIABLE),
    };
    if let Some(buf) = buf {
        tests.env(test::BUF_VARIABLE, buf);
    }
    println!("  $ {SOAK_VARIABLE}=1 {}", command::text(&tests));
    let mut child = tests
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| command::not_started(&tests, &error))?;

    let mut figures = Vec::new();
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).split(b'\n'))
    {
        let line = line.map_err(|error| unfinished(&error.to_string()))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        figures.extend(figure(&line).map(str::to_owned));
    }
    let status = child
        .wait()
        .map_err(|error| unfinished(&error.to_string()))?;

    let path = command::root().join(FILE);
    if !figures.is_empty() {
        let result = if status.success() { "passed" } else { "FAILED" };
        keep(
            &path,
            &section(&arguments(filter, on_postgres), result, &figures)?,
        )?;
    }
    println!("\nsoak: {} figures appended to {FILE}", figures.len());
    if status.success() {
        Ok(())
    } else {
        Err(unfinished(&status.to_string()))
    }
}

fn unfinished(why: &str) -> Failure {
    Failure::new(
        format!("the soak run ended early or with failures: {why}"),
        "see the test's messages above; `--filter NAME` runs it alone",
    )
}

fn soak_tests(wanted: &str) -> Result<Command, Failure> {
    let mut tests = test::nextest()?;
    tests.args([
        "nextest",
        "run",
        "--workspace",
        "--locked",
        "--cargo-profile",
        "ci",
    ]);
    tests.args(["--profile", "soak", "--no-capture", "-E"]);
    tests.arg(wanted);
    tests.env(SOAK_VARIABLE, "1");
    Ok(tests)
}

/// The tests to run, in the words of the test runner.
fn wanted(filter: Option<&str>, left_out: &[&str]) -> String {
    let named = filter.map(|text| format!(" & test(/{text}/)"));
    let left_out = left_out.iter().map(|name| format!(" - test(/^{name}/)"));
    let named = [Some(format!("({TESTS})")), named].into_iter().flatten();
    named.chain(left_out).collect()
}

/// The figure in a line, wherever it begins: the test runner may have written before it.
fn figure(line: &str) -> Option<&str> {
    line.split_once(FIGURE).map(|(_, figure)| figure.trim_end())
}

/// What the run was asked for, as it was typed.
fn arguments(filter: Option<&str>, on_postgres: bool) -> String {
    let filter = filter.map(|text| format!(" --filter {text}"));
    let server = on_postgres.then(|| " --postgres".to_owned());
    [server, filter].into_iter().flatten().collect()
}

/// What is appended for one run.
fn section(arguments: &str, result: &str, figures: &[String]) -> Result<String, Failure> {
    let date = command::output(command::program("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
    let commit = command::output(command::program("git").args(["describe", "--always", "--dirty"]))
        .unwrap_or_else(|_| "no git".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut text = format!(
        "\n## {date}\n\n`cargo xtask soak{arguments}` {result}; commit {commit}, {cores} cores.\n\n"
    );
    for figure in figures {
        text.push_str("- ");
        text.push_str(figure);
        text.push('\n');
    }
    Ok(text)
}

fn keep(path: &Path, section: &str) -> Result<(), Failure> {
    let unwritable =
        |error: std::io::Error| Failure::new(format!("{FILE}: {error}"), "make the file writable");
    if !path.exists() {
        fs::write(path, HEAD).map_err(unwritable)?;
    }
    let mut file = OpenOptions::new()
        .append(true)
        .open(path)
        .map_err(unwritable)?;
    file.write_all(section.as_bytes()).map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_behind_what_the_test_runner_wrote() {
        assert_eq!(
            figure("figure: 200 rounds in 3 s"),
            Some("200 rounds in 3 s")
        );
        assert_eq!(figure("test a_story ... figure: 1 s "), Some("1 s"));
        assert_eq!(figure("running 1 test"), None);
    }

    #[test]
    fn tests_are_chosen_by_name_and_by_what_there_is() {
        assert_eq!(wanted(None, &[]), format!("({TESTS})"));
        assert_eq!(
            wanted(Some("kill"), &[test::FOREIGN, test::POSTGRES]),
            format!("({TESTS}) & test(/kill/) - test(/^foreign::/) - test(/^postgres::/)")
        );
        assert_eq!(arguments(Some("kill"), true), " --postgres --filter kill");
    }

    #[test]
    fn a_filter_is_part_of_a_name() {
        assert_eq!(
            parse_filter("story::kill_9"),
            Ok("story::kill_9".to_owned())
        );
        for bad in ["", "a/) | all(", "a b"] {
            assert!(parse_filter(bad).is_err(), "{bad}");
        }
    }
}
