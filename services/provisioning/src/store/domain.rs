//! The projection of verification's domains: which email domains are verified for an account.

use rollcall_store::{Error, Tx};
use rollcall_types::{AccountId, DomainName};
use sea_orm::{ConnectionTrait, Statement, Value};

/// A domain as verification's feed tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projected {
    /// The account.
    pub account: AccountId,
    /// Its id there.
    pub domain_id: String,
    /// The name.
    pub name: DomainName,
    /// Whether it counts as verified.
    pub verified: bool,
    /// Its version there.
    pub version: i64,
}

fn statement(db: &impl ConnectionTrait, sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(db.get_database_backend(), sql, values)
}

/// Whether the domain is verified for the account.
///
/// # Errors
/// What the database says.
pub async fn is_verified(
    db: &impl ConnectionTrait,
    account: &AccountId,
    domain: Option<&DomainName>,
) -> Result<bool, Error> {
    let Some(domain) = domain else {
        return Ok(false);
    };
    let query = statement(
        db,
        "SELECT 1 AS found FROM domains WHERE account_id = $1 AND name = $2 AND state = 'VERIFIED'",
        vec![account.as_str().into(), domain.as_str().into()],
    );
    Ok(db.query_one_raw(query).await?.is_some())
}

/// Stores what the feed said, unless something newer of this generation is there.
///
/// # Errors
/// What the database says.
pub async fn upsert(tx: &Tx, domain: &Projected, generation: i64) -> Result<(), Error> {
    let state = if domain.verified {
        "VERIFIED"
    } else {
        "UNVERIFIED"
    };
    let upsert = statement(
        tx,
        "INSERT INTO domains (account_id, name, domain_id, state, version, generation) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (account_id, name) DO UPDATE SET domain_id = excluded.domain_id, \
         state = excluded.state, version = excluded.version, generation = excluded.generation \
         WHERE domains.generation < excluded.generation OR domains.version <= excluded.version \
         OR domains.domain_id <> excluded.domain_id",
        vec![
            domain.account.as_str().into(),
            domain.name.as_str().into(),
            domain.domain_id.as_str().into(),
            state.into(),
            domain.version.into(),
            generation.into(),
        ],
    );
    tx.execute_raw(upsert).await?;
    Ok(())
}

/// Drops a domain that is gone there.
///
/// # Errors
/// What the database says.
pub async fn delete(tx: &Tx, account: &AccountId, domain_id: &str) -> Result<(), Error> {
    let delete = statement(
        tx,
        "DELETE FROM domains WHERE account_id = $1 AND domain_id = $2",
        vec![account.as_str().into(), domain_id.into()],
    );
    tx.execute_raw(delete).await?;
    Ok(())
}

/// Drops what the snapshot of `generation` did not mention.
///
/// # Errors
/// What the database says.
pub async fn drop_older(tx: &Tx, generation: i64) -> Result<(), Error> {
    let delete = statement(
        tx,
        "DELETE FROM domains WHERE generation < $1",
        vec![generation.into()],
    );
    tx.execute_raw(delete).await?;
    Ok(())
}

/// A verified domain for which somebody still waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The account.
    pub account: AccountId,
    /// The domain.
    pub name: DomainName,
    /// How many users wait.
    pub users: i64,
}

/// Verified domains for which somebody still waits.
///
/// # Errors
/// What the database says.
pub async fn with_held_users(db: &impl ConnectionTrait) -> Result<Vec<Waiting>, Error> {
    let query = statement(
        db,
        "SELECT d.account_id, d.name, COUNT(*) AS users FROM domains d JOIN users u \
         ON u.account_id = d.account_id AND u.email_domain = d.name AND u.admitted = FALSE \
         WHERE d.state = 'VERIFIED' GROUP BY d.account_id, d.name ORDER BY d.account_id, d.name",
        Vec::new(),
    );
    let rows = db.query_all_raw(query).await?;
    rows.iter()
        .map(|row| {
            let account: String = row.try_get("", "account_id")?;
            let name: String = row.try_get("", "name")?;
            Ok(Waiting {
                account: AccountId::parse(&account).map_err(|_| Error::Corrupt("account id"))?,
                name: DomainName::parse(&name).map_err(|_| Error::Corrupt("domain"))?,
                users: row.try_get("", "users")?,
            })
        })
        .collect()
}
