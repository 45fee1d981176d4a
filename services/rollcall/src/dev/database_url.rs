//! The URL of a PostgreSQL database.

use std::str::FromStr;

use rollcall_store::Postgres;
use rollcall_types::{ExposeSecret, SecretString};

/// Names a database and a user, and perhaps a password, which is shown nowhere.
#[derive(Clone, Debug)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// The database.
    #[must_use]
    pub fn postgres(&self) -> Postgres {
        Postgres::new(SecretString::from(self.0.expose_secret()))
    }
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    /// Reads what was typed; what is wrong with it is not repeated, since it may hold a password.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
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
        Ok(Self(SecretString::from(format!("postgres://{rest}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_names_a_user_and_a_database_and_is_not_shown() {
        for text in [
            "postgres://me@localhost/rollcall",
            "postgresql://me:secret@db.internal:5432/rollcall?sslmode=require",
            "postgres://me@localhost/rollcall?host=/run/postgresql",
        ] {
            let url = DatabaseUrl::from_str(text).unwrap();
            assert!(!format!("{url:?} {:?}", url.postgres()).contains("secret"));
        }
        for text in [
            "",
            "rollcall.db",
            "mysql://me@localhost/rollcall",
            "postgres://localhost/rollcall",
            "postgres://me@localhost",
            "postgres://me@localhost/?host=/run",
            "postgres://@localhost/rollcall",
        ] {
            assert!(DatabaseUrl::from_str(text).is_err(), "{text}");
        }
    }
}
