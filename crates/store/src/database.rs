//! Where a service's data is.

use std::path::PathBuf;

use rollcall_types::{ExposeSecret, SecretString};

/// A service's own database.
#[derive(Clone, Debug)]
pub enum Database {
    /// A SQLite file.
    File(PathBuf),
    /// A schema of a PostgreSQL database.
    Postgres(Postgres),
}

/// A PostgreSQL database, and a schema in it.
#[derive(Clone, Debug)]
pub struct Postgres {
    url: SecretString,
    schema: Option<String>,
}

impl Postgres {
    /// A database by its URL, which may hold a password; the schema is the first of its search
    /// path.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self { url, schema: None }
    }

    /// The same database, and the schema of this name, which is made if it is not there.
    #[must_use]
    pub fn with_schema(mut self, name: &str) -> Self {
        self.schema = Some(name.to_owned());
        self
    }

    pub(crate) fn url(&self) -> &str {
        self.url.expose_secret()
    }

    pub(crate) fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }
}

impl From<PathBuf> for Database {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}
