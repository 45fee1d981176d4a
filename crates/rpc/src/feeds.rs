//! The feeds of the services, as a [`Follower`](crate::follower::Follower) opens them.
//!
//! Each package has its own messages of the same form; what a follower makes of that form stands
//! here once.

use futures::StreamExt;
use tonic::Status;

use crate::Backend;
use crate::convert::time;
use crate::follower::{Feed, Mark, Marks};
use crate::pb;

/// A page fits into the usual 4 MiB; what a sibling of ours once stored larger must not stop
/// everything behind it, and nothing is larger than a message of `scim`.
const MESSAGE: usize = 17 * 1024 * 1024;

macro_rules! feed {
    ($(#[$doc:meta])* $name:ident, $package:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            backend: Backend,
            kinds: Vec<pb::$package::v1::ResourceKind>,
            consumer: &'static str,
        }

        impl $name {
            /// The resources of `kinds` in all accounts; `consumer` is the stable name under
            /// which the follower is known.
            #[must_use]
            pub fn new(
                backend: Backend,
                kinds: Vec<pb::$package::v1::ResourceKind>,
                consumer: &'static str,
            ) -> Self {
                Self { backend, kinds, consumer }
            }
        }

        impl Feed for $name {
            type Change = pb::$package::v1::Change;

            async fn watch(&self, cursor: String) -> Result<Marks<Self::Change>, Status> {
                use pb::$package::v1::feed_service_client::FeedServiceClient;
                use pb::$package::v1::watch_response::Mark as Sent;
                let request = pb::$package::v1::WatchRequest {
                    account_id: String::new(),
                    kinds: self.kinds.iter().map(|kind| i32::from(*kind)).collect(),
                    cursor,
                    consumer: self.consumer.to_owned(),
                };
                let mut client = FeedServiceClient::new(self.backend.clone())
                    .max_decoding_message_size(MESSAGE);
                let stream = client.watch(request).await?.into_inner();
                // A kind of message that a newer peer has is passed over.
                let read = |message: pb::$package::v1::WatchResponse| {
                    Some(match message.mark? {
                        Sent::Reset(_) => Mark::Reset,
                        Sent::Changes(page) => Mark::Changes {
                            changes: page.changes,
                            cursor: page.cursor,
                            snapshot: page.snapshot,
                        },
                        Sent::SnapshotEnd(end) => Mark::SnapshotEnd { cursor: end.cursor },
                        Sent::Progress(progress) => Mark::Progress {
                            cursor: progress.cursor,
                            through: time::from_proto(&progress.through_time?)?,
                        },
                    })
                };
                Ok(stream
                    .filter_map(move |message| std::future::ready(message.map(read).transpose()))
                    .boxed())
            }
        }
    };
}

feed!(
    /// Provisioning's feed of accounts, connections and users.
    Provisioning,
    provisioning
);
feed!(
    /// Verification's feed of domains.
    Verification,
    verification
);
