//! What Okta writes: each call is one transaction, decided by the rules of [`user`] and allowed by
//! the token that comes with it.

use std::sync::Arc;

use rollcall_scim::User as Attributes;
use rollcall_store::{ChangeId, Tx};
use rollcall_types::{Clock, Credential, DomainName, RequestId, UserId, etag};
use sea_orm::ConnectionTrait;

use crate::Shared;
use crate::connection::{Known, Principal};
use crate::error::{Error, Taken};
use crate::store::{self, Origin};
use crate::user::{self, Moment, Unique, User};

/// How often a change is decided beside the writer before it is decided in it.
const TRIES: usize = 3;

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
                    Ok(change) => Ok(Written {
                        user,
                        change: Some(change),
                    }),
                    Err(error) => Err(taken(user, error)),
                }
            })
        });
        self.with_holder(written.await).await
    }

    /// Changes one user. What it becomes is decided on what a reader gives, since what that costs
    /// is up to the request, and the one writer serves every account; the write holds only for what
    /// was read. After [`TRIES`] writes of others in between it is decided once where there is none
    /// (REL-04).
    ///
    /// # Errors
    /// [`Error::CredentialInvalid`], [`Error::NotFound`], [`Error::VersionMismatch`],
    /// [`Error::Taken`], what the rules refuse, what storage says.
    pub(crate) async fn change<F>(&self, asked: Asked<F>) -> Result<Written, Error>
    where
        F: Fn(&User) -> Result<Change, Error> + Send + Sync + 'static,
    {
        let asked = Arc::new(asked);
        for _ in 0..TRIES {
            let planned = asked.plan(self.store.reader()).await?;
            if planned.after.is_none() {
                return Ok(planned.unchanged());
            }
            let asked = asked.clone();
            let written = self.store.write(move |tx| {
                Box::pin(async move {
                    let principal = asked.call.admitted(tx).await?;
                    // The writer orders this look and the commit that verifies the domain, so
                    // that nobody is left held beside it (U-09 c).
                    let (account, domain) = (&principal.account, planned.domain.as_ref());
                    let verified = store::domain::is_verified(tx, account, domain).await?;
                    if verified != planned.verified {
                        let why = "what the change rests on changed meanwhile".to_owned();
                        return Err(rollcall_store::Error::TryAgain(why).into());
                    }
                    planned.write(tx, &asked.call.origin(&principal)).await
                })
            });
            match written.await {
                Err(Error::Storage(rollcall_store::Error::TryAgain(_))) => {}
                done => return self.with_holder(done).await,
            }
        }
        let written = self.store.write(move |tx| {
            Box::pin(async move {
                let planned = asked.plan(tx).await?;
                let origin = asked.call.origin(&planned.principal);
                planned.write(tx, &origin).await
            })
        });
        self.with_holder(written.await).await
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

    async fn write(mut self, tx: &Tx, origin: &Origin) -> Result<Written, Error> {
        let Some(user) = self.after.take() else {
            return Ok(self.unchanged());
        };
        match store::user::update(tx, &self.before, &user, origin).await {
            Ok(change) => Ok(Written {
                user,
                change: Some(change),
            }),
            Err(error) => Err(taken(user, error)),
        }
    }
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
