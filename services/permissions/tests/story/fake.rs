//! A provisioning that does what a test says: its feed and its connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::Stream;
use rollcall_rpc::convert::time;
use rollcall_rpc::pb::common::v1 as common;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::{Failure, Reason};
use rollcall_store::cursor::{Cursor, Place};
use rollcall_store::position::Source;
use rollcall_store::{ChangeId, ChangeToken, Epoch, Position, Reached, TokenKey};
use rollcall_types::{Clock, OsEntropy, SystemClock};
use tokio::sync::{mpsc, watch};
use tonic::{Request, Response, Status};

type Message = Result<pb::WatchResponse, Status>;

/// What it holds.
struct State {
    epoch: Epoch,
    users: BTreeMap<(String, String), pb::User>,
    connections: BTreeMap<String, pb::Connection>,
    log: Vec<pb::Change>,
    resets: usize,
}

/// The fake; clones share it.
#[derive(Clone)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    key: Arc<TokenKey>,
    wake: watch::Sender<usize>,
}

impl Fake {
    pub(crate) fn new(key: Arc<TokenKey>) -> Self {
        let state = State {
            epoch: Epoch::generate(&OsEntropy),
            users: BTreeMap::new(),
            connections: BTreeMap::new(),
            log: Vec::new(),
            resets: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            key,
            wake: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// How often a stream started over.
    pub(crate) fn resets(&self) -> usize {
        self.state().resets
    }

    /// Appends a change; returns its token.
    fn append(&self, state: &mut State, mut change: pb::Change) -> String {
        let token = self.token(state, state.log.len() + 1);
        change.change_token.clone_from(&token);
        state.log.push(change);
        self.wake.send_modify(|count| *count += 1);
        token
    }

    /// Installs a connection, in place of the one before.
    pub(crate) fn install(&self, account: &str, id: &str) -> String {
        let connection = pb::Connection {
            account_id: account.to_owned(),
            connection_id: id.to_owned(),
            state: pb::ConnectionState::Connected.into(),
            version: 1,
            ..pb::Connection::default()
        };
        let mut state = self.state();
        state
            .connections
            .insert(account.to_owned(), connection.clone());
        self.append(&mut state, connection_change(connection))
    }

    /// Takes the account's connection away.
    pub(crate) fn uninstall(&self, account: &str) -> String {
        let mut state = self.state();
        let connection = state.connections.remove(account).unwrap();
        let op = common::ChangeOp::Deleted.into();
        let change = pb::Change {
            op,
            ..connection_change(connection)
        };
        self.append(&mut state, change)
    }

    /// Creates or changes a user.
    pub(crate) fn put(&self, mut user: pb::User) -> String {
        let mut state = self.state();
        let key = (user.account_id.clone(), user.user_id.clone());
        user.version = state.users.get(&key).map_or(0, |old| old.version) + 1;
        state.users.insert(key, user.clone());
        self.append(&mut state, user_change(user, common::ChangeOp::Upserted))
    }

    /// Deletes a user.
    pub(crate) fn delete(&self, account: &str, id: &str) -> String {
        let mut state = self.state();
        let user = state
            .users
            .remove(&(account.to_owned(), id.to_owned()))
            .unwrap();
        self.append(&mut state, user_change(user, common::ChangeOp::Deleted))
    }

    /// Delivers a change with the version that a user had before.
    pub(crate) fn replay_older(&self, user: pb::User) -> String {
        let mut state = self.state();
        self.append(&mut state, user_change(user, common::ChangeOp::Upserted))
    }

    /// Restores from a backup in which a user never was: another epoch, and no change of it.
    pub(crate) fn restore_without(&self, account: &str, id: &str) {
        let mut state = self.state();
        state.epoch = Epoch::generate(&OsEntropy);
        state.log.clear();
        state.users.remove(&(account.to_owned(), id.to_owned()));
    }

    /// Changes an account, of which nothing is taken.
    pub(crate) fn put_account(&self, account: &str) -> String {
        let account = pb::Account {
            account_id: account.to_owned(),
            ..pb::Account::default()
        };
        let change = pb::Change {
            account_id: account.account_id.clone(),
            kind: pb::ResourceKind::Account.into(),
            op: common::ChangeOp::Upserted.into(),
            resource: Some(pb::change::Resource::Account(account)),
            ..pb::Change::default()
        };
        self.append(&mut self.state(), change)
    }

    fn token(&self, state: &State, number: usize) -> String {
        let seq = i64::try_from(number).unwrap();
        self.key.seal(ChangeToken {
            source: Source::Provisioning,
            epoch: state.epoch,
            change: ChangeId { xid: 0, seq },
        })
    }

    fn cursor(state: &State, place: Place) -> String {
        let cursor = Cursor {
            source: Source::Provisioning,
            epoch: state.epoch,
            filter: 0,
            place,
        };
        cursor.to_text()
    }

    /// The place after some changes.
    fn after(changes: usize) -> Reached {
        Reached::whole(Position::Sequence(i64::try_from(changes).unwrap()))
    }

    /// The whole state as one page, or `None` if the cursor can be continued.
    fn start(&self, cursor: &str) -> (Option<Vec<pb::watch_response::Mark>>, usize) {
        use pb::watch_response::Mark;
        let mut state = self.state();
        if let Some(cursor) = Cursor::parse(cursor)
            && cursor.epoch == state.epoch
            && let Place::Changes(Reached { whole, .. }) = cursor.place
            && let Position::Sequence(at) = whole
        {
            return (None, usize::try_from(at).unwrap());
        }
        state.resets += 1;
        let users = state.users.values().cloned();
        let users = users.map(|user| user_change(user, common::ChangeOp::Upserted));
        let changes = state
            .connections
            .values()
            .cloned()
            .map(connection_change)
            .chain(users)
            .collect();
        let at = state.log.len();
        let page = pb::Changes {
            changes,
            cursor: Self::cursor(&state, Place::CatchUp(Self::after(at))),
            snapshot: true,
        };
        let cursor = Self::cursor(&state, Place::Changes(Self::after(at)));
        let marks = vec![
            Mark::Reset(common::Reset {
                cause: common::ResetCause::First.into(),
            }),
            Mark::Changes(page),
            Mark::SnapshotEnd(common::SnapshotEnd { cursor }),
        ];
        (Some(marks), at)
    }

    async fn run(self, cursor: String, sender: mpsc::Sender<Message>) {
        use pb::watch_response::Mark;
        let mut wake = self.wake.subscribe();
        let (marks, mut at) = self.start(&cursor);
        let epoch = self.state().epoch;
        let send = async |mark| {
            sender
                .send(Ok(pb::WatchResponse { mark: Some(mark) }))
                .await
        };
        for mark in marks.into_iter().flatten() {
            if send(mark).await.is_err() {
                return;
            }
        }
        loop {
            wake.mark_unchanged();
            let through = SystemClock.now();
            let (changes, cursor) = {
                let state = self.state();
                if state.epoch != epoch {
                    return;
                }
                let changes = state.log[at..].to_vec();
                at = state.log.len();
                let place = Place::Changes(Self::after(at));
                (changes, Self::cursor(&state, place))
            };
            if !changes.is_empty() {
                let page = pb::Changes {
                    changes,
                    cursor: cursor.clone(),
                    snapshot: false,
                };
                if send(Mark::Changes(page)).await.is_err() {
                    return;
                }
            }
            let through_time = Some(time::to_proto(through));
            let progress = common::Progress {
                cursor,
                through_time,
            };
            if send(Mark::Progress(progress)).await.is_err() {
                return;
            }
            drop(tokio::time::timeout(Duration::from_millis(100), wake.changed()).await);
        }
    }
}

fn connection_change(connection: pb::Connection) -> pb::Change {
    pb::Change {
        account_id: connection.account_id.clone(),
        kind: pb::ResourceKind::Connection.into(),
        op: common::ChangeOp::Upserted.into(),
        resource: Some(pb::change::Resource::Connection(connection)),
        ..pb::Change::default()
    }
}

fn user_change(user: pb::User, op: common::ChangeOp) -> pb::Change {
    pb::Change {
        account_id: user.account_id.clone(),
        kind: pb::ResourceKind::User.into(),
        op: op.into(),
        resource: Some(pb::change::Resource::User(user)),
        ..pb::Change::default()
    }
}

#[tonic::async_trait]
impl pb::feed_service_server::FeedService for Fake {
    type WatchStream = std::pin::Pin<Box<dyn Stream<Item = Message> + Send>>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        assert_eq!(request.consumer, "permissions");
        assert_eq!(request.kinds, [1, 2, 3], "every kind that has tokens");
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(self.clone().run(request.cursor, sender));
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(receiver),
        )))
    }
}

#[tonic::async_trait]
impl pb::connection_service_server::ConnectionService for Fake {
    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::GetConnectionResponse>, Status> {
        let account = request.into_inner().account_id;
        let connection = self.state().connections.get(&account).cloned();
        let connection =
            connection.ok_or_else(|| Status::from(Failure::not_found("connection", &account)))?;
        Ok(Response::new(pb::GetConnectionResponse {
            connection: Some(connection),
        }))
    }

    async fn install_connection(
        &self,
        _: Request<pb::InstallConnectionRequest>,
    ) -> Result<Response<pb::InstallConnectionResponse>, Status> {
        Err(unused())
    }

    async fn create_token(
        &self,
        _: Request<pb::CreateTokenRequest>,
    ) -> Result<Response<pb::CreateTokenResponse>, Status> {
        Err(unused())
    }

    async fn list_tokens(
        &self,
        _: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        Err(unused())
    }

    async fn revoke_token(
        &self,
        _: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        Err(unused())
    }
}

fn unused() -> Status {
    Failure::new(Reason::Unsupported, "the fake has no such call").into()
}
