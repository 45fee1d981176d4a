//! Serves a service's change feed over gRPC: what every `FeedService.Watch` does alike.
//!
//! Knows no kind of resource and no SQL: it stands between `store`, which knows no gRPC, and the
//! gRPC face of a service, since `rpc` knows no storage.
//!
//! A package says which kinds it has and how a resource looks ([`Package`]); who may see what, the
//! marks of the stream, its cursors, change tokens and its end are the same for all of them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, future, stream};
use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::pb::common::v1 as common;
use rollcall_rpc::prost_types::Timestamp;
use rollcall_rpc::{Caller, CallerKind, Failure, Reason};
use rollcall_store::feed::{self, Accounts, Change, Mark, Op, ResetCause, Rows, Watch, WatchError};
use rollcall_store::position::Source;
use rollcall_store::{ChangeId, ChangeToken, Error, Store, TokenKey};
use rollcall_types::{AccountId, Actor, ActorKind, Clock};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How soon a follower resumes after its stream aged.
const RESUME: Duration = Duration::from_millis(100);

/// The messages of a stream.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is a package's own in its feed.
pub trait Package: Send + 'static {
    /// Its message for one change.
    type Change;
    /// Its message for one mark.
    type Response: Send + 'static;
    /// Whose feed it is.
    const SOURCE: Source;
    /// Its kinds in the order in which a snapshot gives them: number and name.
    const KINDS: &'static [(u8, &'static str)];

    /// One change: its resource is the package's own, the rest is given.
    ///
    /// # Errors
    /// When what is stored can't be read.
    fn change(&self, change: Change, common: Common) -> Result<Self::Change, Failure>;

    /// One mark.
    fn response(mark: Sent<Self::Change>) -> Self::Response;
}

/// What every change says, whatever changed.
#[derive(Clone, Debug)]
pub struct Common {
    /// Names the change; empty for a row of the snapshot.
    pub change_token: String,
    /// When it was committed.
    pub commit_time: Option<Timestamp>,
    /// In which account.
    pub account_id: String,
    /// What happened: a `rollcall.common.v1.ChangeOp`.
    pub op: i32,
    /// What changed.
    pub changed_paths: Vec<String>,
    /// Who did it; `None` for a row of the snapshot.
    pub actor: Option<common::Actor>,
    /// On which request; empty for background work.
    pub request_id: String,
}

/// A mark as it is sent.
#[derive(Clone, Debug)]
pub enum Sent<C> {
    /// What follows is the whole state.
    Reset(common::Reset),
    /// A page of changes, where to resume, and whether they are state.
    Changes(Vec<C>, String, bool),
    /// Everything not mentioned since the reset is gone.
    SnapshotEnd(common::SnapshotEnd),
    /// How far the stream is.
    Progress(common::Progress),
}

/// What a request to watch says.
#[derive(Clone, Debug)]
pub struct Asked {
    /// One account; empty for all that the caller sees.
    pub account_id: String,
    /// The kinds.
    pub kinds: Vec<i32>,
    /// Where to go on; empty from the beginning.
    pub cursor: String,
    /// The stable name of the follower.
    pub consumer: String,
}

/// What a feed is served from.
#[derive(Clone, Debug)]
pub struct Server {
    /// The changes.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Seals change tokens.
    pub token_key: Arc<TokenKey>,
    /// Ends every stream.
    pub stop: CancellationToken,
}

impl Server {
    /// Streams the feed to `caller`.
    ///
    /// # Errors
    /// `INVALID_FIELD` for what is asked wrongly, `RESOURCE_NOT_FOUND` for an account that the
    /// caller may not see. A cursor is judged in the stream.
    pub fn watch<P: Package>(
        &self,
        package: P,
        rows: impl Rows,
        caller: &Caller,
        asked: Asked,
    ) -> Result<Answers<P::Response>, Failure> {
        check_consumer(&asked.consumer)?;
        let watch = Watch {
            source: P::SOURCE,
            accounts: accounts(caller, &asked.account_id)?,
            kinds: kinds(P::KINDS, &asked.kinds)?,
            cursor: asked.cursor,
            progress: progress_interval(caller.kind),
        };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        let marks = feed::watch(store, clock, Arc::new(rows), watch);
        let server = self.clone();
        let answers = ReceiverStream::new(marks).map(move |mark| {
            let mark = server.sent(&package, mark.map_err(ended)?)?;
            Ok(P::response(mark))
        });
        let stop = self.stop.clone();
        let end = stream::once(async move { stop.is_cancelled().then(|| Err(stopped().into())) });
        let stop = self.stop.clone().cancelled_owned();
        let answers = answers.take_until(stop);
        Ok(Box::pin(answers.chain(end.filter_map(future::ready))))
    }

    /// The text that names a change.
    #[must_use]
    pub fn token(&self, source: Source, change: ChangeId) -> String {
        self.token_key.seal(ChangeToken {
            source,
            epoch: self.store.epoch(),
            change,
        })
    }

    fn sent<P: Package>(&self, package: &P, mark: Mark) -> Result<Sent<P::Change>, Failure> {
        Ok(match mark {
            Mark::Reset(cause) => Sent::Reset(common::Reset {
                cause: reset_cause(cause).into(),
            }),
            Mark::Changes {
                changes,
                cursor,
                snapshot,
            } => {
                let changes = changes.into_iter().map(|change| {
                    let common = self.common(P::SOURCE, &change);
                    package.change(change, common)
                });
                Sent::Changes(changes.collect::<Result<_, _>>()?, cursor, snapshot)
            }
            Mark::SnapshotEnd { cursor } => Sent::SnapshotEnd(common::SnapshotEnd { cursor }),
            Mark::Progress { cursor, through } => Sent::Progress(common::Progress {
                cursor,
                through_time: Some(to_proto(through)),
            }),
        })
    }

    fn common(&self, source: Source, change: &Change) -> Common {
        let token = change.id.map(|id| self.token(source, id));
        let paths = change.changed_paths.split_whitespace();
        let op = match change.op {
            Op::Upserted => common::ChangeOp::Upserted,
            Op::Deleted => common::ChangeOp::Deleted,
        };
        let request = change.request.map(|id| id.to_string());
        Common {
            change_token: token.unwrap_or_default(),
            commit_time: Some(to_proto(change.time)),
            account_id: change.account.to_string(),
            op: op.into(),
            changed_paths: paths.map(str::to_owned).collect(),
            actor: change.actor.as_ref().map(actor),
            request_id: request.unwrap_or_default(),
        }
    }
}

fn reset_cause(cause: ResetCause) -> common::ResetCause {
    match cause {
        ResetCause::First => common::ResetCause::First,
        ResetCause::Restored => common::ResetCause::Restored,
        ResetCause::FilterChanged => common::ResetCause::FilterChanged,
    }
}

fn actor(actor: &Actor) -> common::Actor {
    let kind = match actor.kind {
        ActorKind::Connection => common::ActorKind::Connection,
        ActorKind::Platform => common::ActorKind::Platform,
        ActorKind::Operator => common::ActorKind::Operator,
        ActorKind::System => common::ActorKind::System,
    };
    common::Actor {
        kind: kind.into(),
        id: actor.id.clone(),
    }
}

/// The accounts of the stream: those that the caller sees, or the one that it names.
fn accounts(caller: &Caller, asked: &str) -> Result<Accounts, Failure> {
    if asked.is_empty() {
        return Ok(match &caller.accounts {
            None => Accounts::All,
            Some(own) => Accounts::Among(own.clone()),
        });
    }
    let account = AccountId::parse(asked)
        .map_err(|error| Failure::invalid_field("account_id", error.to_string()))?;
    if caller.sees(&account) {
        Ok(Accounts::One(account))
    } else {
        Err(Failure::not_found("account", asked))
    }
}

fn check_consumer(name: &str) -> Result<(), Failure> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let why = "a stable name of the follower: 1 to 64 of a-z, 0-9 and hyphen";
    Err(Failure::invalid_field("consumer", why))
}

/// The kinds, each once, in the order in which a snapshot gives them.
fn kinds(known: &[(u8, &str)], asked: &[i32]) -> Result<Vec<u8>, Failure> {
    let is_known = |kind: &i32| known.iter().any(|(number, _)| i32::from(*number) == *kind);
    if asked.is_empty() || !asked.iter().all(is_known) {
        let names: Vec<_> = known.iter().map(|(_, name)| *name).collect();
        let why = format!("name at least one of {}", names.join(", "));
        return Err(Failure::invalid_field("kinds", why));
    }
    let kinds = known.iter().map(|(number, _)| *number);
    Ok(kinds
        .filter(|kind| asked.contains(&i32::from(*kind)))
        .collect())
}

/// How often a stream says how far it is: once a second to siblings, whose lag it is.
fn progress_interval(kind: CallerKind) -> Duration {
    Duration::from_secs(if kind == CallerKind::Service { 1 } else { 15 })
}

/// The end of a stream whose service stops.
fn stopped() -> Failure {
    let message = "the service stops: resume from the cursor";
    Failure::new(Reason::StreamAged, message).retry_after(RESUME)
}

/// Why a stream ended, for its follower.
fn ended(error: WatchError) -> Failure {
    let message = error.to_string();
    match error {
        WatchError::InvalidCursor => Failure::new(Reason::InvalidCursor, message),
        WatchError::Aged => Failure::new(Reason::StreamAged, message).retry_after(RESUME),
        WatchError::Storage(Error::TryAgain(_)) => {
            Failure::try_again("the feed can't be read now: resume from the cursor")
        }
        WatchError::Storage(error) => Failure::internal(&error),
    }
}

#[cfg(test)]
mod tests;
