//! What every step does: look users up, read them, change them, and compare with what Okta believes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::change::{Change, patch_active};
use crate::check::{Check, Expected};
use crate::client::{Call, Client, encode};
use crate::journal::Journal;
use crate::options::{Mode, Options};
use crate::person::Person;
use crate::record::{AnsweredWrite, SentWrite, instant};
use crate::run::Progress;
use crate::state::State;

/// How many resources Okta asks for at once.
pub(crate) const PAGE: u64 = 100;

/// One run's surroundings.
pub(crate) struct World<'a> {
    pub(crate) options: &'a Options,
    pub(crate) journal: &'a Journal,
    pub(crate) client: Client<'a>,
    progress: &'a dyn Progress,
    /// A 429 is an outcome to look at, not a failure.
    takes_refusal: bool,
}

/// A person, and the service's user that Okta has linked to it.
pub(crate) struct User {
    pub(crate) person: Person,
    pub(crate) link: Option<Link>,
    pub(crate) state: State,
}

impl User {
    pub(crate) fn new(person: Person) -> Self {
        Self {
            person,
            link: None,
            state: State::default(),
        }
    }

    /// The name under which reports show it.
    pub(crate) fn name(&self) -> &str {
        &self.person.user_name
    }
}

/// The service's side of a link, as of the last answer.
pub(crate) struct Link {
    pub(crate) id: String,
    version: String,
    last_modified: String,
}

impl Link {
    /// The link to a returned user; one without an id cannot be linked.
    pub(crate) fn to(user: &Value) -> Option<Self> {
        let meta = user.get("meta");
        let text = |name: &str| {
            let value = meta.and_then(|meta| meta.get(name)).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        Some(Self {
            id: user
                .get("id")?
                .as_str()
                .filter(|id| !id.is_empty())?
                .to_owned(),
            version: text("version"),
            last_modified: text("lastModified"),
        })
    }

    pub(crate) fn target(&self) -> String {
        format!("/Users/{}", encode(&self.id))
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// The service says that it is done; whether it did it right is in the journal.
    Yes,
    /// It was not; the journal says why.
    No,
    /// The service will take it after this time.
    PutOff(Duration),
}

/// What an existence check found.
pub(crate) enum Lookup<User = Value> {
    Absent,
    Found(User),
    /// The answer was no answer to the question; the journal says why.
    Unknown,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        options: &'a Options,
        journal: &'a Journal,
        progress: &'a dyn Progress,
    ) -> Self {
        let client = Client::new(options, journal, progress);
        Self {
            options,
            journal,
            client,
            progress,
            takes_refusal: false,
        }
    }

    /// Takes a write that is put off by 429 for what it is.
    pub(crate) fn taking_refusal(self) -> Self {
        Self {
            takes_refusal: true,
            ..self
        }
    }

    /// Opens a step that is not about single users.
    pub(crate) fn begin(&self, step: &'static str) {
        self.journal.open(step);
        self.progress.step(step, 0, 1);
    }

    /// Says that such a step is done.
    pub(crate) fn end(&self, step: &'static str) {
        self.progress.step(step, 1, 1);
    }

    /// Says that `done` of `total` parts of a step are done.
    pub(crate) fn note(&self, step: &'static str, done: usize, total: usize) {
        self.progress.step(step, done, total);
    }

    /// Plays one step for each of the users, several of them at the same time.
    pub(crate) async fn each<'u, F, Played>(
        &self,
        step: &'static str,
        users: impl Iterator<Item = &'u mut User>,
        play: F,
    ) where
        F: Fn(&'u mut User) -> Played,
        Played: Future<Output = ()>,
    {
        let users: Vec<&mut User> = users.collect();
        self.each_of(step, users.len(), users, play).await;
    }

    /// The same for whatever stands for the `total` users; plays nothing in a run that is over.
    pub(crate) async fn each_of<Item, F, Played>(
        &self,
        step: &'static str,
        total: usize,
        items: impl IntoIterator<Item = Item>,
        play: F,
    ) where
        F: Fn(Item) -> Played,
        Played: Future<Output = ()>,
    {
        if self.is_over() {
            return;
        }
        self.journal.open(step);
        self.note(step, 0, total);
        let done = AtomicUsize::new(0);
        let items = items.into_iter().take_while(|_| !self.is_over());
        futures::stream::iter(items)
            .for_each_concurrent(self.options.concurrency.max(1), |item| {
                let played = play(item);
                let done = &done;
                async move {
                    played.await;
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if !self.is_over() {
                        self.note(step, done, total);
                    }
                }
            })
            .await;
    }

    /// Whether the run is over before its last step, since nobody answers any more.
    pub(crate) fn is_over(&self) -> bool {
        self.journal.presence.is_over()
    }

    /// Asks for the user of that name, as Okta does before a create and on re-assignment.
    pub(crate) async fn look_up(&self, step: &'static str, user: &str, name: &str) -> Lookup {
        let call = existence_check(step, name).of(user);
        let Some(answer) = self.client.send(&call).await else {
            return Lookup::Unknown;
        };
        let check = Check::new(self.journal, &call, &answer);
        match check.found(name) {
            Lookup::Unknown => Lookup::Unknown,
            Lookup::Absent => Lookup::Absent,
            Lookup::Found(found) => Lookup::Found(found.clone()),
        }
    }

    /// Expects that an existence check finds exactly this user, as Okta believes it to be.
    pub(crate) async fn expect_found(&self, step: &'static str, user: &User, name: &str) {
        let call = existence_check(step, name).of(user.name());
        let Some(answer) = self.client.send(&call).await else {
            return;
        };
        let check = Check::new(self.journal, &call, &answer);
        match check.found(name) {
            Lookup::Unknown => {}
            Lookup::Absent => check.fail("totalResults", "1", "0"),
            Lookup::Found(found) => {
                check.state(found, &self.expected(user.link.as_ref(), &user.state));
            }
        }
    }

    /// Reads the user by its id and expects it to be as Okta believes it to be.
    pub(crate) async fn fetch(&self, step: &'static str, user: &User) -> Option<Value> {
        let link = user.link.as_ref()?;
        let call = Call::get(step, link.target()).of(user.name());
        let answer = self.client.send(&call).await?;
        let check = Check::new(self.journal, &call, &answer);
        let found = check.one_user(200)?;
        check.state(found, &self.expected(Some(link), &user.state));
        check.stamp(found, link, false);
        Some(found.clone())
    }

    /// Changes the user in the way of the app's mode.
    pub(crate) async fn change(
        &self,
        step: &'static str,
        user: &mut User,
        change: Change,
    ) -> Written {
        let (method, body) = if self.options.mode == Mode::OinPatch {
            (
                Method::PATCH,
                change.patch(&user.state, user.person.number % 2 == 1),
            )
        } else {
            // Okta: read, edit, write back whole. If the read fails, Okta stops.
            let Some(returned) = self.fetch(step, user).await else {
                return Written::No;
            };
            let Some(body) = change.edit(&returned, &user.person) else {
                return Written::No;
            };
            (Method::PUT, body)
        };
        self.write(step, user, method, &body, change.after).await
    }

    /// Deactivates or reactivates the user in the way of the app's mode.
    pub(crate) async fn set_active(
        &self,
        step: &'static str,
        user: &mut User,
        active: bool,
    ) -> Written {
        let after = State {
            active,
            ..user.state.clone()
        };
        if self.options.mode == Mode::Wizard {
            return self.change(step, user, Change::to(after)).await;
        }
        self.write(step, user, Method::PATCH, &patch_active(active), after)
            .await
    }

    async fn write(
        &self,
        step: &'static str,
        user: &mut User,
        method: Method,
        body: &Value,
        after: State,
    ) -> Written {
        let Some(link) = &user.link else {
            return Written::No;
        };
        let mut call = Call::write(step, method, link.target(), body).of(&user.person.user_name);
        self.sending(&after);
        let Some(mut answer) = self.client.send(&call).await else {
            return Written::No;
        };
        // Okta takes a PATCH without a body in the answer, too.
        if call.method == Method::PATCH && answer.status == StatusCode::NO_CONTENT {
            call = Call::get(step, link.target()).of(&user.person.user_name);
            let Some(read) = self.client.send(&call).await else {
                return Written::No;
            };
            answer = read;
        }
        let check = Check::new(self.journal, &call, &answer);
        if self.takes_refusal && answer.status == StatusCode::TOO_MANY_REQUESTS {
            return check.put_off().map_or(Written::No, Written::PutOff);
        }
        let Some(returned) = check.one_user(200) else {
            return Written::No;
        };
        check.state(returned, &self.expected(Some(link), &after));
        check.stamp(returned, link, !user.state.is_same(&after));
        // A service that changes ids was reported just now; the run goes on with what it says.
        user.link = Link::to(returned);
        user.state = after;
        self.record(user);
        Written::Yes
    }

    pub(crate) fn expected<'e>(&self, link: Option<&'e Link>, state: &'e State) -> Expected<'e> {
        Expected {
            id: link.map(|link| link.id.as_str()),
            state,
            access: self.options.expect_access,
        }
    }

    /// Tells the recorder that a write is about to be sent which leaves a user in this state.
    pub(crate) fn sending(&self, after: &State) {
        if let Some(recorder) = &self.options.recorder {
            recorder.sending(&SentWrite::new(after));
        }
    }

    /// Tells the recorder that a write of this user was answered.
    pub(crate) fn record(&self, user: &User) {
        if let (Some(recorder), Some(link)) = (&self.options.recorder, &user.link) {
            recorder.answered(&AnsweredWrite::new(
                &link.id,
                &link.version,
                &link.last_modified,
                &user.state,
            ));
        }
    }
}

fn existence_check(step: &'static str, name: &str) -> Call<'static> {
    let filter = encode(&format!("userName eq {}", Value::from(name)));
    Call::get(
        step,
        format!("/Users?filter={filter}&startIndex=1&count={PAGE}"),
    )
}

impl<'a> Check<'a> {
    /// Expects an empty list, or one with exactly the user of that name.
    fn found(&self, name: &str) -> Lookup<&'a Value> {
        let Some(page) = self.page(1, PAGE) else {
            return Lookup::Unknown;
        };
        match (page.total, page.resources) {
            (0, []) => Lookup::Absent,
            (1, [found]) => {
                self.user(found);
                let got = found
                    .get("userName")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if got.to_lowercase() != name.to_lowercase() {
                    self.fail("userName", format!("{name:?}"), format!("{got:?}"));
                }
                Lookup::Found(found)
            }
            (total, resources) => {
                let got = format!("{total}, and {} resources", resources.len());
                self.fail("totalResults", "0 or 1", got);
                Lookup::Unknown
            }
        }
    }

    /// Expects a refusal that tells an administrator why, and Okta for how long.
    fn put_off(&self) -> Option<Duration> {
        self.error(429, None);
        let stated = self.header("Retry-After")?;
        let seconds = stated.trim().parse().ok();
        if seconds.is_none() {
            self.fail("Retry-After", "whole seconds", stated);
        }
        seconds.map(Duration::from_secs)
    }

    /// Expects version and time of the last change to move if, and only if, something changed.
    fn stamp(&self, user: &Value, before: &Link, is_changed: bool) {
        let Some(now) = Link::to(user) else { return };
        let quoted = |text: &str| format!("{text:?}");
        if is_changed {
            if now.version == before.version {
                let expected = format!("another version than {:?}", before.version);
                self.fail("meta.version", expected, quoted(&now.version));
            }
            if instant(&now.last_modified) < instant(&before.last_modified) {
                let expected = format!("not before {:?}", before.last_modified);
                self.fail("meta.lastModified", expected, quoted(&now.last_modified));
            }
            return;
        }
        for (field, expected, got) in [
            ("meta.version", &before.version, &now.version),
            (
                "meta.lastModified",
                &before.last_modified,
                &now.last_modified,
            ),
        ] {
            if expected != got {
                let expected = format!("{expected:?}, since nothing changed");
                self.fail(field, expected, quoted(got));
            }
        }
    }
}
