//! Starts programs, from the root of the checkout.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    // The running value, where there is one: a target folder may be shared by several checkouts.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// A program that runs in the root, without standard input.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    // `cargo run` describes xtask's own package in these. Build scripts that watch them (ring's)
    // would run anew, with all that depends on them, at each change between cargo and xtask.
    for (key, _) in std::env::vars_os() {
        let own = key.to_str().is_some_and(|key| {
            key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") || key == "OUT_DIR"
        });
        if own {
            command.env_remove(&key);
        }
    }
    command
}

/// The cargo that started xtask.
pub(crate) fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The command as a person would type it, the program without its folder.
pub(crate) fn text(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| {
            let part = part.to_string_lossy();
            if part.contains(|c: char| c.is_whitespace() || "'\"()|{}".contains(c)) {
                format!("'{part}'")
            } else {
                part.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command to its end; what it prints is seen.
///
/// # Errors
/// When it cannot be started or ends with another status than 0.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("  $ {}", text(command));
    let status = command
        .status()
        .map_err(|error| not_started(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(
        format!("`{}` ended with {status}", text(command)),
        "see its messages above, then run that command alone until it passes",
    ))
}

/// Runs a command silently and returns what it wrote to standard output.
///
/// # Errors
/// As [`run`]; the failure holds the last line of its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .output()
        .map_err(|error| not_started(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no message");
    Err(Failure::new(
        format!(
            "`{}` ended with {}: {}",
            text(command),
            output.status,
            last.trim()
        ),
        "run that command alone to see all of its messages",
    ))
}

/// The failure of a program that is missing or may not be executed.
pub(crate) fn not_started(command: &Command, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("`{}` cannot be started: {error}", text(command)),
        "install the program, or put its folder on PATH",
    )
}
