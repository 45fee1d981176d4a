//! The service's own database. All SQL is here, in a form that both engines share.

pub(crate) mod catalogue;
pub(crate) mod change;
pub(crate) mod input;
pub(crate) mod management;
mod migrations;
pub(crate) mod permission_set;

pub(crate) use migrations::Migrator;
use rollcall_store::Error;
use rollcall_types::{AccountId, Timestamp};
use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

/// A statement with its values.
fn sql<const N: usize>(db: &impl ConnectionTrait, text: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), text, values)
}

/// A column as text.
fn text(row: &QueryResult, column: &str) -> Result<String, Error> {
    Ok(row.try_get("", column)?)
}

/// A column as a number.
fn number(row: &QueryResult, column: &str) -> Result<i64, Error> {
    Ok(row.try_get("", column)?)
}

/// A column as a time.
fn time(row: &QueryResult, column: &'static str) -> Result<Timestamp, Error> {
    Timestamp::parse(&text(row, column)?).ok_or(Error::Corrupt(column))
}

/// The account of a row.
fn account(row: &QueryResult) -> Result<AccountId, Error> {
    AccountId::parse(&text(row, "account_id")?).map_err(|_| Error::Corrupt("account id"))
}

/// A column that holds an id.
fn id<T: std::str::FromStr>(row: &QueryResult, column: &'static str) -> Result<T, Error> {
    text(row, column)?
        .parse()
        .map_err(|_| Error::Corrupt(column))
}
