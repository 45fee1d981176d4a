//! The gRPC face: decode, call, encode.

mod convert;
mod domains;
mod feed;
mod status;

use std::sync::Arc;

use rollcall_rpc::pb::verification::v1::domain_service_server::DomainServiceServer;
use rollcall_rpc::pb::verification::v1::feed_service_server::FeedServiceServer;
use rollcall_rpc::pb::verification::v1::status_service_server::StatusServiceServer;
use rollcall_rpc::{Caller, Failure, Reason, metadata};
use rollcall_store::{Store, TokenKey};
use rollcall_types::{AccountId, Clock, DomainId, Entropy, IdSource};
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::service::Routes;

use crate::check::Checker;
use crate::config::Config;
use crate::limit::Limiter;
use crate::store::claim::Author;

/// What the handlers work with.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) ids: Arc<IdSource>,
    pub(crate) token_key: Arc<TokenKey>,
    pub(crate) config: Arc<Config>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) checker: Checker,
    /// Ends the streams, which would hold up the end of the server.
    pub(crate) stop: CancellationToken,
}

impl Api {
    /// All services.
    pub(crate) fn routes(self) -> Routes {
        Routes::new(DomainServiceServer::new(self.clone()))
            .add_service(FeedServiceServer::new(self.clone()))
            .add_service(StatusServiceServer::new(self))
    }
}

/// Who calls; the server's layer has put it there.
fn caller<T>(request: &Request<T>) -> Result<Caller, Failure> {
    let caller = request.extensions().get::<Caller>().cloned();
    caller.ok_or_else(|| {
        Failure::new(
            Reason::CredentialMissing,
            "the call came past the layer that knows callers",
        )
    })
}

fn author<T>(caller: &Caller, request: &Request<T>) -> Author {
    Author {
        actor: caller.actor(),
        request: metadata::request_id(request),
    }
}

/// The account of a call, if the caller may see it; else there is no such `kind` of `id`.
fn account(
    caller: &Caller,
    text: &str,
    kind: &'static str,
    id: &str,
) -> Result<AccountId, Failure> {
    let account = AccountId::parse(text);
    let account = account.map_err(|why| Failure::invalid_field("account_id", why.to_string()))?;
    if caller.sees(&account) {
        Ok(account)
    } else {
        Err(Failure::not_found(kind, id))
    }
}

fn domain_id(text: &str) -> Result<DomainId, Failure> {
    DomainId::parse(text).map_err(|_| Failure::not_found("domain", text))
}
