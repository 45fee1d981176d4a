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
use tonic::{Code, Status};

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
    let mut refused = None;
    while !stop.is_cancelled() {
        let run = run(feed, follower, &mut failures, &mut refused);
        let error = tokio::select! {
            () = stop.cancelled() => return,
            error = run => error,
        };
        let mut wait = delay(failures, entropy.as_ref());
        failures += 1;
        match error {
            // The end that every stream has: nothing to tell.
            Ended::Aged => failures = 0,
            Ended::Feed(status) if is_refusal(status.code()) => {
                // It is asked again: an operator may put right what is wrong.
                failures = failures.max(SLOWEST);
                wait = delay(failures, entropy.as_ref());
                if refused.replace(status.code()) != Some(status.code()) {
                    tracing::error!(
                        feed = name,
                        code = ?status.code(),
                        message = status.message(),
                        "the feed refuses to be followed: nothing of it arrives any more",
                    );
                }
            }
            Ended::Feed(status) => {
                tracing::info!(feed = name, code = ?status.code(), "the feed is away, following again");
            }
            Ended::Store(error) => {
                tracing::warn!(feed = name, %error, "storing from the feed failed, following again");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

enum Ended {
    Aged,
    Feed(Status),
    Store(String),
}

/// Whether a code will be the same however often one asks.
fn is_refusal(code: Code) -> bool {
    match code {
        Code::InvalidArgument
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::NotFound
        | Code::FailedPrecondition
        | Code::DataLoss => true,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => false,
    }
}

async fn run<F, W>(feed: &F, follower: &W, failures: &mut u32, refused: &mut Option<Code>) -> Ended
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
        let begins = matches!(mark, Mark::Reset);
        let goes_on = matches!(mark, Mark::Progress { .. });
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
        // A stream that begins and breaks off each time has not recovered.
        if !begins {
            *failures = 0;
        }
        if goes_on {
            *refused = None;
        }
    }
    Ended::Aged
}

/// So many failures and more are followed by the longest delay.
const SLOWEST: u32 = 6;

/// 50 ms doubling to 2 s, each between half and whole, so that followers don't come back at once
/// all together.
fn delay(failures: u32, entropy: &dyn Entropy) -> Duration {
    let whole = Duration::from_millis(50 << failures.min(SLOWEST)).min(Duration::from_secs(2));
    let mut byte = [0];
    entropy.fill(&mut byte);
    whole / 2 + whole / 2 * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::stream;
    use rollcall_types::OsEntropy;
    use tokio::time::Instant;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Notes the level of each event.
    #[derive(Clone, Default)]
    struct Levels(Arc<Mutex<Vec<Level>>>);

    impl Subscriber for Levels {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let metadata = event.metadata();
            if metadata.target().starts_with("rollcall_rpc") {
                self.0.lock().unwrap().push(*metadata.level());
            }
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    /// A feed whose streams begin and end as it is told, then wait; when each was opened.
    struct Played {
        ends: Mutex<Vec<Code>>,
        recovers_before: usize,
        opened: Mutex<Vec<Instant>>,
    }

    impl Feed for Played {
        type Change = ();

        async fn watch(&self, _: String) -> Result<Marks<()>, Status> {
            self.opened.lock().unwrap().push(Instant::now());
            let mut ends = self.ends.lock().unwrap();
            let mut marks = vec![Ok(Mark::Reset)];
            if ends.len() == self.recovers_before {
                marks.push(Ok(Mark::Progress {
                    cursor: String::new(),
                    through: Timestamp::parse("2026-11-24T09:00:00Z").unwrap(),
                }));
            }
            if ends.is_empty() {
                return Ok(stream::iter(marks).chain(stream::pending()).boxed());
            }
            marks.push(Err(Status::new(ends.remove(0), "on purpose")));
            Ok(stream::iter(marks).boxed())
        }
    }

    struct Forgetful;

    impl Follower for Forgetful {
        type Change = ();
        type Error = String;

        async fn cursor(&self) -> Result<String, String> {
            Ok(String::new())
        }
        async fn reset(&self) -> Result<(), String> {
            Ok(())
        }
        async fn apply(&self, _: Vec<()>, _: String) -> Result<(), String> {
            Ok(())
        }
        async fn snapshot_end(&self, _: String) -> Result<(), String> {
            Ok(())
        }
        async fn progress(&self, _: String, _: Timestamp) -> Result<(), String> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lasting_refusal_is_told_once_as_an_error_and_not_asked_often() {
        let ends = [
            Code::OutOfRange,
            Code::OutOfRange,
            Code::OutOfRange,
            Code::PermissionDenied,
            Code::Unavailable,
            Code::PermissionDenied,
        ];
        let feed = Played {
            ends: Mutex::new(ends.to_vec()),
            recovers_before: 1,
            opened: Mutex::default(),
        };
        let levels = Levels::default();
        let _logs = tracing::subscriber::set_default(levels.clone());

        let follow = follow(
            "played",
            &feed,
            &Forgetful,
            Arc::new(OsEntropy),
            CancellationToken::new(),
        );
        drop(tokio::time::timeout(Duration::from_mins(1), follow).await);

        let error = Level::ERROR;
        let told = levels.0.lock().unwrap().clone();
        assert_eq!(told, [error, error, Level::INFO, error]);
        let opened = feed.opened.lock().unwrap();
        assert_eq!(opened.len(), ends.len() + 1);
        assert!(opened[1] - opened[0] >= Duration::from_secs(1));
        assert!(opened[2] - opened[1] >= Duration::from_secs(1));
    }
}
