//! `StatusService`.

use std::sync::Arc;

use rollcall_rpc::convert::time;
use rollcall_rpc::pb::common::v1::Follow;
use rollcall_rpc::pb::permissions::v1 as pb;
use tonic::{Request, Response};

use super::Context;
use crate::store::input::SOURCE;

/// The service.
pub(super) struct Status(pub(super) Arc<Context>);

#[tonic::async_trait]
impl pb::status_service_server::StatusService for Status {
    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, tonic::Status> {
        let through = self.0.memory.place().through;
        let now = self.0.clock.now();
        Ok(Response::new(pb::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            follows: vec![Follow {
                source: SOURCE.to_owned(),
                through_time: through.map(time::to_proto),
                lag: through.map(|through| time::span_to_proto(now.since(through))),
            }],
            work: Vec::new(),
        }))
    }
}
