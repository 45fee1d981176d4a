//! The schedule at work: takes the rows that are due and has them checked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::check::Checker;
use crate::error::Error;
use crate::store::claim;

/// How many checks run at once.
const CONCURRENT: usize = 256;
/// How long the task sleeps at most: the service's clock may be moved in tests and on machines
/// that were asleep, which a timer does not notice. One look at an index.
const NAP: Duration = Duration::from_millis(500);

/// Runs until `stop`, then waits for the checks that run.
pub(crate) async fn run(checker: Checker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONCURRENT));
    let mut wake = checker.store.wake();
    while !stop.is_cancelled() {
        wake.mark_unchanged();
        let nap = match start_due(&checker, &places).await {
            Ok(nap) => nap,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "due domains can't be checked");
                Duration::from_secs(1)
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            // A domain was added or changed; with nothing else to come, the nap goes on.
            Ok(()) = wake.changed() => {}
            () = tokio::time::sleep(nap) => {}
        }
    }
    let all = u32::try_from(CONCURRENT).unwrap_or(u32::MAX);
    // Each look has its own deadline, so this ends soon; the lease covers what is cut off.
    drop(tokio::time::timeout(Duration::from_secs(1), places.acquire_many(all)).await);
}

/// Starts what is due, as far as there is place; how long to sleep.
async fn start_due(checker: &Checker, places: &Arc<Semaphore>) -> Result<Duration, Error> {
    let now = checker.clock.now();
    let Some(due) = claim::earliest(checker.store.reader(), now).await? else {
        return Ok(NAP);
    };
    if due > now {
        return Ok(due.since(now).min(NAP));
    }
    let free = places.available_permits();
    if free == 0 {
        // A place comes free with a write, which wakes this task.
        return Ok(NAP);
    }
    let rows = checker.lease_due(u64::try_from(free).unwrap_or(1)).await?;
    for row in rows {
        let Ok(place) = places.clone().try_acquire_owned() else {
            break;
        };
        let check = checker.check_due(row);
        tokio::spawn(async move {
            if let Err(failure) = check.await {
                tracing::warn!(reason = ?failure.reason(), "a scheduled check came to nothing");
            }
            drop(place);
        });
    }
    Ok(NAP)
}
