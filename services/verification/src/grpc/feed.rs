//! `FeedService`.

use rollcall_feed::{Answers, Asked, Common, Package, Sent};
use rollcall_rpc::Failure;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::feed_service_server::FeedService;
use rollcall_store::feed::Change;
use rollcall_store::position::Source;
use tonic::{Request, Response, Status};

use super::{Api, caller, convert};
use crate::claim::Claim;
use crate::store::{KIND, Snapshot};

#[tonic::async_trait]
impl FeedService for Api {
    type WatchStream = Answers<pb::WatchResponse>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let asked = Asked {
            account_id: request.account_id,
            kinds: request.kinds,
            cursor: request.cursor,
            consumer: request.consumer,
        };
        let server = rollcall_feed::Server {
            store: self.store.clone(),
            clock: self.clock.clone(),
            token_key: self.token_key.clone(),
            stop: self.stop.clone(),
        };
        let answers = server.watch(Feed, Snapshot, &caller, asked)?;
        Ok(Response::new(answers))
    }
}

/// Domains as messages.
struct Feed;

impl Package for Feed {
    type Change = pb::Change;
    type Response = pb::WatchResponse;
    const SOURCE: Source = Source::Verification;
    const KINDS: &'static [(u8, &'static str)] = &[(KIND, "DOMAIN")];

    fn change(&self, change: Change, common: Common) -> Result<pb::Change, Failure> {
        let claim: Claim =
            serde_json::from_str(&change.after).map_err(|error| Failure::internal(&error))?;
        Ok(pb::Change {
            change_token: common.change_token,
            commit_time: common.commit_time,
            account_id: common.account_id,
            kind: pb::ResourceKind::Domain.into(),
            op: common.op,
            resource: Some(pb::change::Resource::Domain(convert::domain(&claim))),
            changed_paths: common.changed_paths,
            actor: common.actor,
            request_id: common.request_id,
        })
    }

    fn response(mark: Sent<pb::Change>) -> pb::WatchResponse {
        use pb::watch_response::Mark;
        let mark = match mark {
            Sent::Reset(reset) => Mark::Reset(reset),
            Sent::Changes(changes, cursor, snapshot) => Mark::Changes(pb::Changes {
                changes,
                cursor,
                snapshot,
            }),
            Sent::SnapshotEnd(end) => Mark::SnapshotEnd(end),
            Sent::Progress(progress) => Mark::Progress(progress),
        };
        pb::WatchResponse { mark: Some(mark) }
    }
}
