//! The gRPC face: decode, call, encode.

mod access;
mod catalogue;
mod management;
mod permission_set;
mod status;

use std::sync::Arc;
use std::time::Duration;

use rollcall_rpc::deadline::Deadline;
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::{Backend, Caller, metadata};
use rollcall_store::position::Source;
use rollcall_store::{ChangeToken, Store, TokenKey};
use rollcall_types::{AccountId, Clock, IdSource};
use tokio::time::Instant;
use tonic::service::Routes;
use tonic::{Extensions, Request};

use crate::config::Config;
use crate::error::Error;
use crate::memory::Memory;
use crate::store::change::Origin;

/// What the handlers work with.
#[derive(Clone)]
pub(crate) struct Context {
    /// The service's database.
    pub(crate) store: Store,
    /// The state in memory.
    pub(crate) memory: Arc<Memory>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Ids of new sets.
    pub(crate) ids: Arc<IdSource>,
    /// Seals and opens change tokens.
    pub(crate) token_key: Arc<TokenKey>,
    /// The service that is followed.
    pub(crate) provisioning: Backend,
    /// The settings.
    pub(crate) config: Arc<Config>,
}

/// Every service of the package.
pub(crate) fn routes(context: Context) -> Routes {
    use pb::access_service_server::AccessServiceServer;
    use pb::catalogue_service_server::CatalogueServiceServer;
    use pb::management_service_server::ManagementServiceServer;
    use pb::permission_set_service_server::PermissionSetServiceServer;
    use pb::status_service_server::StatusServiceServer;

    let context = Arc::new(context);
    Routes::new(AccessServiceServer::new(access::Access(Arc::clone(
        &context,
    ))))
    .add_service(CatalogueServiceServer::new(catalogue::Catalogue(
        Arc::clone(&context),
    )))
    .add_service(PermissionSetServiceServer::new(
        permission_set::PermissionSets(Arc::clone(&context)),
    ))
    .add_service(ManagementServiceServer::new(management::Management(
        Arc::clone(&context),
    )))
    .add_service(StatusServiceServer::new(status::Status(context)))
}

impl Context {
    /// Who makes a change now.
    fn origin(
        &self,
        extensions: &Extensions,
        request: Option<rollcall_types::RequestId>,
    ) -> Origin {
        let actor = extensions
            .get::<Caller>()
            .map(Caller::actor)
            .unwrap_or_default();
        Origin {
            actor: (actor.kind, actor.id),
            request,
            time: self.clock.now(),
        }
    }

    /// The token of the service's own change at `position`.
    fn change_token(&self, position: i64) -> String {
        self.token_key.seal(ChangeToken {
            source: Source::Permissions,
            epoch: self.store.epoch(),
            position,
        })
    }
}

/// Takes a request apart: the message, and who makes the change that it asks for.
fn open<T>(context: &Context, request: Request<T>) -> (T, Origin, Extensions) {
    let id = metadata::request_id(&request);
    let (_, extensions, message) = request.into_parts();
    let origin = context.origin(&extensions, id);
    (message, origin, extensions)
}

/// The account of a request, if the caller may see it.
fn account(extensions: &Extensions, id: &str) -> Result<AccountId, Error> {
    let account =
        AccountId::parse(id).map_err(|error| Error::field("account_id", error.to_string()))?;
    if extensions
        .get::<Caller>()
        .is_some_and(|caller| caller.sees(&account))
    {
        Ok(account)
    } else {
        Err(Error::NotFound {
            kind: "account",
            id: id.to_owned(),
        })
    }
}

/// Until when to wait: a little before the caller's deadline, so that the answer gets there, and
/// at most `longest`.
fn wait_until(extensions: &Extensions, longest: Duration) -> Instant {
    let now = Instant::now();
    let end = now + longest;
    extensions
        .get::<Deadline>()
        .map_or(end, |Deadline(deadline)| {
            let left = deadline.saturating_duration_since(now);
            end.min(now + left.saturating_sub((left / 10).min(Duration::from_millis(50))))
        })
}
