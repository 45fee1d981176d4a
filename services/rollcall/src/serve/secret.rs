//! Secrets in files, and new ones.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use rollcall_types::credential::hash;
use rollcall_types::{Entropy, OsEntropy, base32};

use crate::cli::Error;

/// What to make.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// A key of 256 bits, for a file that the configuration names under `secrets`.
    #[command(after_help = "Example:\n  rollcall secret key > token_key && chmod 600 token_key")]
    Key,
    /// A token for a caller, and the hash for its entry in [[callers]].
    #[command(after_help = "Example:\n  rollcall secret token")]
    Token,
}

/// Prints a new secret.
///
/// # Errors
/// Never.
pub fn run(command: Command) -> Result<ExitCode, Error> {
    let mut bytes = [0; 32];
    OsEntropy.fill(&mut bytes);
    let text = base32::encode(&bytes);
    match command {
        Command::Key => println!("{text}"),
        Command::Token => {
            let hash = hash(text.as_bytes());
            print!("token         {text}\ntoken_sha256  ");
            hash.as_bytes().iter().for_each(|byte| print!("{byte:02x}"));
            println!();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A key, and the one before it, which still opens what it sealed.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) current: [u8; 32],
    pub(crate) previous: Option<[u8; 32]>,
}

/// Reads keys: the current one on the first line, and perhaps the previous one on the second.
///
/// # Errors
/// When others may read the file, it holds no key, or it is one of `rollcall dev`.
pub(crate) fn keys(file: &Path) -> Result<Keys, Error> {
    let text = text(file)?;
    let wrong = || {
        format!(
            "{} holds no key: `rollcall secret key` makes one (a second line may hold the one \
             before it)",
            file.display()
        )
    };
    let mut keys = text.lines().map(|line| base32::decode::<32>(line.trim()));
    let current = keys.next().flatten().ok_or_else(wrong)?;
    let previous = keys.next().map(|key| key.ok_or_else(wrong)).transpose()?;
    if keys.next().is_some() || current.iter().all(|byte| *byte == 0) {
        return Err(wrong().into());
    }
    if is_of_dev(file) {
        return Err(format!(
            "{} is a secret of `rollcall dev`, which others know: make one with `rollcall secret \
             key`",
            file.display()
        )
        .into());
    }
    Ok(Keys { current, previous })
}

/// Whether the file lies in the data folder of a `rollcall dev`.
fn is_of_dev(file: &Path) -> bool {
    let file = fs::canonicalize(file).unwrap_or_default();
    let folder = file.parent().filter(|parent| parent.ends_with("secrets"));
    let data = folder.and_then(Path::parent);
    data.is_some_and(|data| data.join("lock").exists() && data.join("secrets").is_dir())
}

/// Reads a secret.
///
/// # Errors
/// When others than its owner and group may read it, or it can't be read.
pub(crate) fn text(file: &Path) -> Result<String, Error> {
    let told = |error: std::io::Error| format!("{}: {error}", file.display());
    // A Secret of Kubernetes is readable for its group.
    let mode = fs::metadata(file).map_err(told)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(format!(
            "others may read the secret {} (mode {mode:o}): run `chmod 600 {}`",
            file.display(),
            file.display()
        )
        .into());
    }
    Ok(fs::read_to_string(file).map_err(told)?.trim().to_owned())
}
