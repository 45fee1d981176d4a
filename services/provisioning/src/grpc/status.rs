//! `StatusService`.

use rollcall_rpc::convert::time::{span_to_proto, to_proto};
use rollcall_rpc::pb::common::v1 as common;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::status_service_server::StatusService;
use rollcall_store::follow;
use tonic::{Request, Response, Status};

use super::Api;
use crate::domains::{RELEASE, SOURCE};
use crate::error::Error;
use crate::store;

#[tonic::async_trait]
impl StatusService for Api {
    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let reader = self.0.store.reader();
        let place = follow::load(reader, SOURCE).await.map_err(Error::from)?;
        let waiting = store::domain::with_held_users(reader)
            .await
            .map_err(Error::from)?;
        let now = self.now();
        let through = place.through.max(self.0.heard.through());
        let follow = common::Follow {
            source: SOURCE.to_owned(),
            through_time: through.map(to_proto),
            lag: through.map(|through| span_to_proto(now.since(through))),
        };
        let work = waiting.into_iter().map(|waiting| common::Work {
            kind: RELEASE.to_owned(),
            account_id: waiting.account.to_string(),
            pending: waiting.users,
            oldest_due_time: Some(to_proto(waiting.since)),
        });
        Ok(Response::new(pb::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            follows: vec![follow],
            work: work.collect(),
        }))
    }
}
