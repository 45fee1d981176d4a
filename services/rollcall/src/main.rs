//! The program `rollcall`.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use rollcall::cli::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The program's own choice, before anything could ask for a default.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("the runtime could not start: {error}")),
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

/// Says why, as far as anybody listens.
fn failed(error: &dyn Display) -> ExitCode {
    drop(writeln!(std::io::stderr(), "rollcall: {error}"));
    ExitCode::FAILURE
}
