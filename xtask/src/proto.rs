//! `cargo xtask proto`: what buf says of the proto files.

use std::fs;
use std::path::Path;

use crate::command;
use crate::failure::Failure;
use crate::steps::Mode;
use crate::tools::{self, BUF};

/// The last release's descriptors, from `buf build -o`; absent until there is a release.
const RELEASE: &str = "proto/release.binpb";

/// Folder of the packages; all but [`WIRE_ONLY`] must stay compatible in source too.
const PACKAGES: &str = "proto/rollcall";

/// The package that no client outside the workspace compiles.
const WIRE_ONLY: &str = "scim";

/// Checks format, lint rules and, after a release, breaking changes; `fix` writes the format.
///
/// # Errors
/// The first check that fails. Without buf: a failure in strict mode, else a line that says so.
pub(crate) fn run(fix: bool, mode: Mode) -> Result<(), Failure> {
    let buf = match (tools::ensure(&BUF), mode) {
        (Ok(buf), _) => buf,
        (Err(failure), Mode::Lenient) if !fix => {
            println!("LEFT OUT: the proto checks, for want of buf\n{failure}");
            return Ok(());
        }
        (Err(failure), _) => return Err(failure),
    };
    let check = |args: &[&str]| command::run(command::program(&buf).args(args));

    if fix {
        check(&["format", "--write"])?;
    } else {
        check(&["format", "--diff", "--exit-code"])
            .map_err(|failure| failure.with_remedy("run `cargo xtask proto --fix`"))?;
    }
    check(&["lint"])?;
    if command::root().join(RELEASE).exists() {
        let remedy = "add instead of changing: the last release's clients must go on working";
        let breaking = ["breaking", "--against", RELEASE];
        check(&breaking).map_err(|failure| failure.with_remedy(remedy))?;
        let wire = wire_config(&command::root())?;
        check(&[&breaking[..], &["--config", &wire]].concat())
            .map_err(|failure| failure.with_remedy(remedy))?;
    }
    Ok(())
}

/// buf's configuration of the second run: wire compatibility of [`WIRE_ONLY`].
///
/// buf compares an image with exactly one module and does not narrow the image by `--path`, so
/// the run leaves out every other package by name.
fn wire_config(root: &Path) -> Result<String, Failure> {
    let folder = root.join(PACKAGES);
    let unreadable = |error: std::io::Error| {
        Failure::new(
            format!("{}: {error}", folder.display()),
            "check the checkout",
        )
    };
    let mut others = Vec::new();
    for entry in fs::read_dir(&folder).map_err(unreadable)? {
        let name = entry
            .map_err(unreadable)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name != WIRE_ONLY {
            others.push(format!("\"{PACKAGES}/{name}\""));
        }
    }
    others.sort();
    Ok(format!(
        r#"{{"version":"v2","modules":[{{"path":"proto"}}],"breaking":{{"use":["WIRE"],"ignore":[{}]}}}}"#,
        others.join(",")
    ))
}
