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
use rollcall_rpc::{Backend, Caller, Failure, Reason, metadata};
use rollcall_store::ChangeId;
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
    /// The token of a change of the service's own.
    fn change_token(&self, change: ChangeId) -> String {
        self.token_key.seal(ChangeToken {
            source: Source::Permissions,
            epoch: self.store.epoch(),
            change,
        })
    }
}

/// Takes a request apart: the message, and who makes the change that it asks for.
///
/// # Errors
/// When the call came past the layer that knows callers.
fn open<T>(context: &Context, request: Request<T>) -> Result<(T, Origin, Extensions), Failure> {
    let request_id = metadata::request_id(&request);
    let (_, extensions, message) = request.into_parts();
    let caller = extensions.get::<Caller>().ok_or_else(|| {
        let why = "the call came past the layer that knows callers";
        Failure::new(Reason::CredentialMissing, why)
    })?;
    let origin = Origin {
        actor: caller.actor(),
        request: request_id,
        time: context.clock.now(),
    };
    Ok((message, origin, extensions))
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

/// Until when to wait: a little before the call's deadline, so that the answer gets there; for
/// `otherwise` where the call has none.
fn wait_until(extensions: &Extensions, otherwise: Duration) -> Instant {
    let now = Instant::now();
    extensions
        .get::<Deadline>()
        .map_or(now + otherwise, |Deadline(deadline)| {
            let left = deadline.saturating_duration_since(now);
            now + left.saturating_sub((left / 10).min(Duration::from_millis(50)))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_up_to_its_deadline_less_the_time_to_answer() {
        let otherwise = Duration::from_secs(1);
        for (deadline, waits) in [
            (None, 1_000),
            (Some(-5_i64), 0),
            (Some(0), 0),
            (Some(10), 9),
            (Some(300), 270),
            (Some(1_000), 950),
            (Some(10_000), 9_950),
            (Some(3_600_000), 3_599_950),
        ] {
            let now = Instant::now();
            let mut extensions = Extensions::default();
            if let Some(left) = deadline {
                let span = Duration::from_millis(left.unsigned_abs());
                let at = if left < 0 { now - span } else { now + span };
                extensions.insert(Deadline(at));
            }

            let until = wait_until(&extensions, otherwise);

            let waits = Duration::from_millis(waits);
            assert_eq!(until - now, waits, "{deadline:?} ms");
        }
    }
}
