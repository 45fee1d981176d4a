//! `FeedService`.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::pb::common::v1 as common;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_server::FeedService;
use rollcall_rpc::{Caller, Failure, Reason};
use rollcall_store::feed::{self, Change, Mark, Op, ResetCause, Watch, WatchError};
use rollcall_store::position::Source;
use rollcall_types::{ConnectionId, UserId};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Api, account_id, caller, encode, progress_interval, token};
use crate::account::{Entry, Stored};
use crate::connection::Connection;
use crate::error::Error;
use crate::store::{connection::ConnectionRecord, kind, record, snapshot::State};
use crate::{Shared, user};

type Answers = std::pin::Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl FeedService for Api {
    type WatchStream = Answers;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Answers>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let account = match request.account_id.as_str() {
            "" => None,
            id => Some(account_id(&caller, id)?),
        };
        check_consumer(&request.consumer)?;
        let watch = Watch {
            source: Source::Provisioning,
            account,
            kinds: kinds(&request.kinds)?,
            cursor: request.cursor,
            progress: progress_interval(caller.kind),
        };
        let shared = self.0.clone();
        let clock = shared.deps.clock.clone();
        let marks = feed::watch(shared.store.clone(), clock, Arc::new(State), watch);
        let stop = shared.deps.stop.clone();
        let answers = ReceiverStream::new(marks)
            .map(move |mark| match mark {
                Ok(mark) => encode_mark(&shared, &caller, mark).map_err(Status::from),
                Err(error) => Err(ended(error)),
            })
            .take_until(stop.cancelled_owned());
        Ok(Response::new(Box::pin(answers)))
    }
}

fn check_consumer(name: &str) -> Result<(), Error> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        Ok(())
    } else {
        Err(Error::field(
            "consumer",
            "a stable name of 1 to 64 of a-z 0-9 -",
        ))
    }
}

/// The kinds, each once, in the order in which a snapshot gives them.
fn kinds(asked: &[i32]) -> Result<Vec<u8>, Error> {
    let known = [kind::ACCOUNT, kind::CONNECTION, kind::USER];
    if asked.is_empty()
        || asked
            .iter()
            .any(|kind| !known.iter().any(|k| i32::from(*k) == *kind))
    {
        return Err(Error::field(
            "kinds",
            "name at least one of ACCOUNT, CONNECTION, USER",
        ));
    }
    Ok(known
        .into_iter()
        .filter(|kind| asked.contains(&i32::from(*kind)))
        .collect())
}

/// Why a stream ended, for its follower.
pub(super) fn ended(error: WatchError) -> Status {
    let message = error.to_string();
    match error {
        WatchError::InvalidCursor => Failure::new(Reason::InvalidCursor, message).into(),
        WatchError::Aged => Failure::new(Reason::StreamAged, message)
            .retry_after(std::time::Duration::from_millis(100))
            .into(),
        WatchError::Storage(error) => Error::from(error).into(),
    }
}

fn encode_mark(shared: &Shared, caller: &Caller, mark: Mark) -> Result<pb::WatchResponse, Error> {
    use pb::watch_response::Mark as Out;
    let mark = match mark {
        Mark::Reset(cause) => Out::Reset(common::Reset {
            cause: match cause {
                ResetCause::First => common::ResetCause::First,
                ResetCause::Restored => common::ResetCause::Restored,
                ResetCause::FilterChanged => common::ResetCause::FilterChanged,
            }
            .into(),
        }),
        Mark::Changes {
            changes,
            cursor,
            snapshot,
        } => {
            let changes: Result<Vec<pb::Change>, Error> = changes
                .into_iter()
                .filter(|change| caller.sees(&change.account))
                .map(|change| encode_change(shared, change))
                .collect();
            Out::Changes(pb::Changes {
                changes: changes?,
                cursor,
                snapshot,
            })
        }
        Mark::SnapshotEnd { cursor } => Out::SnapshotEnd(common::SnapshotEnd { cursor }),
        Mark::Progress { cursor, through } => Out::Progress(common::Progress {
            cursor,
            through_time: Some(to_proto(through)),
        }),
    };
    Ok(pb::WatchResponse { mark: Some(mark) })
}

fn encode_change(shared: &Shared, change: Change) -> Result<pb::Change, Error> {
    let resource = match change.op {
        Op::Deleted => deleted(&change),
        Op::Upserted => upserted(shared, &change)?,
    };
    let previous = previous_access(&change);
    Ok(pb::Change {
        change_token: change
            .position
            .map(|at| token(shared, at))
            .unwrap_or_default(),
        commit_time: Some(to_proto(change.time)),
        account_id: change.account.to_string(),
        kind: change.kind.into(),
        op: match change.op {
            Op::Upserted => common::ChangeOp::Upserted,
            Op::Deleted => common::ChangeOp::Deleted,
        }
        .into(),
        resource: Some(resource),
        changed_paths: change
            .changed_paths
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        previous_access: previous.into(),
        actor: (change.actor.0 != 0).then_some(common::Actor {
            kind: change.actor.0,
            id: change.actor.1,
        }),
        request_id: change.request.map(|id| id.to_string()).unwrap_or_default(),
    })
}

fn upserted(shared: &Shared, change: &Change) -> Result<pb::change::Resource, Error> {
    let corrupt = |_| Error::Storage(rollcall_store::Error::Corrupt("id"));
    Ok(match change.kind {
        kind::ACCOUNT => {
            let stored: Stored = record::from_text(&change.after, "account")?;
            let entry = Entry {
                id: change.account.clone(),
                stored,
            };
            pb::change::Resource::Account(encode::account(&entry, &shared.config))
        }
        kind::CONNECTION => {
            let stored: ConnectionRecord = record::from_text(&change.after, "connection")?;
            let connection = Connection {
                id: change.resource.parse::<ConnectionId>().map_err(corrupt)?,
                installed: stored.installed,
                version: change.version,
            };
            pb::change::Resource::Connection(encode::connection(&change.account, &connection))
        }
        _ => {
            let id: UserId = change.resource.parse().map_err(corrupt)?;
            let user = record::user_from_text(&change.account, id, change.version, &change.after)?;
            pb::change::Resource::User(encode::user(&user))
        }
    })
}

/// Ids and version, and nothing else.
fn deleted(change: &Change) -> pb::change::Resource {
    let account_id = change.account.to_string();
    match change.kind {
        kind::ACCOUNT => pb::change::Resource::Account(pb::Account {
            account_id,
            version: change.version,
            ..pb::Account::default()
        }),
        kind::CONNECTION => pb::change::Resource::Connection(pb::Connection {
            account_id,
            connection_id: change.resource.clone(),
            version: change.version,
            ..pb::Connection::default()
        }),
        _ => pb::change::Resource::User(pb::User {
            account_id,
            user_id: change.resource.clone(),
            version: change.version,
            etag: user::etag(change.version),
            ..pb::User::default()
        }),
    }
}

fn previous_access(change: &Change) -> pb::AccessState {
    if change.kind != kind::USER || !change.changed_paths.split(' ').any(|path| path == "access") {
        return pb::AccessState::Unspecified;
    }
    let before: serde_json::Value = serde_json::from_str(&change.before).unwrap_or_default();
    let name = before
        .get("access")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    pb::AccessState::from_str_name(&format!("ACCESS_STATE_{name}"))
        .unwrap_or(pb::AccessState::Unspecified)
}
