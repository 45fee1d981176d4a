//! Remembers what a service has answered, and asks it later whether that is still true.

use std::collections::BTreeMap;

use chrono::DateTime;
use futures::StreamExt;
use serde_json::Value;

use crate::check::Check;
use crate::client::{Call, Client, encode};
use crate::journal::Journal;
use crate::options::Options;
use crate::report::Report;
use crate::run::Silent;
use crate::state::{self, State};
use crate::step;

/// Learns of each write that is sent, and of each that the service has answered with success.
pub trait Recorder: Send + Sync {
    /// Is called before the write is sent.
    fn sending(&self, write: &SentWrite) {
        let _ = write;
    }

    /// Is called once the answer was read; writes of one user come in their order.
    fn answered(&self, write: &AnsweredWrite);
}

/// A user as a write leaves it that is sent now, whether or not its answer will come.
#[derive(Clone, Debug, PartialEq)]
pub struct SentWrite {
    /// Okta's own id of the user, which no write changes.
    pub external_id: String,
    pub(crate) state: State,
}

impl SentWrite {
    pub(crate) fn new(state: &State) -> Self {
        Self {
            external_id: state.text(state::EXTERNAL_ID).to_owned(),
            state: state.clone(),
        }
    }
}

/// A user as it was after a write that the service has answered with success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnsweredWrite {
    /// The user's `userName`.
    pub user_name: String,
    /// Okta's own id of the user, which no write changes.
    pub external_id: String,
    /// The user's `id`.
    pub id: String,
    /// Its `meta.version` in the answer.
    pub version: String,
    /// Its `meta.lastModified` in the answer.
    pub last_modified: String,
    /// Its `active`.
    pub active: bool,
    /// The values of its roles.
    pub roles: Vec<String>,
    /// Its `displayName`.
    pub display_name: Option<String>,
}

impl AnsweredWrite {
    pub(crate) fn new(id: &str, version: &str, last_modified: &str, state: &State) -> Self {
        Self {
            user_name: state.text(state::USER_NAME).to_owned(),
            external_id: state.text(state::EXTERNAL_ID).to_owned(),
            id: id.to_owned(),
            version: version.to_owned(),
            last_modified: last_modified.to_owned(),
            active: state.active,
            roles: state.role_values(),
            display_name: state
                .get(state::DISPLAY_NAME)
                .and_then(Value::as_str)
                .map(str::to_owned),
        }
    }

    fn stamp(&self) -> (&str, &str) {
        (&self.version, &self.last_modified)
    }
}

/// Checks that nothing the service has answered is lost: each user is as its last write in `writes`
/// left it, or in a later state (a write may have taken effect whose answer never arrived).
///
/// Waits for a service that is just starting, as long as [`Options::reconnect_for`].
pub async fn verify_recorded(options: &Options, writes: &[AnsweredWrite]) -> Report {
    let journal = Journal::start();
    let client = Client::new(options, &journal, &Silent);
    client.expect_start();
    journal.open(step::VERIFY);

    let mut users: BTreeMap<&str, Vec<&AnsweredWrite>> = BTreeMap::new();
    for write in writes {
        users.entry(&write.id).or_default().push(write);
    }
    let total = users.len();
    futures::stream::iter(users.into_values())
        .for_each_concurrent(options.concurrency.max(1), |writes| {
            let (client, journal) = (&client, &journal);
            async move {
                if let Some((last, earlier)) = writes.split_last() {
                    verify(client, journal, last, earlier).await;
                }
            }
        })
        .await;

    drop(client);
    let base = &options.base_url;
    journal.report(format!(
        "Answered writes of {total} users, looked up at {base}"
    ))
}

async fn verify(
    client: &Client<'_>,
    journal: &Journal,
    last: &AnsweredWrite,
    earlier: &[&AnsweredWrite],
) {
    let target = format!("/Users/{}", encode(&last.id));
    let call = Call::get(step::VERIFY, target).of(&last.user_name);
    let Some(answer) = client.send(&call).await else {
        return;
    };
    let check = Check::new(journal, &call, &answer);
    let Some(user) = check.one_user(200) else {
        return;
    };

    let meta = user.get("meta");
    let text = |name: &str| {
        meta.and_then(|meta| meta.get(name))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let stamp = (text("version"), text("lastModified"));
    if stamp == last.stamp() {
        let now = AnsweredWrite::new(&last.id, stamp.0, stamp.1, &State::read(user));
        let parts = [
            (
                "userName",
                format!("{:?}", last.user_name),
                format!("{:?}", now.user_name),
            ),
            ("active", last.active.to_string(), now.active.to_string()),
            (
                "roles",
                format!("{:?}", last.roles),
                format!("{:?}", now.roles),
            ),
            (
                "displayName",
                format!("{:?}", last.display_name),
                format!("{:?}", now.display_name),
            ),
        ];
        for (field, expected, got) in parts {
            if expected != got {
                check.fail(field, expected, got);
            }
        }
        return;
    }
    let is_earlier = earlier.iter().any(|write| write.stamp() == stamp);
    let is_older = match (instant(stamp.1), instant(&last.last_modified)) {
        (Some(now), Some(then)) => now < then,
        _ => false,
    };
    if is_earlier || is_older {
        check.fail(
            "meta.version",
            format!("{} of {} or later", last.version, last.last_modified),
            format!("{} of {}: an answered write is lost", stamp.0, stamp.1),
        );
    }
}

/// A `dateTime` as an instant (RFC 7643, section 2.3.5).
pub(crate) fn instant(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    DateTime::parse_from_rfc3339(text).ok()
}
