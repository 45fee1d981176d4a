//! The data folder: its lock, and the secrets in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rollcall_types::{Entropy, base32};

use crate::cli::Error;

/// A data folder that this process alone uses.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes its lock.
    ///
    /// # Errors
    /// When another program uses it, or it can't be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let told = |error: std::io::Error| {
            format!(
                "the data folder {}: {error}. Name another with --data",
                path.display()
            )
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(path).map_err(told)?;
        builder.create(path.join("secrets")).map_err(told)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(told)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: fs::canonicalize(path).map_err(told)?,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(format!(
                "the data folder {} is in use by another rollcall: stop that one, or name another \
                 folder with --data",
                path.display()
            )
            .into()),
            Err(TryLockError::Error(error)) => Err(told(error).into()),
        }
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads a secret; `None` if there is none.
    ///
    /// # Errors
    /// When others may read it, or it can't be read.
    pub fn secret(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.path.join("secrets").join(name);
        let mode = match fs::metadata(&path) {
            Ok(found) => found.permissions().mode() & 0o777,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        if mode & 0o077 != 0 {
            return Err(format!(
                "others may read the secret {} (mode {mode:o}): run `chmod 600 {}`, or remove it \
                 to have a new one made",
                path.display(),
                path.display()
            )
            .into());
        }
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Some(text.trim().to_owned()))
    }

    /// Writes a secret that only its owner may read.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&self, name: &str, secret: &str) -> Result<(), Error> {
        let path = self.path.join("secrets").join(name);
        write_private(&path, &format!("{secret}\n"))
    }

    /// Whether what is made once for an account was all made.
    #[must_use]
    pub fn is_done(&self, account: &str) -> bool {
        self.done(account).exists()
    }

    /// Notes that it was.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn set_done(&self, account: &str) -> Result<(), Error> {
        write_private(&self.done(account), "")
    }

    fn done(&self, account: &str) -> PathBuf {
        self.path.join(format!("demo-{account}.done"))
    }

    /// A random secret of 256 bits, made on the first start and kept.
    ///
    /// # Errors
    /// As [`Folder::secret`] and [`Folder::keep`].
    pub fn random(&self, name: &str, entropy: &dyn Entropy) -> Result<[u8; 32], Error> {
        if let Some(text) = self.secret(name)? {
            return base32::decode::<32>(&text).ok_or_else(|| {
                format!("secrets/{name} is no key of ours: remove it to have a new one made").into()
            });
        }
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        self.keep(name, &base32::encode(&bytes))?;
        Ok(bytes)
    }
}

/// Replaces a file at once with one that only its owner may read.
///
/// # Errors
/// When it can't be written.
pub fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let part = path.with_extension("part");
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut options = OpenOptions::new();
    options.create(true).truncate(true).write(true).mode(0o600);
    let mut file = options.open(&part).map_err(told)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(told)?;
    fs::rename(&part, path).map_err(told)?;
    Ok(())
}
