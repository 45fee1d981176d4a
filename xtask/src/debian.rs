//! Installs Debian's packages, as root or through sudo.

use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;

use crate::command;
use crate::failure::Failure;

/// Installs a package.
///
/// # Errors
/// With `remedy`, where this is no Debian, or the package can't be had.
pub(crate) fn install(package: &str, remedy: &str) -> Result<(), Failure> {
    if !Path::new("/etc/debian_version").exists() {
        let what = format!("there is no {package}, and this is no Debian");
        return Err(Failure::new(what, remedy));
    }
    println!("  {package} is missing: installing Debian's package");
    // A fresh image has no package lists; elsewhere an old list may do, so its failure is no end.
    let _ = as_root(&["apt-get", "update", "--quiet"]);
    as_root(&[
        "apt-get",
        "install",
        "--quiet",
        "--yes",
        "--no-install-recommends",
        package,
    ])
    .map_err(|failure| failure.with_remedy(remedy))?;
    Ok(())
}

/// Whether this process is root.
///
/// # Errors
/// When `id` can't be run.
pub(crate) fn is_root() -> Result<bool, Failure> {
    Ok(command::output(command::program("id").arg("-u"))? == "0")
}

/// Runs a command as root.
///
/// # Errors
/// When it fails, or root can't be had.
pub(crate) fn as_root(args: &[&str]) -> Result<String, Failure> {
    let mut run = if is_root()? {
        command::program("env")
    } else {
        let mut sudo = command::program("sudo");
        if !std::io::stdin().is_terminal() {
            sudo.arg("--non-interactive");
        }
        sudo.arg("env");
        sudo
    };
    // At run level 1 a package starts no server of its own.
    let settings = ["DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"];
    let run: &mut Command = run.args(settings).args(args);
    println!("  $ {}", command::text(run));
    command::output(run)
}
