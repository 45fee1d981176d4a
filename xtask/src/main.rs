//! Development tasks: `cargo xtask <task>`, the same on a laptop and in CI.
//!
//! Needs cargo and a C compiler; what else a task wants ([`tools`]) it fetches by itself into
//! `target/tools`. Knows nothing of the product: it only starts programs and reads files.

mod ci;
mod command;
mod coverage;
mod debian;
mod dns;
mod failure;
mod postgres;
mod proof;
mod proto;
mod rules;
mod soak;
mod steps;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::steps::Mode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Development tasks"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the tests need and runs them all
    #[command(after_help = "Example:\n  cargo xtask test")]
    Test,
    /// Runs everything that must be green on each commit, cheapest first
    #[command(after_help = "Example:\n  cargo xtask ci")]
    Ci,
    /// Checks the proto files with buf: format, lint, and breaking changes since the last release
    #[command(after_help = "Examples:\n  cargo xtask proto\n  cargo xtask proto --fix")]
    Proto {
        /// Writes the format instead of only checking it
        #[arg(long)]
        fix: bool,
    },
    /// Shows which test proves which rule, and fails if a finished rule has no proof
    #[command(after_help = "Examples:\n  cargo xtask coverage\n  cargo xtask coverage --brief")]
    Coverage {
        /// Prints counts and problems only
        #[arg(long)]
        brief: bool,
    },
    /// Runs the long tests in full counts, on optimised code, and keeps the figures they print
    #[command(
        after_help = "Examples:\n  cargo xtask soak\n  cargo xtask soak --filter kill\n  cargo xtask soak --postgres"
    )]
    Soak {
        /// Takes only tests whose name contains this text
        #[arg(long, value_name = "TEXT", value_parser = soak::parse_filter)]
        filter: Option<String>,
        /// Runs on a PostgreSQL server of its own instead of files
        #[arg(long)]
        postgres: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test => steps::run("test", &test::STEPS, Mode::of_environment()),
        Task::Ci => steps::run("ci", &ci::STEPS, Mode::Strict),
        Task::Proto { fix } => proto::run(fix, Mode::of_environment()),
        Task::Coverage { brief } => coverage::run(brief),
        Task::Soak { filter, postgres } => {
            soak::run(filter.as_deref(), postgres, Mode::of_environment())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}
