//! The consumer loop of the API's reference, with a memory in the place of its database, and with
//! what a feed promises as assertions.

use std::collections::{BTreeMap, BTreeSet};

use rollcall_store::cursor::{Cursor, Place};
use rollcall_store::feed::{Change, Mark, Op, ResetCause};
use rollcall_store::{ChangeId, Position};
use rollcall_types::AccountId;

use crate::things::{self, Key};
use crate::world::{Marks, World};

/// What a follower has stored: each [`Follower::apply`] is one transaction.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    /// The account that it follows; all if none.
    pub(crate) only: Option<AccountId>,
    /// The kinds that it follows.
    pub(crate) kinds: Vec<u8>,
    pub(crate) cursor: String,
    /// Why it started over, each time.
    pub(crate) resets: Vec<ResetCause>,
    /// The things, with value, version, and the number of resets before they were last seen.
    rows: BTreeMap<Key, (String, i64, usize)>,
    /// The version last seen since the reset, of deleted things too.
    versions: BTreeMap<Key, i64>,
    /// The changes applied since the reset.
    changes: BTreeSet<ChangeId>,
    /// The moment at which the snapshot began, once it is known.
    pub(crate) start: Option<Position>,
    /// A moment before that: an empty snapshot has no cursor that tells where it began.
    pub(crate) begun: Option<Position>,
    /// Whether the snapshot has ended.
    live: bool,
}

impl Default for Follower {
    /// Follows everything.
    fn default() -> Self {
        Self::of(None, vec![1, 2])
    }
}

impl Follower {
    /// Follows an account (or all) and some kinds.
    pub(crate) fn of(only: Option<AccountId>, kinds: Vec<u8>) -> Self {
        Self {
            only,
            kinds,
            cursor: String::new(),
            resets: Vec::new(),
            rows: BTreeMap::new(),
            versions: BTreeMap::new(),
            changes: BTreeSet::new(),
            start: None,
            begun: None,
            live: false,
        }
    }

    /// Applies a message and stores its cursor.
    pub(crate) fn apply(&mut self, mark: &Mark) {
        match mark {
            Mark::Reset(cause) => {
                self.resets.push(*cause);
                self.versions.clear();
                self.changes.clear();
                self.start = None;
                self.live = false;
            }
            Mark::Changes {
                changes,
                cursor,
                snapshot,
            } => {
                assert!(!changes.is_empty(), "a page holds something");
                for change in changes {
                    if *snapshot {
                        self.state(change);
                    } else {
                        self.change(change);
                    }
                }
                self.store_cursor(cursor);
            }
            Mark::SnapshotEnd { cursor } => {
                assert!(!self.live, "a snapshot ends once");
                self.live = true;
                let now = self.resets.len();
                self.rows.retain(|_, (_, _, seen)| *seen == now);
                self.store_cursor(cursor);
            }
            Mark::Progress { cursor, .. } => {
                assert!(self.live, "progress is of changes");
                self.store_cursor(cursor);
            }
        }
    }

    fn store_cursor(&mut self, cursor: &str) {
        if let Place::Snapshot { position, .. } = place(cursor) {
            let start = self.start.get_or_insert_with(|| position.clone());
            assert_eq!(*start, position, "a snapshot stays at its moment");
        }
        cursor.clone_into(&mut self.cursor);
    }

    /// A row of the snapshot.
    fn state(&mut self, change: &Change) {
        let key = key(change);
        assert!(!self.live, "state comes before the end of the snapshot");
        assert_eq!(change.id, None);
        assert!(self.changes.is_empty(), "state comes before changes");
        let seen = self.versions.insert(key.clone(), change.version);
        assert_eq!(seen, None, "{key:?} is twice in one snapshot");
        self.insert(key, change);
    }

    fn change(&mut self, change: &Change) {
        let key = key(change);
        let id = change.id.unwrap();
        let is_state = self.start.as_ref().is_some_and(|start| start.covers(id));
        assert!(!is_state, "{id:?} is in the snapshot");
        assert!(self.changes.insert(id), "{id:?} came twice");
        let seen = self.versions.insert(key.clone(), change.version);
        if let Some(seen) = seen {
            assert_eq!(change.version, seen + 1, "the next change of {key:?}");
        }
        match change.op {
            Op::Upserted => self.insert(key, change),
            Op::Deleted => {
                self.rows.remove(&key);
            }
        }
    }

    fn insert(&mut self, key: Key, change: &Change) {
        let row = (change.after.clone(), change.version, self.resets.len());
        self.rows.insert(key, row);
    }

    /// The things that the follower knows.
    pub(crate) fn things(&self) -> Vec<(Key, String, i64)> {
        let rows = self.rows.iter();
        rows.map(|(key, (value, version, _))| (key.clone(), value.clone(), *version))
            .collect()
    }

    pub(crate) fn ids(&self) -> Vec<&str> {
        self.rows.keys().map(|(_, _, id)| id.as_str()).collect()
    }

    /// Takes messages until everything that was committed before this call is applied.
    pub(crate) async fn catch_up(&mut self, world: &World, marks: &mut Marks) {
        let committed = world.changes(self.only.as_ref(), &self.kinds).await;
        loop {
            let mark = marks.recv().await.unwrap().unwrap();
            self.apply(&mark);
            if let Mark::Progress { cursor, .. } = &mark
                && let Place::Changes(reached) = place(cursor)
                && committed.iter().all(|change| reached.covers(*change))
            {
                return;
            }
        }
    }

    /// What a follower that has caught up must have: the table as it is, by exactly the changes
    /// after its snapshot.
    pub(crate) async fn check(&self, world: &World) {
        let only = self.only.as_ref();
        let table = things::all(world.store.reader(), only, &self.kinds).await;
        assert_eq!(self.things(), table, "the state");
        let start = self.start.as_ref().or(self.begun.as_ref());
        let start = start.expect("where the snapshot began");
        let mut feed = world.changes(only, &self.kinds).await;
        feed.retain(|change| !start.covers(*change));
        assert!(self.changes.iter().eq(&feed), "the changes after {start}");
    }
}

fn key(change: &Change) -> Key {
    let account = change.account.to_string();
    (account, change.kind, change.resource.clone())
}

/// Where a cursor is.
pub(crate) fn place(cursor: &str) -> Place {
    Cursor::parse(cursor).unwrap().place
}
