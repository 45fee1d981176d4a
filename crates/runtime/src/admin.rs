//! The admin port: whether the process lives, and whether it is ready (REL-24).
//!
//! Plain HTTP, for the kubelet and for nobody outside the cluster.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use tokio::sync::watch;

/// How long one check may take.
const LONGEST: Duration = Duration::from_secs(1);

/// One thing without which nothing can be answered: its name, and how to look at it.
#[derive(Clone)]
pub struct Check {
    name: String,
    look: Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Check {
    /// A check that says what is wrong.
    pub fn new(
        name: impl Into<String>,
        look: impl Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            look: Arc::new(look),
        }
    }

    /// What is wrong, if something is.
    async fn trouble(&self) -> Option<String> {
        let looked = tokio::time::timeout(LONGEST, (self.look)()).await;
        let looked = looked.unwrap_or_else(|_| Err("it does not answer".to_owned()));
        looked.err().map(|why| format!("{}: {why}", self.name))
    }
}

#[derive(Clone)]
enum State {
    Starting,
    Running(Arc<[Check]>),
    Stopping,
}

/// Whether the process is to be sent requests.
#[derive(Clone)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readiness")
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::Starting)))
    }
}

impl Readiness {
    /// It serves from now on, as long as these hold.
    pub fn running(&self, checks: Vec<Check>) {
        self.0.send_replace(State::Running(checks.into()));
    }

    /// It ends: nothing new is to be sent.
    pub fn stopping(&self) {
        self.0.send_replace(State::Stopping);
    }

    /// Why it is not ready; empty if it is.
    pub async fn troubles(&self) -> Vec<String> {
        let state = self.0.borrow().clone();
        match state {
            State::Starting => vec!["it starts".to_owned()],
            State::Stopping => vec!["it stops".to_owned()],
            State::Running(checks) => {
                let troubles = join_all(checks.iter().map(Check::trouble)).await;
                troubles.into_iter().flatten().collect()
            }
        }
    }
}

/// `/livez`, which asks nothing of anybody, and `/readyz`.
pub fn router(readiness: Readiness) -> Router {
    let ready = move || {
        let readiness = readiness.clone();
        async move {
            let troubles = readiness.troubles().await;
            if troubles.is_empty() {
                return (StatusCode::OK, "ready\n".to_owned());
            }
            let troubles = troubles.join("\n") + "\n";
            (StatusCode::SERVICE_UNAVAILABLE, troubles)
        }
    };
    Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)] // rule: REL-24 (part)
    async fn it_is_ready_while_it_runs_and_each_of_its_checks_holds() {
        let readiness = Readiness::default();
        assert_eq!(readiness.troubles().await, ["it starts"]);

        let well = Check::new("well", || async { Ok(()) }.boxed());
        readiness.running(vec![well.clone()]);
        assert!(readiness.troubles().await.is_empty());

        let broken = Check::new("a", || async { Err("it is lost".to_owned()) }.boxed());
        let hangs = Check::new("b", || std::future::pending().boxed());
        readiness.running(vec![well, broken, hangs]);
        let troubles = readiness.troubles().await;
        assert_eq!(troubles, ["a: it is lost", "b: it does not answer"]);

        readiness.stopping();
        assert_eq!(readiness.troubles().await, ["it stops"]);
    }
}
