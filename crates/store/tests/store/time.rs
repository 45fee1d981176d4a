//! Time in tests: a limit for those that could hang, and a clock that stands still.

use std::sync::mpsc;
use std::time::Duration;

/// What a test may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test that would rather fail than hang.
///
/// # Panics
/// When it is not over within a minute.
pub(crate) async fn within<T>(test: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(LIMIT, Box::pin(test)).await;
    ended.expect("the test hangs")
}

/// Runs a test while tokio's clock stands still: it moves by [`advance`] alone.
///
/// A paused clock by itself leaps to the next timer whenever the runtime has nothing to do, and
/// it has nothing to do while SQLite's own thread works. A blocking task keeps it from leaping;
/// when that ends, after a minute of real time, the clock leaps and ends a test that hangs.
///
/// # Panics
/// When the test is not over within a minute.
pub(crate) async fn at_a_standstill<T>(test: impl Future<Output = T>) -> T {
    let (hold, released) = mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || released.recv_timeout(LIMIT));
    tokio::time::pause();
    let ended = tokio::time::timeout(Duration::from_hours(24), Box::pin(test)).await;
    drop(hold);
    ended.expect("the test hangs")
}

/// Lets every task run until it waits for something outside of the runtime.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Moves tokio's clock, and lets every task see it.
pub(crate) async fn advance(span: Duration) {
    // Timers count in whole milliseconds, rounded up.
    tokio::time::advance(span + Duration::from_millis(1)).await;
    settle().await;
}
