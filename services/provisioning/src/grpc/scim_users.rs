//! `ScimUserService`: Okta's writes, each in one transaction, and reads.

use std::sync::Arc;

use rollcall_rpc::convert::user as convert;
use rollcall_rpc::metadata;
use rollcall_rpc::pb::scim::v1 as pb;
use rollcall_rpc::pb::scim::v1::scim_user_service_server::ScimUserService;
use rollcall_scim::list::MAX_COUNT;
use rollcall_scim::patch::{self, Operation};
use rollcall_scim::{self as scim, Filter, User as Attributes};
use rollcall_store::Tx;
use rollcall_types::{Clock, Credential, DomainName, RequestId, UserId, etag};
use sea_orm::ConnectionTrait;
use tonic::{Request, Response, Status};

use super::{Api, encode, token};
use crate::Shared;
use crate::connection::{Known, Principal};
use crate::error::{Error, Taken};
use crate::store::user::Slice;
use crate::store::{self, Origin};
use crate::user::{self, Moment, Unique, User};

/// How often a change is decided beside the writer before it is decided in it.
const TRIES: usize = 3;

impl Api {
    /// Whom the forwarded credential speaks for, for a read: trusted for at most five seconds.
    async fn reader<T>(&self, request: &Request<T>) -> Result<Principal, Error> {
        let credential = credential(request)?;
        let known = match self.0.tokens.get(credential.id()) {
            Some(known) => known,
            None => {
                let reading = self.0.tokens.reading();
                let found = store::token::look_up(self.0.store.reader(), &credential).await?;
                let known = found.ok_or(Error::CredentialInvalid)?;
                self.0.tokens.put(reading, credential.id(), known.clone());
                known
            }
        };
        known
            .admits(&credential, self.now())
            .ok_or(Error::CredentialInvalid)
    }

    /// Says who holds what is taken. Looked for once the write has failed: PostgreSQL refuses every
    /// statement after one that did, and on SQLite the holder may be of the same batch.
    async fn named<T>(&self, written: Result<T, Error>) -> Result<T, Error> {
        let Err(Error::Taken(mut taken)) = written else {
            return written;
        };
        let reader = self.0.store.reader();
        taken.holder = store::user::holder(reader, &taken.wanted, taken.key).await?;
        Err(Error::Taken(taken))
    }

    /// Changes one user. `decide` works on what a reader gives, since what it costs is up to the
    /// request, and the one writer serves every account; the write holds only for what was read.
    /// After [`TRIES`] writes of others in between it decides once where there is none (REL-04).
    /// The user as it is afterwards, and the text that names the change; empty if nothing changed.
    async fn change<F>(&self, asked: Asked<F>) -> Result<(pb::ScimUser, String), Error>
    where
        F: Fn(&User) -> Result<Change, Error> + Send + Sync + 'static,
    {
        let asked = Arc::new(asked);
        for _ in 0..TRIES {
            let planned = asked.plan(self.0.store.reader()).await?;
            if planned.after.is_none() {
                return Ok((encode::written(&planned.before)?, String::new()));
            }
            let (shared, asked) = (self.0.clone(), asked.clone());
            let written = self.0.store.write(move |tx| {
                Box::pin(async move {
                    let writer = asked.write.begin(tx).await?;
                    // The writer orders this look and the commit that verifies the domain, so
                    // that nobody is left held beside it (U-09 c).
                    let verified = writer.is_verified(tx, planned.domain.as_ref()).await?;
                    if verified != planned.verified {
                        return Err(rollcall_store::Error::TryAgain(
                            "what the change rests on changed meanwhile".to_owned(),
                        )
                        .into());
                    }
                    planned.write(tx, &writer.origin, &shared).await
                })
            });
            match written.await {
                Err(Error::Storage(rollcall_store::Error::TryAgain(_))) => {}
                done => return done,
            }
        }
        let shared = self.0.clone();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let planned = asked.plan(tx).await?;
                let origin = asked.write.origin(&planned.principal);
                planned.write(tx, &origin, &shared).await
            })
        });
        written.await
    }
}

/// What a request wants of one user.
struct Asked<F> {
    write: Write,
    id: UserId,
    if_match: Vec<String>,
    decide: F,
}

impl<F> Asked<F>
where
    F: Fn(&User) -> Result<Change, Error> + Send + Sync,
{
    /// What becomes of the user as `db` has it. Token, user and the state of its domain come in one
    /// statement, so that also a change that turns out to be none needs a token that lives (C-03).
    async fn plan(&self, db: &impl ConnectionTrait) -> Result<Planned, Error> {
        let credential = &self.write.credential;
        let found = store::user::for_write(db, credential.id(), self.id).await?;
        let (principal, row) = found
            .and_then(|read| Some((self.write.admit(&read.known)?, read.row)))
            .ok_or(Error::CredentialInvalid)?;
        let (row, domain_verified) = row.ok_or_else(|| Error::not_found("user", self.id))?;
        let before = row.decode(&principal.account)?;
        precondition(&self.if_match, &before)?;
        let Change { attributes, how } = (self.decide)(&before)?;
        let domain = user::email_domain(&attributes);
        let verified = if domain == before.email_domain() {
            domain_verified
        } else {
            store::domain::is_verified(db, &principal.account, domain.as_ref()).await?
        };
        let moment = Moment {
            connection: principal.connection,
            now: self.write.clock.now(),
            verified,
        };
        let after = match how {
            How::Replace => user::replace(&before, attributes, &moment)?,
            How::Patch => user::patch(&before, attributes, &moment)?,
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
    async fn write(
        self,
        tx: &Tx,
        origin: &Origin,
        shared: &Shared,
    ) -> Result<(pb::ScimUser, String), Error> {
        let Some(after) = self.after else {
            return Ok((encode::written(&self.before)?, String::new()));
        };
        match store::user::update(tx, &self.before, &after, origin).await {
            Ok(position) => Ok((encode::written(&after)?, token(shared, position))),
            Err(error) => Err(taken(after, error)),
        }
    }
}

/// A write of the connection before its transaction has begun.
struct Write {
    credential: Credential,
    request: Option<RequestId>,
    clock: Arc<dyn Clock>,
}

impl Write {
    fn of<T>(request: &Request<T>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Ok(Self {
            credential: credential(request)?,
            request: metadata::request_id(request),
            clock,
        })
    }

    /// Whom the credential speaks for, if it is the token that was looked up, and lives.
    fn admit(&self, known: &Known) -> Option<Principal> {
        known.admits(&self.credential, self.clock.now())
    }

    /// The connection as who writes, now.
    fn origin(&self, principal: &Principal) -> Origin {
        Origin::connection(principal.connection, self.request, self.clock.now())
    }

    /// Looks the credential up in the transaction of the write, so that a token revoked before it
    /// changes nothing (C-03). The time is that of the transaction: a write may have waited for it
    /// while its token ended.
    async fn begin(&self, tx: &Tx) -> Result<Writer, Error> {
        let found = store::token::look_up(tx, &self.credential).await?;
        let principal = found
            .and_then(|known| self.admit(&known))
            .ok_or(Error::CredentialInvalid)?;
        let origin = self.origin(&principal);
        Ok(Writer { principal, origin })
    }
}

/// Who writes.
struct Writer {
    principal: Principal,
    origin: Origin,
}

impl Writer {
    async fn is_verified(
        &self,
        db: &impl ConnectionTrait,
        domain: Option<&DomainName>,
    ) -> Result<bool, Error> {
        Ok(store::domain::is_verified(db, &self.principal.account, domain).await?)
    }
}

/// What a write asks for.
struct Change {
    attributes: Attributes,
    how: How,
}

enum How {
    Replace,
    Patch,
}

#[tonic::async_trait]
impl ScimUserService for Api {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let write = Write::of(&request, self.0.deps.clock.clone())?;
        let request = request.into_inner();
        let attributes = attributes(request.attributes, request.roles, request.external_id)?;
        let id = UserId::from_uuid(self.0.deps.ids.next());
        let shared = self.0.clone();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let writer = write.begin(tx).await?;
                let domain = user::email_domain(&attributes);
                let moment = Moment {
                    connection: writer.principal.connection,
                    now: writer.origin.time,
                    verified: writer.is_verified(tx, domain.as_ref()).await?,
                };
                let user = user::create(&writer.principal.account, id, attributes, &moment);
                match store::user::insert(tx, &user, &writer.origin).await {
                    Ok(position) => Ok((encode::written(&user)?, token(&shared, position))),
                    Err(error) => Err(taken(user, error)),
                }
            })
        });
        let (user, change_token) = self.named(written.await).await?;
        Ok(Response::new(pb::CreateUserResponse {
            user: Some(user),
            change_token,
        }))
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::GetUserResponse>, Status> {
        let principal = self.reader(&request).await?;
        let text = &request.get_ref().user_id;
        let id = user_id(text)?;
        let found = store::user::find(self.0.store.reader(), &principal.account, id).await;
        let row = found
            .map_err(Error::from)?
            .ok_or_else(|| Error::not_found("user", text))?;
        let user = Some(encode::scim_user(&principal.account, row)?);
        Ok(Response::new(pb::GetUserResponse { user }))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let principal = self.reader(&request).await?;
        let request = request.into_inner();
        let filter = request.filter.as_deref().map(Filter::parse).transpose();
        let filter = filter.map_err(Error::from)?;
        let condition = store::user::compile(filter.as_ref()).map_err(Error::from)?;
        let reader = self.0.store.reader();
        let account = &principal.account;
        let total = store::user::count(reader, account, &condition)
            .await
            .map_err(Error::from)?;
        let limit = u64::try_from(request.count).unwrap_or(0);
        let limit = limit.min(u64::from(MAX_COUNT));
        let skip = u64::try_from(request.start_index.max(1) - 1).unwrap_or(0);
        let past = i64::try_from(skip).is_ok_and(|skip| skip >= total);
        let rows = if limit == 0 || past {
            Vec::new()
        } else {
            let rows = store::user::list(reader, account, &condition, Slice::Skip(skip), limit);
            rows.await.map_err(Error::from)?
        };
        let users: Result<Vec<_>, Error> = rows
            .into_iter()
            .map(|row| encode::scim_user(account, row))
            .collect();
        Ok(Response::new(pb::ListUsersResponse {
            users: users?,
            total_results: total,
        }))
    }

    async fn replace_user(
        &self,
        request: Request<pb::ReplaceUserRequest>,
    ) -> Result<Response<pb::ReplaceUserResponse>, Status> {
        let write = Write::of(&request, self.0.deps.clock.clone())?;
        // Without a token that lives nothing is said of the rest of the request.
        self.reader(&request).await?;
        let request = request.into_inner();
        let attributes = attributes(request.attributes, request.roles, request.external_id)?;
        let decide = move |_: &User| {
            Ok(Change {
                attributes: attributes.clone(),
                how: How::Replace,
            })
        };
        let asked = Asked {
            write,
            id: user_id(&request.user_id)?,
            if_match: request.if_match,
            decide,
        };
        let (user, change_token) = self.named(self.change(asked).await).await?;
        Ok(Response::new(pb::ReplaceUserResponse {
            user: Some(user),
            change_token,
        }))
    }

    async fn patch_user(
        &self,
        request: Request<pb::PatchUserRequest>,
    ) -> Result<Response<pb::PatchUserResponse>, Status> {
        let write = Write::of(&request, self.0.deps.clock.clone())?;
        // Without a token that lives nothing is said of the rest of the request.
        self.reader(&request).await?;
        let request = request.into_inner();
        let operations = operations(request.operations)?;
        let decide = move |stored: &User| {
            let patched = patch::apply(&stored.attributes, &operations)?;
            Ok(Change {
                attributes: patched.user,
                how: How::Patch,
            })
        };
        let asked = Asked {
            write,
            id: user_id(&request.user_id)?,
            if_match: request.if_match,
            decide,
        };
        let (user, change_token) = self.named(self.change(asked).await).await?;
        Ok(Response::new(pb::PatchUserResponse {
            user: Some(user),
            change_token,
        }))
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<pb::DeleteUserResponse>, Status> {
        let write = Write::of(&request, self.0.deps.clock.clone())?;
        let request = request.into_inner();
        let written = self.0.store.write(move |tx| {
            Box::pin(async move {
                let writer = write.begin(tx).await?;
                let account = &writer.principal.account;
                let id = user_id(&request.user_id)?;
                let found = store::user::find(tx, account, id).await?;
                let user = found.ok_or_else(|| Error::not_found("user", id))?;
                let user = user.decode(account)?;
                precondition(&request.if_match, &user)?;
                Ok::<_, Error>(store::user::delete(tx, &user, &writer.origin).await?)
            })
        });
        let position = written.await?;
        Ok(Response::new(pb::DeleteUserResponse {
            change_token: self.token(position),
        }))
    }
}

/// The forwarded credential. Its form is checked before any database is asked.
fn credential<T>(request: &Request<T>) -> Result<Credential, Error> {
    let text = metadata::credential(request.metadata()).ok_or(Error::CredentialInvalid)?;
    Credential::parse(text).ok_or(Error::CredentialInvalid)
}

fn user_id(text: &str) -> Result<UserId, Error> {
    text.parse().map_err(|_| Error::not_found("user", text))
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

fn attributes(
    attributes: Option<rollcall_rpc::pb::provisioning::v1::UserAttributes>,
    roles: Option<rollcall_rpc::pb::provisioning::v1::RoleList>,
    external_id: String,
) -> Result<Attributes, Status> {
    let attributes = attributes.ok_or_else(|| Error::field("attributes", "is required"))?;
    let mut attributes = convert::from_proto(attributes)?;
    if attributes.user_name.is_empty() {
        return Err(Error::field("attributes.user_name", "is required").into());
    }
    attributes.roles = roles.map(convert::roles_from_proto);
    attributes.external_id = Some(external_id).filter(|id| !id.is_empty());
    Ok(attributes)
}

fn operations(messages: Vec<pb::PatchOperation>) -> Result<Vec<Operation>, Error> {
    messages
        .into_iter()
        .map(|message| {
            let value = message
                .value_json
                .as_deref()
                .map(serde_json::from_str)
                .transpose();
            let value = value.map_err(|error| {
                scim::Error::new(
                    scim::ErrorKind::InvalidSyntax,
                    format!("the value of a PATCH operation is no JSON: {error}"),
                )
            })?;
            Ok(Operation {
                op: op(&message.op)?,
                path: message.path,
                value,
            })
        })
        .collect()
}

fn op(word: &str) -> Result<patch::Op, scim::Error> {
    patch::Op::parse(word).ok_or_else(|| {
        let detail = format!("op {word:.20?} is none of add, remove, replace");
        scim::Error::new(scim::ErrorKind::InvalidSyntax, detail)
    })
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
