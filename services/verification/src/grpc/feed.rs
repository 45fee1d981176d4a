//! `FeedService`.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::pb::common::v1 as common;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::feed_service_server::FeedService;
use rollcall_rpc::pb::verification::v1::watch_response::Mark as PbMark;
use rollcall_rpc::{CallerKind, Failure, Reason};
use rollcall_store::feed::{self, Change, Mark, Op, ResetCause, Watch, WatchError};
use rollcall_store::position::Source;
use rollcall_store::{ChangeToken, Epoch, TokenKey};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Api, account, caller, convert};
use crate::claim::Claim;
use crate::error::Error;
use crate::store::{KIND, Snapshot};

#[tonic::async_trait]
impl FeedService for Api {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = &request.account_id;
        let only = if id.is_empty() {
            None
        } else {
            Some(account(&caller, id, "account", id)?)
        };
        check(&request)?;
        let watch = Watch {
            source: Source::Verification,
            account: only,
            kinds: vec![KIND],
            cursor: request.cursor,
            progress: Duration::from_secs(if caller.kind == CallerKind::Service {
                1
            } else {
                15
            }),
        };
        let marks = feed::watch(
            self.store.clone(),
            self.clock.clone(),
            Arc::new(Snapshot),
            watch,
        );
        let (key, epoch) = (self.token_key.clone(), self.store.epoch());
        let stop = self.stop.clone();
        let stream = ReceiverStream::new(marks).map(move |mark| {
            let mark = mark.map_err(failure)?;
            let sees = |change: &Change| caller.sees(&change.account);
            let mark = convert_mark(mark, &sees, &key, epoch)?;
            Ok(pb::WatchResponse { mark: Some(mark) })
        });
        let stream = stream.take_until(stop.cancelled_owned());
        Ok(Response::new(stream.boxed()))
    }
}

fn check(request: &pb::WatchRequest) -> Result<(), Failure> {
    let known = i32::from(KIND);
    if request.kinds.is_empty() || request.kinds.iter().any(|kind| *kind != known) {
        return Err(Failure::invalid_field("kinds", "name RESOURCE_KIND_DOMAIN"));
    }
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name = &request.consumer;
    if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
        return Err(Failure::invalid_field(
            "consumer",
            "a name of the follower is needed: 1 to 64 of a-z, 0-9 and hyphen",
        ));
    }
    Ok(())
}

fn failure(error: WatchError) -> Failure {
    let message = error.to_string();
    match error {
        WatchError::InvalidCursor => Failure::new(Reason::InvalidCursor, message),
        WatchError::Aged => {
            Failure::new(Reason::StreamAged, message).retry_after(Duration::from_millis(100))
        }
        WatchError::Storage(error) => Error::from(error).into(),
    }
}

fn convert_mark(
    mark: Mark,
    sees: &dyn Fn(&Change) -> bool,
    key: &TokenKey,
    epoch: Epoch,
) -> Result<PbMark, Failure> {
    Ok(match mark {
        Mark::Reset(cause) => {
            let cause = match cause {
                ResetCause::First => common::ResetCause::First,
                ResetCause::Restored => common::ResetCause::Restored,
                ResetCause::FilterChanged => common::ResetCause::FilterChanged,
            };
            PbMark::Reset(common::Reset {
                cause: cause.into(),
            })
        }
        Mark::Changes {
            changes,
            cursor,
            snapshot,
        } => {
            let seen = changes.into_iter().filter(|change| sees(change));
            let changes = seen.map(|change| convert_change(change, key, epoch));
            PbMark::Changes(pb::Changes {
                changes: changes.collect::<Result<_, _>>()?,
                cursor,
                snapshot,
            })
        }
        Mark::SnapshotEnd { cursor } => PbMark::SnapshotEnd(common::SnapshotEnd { cursor }),
        Mark::Progress { cursor, through } => PbMark::Progress(common::Progress {
            cursor,
            through_time: Some(to_proto(through)),
        }),
    })
}

fn convert_change(change: Change, key: &TokenKey, epoch: Epoch) -> Result<pb::Change, Failure> {
    let claim: Claim =
        serde_json::from_str(&change.after).map_err(|error| Failure::internal(&error))?;
    let token = change.position.map(|position| {
        key.seal(ChangeToken {
            source: Source::Verification,
            epoch,
            position,
        })
    });
    let op = match change.op {
        Op::Upserted => common::ChangeOp::Upserted,
        Op::Deleted => common::ChangeOp::Deleted,
    };
    let paths = change.changed_paths.split(' ');
    Ok(pb::Change {
        change_token: token.unwrap_or_default(),
        commit_time: Some(to_proto(change.time)),
        account_id: change.account.to_string(),
        kind: pb::ResourceKind::Domain.into(),
        op: op.into(),
        resource: Some(pb::change::Resource::Domain(convert::domain(&claim))),
        changed_paths: paths
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect(),
        actor: Some(common::Actor {
            kind: change.actor.0,
            id: change.actor.1,
        }),
        request_id: change.request.map(|id| id.to_string()).unwrap_or_default(),
    })
}
