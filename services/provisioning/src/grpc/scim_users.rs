//! `ScimUserService`: decode, call, encode.

use rollcall_rpc::convert::user as convert;
use rollcall_rpc::metadata;
use rollcall_rpc::pb::scim::v1 as pb;
use rollcall_rpc::pb::scim::v1::scim_user_service_server::ScimUserService;
use rollcall_scim::list::MAX_COUNT;
use rollcall_scim::patch::{self, Operation};
use rollcall_scim::{self as scim, Filter, User as Attributes};
use rollcall_types::{Credential, UserId};
use tonic::{Request, Response, Status};

use super::{Api, encode};
use crate::connection::Principal;
use crate::error::Error;
use crate::list::Wanted;
use crate::okta::{Asked, Call, Change, Written};
use crate::store;
use crate::user::User;

impl Api {
    /// Whom the forwarded credential speaks for, for a read: trusted for at most five seconds.
    async fn reader<T>(&self, request: &Request<T>) -> Result<Principal, Error> {
        self.0.admit(&credential(request)?, self.now()).await
    }

    /// Who asks for a write.
    fn call<T>(&self, request: &Request<T>) -> Result<Call, Error> {
        Ok(Call {
            credential: credential(request)?,
            request: metadata::request_id(request),
            clock: self.0.deps.clock.clone(),
        })
    }

    /// The user as the gateway needs it, and the text that names the change; empty if nothing
    /// changed.
    fn told(&self, written: &Written) -> Result<(Option<pb::ScimUser>, String), Error> {
        let token = written.change.map(|change| self.token(change));
        let user = encode::written(&written.user)?;
        Ok((Some(user), token.unwrap_or_default()))
    }
}

#[tonic::async_trait]
impl ScimUserService for Api {
    async fn create_user(
        &self,
        request: Request<pb::CreateUserRequest>,
    ) -> Result<Response<pb::CreateUserResponse>, Status> {
        let call = self.call(&request)?;
        let request = request.into_inner();
        let attributes = attributes(request.attributes, request.roles, request.external_id)?;
        let id = UserId::from_uuid(self.0.deps.ids.next());
        let written = self.0.create(call, id, attributes).await?;
        let (user, change_token) = self.told(&written)?;
        Ok(Response::new(pb::CreateUserResponse { user, change_token }))
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
        let wanted = Wanted {
            start_index: request.start_index.max(1),
            count: u64::try_from(request.count).map_or(0, |count| count.min(MAX_COUNT.into())),
        };
        let listed = self.0.list(&principal, &condition, wanted, self.now());
        let (rows, total) = listed.await?;
        let account = &principal.account;
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
        let call = self.call(&request)?;
        // Without a token that lives nothing is said of the rest of the request.
        self.reader(&request).await?;
        let request = request.into_inner();
        let attributes = attributes(request.attributes, request.roles, request.external_id)?;
        let asked = Asked {
            call,
            id: user_id(&request.user_id)?,
            if_match: request.if_match,
            decide: move |_: &User| Ok(Change::Replace(attributes.clone())),
        };
        let (user, change_token) = self.told(&self.0.change(asked).await?)?;
        Ok(Response::new(pb::ReplaceUserResponse {
            user,
            change_token,
        }))
    }

    async fn patch_user(
        &self,
        request: Request<pb::PatchUserRequest>,
    ) -> Result<Response<pb::PatchUserResponse>, Status> {
        let call = self.call(&request)?;
        // Without a token that lives nothing is said of the rest of the request.
        self.reader(&request).await?;
        let request = request.into_inner();
        let operations = operations(request.operations)?;
        let asked = Asked {
            call,
            id: user_id(&request.user_id)?,
            if_match: request.if_match,
            decide: move |stored: &User| {
                let patched = patch::apply(&stored.attributes, &operations)?;
                Ok(Change::Patch(patched.user))
            },
        };
        let (user, change_token) = self.told(&self.0.change(asked).await?)?;
        Ok(Response::new(pb::PatchUserResponse { user, change_token }))
    }

    async fn delete_user(
        &self,
        request: Request<pb::DeleteUserRequest>,
    ) -> Result<Response<pb::DeleteUserResponse>, Status> {
        let call = self.call(&request)?;
        // Without a token that lives nothing is said of the rest of the request.
        self.reader(&request).await?;
        let request = request.into_inner();
        let id = user_id(&request.user_id)?;
        let change = self.0.delete(call, id, request.if_match).await?;
        Ok(Response::new(pb::DeleteUserResponse {
            change_token: self.token(change),
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
