//! Whether a half-done write is noticed, and only that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rollcall_simulator::{
    AnsweredWrite, Ledger, Mode, Options, Recorder, SentWrite, Silent, run, verify_whole,
};
use serde_json::Value;

use crate::MODES;
use crate::fake::TOKEN;
use crate::server::Server;

/// Hears of no answer from a moment on, as if the service had been killed then.
#[derive(Default)]
struct Deaf {
    ledger: Ledger,
    is_deaf: AtomicBool,
}

impl Recorder for Deaf {
    fn sending(&self, write: &SentWrite) {
        self.ledger.sending(write);
    }

    fn answered(&self, write: &AnsweredWrite) {
        if !self.is_deaf.load(Ordering::Relaxed) {
            self.ledger.answered(write);
        }
    }
}

/// A service with one user of Okta's, all of whose writes were answered.
async fn played(mode: Mode) -> (Server, Options, Arc<Deaf>) {
    let server = Server::start(None).await;
    let recorder = Arc::new(Deaf::default());
    let mut options = server.options();
    options.mode = mode;
    options.users = 1;
    options.recorder = Some(recorder.clone());
    assert!(run(&options, &Silent).await.passed());
    (server, options, recorder)
}

/// A change of Okta's only user that Okta did not make.
fn patch(server: &Server, value: &Value) {
    let body = serde_json::json!({"Operations": [{"op": "replace", "value": value}]});
    let authorization = format!("Bearer {TOKEN}");
    let body = body.to_string();
    let mut store = server.store.lock().unwrap();
    store.handle("PATCH", "/Users/id-106", &authorization, body.as_bytes());
}

#[tokio::test]
async fn a_user_is_whole_whether_or_not_its_last_writes_were_answered() {
    for mode in MODES {
        let (_server, options, recorder) = played(mode).await;
        let report = verify_whole(&options, &recorder.ledger).await;
        assert!(report.passed(), "{report}");
        assert_eq!(recorder.ledger.unanswered(), 0);

        recorder.is_deaf.store(true, Ordering::Relaxed);
        assert!(run(&options, &Silent).await.passed());
        let report = verify_whole(&options, &recorder.ledger).await;

        assert!(report.passed(), "{report}");
        assert!(recorder.ledger.unanswered() > 4);
    }
}

#[tokio::test]
async fn a_user_whose_create_was_not_answered_may_be_absent() {
    let server = Server::start(None).await;
    let recorder = Arc::new(Deaf::default());
    recorder.is_deaf.store(true, Ordering::Relaxed);
    let mut options = server.options();
    options.recorder = Some(recorder.clone());
    assert!(run(&options, &Silent).await.passed());

    let foreign = server.store.lock().unwrap().users.len() - options.users;
    server.store.lock().unwrap().users.truncate(foreign);
    let report = verify_whole(&options, &recorder.ledger).await;

    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn a_user_that_is_gone_is_noticed() {
    let (server, options, recorder) = played(Mode::Oin).await;

    server.store.lock().unwrap().users.pop();
    let report = verify_whole(&options, &recorder.ledger).await;

    assert_eq!(report.failed(), 1, "{report}");
}

#[tokio::test]
async fn half_of_a_write_is_noticed() {
    let (server, options, recorder) = played(Mode::Oin).await;
    recorder.is_deaf.store(true, Ordering::Relaxed);
    assert!(run(&options, &Silent).await.passed());

    // The title of the update, without the names and the department that came with it.
    patch(
        &server,
        &serde_json::json!({"title": "Head of \"Everything\""}),
    );
    let report = verify_whole(&options, &recorder.ledger).await;

    assert_eq!(report.failed(), 1, "{report}");
    assert_eq!(report.failures[0].field, "title", "{report}");
}

#[tokio::test]
async fn roles_and_activity_are_part_of_the_whole() {
    for (field, value) in [
        (
            "roles",
            serde_json::json!({"roles": [{"value": "Nobody's"}]}),
        ),
        ("active", serde_json::json!({"active": false})),
    ] {
        let (server, options, recorder) = played(Mode::Oin).await;

        patch(&server, &value);
        let report = verify_whole(&options, &recorder.ledger).await;

        assert_eq!(report.failed(), 1, "{report}");
        assert_eq!(report.failures[0].field, field, "{report}");
    }
}
