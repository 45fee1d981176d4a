//! A follower of the users of `acme`, as a service of the product would be.

use std::collections::BTreeMap;

use rollcall_rpc::Backend;
use rollcall_rpc::convert::time::from_proto;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_client::FeedServiceClient;
use rollcall_rpc::pb::provisioning::v1::watch_response::Mark;
use rollcall_types::{Clock, SystemClock, Timestamp};
use tonic::{Status, Streaming};

/// What the feed has told so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mirror {
    /// By id.
    pub(crate) users: BTreeMap<String, pb::User>,
    /// The change that was told last, for calls that take `at_least`; empty before the first.
    pub(crate) last: String,
    cursor: String,
}

impl Mirror {
    /// Follows on from where it is to the present.
    pub(crate) async fn catch_up(&mut self, backend: &Backend) {
        let begun = SystemClock.now();
        let mut stream = self.watch(backend).await;
        loop {
            let mark = next(&mut stream).await.unwrap();
            let through = self.apply(mark);
            if through.is_some_and(|through| through >= begun) {
                return;
            }
        }
    }

    /// Follows on until the stream breaks.
    pub(crate) async fn follow(mut self, backend: Backend) -> Self {
        let mut stream = self.watch(&backend).await;
        while let Ok(mark) = next(&mut stream).await {
            self.apply(mark);
        }
        self
    }

    async fn watch(&self, backend: &Backend) -> Streaming<pb::WatchResponse> {
        let request = pb::WatchRequest {
            account_id: "acme".to_owned(),
            kinds: vec![pb::ResourceKind::User.into()],
            cursor: self.cursor.clone(),
            consumer: "mirror".to_owned(),
        };
        let mut feed = FeedServiceClient::new(backend.clone());
        feed.watch(request).await.unwrap().into_inner()
    }

    /// Takes a message over; the time up to which it is complete, if the message says that.
    fn apply(&mut self, mark: Mark) -> Option<Timestamp> {
        match mark {
            Mark::Reset(_) => assert_eq!(self.cursor, "", "the feed starts over"),
            Mark::Changes(page) => {
                for change in page.changes {
                    self.change(change, page.snapshot);
                }
                self.cursor = page.cursor;
            }
            Mark::SnapshotEnd(end) => self.cursor = end.cursor,
            Mark::Progress(progress) => {
                self.cursor = progress.cursor;
                return from_proto(&progress.through_time.unwrap());
            }
        }
        None
    }

    /// Expects each change to be the next one of its user: none missed, none twice.
    fn change(&mut self, change: pb::Change, snapshot: bool) {
        let Some(pb::change::Resource::User(user)) = change.resource else {
            panic!("not a user: {change:?}");
        };
        let before = self.users.get(&user.user_id);
        if !snapshot {
            let before = before.map_or(0, |user| user.version);
            assert_eq!(user.version, before + 1, "after version {before}: {user:?}");
            self.last = change.change_token;
        }
        self.users.insert(user.user_id.clone(), user);
    }
}

async fn next(stream: &mut Streaming<pb::WatchResponse>) -> Result<Mark, Status> {
    let message = stream.message().await?;
    let ended = || Status::unavailable("the stream has ended");
    Ok(message.ok_or_else(ended)?.mark.unwrap())
}
