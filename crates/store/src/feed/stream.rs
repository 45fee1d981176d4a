//! One follower's stream of a feed: the state as it was at one position, then every change after it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rollcall_types::{AccountId, Clock, Timestamp};
use sea_orm::DatabaseConnection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Change, PAGE_BYTES, Wanted, read};
use crate::Store;
use crate::cursor::{Cursor, Place, filter_hash};
use crate::error::Error;
use crate::position::{Position, Reached, Source};

/// How long a stream lasts before it is ended with `STREAM_AGED`.
pub const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// Why a stream starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// There was no cursor.
    First,
    /// The feed was restored, or ends before the cursor.
    Restored,
    /// The cursor was made for other kinds or other accounts.
    FilterChanged,
}

/// One message of a stream.
#[derive(Clone, Debug)]
pub enum Mark {
    /// What follows is the whole state.
    Reset(ResetCause),
    /// A page of changes.
    Changes {
        /// The changes.
        changes: Vec<Change>,
        /// Where to resume.
        cursor: String,
        /// Whether they are state.
        snapshot: bool,
    },
    /// Everything not mentioned since the reset is gone.
    SnapshotEnd {
        /// Where to resume.
        cursor: String,
    },
    /// How far the stream is.
    Progress {
        /// Where to resume.
        cursor: String,
        /// Every change committed before this time has been sent.
        through: Timestamp,
    },
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The cursor is torn or of another feed.
    #[error("the cursor is not one of this feed")]
    InvalidCursor,
    /// The stream has lasted [`MAX_AGE`].
    #[error("the stream has run long enough: resume from its cursor")]
    Aged,
    /// Reading failed.
    #[error(transparent)]
    Storage(#[from] Error),
}

/// The state that a snapshot is made of.
pub trait Rows: Send + Sync + 'static {
    /// Up to [`PAGE`](super::PAGE) rows of a kind, whose last change had been committed by
    /// `position` ([`committed_by`](super::committed_by)), after `key` in key order, each with its
    /// key. An empty page ends the kind.
    fn page<'a>(
        &'a self,
        db: &'a DatabaseConnection,
        kind: u8,
        account: Option<&'a AccountId>,
        key: &'a str,
        position: &'a Position,
    ) -> BoxFuture<'a, Result<Vec<(String, Change)>, Error>>;
}

/// The accounts whose changes a stream tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Every account, and what concerns the whole product.
    All,
    /// One account.
    One(AccountId),
    /// The accounts that a restricted caller may see.
    Among(Arc<[AccountId]>),
}

impl Accounts {
    /// The one account, where a query can choose by it.
    fn one(&self) -> Option<&AccountId> {
        match self {
            Self::One(account) => Some(account),
            Self::All | Self::Among(_) => None,
        }
    }

    fn sees(&self, account: &AccountId) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => one == account,
            Self::Among(accounts) => accounts.contains(account),
        }
    }
}

/// What a follower asks for.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Whose feed it is: its cursors are no other's.
    pub source: Source,
    /// Whose changes it may see.
    pub accounts: Accounts,
    /// The kinds, in the order in which the snapshot gives them.
    pub kinds: Vec<u8>,
    /// Where to go on; empty from the beginning.
    pub cursor: String,
    /// How often to say how far the stream is when nothing happens.
    pub progress: Duration,
}

/// Streams a feed. The server reads as the receiver takes: one message waits at most.
pub fn watch(
    store: Store,
    clock: Arc<dyn Clock>,
    rows: Arc<dyn Rows>,
    watch: Watch,
) -> mpsc::Receiver<Result<Mark, WatchError>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let stream = Stream {
            store,
            clock,
            rows,
            watch,
            sender: sender.clone(),
        };
        let end = tokio::select! {
            end = tokio::time::timeout(MAX_AGE, stream.run()) => end.unwrap_or(Err(WatchError::Aged)),
            () = sender.closed() => return,
        };
        if let Err(error) = end {
            drop(sender.send(Err(error)).await);
        }
    });
    receiver
}

struct Stream {
    store: Store,
    clock: Arc<dyn Clock>,
    rows: Arc<dyn Rows>,
    watch: Watch,
    sender: mpsc::Sender<Result<Mark, WatchError>>,
}

impl Stream {
    fn cursor(&self, place: Place) -> String {
        let filter = filter_hash(&self.watch.accounts, &self.watch.kinds);
        Cursor {
            source: self.watch.source,
            epoch: self.store.epoch(),
            filter,
            place,
        }
        .to_text()
    }

    /// Where to begin, and whether a `Reset` goes first.
    async fn start(&self) -> Result<(Place, Option<ResetCause>), WatchError> {
        let now = self.store.now().await?;
        let fresh = Place::Snapshot {
            position: now.clone(),
            kind: 0,
            key: String::new(),
        };
        if self.watch.cursor.is_empty() {
            return Ok((fresh, Some(ResetCause::First)));
        }
        let cursor = Cursor::parse(&self.watch.cursor)
            .filter(|cursor| cursor.source == self.watch.source)
            .ok_or(WatchError::InvalidCursor)?;
        let filter = filter_hash(&self.watch.accounts, &self.watch.kinds);
        let is_beyond = match &cursor.place {
            Place::Snapshot { position, .. } => position.is_beyond(&now),
            Place::CatchUp(reached) | Place::Changes(reached) => reached.is_beyond(&now),
        };
        if cursor.epoch != self.store.epoch() || is_beyond {
            Ok((fresh, Some(ResetCause::Restored)))
        } else if cursor.filter != filter {
            Ok((fresh, Some(ResetCause::FilterChanged)))
        } else {
            Ok((cursor.place, None))
        }
    }

    /// Ends with `Ok` when nobody listens any more.
    async fn run(self) -> Result<(), WatchError> {
        let mut wake = self.store.wake();
        let (mut place, reset) = self.start().await?;
        if let Some(cause) = reset
            && self.send(Mark::Reset(cause)).await.is_none()
        {
            return Ok(());
        }
        if let Place::Snapshot {
            position,
            kind,
            key,
        } = place
        {
            if self.snapshot(&position, kind, key).await?.is_none() {
                return Ok(());
            }
            place = Place::CatchUp(Reached::whole(position));
        }
        let (mut reached, mut in_snapshot) = match place {
            Place::CatchUp(reached) => (reached, true),
            Place::Changes(reached) => (reached, false),
            Place::Snapshot { position, .. } => (Reached::whole(position), true),
        };
        let mut said = None;
        loop {
            wake.mark_unchanged();
            let through = self.clock.now();
            let until = self.store.now().await?;
            let Some(sent) = self.catch_up(&mut reached, &until, in_snapshot).await? else {
                return Ok(());
            };
            if in_snapshot {
                in_snapshot = false;
                let cursor = self.cursor(Place::Changes(reached.clone()));
                if self.send(Mark::SnapshotEnd { cursor }).await.is_none() {
                    return Ok(());
                }
            }
            let due = said.is_none_or(|at: Instant| at.elapsed() >= self.watch.progress);
            if sent || due {
                let cursor = self.cursor(Place::Changes(reached.clone()));
                if self
                    .send(Mark::Progress { cursor, through })
                    .await
                    .is_none()
                {
                    return Ok(());
                }
                said = Some(Instant::now());
            }
            // Whatever was committed here since `mark_unchanged` ends this at once.
            if let Ok(woken) = tokio::time::timeout(self.watch.progress, wake.changed()).await {
                // Else the loop would never wait again.
                woken?;
            }
        }
    }

    /// Sends what remains of the snapshot; `None` when nobody listens any more.
    async fn snapshot(
        &self,
        position: &Position,
        first: u8,
        key: String,
    ) -> Result<Option<()>, WatchError> {
        let mut key = key;
        for index in first.. {
            let Some(kind) = self.watch.kinds.get(usize::from(index)) else {
                break;
            };
            loop {
                let account = self.watch.accounts.one();
                let page = self
                    .rows
                    .page(self.store.reader(), *kind, account, &key, position)
                    .await?;
                let Some((last, _)) = page.last() else { break };
                key.clone_from(last);
                let sees = |(_, change): &(_, Change)| self.watch.accounts.sees(&change.account);
                let page = page.into_iter().filter(sees).collect();
                for (last, changes) in by_bytes(page) {
                    let place = Place::Snapshot {
                        position: position.clone(),
                        kind: index,
                        key: last,
                    };
                    let cursor = self.cursor(place);
                    if self
                        .send(Mark::Changes {
                            changes,
                            cursor,
                            snapshot: true,
                        })
                        .await
                        .is_none()
                    {
                        return Ok(None);
                    }
                }
            }
            key.clear();
        }
        Ok(Some(()))
    }

    /// Sends the changes up to `until`; whether there were any, or `None` when nobody listens.
    async fn catch_up(
        &self,
        reached: &mut Reached,
        until: &Position,
        in_snapshot: bool,
    ) -> Result<Option<bool>, WatchError> {
        let mut sent = false;
        while *reached != Reached::whole(until.clone()) {
            let wanted = Wanted {
                account: self.watch.accounts.one(),
                kinds: &self.watch.kinds,
            };
            // A reader that is on its way to a moment goes there first.
            let part = reached.part.as_ref().map(|(to, _)| to.clone());
            let to = part.as_ref().unwrap_or(until);
            let (mut changes, next) = read(self.store.reader(), wanted, reached, to).await?;
            // Transactions that have nothing to tell would move the cursor for ever, that with
            // which a follower stores it among them.
            if changes.is_empty() && part.is_none() && next.whole.is_near(&reached.whole) {
                break;
            }
            *reached = next;
            changes.retain(|change| self.watch.accounts.sees(&change.account));
            if changes.is_empty() {
                continue;
            }
            sent = true;
            let place = if in_snapshot {
                Place::CatchUp(reached.clone())
            } else {
                Place::Changes(reached.clone())
            };
            let cursor = self.cursor(place);
            if self
                .send(Mark::Changes {
                    changes,
                    cursor,
                    snapshot: false,
                })
                .await
                .is_none()
            {
                return Ok(None);
            }
        }
        Ok(Some(sent))
    }

    async fn send(&self, mark: Mark) -> Option<()> {
        self.sender.send(Ok(mark)).await.ok()
    }
}

/// Parts what was read into pages that end with [`PAGE_BYTES`] of text, each with its last key.
fn by_bytes(rows: Vec<(String, Change)>) -> Vec<(String, Vec<Change>)> {
    let mut pages: Vec<(String, Vec<Change>)> = Vec::new();
    let mut room = 0_usize;
    for (key, change) in rows {
        let bytes = change.bytes();
        match pages.last_mut() {
            Some((last, page)) if room > 0 => {
                *last = key;
                page.push(change);
            }
            _ => {
                room = PAGE_BYTES;
                pages.push((key, vec![change]));
            }
        }
        room = room.saturating_sub(bytes);
    }
    pages
}
