//! Where a service's data is.

use std::path::PathBuf;

use rollcall_types::{ExposeSecret, SecretString};
use sea_orm::sqlx::postgres::PgConnectOptions;

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
    /// Whether who opens it brings the schema up to date.
    migrates: bool,
}

impl Postgres {
    /// A database by its URL, which may hold a password; the schema is the first of its search
    /// path.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            schema: None,
            migrates: true,
        }
    }

    /// The same database, and the schema of this name, which is made if it is not there.
    #[must_use]
    pub fn with_schema(mut self, name: &str) -> Self {
        self.schema = Some(name.to_owned());
        self
    }

    /// The same for a user who owns nothing: the schema is waited for, not brought up to date.
    #[must_use]
    pub fn as_found(mut self) -> Self {
        self.migrates = false;
        self
    }

    pub(crate) fn migrates(&self) -> bool {
        self.migrates
    }

    /// The user who connects, if the URL names one.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        let options: PgConnectOptions = self.url().parse().ok()?;
        Some(options.get_username().to_owned())
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

impl Database {
    /// Reads a URL: `postgres://user@host/database`, or `sqlite:` and the path of a file. The
    /// service's tables are in the schema `name` of a PostgreSQL database.
    ///
    /// # Errors
    /// What is wrong with it, without a word of it, since it may hold a password.
    pub fn from_url(url: &SecretString, name: &str) -> Result<Self, &'static str> {
        let text = url.expose_secret();
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("it has to name a file, like sqlite:/var/lib/rollcall/users.db");
            }
            return Ok(Self::File(PathBuf::from(path)));
        }
        let rest = ["postgres://", "postgresql://"]
            .into_iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let rest = rest.ok_or("write it like postgres://me@localhost/rollcall")?;
        // Without a user the driver takes one of its own.
        let (user, place) = rest
            .split_once('@')
            .ok_or("it has to name a user before an @")?;
        let (_, database) = place.split_once('/').unwrap_or_default();
        let database = database.split('?').next().unwrap_or_default();
        if user.is_empty() || database.is_empty() {
            return Err("it has to name a user and a database");
        }
        let url = SecretString::from(format!("postgres://{rest}"));
        Ok(Self::Postgres(Postgres::new(url).with_schema(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Database, &'static str> {
        Database::from_url(&SecretString::from(text), "provisioning")
    }

    #[test]
    fn a_url_names_a_file_or_a_user_and_a_database_and_is_not_shown() {
        for text in [
            "postgres://me@localhost/rollcall",
            "postgresql://me:secret@db.internal:5432/rollcall?sslmode=require",
            "postgres://me@localhost/rollcall?host=/run/postgresql",
        ] {
            let Database::Postgres(database) = read(text).unwrap() else {
                panic!("{text} is one of PostgreSQL");
            };
            assert!(!format!("{database:?}").contains("secret"));
            assert_eq!(database.user().as_deref(), Some("me"));
            assert_eq!(database.schema(), Some("provisioning"));
        }
        for text in ["sqlite:/data/users.db", "sqlite:///data/users.db"] {
            let Database::File(path) = read(text).unwrap() else {
                panic!("{text} is a file");
            };
            assert_eq!(path, PathBuf::from("/data/users.db"));
        }
        for text in [
            "",
            "rollcall.db",
            "sqlite:",
            "mysql://me@localhost/rollcall",
            "postgres://localhost/rollcall",
            "postgres://me@localhost",
            "postgres://me@localhost/?host=/run",
            "postgres://@localhost/rollcall",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
