//! What Okta writes: each call is one transaction, decided by the rules of [`user`] and allowed by
//! the token that comes with it.

use std::sync::Arc;
use std::time::Duration;

use rollcall_scim::User as Attributes;
use rollcall_store::{ChangeId, Direct, Tx};
use rollcall_types::{
    AccountId, Clock, Credential, DomainName, RequestId, Timestamp, TokenId, UserId, etag,
};
use sea_orm::ConnectionTrait;
use tokio::time::Instant;

use crate::Shared;
use crate::connection::{Known, Principal};
use crate::error::{Error, Taken};
use crate::store::user::direct::{self as user_direct, Outcome, Premise};
use crate::store::{self, Origin};
use crate::user::{self, Moment, Unique, User};

/// How often a write is decided beside others before it is decided where there is none.
const TRIES: usize = 3;
/// How long it is looked for what became of a write whose answer was lost, and how often.
const LOST: Duration = Duration::from_secs(10);
const ASK: Duration = Duration::from_millis(50);

/// Who asks for a write, on which request.
#[derive(Debug)]
pub(crate) struct Call {
    /// The token that came with it.
    pub(crate) credential: Credential,
    /// Its id.
    pub(crate) request: Option<RequestId>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

/// A user as it is after a write.
#[derive(Debug)]
pub(crate) struct Written {
    /// The user.
    pub(crate) user: User,
    /// Its change; `None` if nothing changed.
    pub(crate) change: Option<ChangeId>,
}

impl Written {
    fn new(user: User, change: ChangeId) -> Self {
        Self {
            user,
            change: Some(change),
        }
    }
}

/// The user of a statement whose answer was lost, and until when it is looked for.
#[derive(Debug, Default)]
struct Sent(Option<(User, Instant)>);

impl Sent {
    /// Notes the loss.
    ///
    /// # Errors
    /// [`rollcall_store::Error::TryAgain`] when answers have been lost for too long.
    fn lost(&mut self, user: User, why: &str) -> Result<(), Error> {
        tracing::debug!(why, user.id = %user.id, "the answer to a write was lost");
        let until = match &self.0 {
            Some((_, until)) => *until,
            None => Instant::now() + LOST,
        };
        if Instant::now() > until {
            return Err(rollcall_store::Error::TryAgain(why.to_owned()).into());
        }
        self.0 = Some((user, until));
        Ok(())
    }

    /// Whether what is taken is taken by the user itself.
    fn holds(&self, error: &rollcall_store::Error) -> bool {
        let taken = || error.unique_violation();
        self.0.is_some() && taken().is_some_and(|index| index.contains("pkey"))
    }
}

/// What a request wants of one user.
pub(crate) struct Asked<F> {
    /// Who asks.
    pub(crate) call: Call,
    /// Of which user.
    pub(crate) id: UserId,
    /// Which versions it may be of; empty for any.
    pub(crate) if_match: Vec<String>,
    /// What it is to become.
    pub(crate) decide: F,
}

/// What a user is to become.
pub(crate) enum Change {
    /// These attributes, as PUT sends them.
    Replace(Attributes),
    /// These attributes, as PATCH made them of the stored ones.
    Patch(Attributes),
}

impl Shared {
    /// Whom a credential speaks for, as it was at most five seconds ago (SEC-TOK-06).
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`], what storage says.
    pub(crate) async fn admit(
        &self,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<Principal, Error> {
        let known = match self.tokens.get(credential.id()) {
            Some(known) => known,
            None => {
                let reading = self.tokens.reading();
                let found = store::token::look_up(self.store.reader(), credential).await?;
                let known = found.ok_or(Error::CredentialInvalid)?;
                self.tokens.put(reading, credential.id(), known.clone());
                known
            }
        };
        let principal = known.admits(credential, now);
        let principal = principal.ok_or(Error::CredentialInvalid)?;
        self.note_use(credential.id(), now);
        Ok(principal)
    }

    /// Notes that a token is used, beside the answer (SEC-TOK-05).
    fn note_use(&self, token: TokenId, now: Timestamp) {
        if !self.uses.is_due(token, now) {
            return;
        }
        let (store, uses) = (self.store.clone(), self.uses.clone());
        tokio::spawn(async move {
            if let Err(error) = store::token::note_use(&store, token, now).await {
                tracing::debug!(%error, "the use of a token is not noted");
                uses.forget(token);
            }
        });
    }

    /// Creates a user (U-01).
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`], [`Error::Taken`], what storage says.
    pub(crate) async fn create(
        &self,
        call: Call,
        id: UserId,
        attributes: Attributes,
    ) -> Result<Written, Error> {
        if let Some(direct) = self.store.direct() {
            let written = self.create_at_once(direct, &call, id, attributes).await;
            return self.with_holder(written).await;
        }
        let (token, now) = (call.credential.id(), call.clock.now());
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let principal = call.admitted(tx).await?;
                let origin = call.origin(&principal);
                let account = &principal.account;
                let domain = user::email_domain(&attributes);
                let moment = Moment {
                    connection: principal.connection,
                    now: origin.time,
                    verified: store::domain::is_verified(tx, account, domain.as_ref()).await?,
                };
                let user = user::create(account, id, attributes, &moment);
                match store::user::insert(tx, &user, &origin).await {
                    Ok(change) => Ok(Written::new(user, change)),
                    Err(error) => Err(taken(user, error)),
                }
            })
        });
        let written = self.with_holder(written.await).await?;
        self.note_use(token, now);
        Ok(written)
    }

    /// Creates a user by one statement. The token was looked up at most five seconds ago, and the
    /// state of the domain is guessed to be what it was last: the statement checks both.
    async fn create_at_once(
        &self,
        direct: &Direct,
        call: &Call,
        id: UserId,
        attributes: Attributes,
    ) -> Result<Written, Error> {
        let now = call.clock.now();
        let principal = self.admit(&call.credential, now).await?;
        let account = &principal.account;
        let domain = user::email_domain(&attributes);
        let mut verified = self.guess(account, domain.as_ref()).await?;
        let mut sent = Sent::default();
        let mut tries = 0..TRIES;
        loop {
            if let Some(written) = self.own(&sent).await? {
                return Ok(written);
            }
            let origin = call.origin(&principal);
            let moment = Moment {
                connection: principal.connection,
                now: origin.time,
                verified,
            };
            let user = user::create(account, id, attributes.clone(), &moment);
            let premise = call.premise(verified);
            match user_direct::insert(direct, &user, &origin, premise).await {
                Ok(Outcome::Written(change)) => return Ok(Written::new(user, change)),
                Ok(Outcome::TokenEnded) => return Err(Error::CredentialInvalid),
                Ok(Outcome::DomainDiffers | Outcome::Stale) => {
                    verified = !verified;
                    self.learn(account, domain.as_ref(), verified);
                    tries.next().ok_or_else(changing)?;
                }
                Err(rollcall_store::Error::AnswerLost(why)) => sent.lost(user, &why)?,
                // By this call's own statement, it seems.
                Err(error) if sent.holds(&error) => {
                    tries.next().ok_or_else(changing)?;
                }
                Err(error) => return Err(taken(user, error)),
            }
        }
    }

    /// Whether an email domain is verified, as the last write found it.
    async fn guess(&self, account: &AccountId, domain: Option<&DomainName>) -> Result<bool, Error> {
        let Some(domain) = domain else {
            return Ok(false);
        };
        if let Some(verified) = self.verified.get(account, domain) {
            return Ok(verified);
        }
        let reader = self.store.reader();
        let verified = store::domain::is_verified(reader, account, Some(domain)).await?;
        self.verified.put(account, domain, verified);
        Ok(verified)
    }

    fn learn(&self, account: &AccountId, domain: Option<&DomainName>, verified: bool) {
        if let Some(domain) = domain {
            self.verified.put(account, domain, verified);
        }
    }

    /// What a statement wrote whose answer was lost; `None` if nothing, or not yet.
    async fn own(&self, sent: &Sent) -> Result<Option<Written>, Error> {
        let Some((user, until)) = &sent.0 else {
            return Ok(None);
        };
        loop {
            match user_direct::own(self.store.reader(), user).await {
                // Whoever lost one connection has lost more of them.
                Err(rollcall_store::Error::TryAgain(_)) if Instant::now() < *until => {
                    tokio::time::sleep(ASK).await;
                }
                own => return Ok(own?.map(|change| Written::new(user.clone(), change))),
            }
        }
    }

    /// Changes one user. What it becomes is decided on what a reader gives, since what that costs
    /// is up to the request, and writes that follow one another serve every account; the write
    /// holds only for what was read. After [`TRIES`] writes of others in between it is decided once
    /// where there is none (REL-04).
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`], [`Error::NotFound`], [`Error::VersionMismatch`],
    /// [`Error::Taken`], what the rules refuse, what storage says.
    pub(crate) async fn change<F>(&self, asked: Asked<F>) -> Result<Written, Error>
    where
        F: Fn(&User) -> Result<Change, Error> + Send + Sync + 'static,
    {
        let asked = Arc::new(asked);
        let mut sent = Sent::default();
        let mut tries = 0..TRIES;
        while let Some(_try) = tries.next() {
            if let Some(written) = self.own(&sent).await? {
                return Ok(written);
            }
            let planned = asked.plan(self.store.reader()).await?;
            let Some(after) = &planned.after else {
                return Ok(planned.unchanged());
            };
            let direct = self.store.direct();
            let direct = direct.filter(|_| user_direct::can_update(&planned.before, after));
            let Some(direct) = direct else {
                match self.write_in_turn(asked.clone(), planned).await {
                    Err(Error::Storage(rollcall_store::Error::TryAgain(_))) => continue,
                    done => return self.with_holder(done).await,
                }
            };
            match planned.write_at_once(direct, after, &asked.call).await {
                Ok(Outcome::Written(change)) => return Ok(Written::new(after.clone(), change)),
                Ok(Outcome::TokenEnded) => return Err(Error::CredentialInvalid),
                Ok(Outcome::DomainDiffers | Outcome::Stale) => {}
                Err(rollcall_store::Error::AnswerLost(why)) => {
                    sent.lost(after.clone(), &why)?;
                    tries = 0..TRIES;
                }
                Err(error) => {
                    let taken = taken(after.clone(), error);
                    return self.with_holder(Err(taken)).await;
                }
            }
        }
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let principal = asked.call.admitted(tx).await?;
                store::user::lock(tx, &principal.account, asked.id).await?;
                if let Some((user, _)) = sent.0
                    && let Some(change) = user_direct::own(tx, &user).await?
                {
                    return Ok(Written::new(user, change));
                }
                let planned = asked.plan(tx).await?;
                let origin = asked.call.origin(&planned.principal);
                planned.write(tx, &origin).await
            })
        });
        self.with_holder(written.await).await
    }

    /// Writes what was decided in the turn of writes that follow one another.
    async fn write_in_turn<F>(
        &self,
        asked: Arc<Asked<F>>,
        planned: Planned,
    ) -> Result<Written, Error>
    where
        F: Fn(&User) -> Result<Change, Error> + Send + Sync + 'static,
    {
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let principal = asked.call.admitted(tx).await?;
                // The turn orders this look and the commit that verifies the domain, so that
                // nobody is left held beside it (U-09 c).
                let (account, domain) = (&principal.account, planned.domain.as_ref());
                let verified = store::domain::is_verified(tx, account, domain).await?;
                if verified != planned.verified {
                    return Err(changing());
                }
                let origin = asked.call.origin(&principal);
                planned.write(tx, &origin).await
            })
        });
        written.await
    }

    /// Deletes a user; which change it is.
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`], [`Error::NotFound`], [`Error::VersionMismatch`], what storage
    /// says.
    pub(crate) async fn delete(
        &self,
        call: Call,
        id: UserId,
        if_match: Vec<String>,
    ) -> Result<ChangeId, Error> {
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let principal = call.admitted(tx).await?;
                let account = &principal.account;
                store::user::lock(tx, account, id).await?;
                let found = store::user::find(tx, account, id).await?;
                let user = found.ok_or_else(|| Error::not_found("user", id))?;
                let user = user.decode(account)?;
                precondition(&if_match, &user)?;
                Ok(store::user::delete(tx, &user, &call.origin(&principal)).await?)
            })
        });
        written.await
    }

    /// Says who holds what is taken. Looked for once the write has failed: PostgreSQL refuses every
    /// statement after one that did, and on SQLite the holder may be of the same batch.
    async fn with_holder<T>(&self, written: Result<T, Error>) -> Result<T, Error> {
        let Err(Error::Taken(mut taken)) = written else {
            return written;
        };
        let reader = self.store.reader();
        taken.holder = store::user::holder(reader, &taken.wanted, taken.key).await?;
        Err(Error::Taken(taken))
    }
}

impl Call {
    /// Whom the credential speaks for, if it is the token that was looked up, and lives.
    fn admit(&self, known: &Known) -> Result<Principal, Error> {
        let principal = known.admits(&self.credential, self.clock.now());
        principal.ok_or(Error::CredentialInvalid)
    }

    /// Looks the credential up in the transaction of the write, so that a token revoked before it
    /// changes nothing (C-03). The time is that of the transaction: a write may have waited for it
    /// while its token ended.
    async fn admitted(&self, tx: &Tx) -> Result<Principal, Error> {
        let found = store::token::look_up(tx, &self.credential).await?;
        self.admit(&found.ok_or(Error::CredentialInvalid)?)
    }

    /// What a write of one statement rests on.
    fn premise(&self, verified: bool) -> Premise {
        Premise {
            token: self.credential.id(),
            verified,
        }
    }

    /// The connection as who writes, now.
    fn origin(&self, principal: &Principal) -> Origin {
        Origin::connection(principal.connection, self.request, self.clock.now())
    }
}

impl<F> Asked<F>
where
    F: Fn(&User) -> Result<Change, Error> + Send + Sync,
{
    /// What becomes of the user as `db` has it. Token, user and the state of its domain come in one
    /// statement, so that also a change that turns out to be none needs a token that lives (C-03).
    async fn plan(&self, db: &impl ConnectionTrait) -> Result<Planned, Error> {
        let found = store::user::for_write(db, self.call.credential.id(), self.id).await?;
        let found = found.ok_or(Error::CredentialInvalid)?;
        let principal = self.call.admit(&found.known)?;
        let (row, domain_verified) = found.row.ok_or_else(|| Error::not_found("user", self.id))?;
        let before = row.decode(&principal.account)?;
        precondition(&self.if_match, &before)?;
        let change = (self.decide)(&before)?;
        let (Change::Replace(attributes) | Change::Patch(attributes)) = &change;
        let domain = user::email_domain(attributes);
        let verified = if domain == before.email_domain() {
            domain_verified
        } else {
            store::domain::is_verified(db, &principal.account, domain.as_ref()).await?
        };
        let moment = Moment {
            connection: principal.connection,
            now: self.call.clock.now(),
            verified,
        };
        let after = match change {
            Change::Replace(attributes) => user::replace(&before, attributes, &moment)?,
            Change::Patch(attributes) => user::patch(&before, attributes, &moment)?,
        };
        Ok(Planned {
            principal,
            before,
            after,
            domain,
            verified,
        })
    }
}

/// A change that was decided, with what it rests on.
struct Planned {
    principal: Principal,
    before: User,
    after: Option<User>,
    domain: Option<DomainName>,
    verified: bool,
}

impl Planned {
    fn unchanged(self) -> Written {
        Written {
            user: self.before,
            change: None,
        }
    }

    /// Writes what was decided by one statement, which checks what it rests on.
    async fn write_at_once(
        &self,
        direct: &Direct,
        after: &User,
        call: &Call,
    ) -> Result<Outcome, rollcall_store::Error> {
        // Of one time, so that the change can be told by it if its answer is lost.
        let connection = self.principal.connection;
        let origin = Origin::connection(connection, call.request, after.updated);
        let premise = call.premise(self.verified);
        user_direct::update(direct, &self.before, after, &origin, premise).await
    }

    async fn write(mut self, tx: &Tx, origin: &Origin) -> Result<Written, Error> {
        let Some(user) = self.after.take() else {
            return Ok(self.unchanged());
        };
        match store::user::update(tx, &self.before, &user, origin).await {
            Ok(change) => Ok(Written::new(user, change)),
            Err(error) => Err(taken(user, error)),
        }
    }
}

/// What a write rests on changed while it was decided.
fn changing() -> Error {
    let why = "what the change rests on changed meanwhile".to_owned();
    rollcall_store::Error::TryAgain(why).into()
}

/// If-Match (RFC 9110, section 13.1.1): any of the tags, or `*`.
fn precondition(if_match: &[String], user: &User) -> Result<(), Error> {
    let own = user.etag();
    let fits = |tag: &String| tag == "*" || etag::matches(tag, &own);
    if if_match.is_empty() || if_match.iter().any(fits) {
        Ok(())
    } else {
        Err(Error::VersionMismatch(own))
    }
}

/// A unique index that a write ran into, in the words of its attribute.
fn taken(wanted: User, error: rollcall_store::Error) -> Error {
    let key = match error.unique_violation() {
        Some(index) if index.contains("user_name") => Unique::UserName,
        Some(index) if index.contains("external_id") => Unique::ExternalId,
        _ => return Error::Storage(error),
    };
    Error::Taken(Box::new(Taken {
        key,
        wanted,
        holder: None,
    }))
}
