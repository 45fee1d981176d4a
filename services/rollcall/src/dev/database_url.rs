//! The URL of a PostgreSQL database on the command line.

use std::str::FromStr;

use rollcall_store::Database;
use rollcall_types::SecretString;

use crate::assemble::Databases;

/// Names a database and a user, and perhaps a password, which is shown nowhere.
#[derive(Clone, Debug)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// A schema of the database for each service.
    #[must_use]
    pub fn schemas(&self) -> Option<Databases> {
        let schema = |name| Database::from_url(&self.0, name).ok();
        Some(Databases {
            provisioning: schema("provisioning")?,
            permissions: schema("permissions")?,
            verification: schema("verification")?,
        })
    }
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    /// Reads what was typed; what is wrong with it is not repeated, since it may hold a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = SecretString::from(text);
        match Database::from_url(&url, "any")? {
            Database::Postgres(_) => Ok(Self(url)),
            Database::File(_) => Err("write it like postgres://me@localhost/rollcall"),
        }
    }
}
