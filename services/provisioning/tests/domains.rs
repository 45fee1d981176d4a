//! Verification's domains, as its feed tells of them.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests stop the test where they fail"
)]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use rollcall_provisioning::{Config, Deps, Service, store};
use rollcall_rpc::pb::common::v1::{ChangeOp, Reset, SnapshotEnd};
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::feed_service_server::{FeedService, FeedServiceServer};
use rollcall_rpc::pb::verification::v1::watch_response::Mark;
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers};
use rollcall_store::TokenKey;
use rollcall_types::{AccountId, Clock, DomainName, Entropy, IdSource, OsEntropy, SystemClock};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

/// A feed whose streams the test plays one by one, each broken off after its marks.
struct Played {
    asked: mpsc::UnboundedSender<String>,
    streams: Mutex<mpsc::UnboundedReceiver<Vec<Mark>>>,
}

#[tonic::async_trait]
impl FeedService for Played {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.asked.send(request.into_inner().cursor).unwrap();
        let marks = self.streams.lock().await.recv().await.unwrap_or_default();
        let marks = marks.into_iter();
        let marks = marks.map(|mark| Ok(pb::WatchResponse { mark: Some(mark) }));
        Ok(Response::new(stream::iter(marks).boxed()))
    }
}

/// Provisioning, and the ends of the feed that it follows.
struct World {
    service: Service,
    asked: mpsc::UnboundedReceiver<String>,
    streams: mpsc::UnboundedSender<Vec<Mark>>,
}

impl World {
    async fn start(folder: &std::path::Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let ids = Arc::new(IdSource::new(clock.clone(), entropy.clone()));
        let mut callers = Callers::default();
        let caller = Caller {
            name: "provisioning".into(),
            kind: CallerKind::Service,
            scopes: Arc::new([]),
            accounts: None,
        };
        callers.add("sibling", caller);
        let layer = ServerLayer::new(Arc::new(callers), ids.clone(), false);
        let (asks, asked) = mpsc::unbounded_channel();
        let (streams, played) = mpsc::unbounded_channel();
        let feed = Played {
            asked: asks,
            streams: Mutex::new(played),
        };
        let routes = Routes::new(FeedServiceServer::new(feed));
        let deps = Deps {
            clock,
            ids,
            token_key: Arc::new(TokenKey::new(&[7; 32], entropy.clone())),
            entropy,
            verification: Backend::in_process(routes, &layer, "sibling"),
            stop: CancellationToken::new(),
        };
        let file = folder.join("provisioning.db");
        let service = rollcall_provisioning::build(&file, Config::default(), deps);
        let mut service = service.await.unwrap();
        let tasks = std::mem::take(&mut service.tasks);
        tokio::spawn(join_all(tasks));
        Self {
            service,
            asked,
            streams,
        }
    }

    /// Waits until provisioning follows again, which is when all it was told is stored; from which
    /// cursor, and which of the domains 1 to 4 count as verified now.
    async fn follows(&mut self) -> (String, Vec<u8>) {
        let asked = tokio::time::timeout(Duration::from_secs(30), self.asked.recv());
        let cursor = asked.await.unwrap().unwrap();
        let acme = AccountId::parse("acme").unwrap();
        let mut verified = Vec::new();
        for n in 1..=4 {
            let name = DomainName::parse(&format!("d{n}.example")).unwrap();
            let reader = self.service.store.reader();
            let found = store::domain::is_verified(reader, &acme, Some(&name));
            if found.await.unwrap() {
                verified.push(n);
            }
        }
        (cursor, verified)
    }

    fn tell(&self, marks: Vec<Mark>) {
        self.streams.send(marks).unwrap();
    }
}

/// A change of the domain `dN.example`.
fn change(n: u8, op: ChangeOp, state: pb::DomainState) -> pb::Change {
    let domain = pb::Domain {
        account_id: "acme".to_owned(),
        domain_id: format!("0193a1b2-0000-7000-8000-0000000000{n:02}"),
        name: format!("d{n}.example"),
        state: state.into(),
        version: 1,
        ..pb::Domain::default()
    };
    pb::Change {
        op: op.into(),
        resource: Some(pb::change::Resource::Domain(domain)),
        ..pb::Change::default()
    }
}

fn changes(changes: Vec<pb::Change>, cursor: &str) -> Mark {
    Mark::Changes(pb::Changes {
        changes,
        cursor: cursor.to_owned(),
        snapshot: false,
    })
}

fn end(cursor: &str) -> Mark {
    Mark::SnapshotEnd(SnapshotEnd {
        cursor: cursor.to_owned(),
    })
}

#[tokio::test] // rule: D-06 (part), U-09 (part)
async fn a_domain_counts_as_verified_while_verification_last_said_so() {
    use pb::DomainState::{Failed, Pending, Verified};
    let now = |n, state| change(n, ChangeOp::Upserted, state);
    let follows = |cursor: &str, verified: &[u8]| (cursor.to_owned(), verified.to_vec());
    let reset = || Mark::Reset(Reset::default());
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(folder.path()).await;
    assert_eq!(world.follows().await, follows("", &[]));

    let states = [
        now(1, Verified),
        now(2, Verified),
        now(3, Pending),
        now(4, Failed),
    ];
    world.tell(vec![reset(), changes(states.to_vec(), "one")]);
    assert_eq!(world.follows().await, follows("one", &[1, 2]));
    world.tell(vec![end("two")]);
    assert_eq!(world.follows().await, follows("two", &[1, 2]));

    let gone = change(1, ChangeOp::Deleted, Verified);
    world.tell(vec![changes(vec![now(3, Verified), gone], "three")]);
    assert_eq!(world.follows().await, follows("three", &[2, 3]));

    // Verification was restored: what its state no longer mentions is gone, once it is complete.
    world.tell(vec![reset(), changes(vec![now(3, Verified)], "four")]);
    assert_eq!(world.follows().await, follows("four", &[2, 3]));
    world.tell(vec![end("five")]);
    assert_eq!(world.follows().await, follows("five", &[3]));
}
