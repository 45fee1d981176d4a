//! `ManagementService`.

use std::sync::Arc;
use std::time::Duration;

use rollcall_rpc::convert::time;
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use rollcall_rpc::pb::provisioning::v1::{ConnectionState, GetConnectionRequest};
use rollcall_types::{AccountId, ConnectionId};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Context, account, open, wait_until};
use crate::error::Error;
use crate::management::Switch;
use crate::store::{connection, management};

/// How long to wait for provisioning's feed when the call has no deadline.
const WAIT: Duration = Duration::from_secs(5);

/// The service.
pub(super) struct Management(pub(super) Arc<Context>);

#[tonic::async_trait]
impl pb::management_service_server::ManagementService for Management {
    async fn get_management(
        &self,
        request: Request<pb::GetManagementRequest>,
    ) -> Result<Response<pb::GetManagementResponse>, Status> {
        let (message, _, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let db = self.0.store.reader();
        let switch = management::find(db, &account).await.map_err(Error::from)?;
        let installed = connection::find(db, &account).await.map_err(Error::from)?;
        let management = Some(to_proto(&account, switch, installed.map(|found| found.id)));
        Ok(Response::new(pb::GetManagementResponse { management }))
    }

    async fn set_management(
        &self,
        request: Request<pb::SetManagementRequest>,
    ) -> Result<Response<pb::SetManagementResponse>, Status> {
        let (message, origin, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let until = wait_until(&extensions, WAIT);
        let (connection, version) = self.installed(&account, until).await?;
        self.wait_for(&account, connection, version, until).await?;
        let of = account.clone();
        let turned = self.0.store.write(move |tx| {
            Box::pin(async move {
                management::turn(tx, &origin, &of, connection, message.enabled).await
            })
        });
        let (switch, change) = turned.await?;
        Ok(Response::new(pb::SetManagementResponse {
            management: Some(to_proto(&account, switch, Some(connection))),
            change_token: change.map(|at| self.0.change_token(at)).unwrap_or_default(),
        }))
    }
}

impl Management {
    /// The installed connection and its version, as provisioning says.
    async fn installed(
        &self,
        account: &AccountId,
        until: Instant,
    ) -> Result<(ConnectionId, i64), Error> {
        let mut client = ConnectionServiceClient::new(self.0.provisioning.clone());
        let mut request = Request::new(GetConnectionRequest {
            account_id: account.as_str().to_owned(),
        });
        request.set_timeout(until.saturating_duration_since(Instant::now()));
        let answer = client.get_connection(request).await;
        let answer = answer.map_err(|status| Error::Provisioning(Box::new(status)))?;
        let connection = answer.into_inner().connection.unwrap_or_default();
        match ConnectionId::parse(&connection.connection_id) {
            Ok(id) if connection.state() == ConnectionState::Connected => {
                Ok((id, connection.version))
            }
            _ => Err(Error::NotFound {
                kind: "connection",
                id: account.to_string(),
            }),
        }
    }

    /// Waits until the feed has brought that connection.
    async fn wait_for(
        &self,
        account: &AccountId,
        connection: ConnectionId,
        version: i64,
        until: Instant,
    ) -> Result<(), Error> {
        let mut wake = self.0.store.wake();
        loop {
            wake.mark_unchanged();
            let seen = connection::find(self.0.store.reader(), account).await?;
            if seen.is_some_and(|seen| seen.id == connection && seen.version >= version) {
                return Ok(());
            }
            let woken = tokio::time::timeout_at(until, wake.changed()).await;
            if !matches!(woken, Ok(Ok(()))) {
                return Err(Error::NotYetApplied);
            }
        }
    }
}

/// A switch of another connection than the installed one counts as off.
fn to_proto(
    account: &AccountId,
    switch: Option<Switch>,
    installed: Option<ConnectionId>,
) -> pb::Management {
    let on = switch
        .as_ref()
        .is_some_and(|s| s.enabled && installed == Some(s.connection));
    let enable_time = switch
        .as_ref()
        .and_then(|switch| switch.enable_time)
        .filter(|_| on);
    pb::Management {
        account_id: account.to_string(),
        enabled: on,
        enable_time: enable_time.map(time::to_proto),
        connection_id: switch
            .map(|switch| switch.connection.to_string())
            .unwrap_or_default(),
    }
}
