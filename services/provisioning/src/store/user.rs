//! Users. Their statements are raw (see [`super`]): most of them are what Okta waits for.

use rollcall_scim::{self as scim, Filter};
use rollcall_store::feed::{self, NewChange, Op};
use rollcall_store::{ChangeId, Error, Position, Tx};
use rollcall_types::{AccountId, ConnectionId, DomainName, Timestamp, TokenId, UserId, fold};
use sea_orm::prelude::{DateTimeUtc, Uuid};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use self::bookmark::Import;
use super::filter;
pub use super::filter::Condition;
use super::{Origin, email, kind, record, statement, token};
use crate::connection::Known;
use crate::user::{Unique, User, changed_paths};

pub mod bookmark;
pub mod count;
pub mod direct;

const COLUMNS: &str = "u.account_id, u.user_id, u.external_id, u.roles, u.active, u.admitted, \
     u.since, u.connection_id, u.version, u.created, u.updated, u.document";

/// A user as the gateway needs it: the document passes unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The id.
    pub id: UserId,
    /// The SCIM JSON without what is stored beside it.
    pub document: String,
    /// The externalId.
    pub external_id: Option<String>,
    /// The roles as JSON text.
    pub roles: Option<String>,
    /// Whether the user may have access.
    pub active: bool,
    /// Whether a verified domain vouches for it.
    pub admitted: bool,
    /// Since when its access state is what it is.
    pub since: Timestamp,
    /// The connection that last wrote it.
    pub connection: Option<ConnectionId>,
    /// Rises by one a change.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Row {
    /// The row in which the user is stored.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for roles that can't be written.
    pub fn of(user: &User) -> Result<Self, Error> {
        Ok(Self {
            id: user.id,
            document: document(&user.attributes),
            external_id: user.attributes.external_id.clone(),
            roles: roles(&user.attributes)?,
            active: user.active,
            admitted: user.admitted,
            since: user.since,
            connection: user.connection,
            version: user.version,
            created: user.created,
            updated: user.updated,
        })
    }

    /// The user, its document decoded.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a document that is none.
    pub fn decode(self, account: &AccountId) -> Result<User, Error> {
        let document = record::from_text(&self.document, "user")?;
        let mut attributes =
            scim::User::from_document(document).map_err(|_| Error::Corrupt("user"))?;
        attributes.external_id = self.external_id;
        attributes.roles = self
            .roles
            .as_deref()
            .map(|roles| record::from_text(roles, "roles"))
            .transpose()?;
        Ok(User {
            account: account.clone(),
            id: self.id,
            attributes,
            active: self.active,
            admitted: self.admitted,
            since: self.since,
            connection: self.connection,
            version: self.version,
            created: self.created,
            updated: self.updated,
        })
    }
}

fn read(row: &QueryResult) -> Result<Row, Error> {
    let time = |column| {
        let time = row.try_get::<DateTimeUtc>("", column);
        time.map(Timestamp::new)
    };
    Ok(Row {
        id: UserId::from_uuid(row.try_get::<Uuid>("", "user_id")?),
        document: row.try_get("", "document")?,
        external_id: row.try_get("", "external_id")?,
        roles: row.try_get("", "roles")?,
        active: row.try_get("", "active")?,
        admitted: row.try_get("", "admitted")?,
        since: time("since")?,
        connection: row
            .try_get::<Option<Uuid>>("", "connection_id")?
            .map(ConnectionId::from_uuid),
        version: row.try_get("", "version")?,
        created: time("created")?,
        updated: time("updated")?,
    })
}

/// One user of the account.
///
/// # Errors
/// What the database says.
pub async fn find(
    db: &impl ConnectionTrait,
    account: &AccountId,
    id: UserId,
) -> Result<Option<Row>, Error> {
    let query = statement(
        db,
        format!("SELECT {COLUMNS} FROM users u WHERE u.account_id = $1 AND u.user_id = $2"),
        [account.as_str().into(), id.to_uuid().into()],
    );
    db.query_one_raw(query)
        .await?
        .as_ref()
        .map(read)
        .transpose()
}

/// What decides about a write of one user.
#[derive(Debug)]
pub struct ForWrite {
    /// The token that is to write, with whom it speaks for.
    pub known: Known,
    /// The user, if its account has it, and whether its email domain is verified for the account.
    pub row: Option<(Row, bool)>,
}

/// The token of an installed connection and one user of its account, in one statement; `None` if
/// there is no such token.
///
/// # Errors
/// What the database says.
pub async fn for_write(
    db: &impl ConnectionTrait,
    token: TokenId,
    id: UserId,
) -> Result<Option<ForWrite>, Error> {
    let Some(row) = db.query_one_raw(token_and_user(db, token, id)).await? else {
        return Ok(None);
    };
    let known = token::known(&row)?;
    let stored = row.try_get::<Option<Uuid>>("", "user_id")?;
    let row = stored
        .map(|_| Ok::<_, Error>((read(&row)?, row.try_get("", "domain_verified")?)))
        .transpose()?;
    Ok(Some(ForWrite { known, row }))
}

fn token_and_user(db: &impl ConnectionTrait, token: TokenId, id: UserId) -> Statement {
    let sql = format!(
        "SELECT {}, {COLUMNS}, EXISTS (SELECT 1 FROM domains d WHERE d.account_id = u.account_id \
         AND d.name = u.email_domain AND d.verified_since IS NOT NULL) AS domain_verified \
         {} LEFT JOIN users u ON u.account_id = t.account_id AND u.user_id = $2 \
         WHERE t.token_id = $1 AND c.state = 'CONNECTED'",
        token::COLUMNS,
        token::OF_CONNECTION
    );
    statement(db, sql, [token.to_uuid().into(), id.to_uuid().into()])
}

/// How a user may be asked for, beside its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// By userName, compared folded.
    UserName(String),
    /// By primary email, compared folded.
    Email(String),
    /// By externalId, compared exactly.
    ExternalId(String),
}

/// The users that a key names: at most one, but for emails.
///
/// # Errors
/// What the database says.
pub async fn find_by(
    db: &impl ConnectionTrait,
    account: &AccountId,
    key: &Key,
) -> Result<Vec<Row>, Error> {
    let (column, value) = match key {
        Key::UserName(name) => ("user_name_folded", fold::fold(name)),
        Key::Email(email) => ("email_folded", fold::fold(email)),
        Key::ExternalId(id) => ("external_id", id.clone()),
    };
    let query = statement(
        db,
        format!(
            "SELECT {COLUMNS} FROM users u WHERE u.account_id = $1 AND u.{column} = $2 \
             ORDER BY u.user_id LIMIT 11"
        ),
        [account.as_str().into(), value.into()],
    );
    db.query_all_raw(query).await?.iter().map(read).collect()
}

/// Who has what `user` may not have; `None` if nobody has it any more.
///
/// # Errors
/// What the database says.
pub async fn holder(
    db: &impl ConnectionTrait,
    user: &User,
    key: Unique,
) -> Result<Option<UserId>, Error> {
    let row = db.query_one_raw(holding(db, user, key)).await?;
    let id = row.map(|row| row.try_get::<Uuid>("", "user_id"));
    Ok(id.transpose()?.map(UserId::from_uuid))
}

fn holding(db: &impl ConnectionTrait, user: &User, key: Unique) -> Statement {
    let mut values: Vec<Value> = vec![user.account.as_str().into()];
    let same = match key {
        Unique::UserName => {
            values.push(fold::fold(&user.attributes.user_name).into());
            "user_name_folded = $2"
        }
        Unique::ExternalId => {
            values.push(user.attributes.external_id.clone().into());
            values.push(user.connection.map(ConnectionId::to_uuid).into());
            "external_id = $2 AND connection_id = $3"
        }
    };
    let sql = format!("SELECT user_id FROM users WHERE account_id = $1 AND {same}");
    statement(db, sql, values)
}

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub enum Slice {
    /// From the first result, skipping some.
    Skip(u64),
    /// From where an import of all users is.
    Import(Import),
    /// After a user.
    After(Uuid),
}

/// Users in order of their creation.
///
/// # Errors
/// `None` for a filter that is not offered; else what the database says.
pub async fn list(
    db: &impl ConnectionTrait,
    account: &AccountId,
    condition: &Condition,
    slice: Slice,
    limit: u64,
) -> Result<Vec<Row>, Error> {
    let query = page(db, account, condition, slice, limit);
    db.query_all_raw(query).await?.iter().map(read).collect()
}

fn page(
    db: &impl ConnectionTrait,
    account: &AccountId,
    condition: &Condition,
    slice: Slice,
    limit: u64,
) -> Statement {
    let mut values: Vec<Value> = vec![account.as_str().into()];
    let mut wanted = condition.sql(&mut values);
    let mut skip = String::new();
    match slice {
        Slice::Skip(count) => skip = format!(" OFFSET {count}"),
        Slice::Import(import) => {
            let (after, offset) = import.sql(&mut values);
            wanted = format!("{wanted} AND u.user_id > {after}");
            skip = format!(" OFFSET {offset}");
        }
        Slice::After(id) => {
            values.push(id.into());
            wanted = format!("{wanted} AND u.user_id > ${}", values.len());
        }
    }
    // The page is found on the key's index alone; only its rows are read.
    let sql = format!(
        "SELECT {COLUMNS} FROM users u WHERE u.account_id = $1 AND u.user_id IN \
         (SELECT u.user_id FROM users u WHERE u.account_id = $1{wanted} \
         ORDER BY u.user_id LIMIT {limit}{skip}) ORDER BY u.user_id"
    );
    statement(db, sql, values)
}

/// Compiles a filter; see [`filter`].
///
/// # Errors
/// `invalidFilter` for what this release does not offer.
pub fn compile(filter: Option<&Filter>) -> Result<Condition, scim::Error> {
    filter::compile(filter)
}

/// Stores a new user and its change; which change it is.
///
/// # Errors
/// What the database says; a unique violation for a taken userName or externalId.
pub async fn insert(tx: &Tx, user: &User, origin: &Origin) -> Result<ChangeId, Error> {
    let change = append(tx, None, user, origin).await?;
    let mut values = row_values(user)?;
    values.extend([change.seq.into(), user.created.to_chrono().into()]);
    let sql = format!(
        "INSERT INTO users ({WRITTEN}, change_seq, created) VALUES ({})",
        upto(18)
    );
    tx.execute_raw(statement(tx, sql, values)).await?;
    email::insert(tx, user).await?;
    count::by(tx, &user.account, 1).await?;
    Ok(change)
}

/// Stores a changed user and its change; which change it is.
///
/// # Errors
/// What the database says; a unique violation for a taken userName or externalId;
/// [`Error::TryAgain`] if the row is no longer the one that was read.
pub async fn update(
    tx: &Tx,
    before: &User,
    after: &User,
    origin: &Origin,
) -> Result<ChangeId, Error> {
    let change = append(tx, Some(before), after, origin).await?;
    let mut values = row_values(after)?;
    values.extend([change.seq.into(), before.version.into()]);
    let sql = format!(
        "UPDATE users SET {SET}, change_seq = $17 \
         WHERE account_id = $1 AND user_id = $2 AND version = $18"
    );
    let done = tx.execute_raw(statement(tx, sql, values)).await?;
    if done.rows_affected() != 1 {
        return Err(Error::TryAgain("the user changed meanwhile".to_owned()));
    }
    if before.attributes.emails != after.attributes.emails {
        email::replace(tx, after).await?;
    }
    Ok(change)
}

/// Deletes a user; which change it is.
///
/// # Errors
/// What the database says.
pub async fn delete(tx: &Tx, user: &User, origin: &Origin) -> Result<ChangeId, Error> {
    let change = NewChange {
        account: &user.account,
        kind: kind::USER,
        resource: &user.id.to_string(),
        op: Op::Deleted,
        version: user.version + 1,
        delta: -1,
        time: origin.time,
        actor: &origin.actor,
        request: origin.request,
        changed_paths: "",
        before: &record::user_to_text(user)?,
        after: "",
    };
    let change = feed::append(tx, change).await?;
    // Its further addresses go with it (ON DELETE CASCADE).
    let sql = "DELETE FROM users WHERE account_id = $1 AND user_id = $2";
    let values = [user.account.as_str().into(), user.id.to_uuid().into()];
    tx.execute_raw(statement(tx, sql, values)).await?;
    count::by(tx, &user.account, -1).await?;
    Ok(change)
}

async fn append(
    tx: &Tx,
    before: Option<&User>,
    after: &User,
    origin: &Origin,
) -> Result<ChangeId, Error> {
    let told = Told::of(before, after)?;
    feed::append(tx, told.change(before, after, origin)).await
}

/// What the feed is told of a user that is created or changed, as text.
struct Told {
    id: String,
    paths: String,
    before: String,
    after: String,
}

impl Told {
    fn of(before: Option<&User>, after: &User) -> Result<Self, Error> {
        let (paths, old) = changed_paths(before, after);
        Ok(Self {
            id: after.id.to_string(),
            paths: paths.join(" "),
            before: old,
            after: record::user_to_text(after)?,
        })
    }

    fn change<'a>(
        &'a self,
        before: Option<&User>,
        after: &'a User,
        origin: &'a Origin,
    ) -> NewChange<'a> {
        NewChange {
            account: &after.account,
            kind: kind::USER,
            resource: &self.id,
            op: Op::Upserted,
            version: after.version,
            delta: before.map_or(1, |_| 0),
            time: origin.time,
            actor: &origin.actor,
            request: origin.request,
            changed_paths: &self.paths,
            before: &self.before,
            after: &self.after,
        }
    }
}

/// The columns that every write of a user fills, in the order of [`row_values`].
const WRITTEN: &str = "account_id, user_id, user_name_folded, email_folded, email_type_folded, \
     email_domain, external_id, roles, active_sent, active, admitted, since, connection_id, \
     version, updated, document";
/// What a change sets of them.
const SET: &str = "user_name_folded = $3, email_folded = $4, email_type_folded = $5, \
     email_domain = $6, external_id = $7, roles = $8, active_sent = $9, active = $10, \
     admitted = $11, since = $12, connection_id = $13, version = $14, updated = $15, \
     document = $16";

/// The parameters `$1` to `$n`.
fn upto(n: usize) -> String {
    let all: Vec<String> = (1..=n).map(|n| format!("${n}")).collect();
    all.join(", ")
}

/// The values of [`WRITTEN`]: what is read back is what [`Row::of`] makes.
fn row_values(user: &User) -> Result<Vec<Value>, Error> {
    let row = Row::of(user)?;
    let attributes = &user.attributes;
    let email = email::primary(attributes);
    let email_type = email.and_then(|email| email.type_.as_deref());
    Ok(vec![
        user.account.as_str().into(),
        row.id.to_uuid().into(),
        fold::fold(&attributes.user_name).into(),
        email.map(|email| fold::fold(&email.value)).into(),
        email_type.map(fold::fold).into(),
        user.email_domain().map(|domain| domain.to_string()).into(),
        row.external_id.into(),
        row.roles.into(),
        attributes.active.into(),
        row.active.into(),
        row.admitted.into(),
        row.since.to_chrono().into(),
        row.connection.map(ConnectionId::to_uuid).into(),
        row.version.into(),
        row.updated.to_chrono().into(),
        row.document.into(),
    ])
}

fn roles(attributes: &scim::User) -> Result<Option<String>, Error> {
    attributes.roles.as_ref().map(record::to_text).transpose()
}

/// The stored text: the canonical document, with the URN of the access extension among its
/// schemas, since the gateway adds that object to every answer (U-10).
fn document(attributes: &scim::User) -> String {
    let mut document = attributes.to_document();
    if let Some(serde_json::Value::Array(schemas)) = document.get_mut("schemas") {
        schemas.push(scim::schema::ACCESS.into());
    }
    serde_json::Value::Object(document).to_string()
}

/// Keeps everybody else from writing a user until the transaction ends, so that what it reads next
/// is what it changes; on SQLite it is the only one that writes.
///
/// # Errors
/// What the database says.
pub async fn lock(tx: &Tx, account: &AccountId, id: UserId) -> Result<(), Error> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let sql = "SELECT 1 FROM users WHERE account_id = $1 AND user_id = $2 FOR UPDATE";
        let values = [account.as_str().into(), id.to_uuid().into()];
        tx.query_one_raw(statement(tx, sql, values)).await?;
    }
    Ok(())
}

/// Held users of a domain in the order in which they came, to be released: nobody else writes them
/// meanwhile.
///
/// # Errors
/// What the database says.
pub async fn held(
    tx: &Tx,
    account: &AccountId,
    domain: &DomainName,
    limit: u64,
) -> Result<Vec<User>, Error> {
    let query = held_page(tx, account, domain, limit);
    let rows = tx.query_all_raw(query).await?;
    rows.iter().map(|row| read(row)?.decode(account)).collect()
}

fn held_page(
    db: &impl ConnectionTrait,
    account: &AccountId,
    domain: &DomainName,
    limit: u64,
) -> Statement {
    // A write beside the lane may be about to change them.
    let lock = match db.get_database_backend() {
        DbBackend::Postgres => " FOR UPDATE",
        _ => "",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM users u WHERE u.account_id = $1 AND u.email_domain = $2 \
         AND u.admitted = FALSE ORDER BY u.user_id LIMIT {limit}{lock}"
    );
    statement(db, sql, [account.as_str().into(), domain.as_str().into()])
}

/// The users of a snapshot.
pub(super) async fn snapshot(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    after: (&str, Uuid),
    position: &Position,
) -> Result<Vec<User>, Error> {
    let query = snapshot_page(db, only, after, position);
    let rows = db.query_all_raw(query).await?;
    rows.iter()
        .map(|row| {
            let account: String = row.try_get("", "account_id")?;
            read(row)?.decode(&super::account_id(&account)?)
        })
        .collect()
}

fn snapshot_page(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    (account, id): (&str, Uuid),
    position: &Position,
) -> Statement {
    let rest = match only {
        Some(_) => "u.account_id = $1 AND u.user_id > $2",
        None => "(u.account_id, u.user_id) > ($1, $2)",
    };
    let (committed, position) = feed::committed_by(position, "u.change_seq", 3);
    let sql = format!(
        "SELECT {COLUMNS} FROM users u WHERE {rest} AND {committed} \
         ORDER BY u.account_id, u.user_id LIMIT {}",
        feed::PAGE
    );
    let account = only.map_or(account, AccountId::as_str);
    statement(db, sql, [account.into(), id.into(), position])
}

#[cfg(test)]
mod tests;
