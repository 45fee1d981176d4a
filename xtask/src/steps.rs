//! A task of several steps: says where it is, stops at the first failure, closes with a table.

use std::time::Instant;

use crate::failure::Failure;

/// How much may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A lane whose tool cannot be had is left out, and the summary says so.
    Lenient,
    /// Nothing is left out: a missing tool is a failure.
    Strict,
}

impl Mode {
    /// Strict where `CI` is `true`.
    pub(crate) fn of_environment() -> Self {
        let strict = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        if strict { Self::Strict } else { Self::Lenient }
    }
}

/// One step; its work returns a note for the summary.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) work: fn(Mode) -> Result<String, Failure>,
}

/// Runs the steps in order.
///
/// # Errors
/// The first failure; the later steps are not run, and the table says so.
pub(crate) fn run(task: &str, steps: &[Step], mode: Mode) -> Result<(), Failure> {
    let started = Instant::now();
    let mut rows = Vec::with_capacity(steps.len());
    let mut failure = None;
    for (index, step) in steps.iter().enumerate() {
        if failure.is_some() {
            rows.push(row(step.name, "not run", "", ""));
            continue;
        }
        println!("\nstep {} of {}: {}", index + 1, steps.len(), step.name);
        let began = Instant::now();
        let result = (step.work)(mode);
        let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
        let (state, note) = match &result {
            Ok(note) => ("passed", note.as_str()),
            Err(_) => ("FAILED", ""),
        };
        println!(
            "step {} of {}: {} {state}, {seconds} s",
            index + 1,
            steps.len(),
            step.name
        );
        rows.push(row(step.name, state, &seconds, note));
        failure = result.err();
    }

    println!("\n{}", row("step", "result", "seconds", "note"));
    for row in &rows {
        println!("{row}");
    }
    let seconds = started.elapsed().as_secs_f64();
    match failure {
        None => {
            println!(
                "\n{task}: all {} steps passed in {seconds:.0} s",
                steps.len()
            );
            Ok(())
        }
        Some(failure) => Err(failure),
    }
}

fn row(name: &str, state: &str, seconds: &str, note: &str) -> String {
    format!("{name:<16} {state:<8} {seconds:>8}  {note}")
        .trim_end()
        .to_owned()
}
