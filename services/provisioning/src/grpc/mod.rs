//! The gRPC face of the service: decode, call, encode.

mod accounts;
mod connections;
mod encode;
mod feed;
mod scim_users;
mod status;
mod users;

use std::sync::Arc;

use rollcall_rpc::pb::{provisioning::v1 as pb, scim::v1 as scim_pb};
use rollcall_rpc::{Caller, metadata};
use rollcall_store::ChangeId;
use rollcall_store::page::{Page, PageError};
use rollcall_store::position::Source;
use rollcall_types::{AccountId, Timestamp};
use tonic::Request;
use tonic::service::Routes;

use crate::error::Error;
use crate::store::Origin;
use crate::{Shared, account};

/// Every gRPC service of provisioning.
pub(crate) fn routes(shared: &Arc<Shared>) -> Routes {
    let api = Api(shared.clone());
    Routes::new(pb::account_service_server::AccountServiceServer::new(
        api.clone(),
    ))
    .add_service(pb::connection_service_server::ConnectionServiceServer::new(
        api.clone(),
    ))
    .add_service(pb::user_service_server::UserServiceServer::new(api.clone()))
    .add_service(pb::feed_service_server::FeedServiceServer::new(api.clone()))
    .add_service(pb::status_service_server::StatusServiceServer::new(
        api.clone(),
    ))
    .add_service(
        scim_pb::scim_user_service_server::ScimUserServiceServer::new(api)
            .max_decoding_message_size(17 * 1024 * 1024),
    )
}

/// The handlers; one type carries every service, since they share everything.
#[derive(Clone)]
pub(crate) struct Api(Arc<Shared>);

impl Api {
    fn now(&self) -> Timestamp {
        self.0.deps.clock.now()
    }

    /// The text that names a change.
    fn token(&self, change: ChangeId) -> String {
        token(&self.0, change)
    }

    /// Who changes something, on which request, now.
    fn origin<T>(&self, request: &Request<T>) -> Result<Origin, Error> {
        Ok(Origin {
            actor: caller(request)?.actor(),
            request: metadata::request_id(request),
            time: self.now(),
        })
    }

    /// The account of a request, if the caller may see it and it is there.
    async fn account(&self, caller: &Caller, id: &str) -> Result<account::Entry, Error> {
        let id = account_id(caller, id)?;
        let found = crate::store::account::find(self.0.store.reader(), &id).await?;
        found.ok_or_else(|| Error::not_found("account", id))
    }
}

/// The text that names a change of this service's feed.
fn token(shared: &Shared, change: ChangeId) -> String {
    shared.feed.token(Source::Provisioning, change)
}

/// Who calls. The layer in front has put it there; without it nobody is let in.
fn caller<T>(request: &Request<T>) -> Result<Caller, Error> {
    request
        .extensions()
        .get::<Caller>()
        .cloned()
        .ok_or(Error::CredentialInvalid)
}

/// The account that a request names, if the caller may see it.
fn account_id(caller: &Caller, text: &str) -> Result<AccountId, Error> {
    let id =
        AccountId::parse(text).map_err(|error| Error::field("account_id", &error.to_string()))?;
    if caller.sees(&id) {
        Ok(id)
    } else {
        Err(Error::not_found("account", text))
    }
}

/// The page that a list asks for.
fn page(size: i32, token: &str, list: &str) -> Result<Page, rollcall_rpc::Failure> {
    Page::parse(size, token, list).map_err(|error| match error {
        PageError::Size => rollcall_rpc::Failure::invalid_field("page_size", error.to_string()),
        PageError::Token => {
            rollcall_rpc::Failure::new(rollcall_rpc::Reason::InvalidPageToken, error.to_string())
        }
    })
}
