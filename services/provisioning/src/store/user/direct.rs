//! Writes of users that are one statement each, on PostgreSQL: what they rest on (the token lives,
//! the domain is or is not verified, the user is the one that was read) is checked, the user is
//! stored, and the feed is told, at once.

use std::sync::LazyLock;

use rollcall_store::{ChangeId, Direct, Error, feed};
use rollcall_types::{Timestamp, TokenId};
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::{SET, Told, WRITTEN, email, row_values, upto};
use crate::store::{Origin, kind, statement};
use crate::user::User;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Written(ChangeId),
    /// The token opens nothing any more.
    TokenEnded,
    /// The email domain is verified, though it was taken not to be, or the other way round.
    DomainDiffers,
    /// The user is not the one that was read.
    Stale,
}

/// What a write rests on.
#[derive(Clone, Copy, Debug)]
pub struct Premise {
    /// The token that writes.
    pub token: TokenId,
    /// Whether the email domain after the write is verified.
    pub verified: bool,
}

/// Whether the change of one statement can hold a user: further addresses are rows of their own,
/// which one statement can't replace.
#[must_use]
pub fn can_update(before: &User, after: &User) -> bool {
    before.attributes.emails == after.attributes.emails
        || (email::further(before).is_empty() && email::further(after).is_empty())
}

/// Creates a user.
///
/// # Errors
/// What the database says; a unique violation for a taken userName or externalId.
/// [`Error::TryAgain`] leaves it open whether the user was created: see [`own`].
pub async fn insert(
    direct: &Direct,
    user: &User,
    origin: &Origin,
    premise: Premise,
) -> Result<Outcome, Error> {
    let told = Told::of(None, user)?;
    let mut values = row_values(user)?;
    values.push(user.created.to_chrono().into());
    values.extend(told.change(None, user, origin).values());
    values.extend(premise.values(origin.time));
    let mut sql = CREATE.clone();
    let further = email::further(user);
    if !further.is_empty() {
        let mut rows = Vec::with_capacity(further.len());
        for (position, value, kind) in further {
            let n = values.len();
            values.extend([position.into(), value.into(), kind.into()]);
            rows.push(format!(
                "($1::text, $2::uuid, ${}::bigint, ${}::text, ${}::text)",
                n + 1,
                n + 2,
                n + 3
            ));
        }
        let rows = rows.join(", ");
        sql = format!(
            "{sql}, addresses AS (INSERT INTO user_emails \
             (account_id, user_id, position, value_folded, type_folded) \
             SELECT e.* FROM (VALUES {rows}) e WHERE EXISTS (SELECT 1 FROM stored))"
        );
    }
    run(direct, format!("{sql} {ANSWER}"), values).await
}

/// Changes a user, if it is still the one that was read.
///
/// # Errors
/// As [`insert`].
pub async fn update(
    direct: &Direct,
    before: &User,
    after: &User,
    origin: &Origin,
    premise: Premise,
) -> Result<Outcome, Error> {
    let told = Told::of(Some(before), after)?;
    let mut values = row_values(after)?;
    values.push(before.version.into());
    values.extend(told.change(Some(before), after, origin).values());
    values.extend(premise.values(origin.time));
    run(direct, format!("{} {ANSWER}", *UPDATE), values).await
}

async fn run(direct: &Direct, sql: String, values: Vec<Value>) -> Result<Outcome, Error> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let row = direct.run(statement).await?;
    Ok(if !row.try_get::<bool>("", "token_lives")? {
        Outcome::TokenEnded
    } else if !row.try_get::<bool>("", "domain_fits")? {
        Outcome::DomainDiffers
    } else if row.try_get::<Option<i64>>("", "seq")?.is_none() {
        Outcome::Stale
    } else {
        Outcome::Written(feed::id(&row)?)
    })
}

/// The change by which a write made a user what it is; `None` if that write was not committed.
///
/// Looked for in the feed, since another write may have come after it, among the newest changes,
/// since it has only just been sent. A new user's id is nobody
/// else's, so what it was created as needs no comparison; of a change the time is compared too.
///
/// # Errors
/// What the database says.
pub async fn own(db: &impl ConnectionTrait, user: &User) -> Result<Option<ChangeId>, Error> {
    let sql = "SELECT seq, xid::text AS xid FROM changes WHERE account_id = $1 AND kind = $2 \
               AND resource_id = $3 AND version = $4 AND ($4 = 1 OR time = $5) \
               AND seq > (SELECT MAX(seq) FROM changes) - 100000";
    let values = [
        user.account.as_str().into(),
        i64::from(kind::USER).into(),
        user.id.to_string().into(),
        user.version.into(),
        user.updated.to_chrono().into(),
    ];
    let row = db.query_one_raw(statement(db, sql, values)).await?;
    row.as_ref().map(feed::id).transpose()
}

impl Premise {
    fn values(self, now: Timestamp) -> [Value; 3] {
        [
            self.token.to_uuid().into(),
            now.to_chrono().into(),
            self.verified.into(),
        ]
    }
}

/// Row and change take 17 and 13 parameters.
const CHANGE: usize = 17;
const PREMISE: usize = CHANGE + 13;

/// What the write rests on. A token is bound to its account and connection for ever.
fn premise() -> String {
    format!(
        "premise AS MATERIALIZED (SELECT \
         EXISTS (SELECT 1 FROM tokens t JOIN connections c \
         ON c.account_id = t.account_id AND c.connection_id = t.connection_id \
         WHERE t.token_id = ${} AND t.account_id = $1 AND t.connection_id = $13 \
         AND c.state = 'CONNECTED' AND LEAST(t.expires, t.ends) > ${}) AS token_lives, \
         EXISTS (SELECT 1 FROM domains d WHERE d.account_id = $1 AND d.name = $6 \
         AND d.verified_since IS NOT NULL) = ${} AS domain_fits)",
        PREMISE + 1,
        PREMISE + 2,
        PREMISE + 3
    )
}

/// The change of what was stored, if anything was.
fn told() -> String {
    let values: Vec<String> = (CHANGE + 1..=PREMISE).map(|n| format!("${n}")).collect();
    format!(
        "told AS (INSERT INTO changes (seq, {}) SELECT change_seq, {} FROM stored \
         RETURNING seq, xid)",
        feed::COLUMNS,
        values.join(", ")
    )
}

/// The number of a change is drawn by the statement that wins the row.
const NEXT: &str = "nextval('changes_seq_seq')";

static CREATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH {}, stored AS (INSERT INTO users ({WRITTEN}, created, change_seq) \
         SELECT {}, {NEXT} FROM premise WHERE token_lives AND domain_fits RETURNING change_seq), {}",
        premise(),
        upto(CHANGE),
        told()
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH {}, stored AS (UPDATE users SET {SET}, change_seq = {NEXT} \
         FROM premise WHERE account_id = $1 AND user_id = $2 AND version = $17 \
         AND token_lives AND domain_fits RETURNING change_seq), {}",
        premise(),
        told()
    )
});

const ANSWER: &str = "SELECT token_lives, domain_fits, seq, xid::text AS xid \
     FROM premise LEFT JOIN told ON TRUE";
