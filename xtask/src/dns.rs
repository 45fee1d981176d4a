//! DNS servers that are not ours, for the domain story.

use std::path::Path;

use crate::debian;
use crate::failure::Failure;

/// The programs, each with its package.
const PROGRAMS: [(&str, &str); 2] = [("knotd", "knot"), ("unbound", "unbound")];
/// What to do where they can't be had.
const REMEDY: &str = "install Knot DNS and Unbound (Debian: apt-get install knot unbound)";

/// Installs what is missing.
///
/// # Errors
/// When it is not there and can't be installed.
pub(crate) fn ensure() -> Result<(), Failure> {
    for (program, package) in PROGRAMS {
        if !is_there(program) {
            debian::install(package, REMEDY)?;
        }
        if !is_there(program) {
            let what = format!("the package {package} has no {program}");
            return Err(Failure::new(what, REMEDY));
        }
    }
    Ok(())
}

/// Whether all of them are there.
pub(crate) fn are_there() -> bool {
    PROGRAMS.iter().all(|(program, _)| is_there(program))
}

/// Debian keeps servers off the PATH of users.
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path);
    Path::new("/usr/sbin").join(program).is_file()
        || folders.any(|folder| folder.join(program).is_file())
}
