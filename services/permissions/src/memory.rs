//! The state in memory, kept in step with the service's own feed, from which every check is
//! answered.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rollcall_store::{Error, Store};
use rollcall_types::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::input::At;
use crate::state::{self, State};
use crate::store::change;

/// How long to wait after the database failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The state in memory.
#[derive(Debug)]
pub(crate) struct Memory {
    state: RwLock<State>,
    place: watch::Sender<At>,
    /// How far the follower is where that is newer than what it stored.
    through: watch::Sender<Option<Timestamp>>,
}

impl Memory {
    /// Reads the tables, then what was committed meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let state = State::load(store.reader()).await?;
        let memory = Self {
            place: watch::Sender::new(state.place.clone()),
            state: RwLock::new(state),
            through: watch::Sender::new(None),
        };
        memory.catch_up(store).await?;
        Ok(memory)
    }

    /// Notes that everything stored so far is all that provisioning committed before `through`.
    pub(crate) fn note_through(&self, through: Timestamp) {
        self.through.send_replace(Some(through));
    }

    /// Looks at the state: one consistent moment.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far memory is.
    pub(crate) fn place(&self) -> At {
        self.place.borrow().clone()
    }

    /// Waits until memory is where `reached` says; whether it got there in time.
    pub(crate) async fn wait(&self, until: Instant, reached: impl Fn(&At) -> bool) -> bool {
        let mut place = self.place.subscribe();
        let waiting = place.wait_for(|place| reached(place));
        matches!(tokio::time::timeout_at(until, waiting).await, Ok(Ok(_)))
    }

    /// Applies the changes that are committed now, all under one lock: who reads sees all of a
    /// transaction or nothing.
    async fn catch_up(&self, store: &Store) -> Result<(), Error> {
        // In this order: what is claimed about provisioning was stored before the changes that
        // are read next.
        let noted = *self.through.borrow();
        let mut place = state::place(store.reader()).await?;
        place.through = place.through.max(noted);
        let from = self.place().position;
        let changes = change::read(store.reader(), from, &place.position).await?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.apply(&changes)?;
        state.place = place.clone();
        self.place.send_replace(place);
        Ok(())
    }

    /// Keeps memory in step until `stop`.
    pub(crate) async fn follow(&self, store: Store, stop: CancellationToken) {
        let mut wake = store.wake();
        let mut through = self.through.subscribe();
        while !stop.is_cancelled() {
            wake.mark_unchanged();
            through.mark_unchanged();
            let failed = self.catch_up(&store).await.err();
            if let Some(error) = &failed {
                tracing::warn!(%error, "memory could not follow the changes, trying again");
            }
            let moved = async {
                if failed.is_some() {
                    tokio::time::sleep(PAUSE).await;
                    return true;
                }
                tokio::select! {
                    woken = wake.changed() => woken.is_ok(),
                    noted = through.changed() => noted.is_ok(),
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                go_on = moved => if !go_on { return },
            }
        }
    }
}
