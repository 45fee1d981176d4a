//! `FeedService`.

use rollcall_feed::{Answers, Asked, Common, Package, Sent};
use rollcall_rpc::Failure;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_server::FeedService;
use rollcall_store::feed::{Change, Op};
use rollcall_store::position::Source;
use rollcall_types::{ConnectionId, UserId, etag};
use tonic::{Request, Response, Status};

use super::{Api, caller, encode};
use crate::Config;
use crate::account::{Entry, Stored};
use crate::connection::Connection;
use crate::error::Error;
use crate::store::{connection::ConnectionRecord, kind, record, snapshot::State};

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
        let feed = Feed(self.0.config.clone());
        let answers = self.0.feed.watch(feed, State, &caller, asked)?;
        Ok(Response::new(answers))
    }
}

/// Accounts, connections and users as messages.
struct Feed(Config);

impl Package for Feed {
    type Change = pb::Change;
    type Response = pb::WatchResponse;
    const SOURCE: Source = Source::Provisioning;
    const KINDS: &'static [(u8, &'static str)] = &[
        (kind::ACCOUNT, "ACCOUNT"),
        (kind::CONNECTION, "CONNECTION"),
        (kind::USER, "USER"),
    ];

    fn change(&self, change: Change, common: Common) -> Result<pb::Change, Failure> {
        let resource = match change.op {
            Op::Deleted => deleted(&change),
            Op::Upserted => upserted(&self.0, &change)?,
        };
        Ok(pb::Change {
            change_token: common.change_token,
            commit_time: common.commit_time,
            account_id: common.account_id,
            kind: change.kind.into(),
            op: common.op,
            resource: Some(resource),
            changed_paths: common.changed_paths,
            previous_access: previous_access(&change).into(),
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

fn upserted(config: &Config, change: &Change) -> Result<pb::change::Resource, Error> {
    let corrupt = |_| Error::Storage(rollcall_store::Error::Corrupt("id"));
    Ok(match change.kind {
        kind::ACCOUNT => {
            let stored: Stored = record::from_text(&change.after, "account")?;
            let entry = Entry {
                id: change.account.clone(),
                stored,
            };
            pb::change::Resource::Account(encode::account(&entry, config))
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
            etag: etag::of(change.version),
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
