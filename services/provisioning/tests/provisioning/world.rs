//! Provisioning in this process, and what it follows played by the test.

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use rollcall_provisioning::{Config, Deps, Service};
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::feed_service_server::{FeedService, FeedServiceServer};
use rollcall_rpc::pb::verification::v1::watch_response::Mark;
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers};
use rollcall_store::{TokenKey, testing};
use rollcall_types::{Clock, Entropy, IdSource, OsEntropy, SystemClock};
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
        // Most tests don't look.
        drop(self.asked.send(request.into_inner().cursor));
        let marks = self.streams.lock().await.recv().await.unwrap_or_default();
        let marks = marks.into_iter();
        let marks = marks.map(|mark| Ok(pb::WatchResponse { mark: Some(mark) }));
        Ok(Response::new(stream::iter(marks).boxed()))
    }
}

/// Provisioning, and the ends of the feed that it follows.
pub(crate) struct World {
    pub(crate) service: Service,
    /// The cursors from which it asked for the feed.
    pub(crate) asked: mpsc::UnboundedReceiver<String>,
    streams: mpsc::UnboundedSender<Vec<Mark>>,
    layer: ServerLayer,
}

impl World {
    pub(crate) async fn start(folder: &Path) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let ids = Arc::new(IdSource::new(clock.clone(), entropy.clone()));
        let layer = ServerLayer::new(Arc::new(callers()), ids.clone(), false);
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
            verification: Backend::in_process(routes, &layer, "service"),
            stop: CancellationToken::new(),
        };
        let database = testing::database(folder, "provisioning").await;
        let service = rollcall_provisioning::build(&database, Config::default(), deps);
        let mut service = service.await.unwrap();
        let tasks = std::mem::take(&mut service.tasks);
        tokio::spawn(join_all(tasks));
        Self {
            service,
            asked,
            streams,
            layer,
        }
    }

    /// Plays the marks as one stream of the feed.
    pub(crate) fn tell(&self, marks: Vec<Mark>) {
        self.streams.send(marks).unwrap();
    }

    /// Provisioning as a caller of this name reaches it: `service`, `gateway` or `operator`.
    pub(crate) fn reached_by(&self, caller: &str) -> Backend {
        Backend::in_process(self.service.routes.clone(), &self.layer, caller)
    }
}

/// Callers whose token is their name.
fn callers() -> Callers {
    let mut callers = Callers::default();
    for (name, kind) in [
        ("service", CallerKind::Service),
        ("gateway", CallerKind::Gateway),
        ("operator", CallerKind::Operator),
    ] {
        let caller = Caller {
            name: name.into(),
            kind,
            scopes: Arc::new(["operate".to_owned()]),
            accounts: None,
        };
        callers.add(name, caller);
    }
    callers
}
