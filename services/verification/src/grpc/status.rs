//! `StatusService`.

use rollcall_rpc::Failure;
use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::pb::common::v1::Work;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::status_service_server::StatusService;
use tonic::{Request, Response, Status};

use super::Api;
use crate::error::Error;
use crate::store::claim;

#[tonic::async_trait]
impl StatusService for Api {
    async fn get_status(
        &self,
        _: Request<pb::GetStatusRequest>,
    ) -> Result<Response<pb::GetStatusResponse>, Status> {
        let work = claim::work(self.store.reader(), self.clock.now()).await;
        let (pending, oldest) = work.map_err(|error| Failure::from(Error::from(error)))?;
        Ok(Response::new(pb::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            follows: Vec::new(),
            work: vec![Work {
                kind: "domain_check".to_owned(),
                account_id: String::new(),
                pending,
                oldest_due_time: oldest.map(to_proto),
            }],
        }))
    }
}
