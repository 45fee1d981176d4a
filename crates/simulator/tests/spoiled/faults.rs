//! Refusals that ask to wait, lost answers, restarts, and what remains of answered writes.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rollcall_simulator::{
    AnsweredWrite, Ended, Mode, Options, Progress, Recorder, Silent, run, run_brake,
    verify_recorded,
};

use crate::MODES;
use crate::fake::TOKEN;
use crate::server::{Faults, Server};

#[derive(Default)]
struct Memory(Mutex<Vec<AnsweredWrite>>);

impl Recorder for Memory {
    fn answered(&self, write: &AnsweredWrite) {
        self.0.lock().unwrap().push(write.clone());
    }
}

#[tokio::test]
async fn a_refusal_that_asks_to_wait_is_repeated_and_is_no_failure() {
    let refusals = [
        (429, Some("0")),
        (503, Some("0")),
        (429, Some("Wed, 21 Oct 2026 07:28:00 GMT")),
        (429, None),
    ];
    for (status, retry_after) in refusals {
        let refuse = Some((5, status, retry_after));
        let server = Server::start_with(
            None,
            Faults {
                refuse,
                ..Faults::default()
            },
        )
        .await;

        let report = run(&server.options(), &Silent).await;

        assert!(report.passed(), "{report}");
        assert!(report.retried > 20, "{report}");
    }
}

#[tokio::test]
async fn a_refusal_without_end_is_a_failure_after_ten_tries() {
    let refuse = Some((1, 503, Some("0")));
    let server = Server::start_with(
        None,
        Faults {
            refuse,
            ..Faults::default()
        },
    )
    .await;

    let report = run(&server.options(), &Silent).await;

    assert_eq!((report.requests, report.retried), (10, 9), "{report}");
    assert_eq!(report.failures.len(), 1, "{report}");
    assert_eq!(report.failures[0].got, "503");
}

#[tokio::test]
async fn a_wait_beyond_the_longest_is_a_failure_at_once() {
    let refuse = Some((1, 429, Some("300")));
    let server = Server::start_with(
        None,
        Faults {
            refuse,
            ..Faults::default()
        },
    )
    .await;
    let mut options = server.options();
    options.longest_wait = Some(Duration::from_secs(10));

    let report = run(&options, &Silent).await;

    assert_eq!((report.requests, report.retried), (1, 0), "{report}");
    assert!(!report.passed());
}

#[tokio::test]
async fn lost_answers_create_nobody_twice() {
    for mode in MODES {
        let faults = Faults {
            lose_answer: Some(7),
            ..Faults::default()
        };
        let server = Server::start_with(None, faults).await;
        let mut options = server.options();
        options.mode = mode;

        let report = run(&options, &Silent).await;

        assert!(report.passed(), "{report}");
        assert!(report.reconnected > 10, "{report}");
        assert_eq!(server.store.lock().unwrap().users.len(), 115);
    }
}

#[tokio::test]
async fn a_restart_is_waited_for() {
    for request in [12, 20, 90] {
        let faults = Faults {
            restart_at: Some(request),
            ..Faults::default()
        };
        let server = Server::start_with(None, faults).await;

        let report = run(&server.options(), &Silent).await;

        assert!(report.passed(), "{report}");
        assert!(report.reconnected > 0, "{report}");
    }
}

/// How long the service was away, as far as a run has told.
#[derive(Default)]
struct Watched(Mutex<Option<Duration>>);

impl Progress for Watched {
    fn step(&self, _name: &str, _done: usize, _total: usize) {}

    fn away(&self, away: Duration, _limit: Duration) {
        *self.0.lock().unwrap() = Some(away);
    }
}

#[tokio::test]
async fn a_service_that_went_away_for_good_ends_the_run_once_for_all_calls() {
    let faults = Faults {
        end_at: Some(30),
        ..Faults::default()
    };
    let server = Server::start_with(None, faults).await;
    let mut options = server.options();
    options.users = 500;
    options.reconnect_for = Duration::from_millis(300);
    let (begun, watched) = (Instant::now(), Watched::default());

    let report = run(&options, &watched).await;

    assert_eq!(report.ended, Some(Ended::Away(options.reconnect_for)));
    assert_eq!(report.failures.len(), 1, "{report}");
    assert_eq!(report.steps.last().unwrap().name, "assign", "{report}");
    assert!(watched.0.lock().unwrap().is_some());
    // One call after the other would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(20), "{report}");
    let told = "FAILED: the service went away and did not answer for 300.0 ms";
    assert!(report.to_string().contains(told), "{report}");
}

#[tokio::test]
async fn a_refused_token_ends_the_run() {
    let server = Server::start(None).await;

    let report = run(&Options::new(&server.base_url, "wrong"), &Silent).await;

    assert_eq!(report.ended, Some(Ended::TokenRefused), "{report}");
    assert!(!report.passed());
}

#[tokio::test]
async fn a_service_that_is_not_there_is_reported_at_once() {
    let server = Server::start(None).await;
    server.task.abort();
    let mut options = server.options();
    options.base_url = "http://127.0.0.1:1/scim/v2".to_owned();

    let report = run(&options, &Silent).await;

    assert_eq!((report.requests, report.failures.len()), (0, 1), "{report}");
    assert_eq!(report.failures[0].field, "answer");
    assert!(matches!(report.ended, Some(Ended::Unreachable(_))));
}

#[tokio::test]
async fn a_base_url_that_is_none_is_reported() {
    for base_url in ["", "not a url", "ftp://127.0.0.1/scim"] {
        let report = run(&Options::new(base_url, "t"), &Silent).await;

        assert_eq!(report.failures.len(), 1, "{base_url}: {report}");
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_a_failure() {
    let delay = Some(Duration::from_millis(400));
    let server = Server::start_with(
        None,
        Faults {
            delay,
            ..Faults::default()
        },
    )
    .await;
    let mut options = server.options();
    options.timeout = Duration::from_millis(50);

    let report = run(&options, &Silent).await;

    assert_eq!(report.failures.len(), 1, "{report}");
    assert_eq!(report.failures[0].expected, "an answer within 50ms");
}

#[tokio::test]
async fn compressed_answers_are_asked_for_once_only() {
    let server = Server::start_with(
        None,
        Faults {
            compresses: true,
            ..Faults::default()
        },
    )
    .await;

    let report = run(&server.options(), &Silent).await;

    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn answered_writes_are_found_again() {
    let server = Server::start(None).await;
    let memory = Arc::new(Memory::default());
    let mut options = server.options();
    options.recorder = Some(memory.clone());
    assert!(run(&options, &Silent).await.passed());

    let writes = memory.0.lock().unwrap().clone();
    let report = verify_recorded(&options, &writes).await;

    assert!(writes.len() > 50, "{}", writes.len());
    assert_eq!(report.requests, 10);
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn an_answered_write_that_was_lost_is_noticed() {
    let server = Server::start(None).await;
    let memory = Arc::new(Memory::default());
    let mut options = server.options();
    options.recorder = Some(memory.clone());
    assert!(run(&options, &Silent).await.passed());
    let old = server.store.lock().unwrap().users.clone();
    options.mode = Mode::Wizard;
    options.seed = 2;
    assert!(run(&options, &Silent).await.passed());
    let writes = memory.0.lock().unwrap().clone();

    // The second run's users are gone.
    server.store.lock().unwrap().users = old;
    let report = verify_recorded(&options, &writes).await;

    assert_eq!(report.failed(), 10, "{report}");
    assert!(
        report
            .failures
            .iter()
            .all(|failure| failure.got.starts_with("404")),
        "{report}"
    );
}

#[tokio::test]
async fn a_user_that_fell_back_to_an_earlier_state_is_noticed() {
    let server = Server::start(None).await;
    let memory = Arc::new(Memory::default());
    let mut options = server.options();
    options.recorder = Some(memory.clone());
    options.users = 1;
    assert!(run(&options, &Silent).await.passed());
    let mut writes = memory.0.lock().unwrap().clone();

    // As if one more write had been answered before the service lost it.
    let mut lost = writes.last().unwrap().clone();
    lost.version = "W/\"v99\"".to_owned();
    lost.last_modified = "2031-01-01T00:00:00Z".to_owned();
    writes.push(lost);
    let report = verify_recorded(&options, &writes).await;

    assert_eq!(report.failures.len(), 1, "{report}");
    assert_eq!(report.failures[0].field, "meta.version");
    // A later state than the last answered one is no loss.
    assert!(verify_recorded(&options, &writes[..3]).await.passed());
}

#[tokio::test]
async fn a_run_that_was_broken_off_between_its_renames_is_taken_up() {
    for mode in MODES {
        let server = Server::start(None).await;
        let mut options = server.options();
        options.mode = mode;
        options.users = 1;
        assert!(run(&options, &Silent).await.passed());
        let authorization = format!("Bearer {TOKEN}");
        let body = r#"{"Operations": [{"op": "replace", "value": {
            "userName": "renamed.zoe.mueller.1.0@acme.example", "nickName": "M", "active": false}}]}"#;
        server.store.lock().unwrap().handle(
            "PATCH",
            "/Users/id-106",
            &authorization,
            body.as_bytes(),
        );

        let report = run(&options, &Silent).await;

        assert!(report.passed(), "{report}");
        assert_eq!(server.store.lock().unwrap().users.len(), 106);
    }
}

#[tokio::test]
async fn a_brake_puts_deactivations_off_and_lets_everything_else_go_on() {
    for mode in MODES {
        let server = Server::start(None).await;
        server.store.lock().unwrap().brake = Some(4);
        let mut options = server.options();
        options.mode = mode;

        let outcome = run_brake(&options, &Silent).await;

        assert!(outcome.report.passed(), "{outcome}");
        assert_eq!((outcome.deactivated, outcome.waiting), (4, 6), "{outcome}");
        assert_eq!(outcome.retry_after, Some(Duration::from_mins(5)));
    }
}

#[tokio::test]
async fn a_service_without_a_brake_fails_that_story() {
    let server = Server::start(None).await;

    let outcome = run_brake(&server.options(), &Silent).await;

    assert_eq!((outcome.deactivated, outcome.waiting), (10, 0), "{outcome}");
    assert_eq!(outcome.report.failures.len(), 1, "{outcome}");
    assert_eq!(outcome.report.failures[0].step, "brake");
}
