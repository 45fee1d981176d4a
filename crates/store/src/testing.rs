//! Databases for tests, one each.
//!
//! The same tests run on SQLite, and on the PostgreSQL server that `ROLLCALL_TEST_POSTGRES` names
//! (`cargo xtask test` starts one that is thrown away).

mod tap;

use std::path::Path;

use rollcall_types::{Entropy, ExposeSecret, OsEntropy, SecretString, base32};
use sea_orm::{ConnectOptions, ConnectionTrait};

use crate::database::{Database, Postgres};

pub use tap::{Sent, Tap};

/// Names the server as its owner reaches it: a URL without a database.
const SERVER: &str = "ROLLCALL_TEST_POSTGRES";

/// The database of the test that has this folder, on the server that tests are to use: a new one
/// the first time; `None` where they use files.
///
/// # Panics
/// When the server or the folder can't be used.
pub async fn postgres(folder: &Path) -> Option<Postgres> {
    Some(Postgres::new(url(folder).await?))
}

/// The URL of that database.
///
/// # Panics
/// As [`postgres`].
pub async fn url(folder: &Path) -> Option<SecretString> {
    let server = std::env::var(SERVER).ok()?;
    #[expect(clippy::expect_used, reason = "a test stops where its server is away")]
    let name = name(&server, folder).await.expect("a database for a test");
    if let Some(tap) = tap::folder(folder) {
        // The wire is a socket, and can't read what is encrypted.
        let (user, tap) = (user(&server), tap.display());
        let server = format!("{user}?host={tap}&sslmode=disable");
        return Some(of_server(&server, &name));
    }
    Some(of_server(&server, &name))
}

/// The URL without what says where the server is.
fn user(server: &str) -> &str {
    server.split_once('?').map_or(server, |(user, _)| user)
}

/// The name of the folder's database, which a file in it remembers.
async fn name(server: &str, folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let file = folder.join("postgres");
    if let Ok(name) = std::fs::read_to_string(&file) {
        return Ok(name);
    }
    let mut bytes = [0; 10];
    OsEntropy.fill(&mut bytes);
    let name = format!("t_{}", base32::encode(&bytes));
    create(server, &name).await?;
    std::fs::write(&file, &name)?;
    Ok(name)
}

/// A database for the tables of one service: a file in `folder`, or one of the server's.
pub async fn database(folder: &Path, name: &str) -> Database {
    match postgres(folder).await {
        Some(database) => Database::Postgres(database.with_schema(name)),
        None => Database::File(folder.join(format!("{name}.db"))),
    }
}

/// Ends every connection of the database of the test that has this folder, as a restart of the
/// server does; how many there were.
///
/// # Panics
/// When there is no such database.
pub async fn cut(folder: &Path) -> usize {
    #[expect(clippy::expect_used, reason = "a test stops where its server is away")]
    let cut = async {
        let url = url(folder).await.expect("a server");
        let mut options = ConnectOptions::new(url.expose_secret());
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options).await?;
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        let ended = connection.query_all_raw(statement).await?;
        connection.close().await?;
        Ok::<_, sea_orm::DbErr>(ended.len())
    }
    .await
    .expect("the database of the test");
    cut
}

fn of_server(server: &str, database: &str) -> SecretString {
    // The query, such as the folder of a socket, follows the name.
    let (server, query) = server.split_once('?').unwrap_or((server, ""));
    let server = server.trim_end_matches('/');
    SecretString::from(format!("{server}/{database}?{query}"))
}

async fn create(server: &str, name: &str) -> Result<(), sea_orm::DbErr> {
    let mut options = ConnectOptions::new(of_server(server, "postgres").expose_secret());
    options.max_connections(1).sqlx_logging(false);
    let connection = sea_orm::Database::connect(options).await?;
    let sql = format!("CREATE DATABASE {name}");
    let created = connection.execute_unprepared(&sql).await;
    connection.close().await?;
    created.map(drop)
}
