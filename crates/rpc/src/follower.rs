//! The consumer loop of a feed, whole: start, resume, recover, retry.
//!
//! A [`Follower`] stores what it learns together with the cursor, in one transaction; then a crash
//! anywhere repeats nothing and loses nothing (U-12).

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use rollcall_types::{Entropy, Timestamp};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// One message of a feed.
#[derive(Clone, Debug)]
pub enum Mark<C> {
    /// What follows is the whole state.
    Reset,
    /// A page of changes.
    Changes {
        /// The changes.
        changes: Vec<C>,
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

/// The messages of one stream.
pub type Marks<C> = BoxStream<'static, Result<Mark<C>, Status>>;

/// A feed that can be followed from a cursor; empty means from the beginning.
pub trait Feed: Send + Sync {
    /// What the feed's changes are.
    type Change: Send;

    /// Opens the stream.
    fn watch(
        &self,
        cursor: String,
    ) -> impl Future<Output = Result<Marks<Self::Change>, Status>> + Send;
}

/// What a consumer does with a feed. Each method stores its effect and the cursor in one
/// transaction before it returns.
pub trait Follower: Send + Sync {
    /// What the feed's changes are.
    type Change: Send;
    /// What can go wrong in storing.
    type Error: fmt::Display + Send;

    /// The stored cursor; empty if there is none.
    fn cursor(&self) -> impl Future<Output = Result<String, Self::Error>> + Send;
    /// Begins a new generation: what the snapshot does not mention will be dropped.
    fn reset(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Upserts and deletes, in order, with the present generation.
    fn apply(
        &self,
        changes: Vec<Self::Change>,
        cursor: String,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Drops what older generations left.
    fn snapshot_end(&self, cursor: String) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// Notes how far the feed has been applied.
    fn progress(
        &self,
        cursor: String,
        through: Timestamp,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Follows `feed` until `stop`, reconnecting with the stored cursor after any error.
pub async fn follow<F, W>(
    name: &'static str,
    feed: &F,
    follower: &W,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
) where
    F: Feed,
    W: Follower<Change = F::Change>,
{
    let mut failures = 0;
    while !stop.is_cancelled() {
        let run = run(feed, follower, &mut failures);
        let error = tokio::select! {
            () = stop.cancelled() => return,
            error = run => error,
        };
        let delay = delay(failures, entropy.as_ref());
        failures += 1;
        match error {
            // The end that every stream has: nothing to tell.
            Ended::Aged => failures = 0,
            Ended::Feed(status) => {
                tracing::info!(feed = name, code = ?status.code(), "the feed is away, following again");
            }
            Ended::Store(error) => {
                tracing::warn!(feed = name, %error, "storing from the feed failed, following again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

enum Ended {
    Aged,
    Feed(Status),
    Store(String),
}

async fn run<F, W>(feed: &F, follower: &W, failures: &mut u32) -> Ended
where
    F: Feed,
    W: Follower<Change = F::Change>,
{
    let stored = |error: W::Error| Ended::Store(error.to_string());
    let cursor = match follower.cursor().await {
        Ok(cursor) => cursor,
        Err(error) => return stored(error),
    };
    let mut stream = match feed.watch(cursor).await {
        Ok(stream) => stream,
        Err(status) => return Ended::Feed(status),
    };
    while let Some(mark) = stream.next().await {
        let mark = match mark {
            Ok(mark) => mark,
            Err(status)
                if crate::failure::read(&status).reason == Some(crate::Reason::StreamAged) =>
            {
                return Ended::Aged;
            }
            Err(status) => return Ended::Feed(status),
        };
        let applied = match mark {
            Mark::Reset => follower.reset().await,
            Mark::Changes {
                changes,
                cursor,
                snapshot: _,
            } => follower.apply(changes, cursor).await,
            Mark::SnapshotEnd { cursor } => follower.snapshot_end(cursor).await,
            Mark::Progress { cursor, through } => follower.progress(cursor, through).await,
        };
        if let Err(error) = applied {
            return stored(error);
        }
        *failures = 0;
    }
    Ended::Aged
}

/// 50 ms doubling to 2 s, each between half and whole, so that followers don't come back at once
/// all together.
fn delay(failures: u32, entropy: &dyn Entropy) -> Duration {
    let whole = Duration::from_millis(50 << failures.min(5)).min(Duration::from_secs(2));
    let mut byte = [0];
    entropy.fill(&mut byte);
    whole / 2 + whole / 2 * u32::from(byte[0]) / 255
}
