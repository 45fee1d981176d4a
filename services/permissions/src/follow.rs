//! Provisioning's feed: what is taken from each change, and how it is stored.

use std::sync::Arc;

use rollcall_rpc::follower::Follower;
use rollcall_rpc::pb::common::v1::ChangeOp;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_store::{Error, Store, follow};
use rollcall_types::{AccountId, Actor, Clock, ConnectionId, Timestamp, UserId};

use crate::input::{Input, Resource};
use crate::memory::Memory;
use crate::resolve::UserInput;
use crate::store::change::Origin;
use crate::store::input;

/// Stores what the feed brings.
pub(crate) struct Inputs {
    /// The service's database.
    pub(crate) store: Store,
    /// Dates the changes in the service's own feed.
    pub(crate) clock: Arc<dyn Clock>,
    /// Learns how far the feed is.
    pub(crate) memory: Arc<Memory>,
    /// Where the stream continues from.
    pub(crate) continued: follow::Continued,
}

impl Inputs {
    fn origin(&self) -> Origin {
        Origin {
            actor: Actor::system(),
            request: None,
            time: self.clock.now(),
        }
    }
}

impl Follower for Inputs {
    type Change = pb::Change;
    type Error = Error;

    async fn cursor(&self) -> Result<String, Error> {
        let reader = self.store.reader();
        let cursor = follow::load(reader, input::SOURCE).await?.cursor;
        self.continued.from(&cursor);
        Ok(cursor)
    }

    async fn reset(&self) -> Result<(), Error> {
        tracing::info!("provisioning's feed starts over");
        let from = self.continued.cursor();
        self.store
            .write(move |tx| Box::pin(async move { input::reset(tx, &from).await }))
            .await?;
        self.continued.from("");
        Ok(())
    }

    async fn apply(&self, changes: Vec<pb::Change>, cursor: String) -> Result<(), Error> {
        let origin = self.origin();
        let inputs: Vec<Input> = changes.into_iter().filter_map(read).collect();
        let (from, to) = (self.continued.cursor(), cursor.clone());
        self.store
            .write(move |tx| {
                Box::pin(async move { input::apply(tx, &origin, &inputs, &from, cursor).await })
            })
            .await?;
        self.continued.from(&to);
        Ok(())
    }

    async fn snapshot_end(&self, cursor: String) -> Result<(), Error> {
        let origin = self.origin();
        let (from, to) = (self.continued.cursor(), cursor.clone());
        self.store
            .write(move |tx| {
                Box::pin(async move { input::snapshot_end(tx, &origin, &from, cursor).await })
            })
            .await?;
        self.continued.from(&to);
        Ok(())
    }

    async fn progress(&self, cursor: String, through: Timestamp) -> Result<(), Error> {
        let stored = follow::load(self.store.reader(), input::SOURCE).await?;
        if stored.cursor != cursor || stored.through.is_none() {
            let (from, to) = (self.continued.cursor(), cursor.clone());
            self.store
                .write(move |tx| {
                    Box::pin(async move { input::progress(tx, &from, cursor, through).await })
                })
                .await?;
            self.continued.from(&to);
        }
        self.memory.note_through(through);
        Ok(())
    }
}

/// What is taken from a change; `None` for what doesn't concern us or can't be read.
fn read(change: pb::Change) -> Option<Input> {
    let deleted = change.op() == ChangeOp::Deleted;
    let account = AccountId::parse(&change.account_id).ok();
    let input = account
        .zip(change.resource)
        .and_then(|(account, resource)| {
            let (version, resource) = match resource {
                pb::change::Resource::User(user) => {
                    let id = UserId::parse(&user.user_id).ok()?;
                    let version = user.version;
                    (
                        version,
                        Resource::User(id, (!deleted).then(|| read_user(user))),
                    )
                }
                pb::change::Resource::Connection(connection) => {
                    let id = ConnectionId::parse(&connection.connection_id).ok()?;
                    let connected = connection.state() == pb::ConnectionState::Connected;
                    (
                        connection.version,
                        Resource::Connection(id, connected && !deleted),
                    )
                }
                // Followed so that the cursor tells of it, and nothing is taken from it.
                pb::change::Resource::Account(_) => return None,
            };
            Some(Input {
                account,
                version,
                resource,
            })
        });
    if input.is_none() {
        tracing::warn!(kind = change.kind, "a change of provisioning can't be read");
    }
    input
}

fn read_user(user: pb::User) -> UserInput {
    let managed_by = user.managed_by.as_ref();
    UserInput {
        access: user.access.as_ref().map_or(0, |access| access.state).into(),
        connection: managed_by.and_then(|by| ConnectionId::parse(&by.connection_id).ok()),
        roles: user
            .roles
            .map(|list| list.roles.into_iter().map(|role| role.value).collect()),
    }
}
