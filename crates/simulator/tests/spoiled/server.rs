//! Puts the fake service behind a socket, and breaks connections where a test wants it.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rollcall_simulator::Options;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::fake::{Reply, Store, TOKEN};
use crate::spoil::Spoil;

/// What goes wrong below SCIM.
#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    /// Each n-th request is refused with this status and `Retry-After`, before it does anything.
    pub(crate) refuse: Option<(u64, u16, Option<&'static str>)>,
    /// The answer to each n-th request is lost after it took effect.
    pub(crate) lose_answer: Option<u64>,
    /// At this request the service goes away for a moment, after the request took effect.
    pub(crate) restart_at: Option<u64>,
    /// With this request it goes away for good.
    pub(crate) end_at: Option<u64>,
    /// Answers are marked as compressed if the client offers to read that.
    pub(crate) compresses: bool,
    /// Each answer takes this long.
    pub(crate) delay: Option<Duration>,
}

/// A service on a free port, for the length of a test.
pub(crate) struct Server {
    pub(crate) store: Arc<Mutex<Store>>,
    pub(crate) base_url: String,
    pub(crate) task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(spoil: Option<Spoil>) -> Self {
        Self::start_with(spoil, Faults::default()).await
    }

    pub(crate) async fn start_with(spoil: Option<Spoil>, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let base_url = format!("http://{address}/scim/v2");
        let mut store = Store::new(spoil);
        store.base_url.clone_from(&base_url);
        let store = Arc::new(Mutex::new(store));
        let service = Arc::clone(&store);
        let task = tokio::spawn(async move {
            let mut listener = listener;
            loop {
                serve(listener, &service, faults).await;
                if faults.end_at.is_some() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
                listener = TcpListener::bind(address).await.unwrap();
            }
        });
        Self {
            store,
            base_url,
            task,
        }
    }

    /// Options for a short run against it.
    pub(crate) fn options(&self) -> Options {
        let mut options = Options::new(format!("{}/", self.base_url), TOKEN);
        options.users = 10;
        options.roles = vec!["Sales Manager".to_owned(), "Support".to_owned()];
        options.unstated_wait = Duration::from_millis(2);
        options
    }
}

/// Serves until it is to restart.
async fn serve(listener: TcpListener, store: &Arc<Mutex<Store>>, faults: Faults) {
    let (stop, mut stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.unwrap().0,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let (store, stop) = (Arc::clone(store), Arc::clone(&stop));
        let mut stopped = stop.subscribe();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &store, &stop, faults));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                _ = connection => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    store: &Mutex<Store>,
    stop: &watch::Sender<bool>,
    faults: Faults,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if let Some(delay) = faults.delay {
        tokio::time::sleep(delay).await;
    }
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    assert_eq!(header("user-agent"), "Okta SCIM Client 1.0.0");
    assert_eq!(header("accept"), "application/scim+json");

    let target = head
        .uri
        .path_and_query()
        .map(ToString::to_string)
        .unwrap_or_default();
    let target = target.strip_prefix("/scim/v2").unwrap_or_default();
    let mut store = store.lock().unwrap();
    let number = store.requests + 1;
    let is_nth = |n: Option<u64>| n.is_some_and(|n| number.is_multiple_of(n));
    if let Some((_, status, retry_after)) = faults.refuse.filter(|(n, ..)| is_nth(Some(*n))) {
        store.requests += 1;
        let headers = retry_after.map(|text| ("retry-after", text.to_owned()));
        let reply = Reply {
            status,
            headers: headers.into_iter().collect(),
            body: None,
        };
        return Ok(response(reply));
    }
    let mut reply = store.handle(head.method.as_str(), target, header("authorization"), &body);
    let goes_away = [faults.restart_at, faults.end_at].contains(&Some(number));
    if goes_away {
        stop.send_replace(true);
    }
    if is_nth(faults.lose_answer) || goes_away {
        return Err(io::Error::other("the answer is lost"));
    }
    if faults.compresses && header("accept-encoding").contains("gzip") {
        reply.headers.push(("content-encoding", "gzip".to_owned()));
    }
    Ok(response(reply))
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let body = reply.body.map(|body| body.to_string()).unwrap_or_default();
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(Full::new(Bytes::from(body))).unwrap()
}
