//! What stands around every service, in process and on a socket alike: request id, the panic
//! rule, the deadline, and who may call.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use http::{Request, Response};
use rollcall_types::{IdSource, RequestId};
use tokio::time::Instant;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::caller::{Caller, CallerKind, Callers};
use crate::deadline::{self, Deadline};
use crate::failure::{Failure, Reason};
use crate::{access, metadata};

/// The layer around the services of one process.
#[derive(Clone, Debug)]
pub struct ServerLayer {
    callers: Arc<Callers>,
    ids: Arc<IdSource>,
    open: bool,
}

impl ServerLayer {
    /// A layer that knows `callers`. With `reflection` the services that need no credential in
    /// dev mode are let through; health always is.
    #[must_use]
    pub fn new(callers: Arc<Callers>, ids: Arc<IdSource>, reflection: bool) -> Self {
        Self {
            callers,
            ids,
            open: reflection,
        }
    }

    /// Who calls, or why not.
    fn admit(&self, path: &str, request: &Request<Body>) -> Result<Option<Caller>, Failure> {
        if let Some(method) = access::find(path) {
            return self.callers.admit(method, request.headers()).map(Some);
        }
        let public = path.starts_with("/grpc.health.v1.")
            || (self.open && path.starts_with("/grpc.reflection."));
        if public {
            return Ok(None);
        }
        Err(Failure::unsupported(path))
    }

    /// The id that the gateway or a sibling gave the request, else a new one.
    fn request_id(&self, caller: Option<&Caller>, request: &Request<Body>) -> RequestId {
        let trusted = caller.is_some_and(|caller| {
            matches!(
                caller.kind,
                CallerKind::Gateway | CallerKind::Console | CallerKind::Service
            )
        });
        let given = request.headers().get(metadata::REQUEST_ID);
        let given = given
            .filter(|_| trusted)
            .and_then(|value| value.to_str().ok());
        given
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| RequestId::new(&self.ids))
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service behind [`ServerLayer`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    layer: ServerLayer,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let admitted = self.layer.admit(&path, &request);
        let caller = admitted.as_ref().ok().and_then(Option::as_ref);
        let id = self.layer.request_id(caller, &request);
        let caller = match admitted {
            Ok(caller) => caller,
            Err(failure) => return Box::pin(async move { Ok(answer(failure.into(), id)) }),
        };
        request.extensions_mut().insert(id);
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller);
        }
        let sent = deadline::read(request.headers());
        let span = sent.or_else(|| deadline::default_for(&path));
        let end = span.and_then(|span| Instant::now().checked_add(span));
        if let Some(end) = end {
            request.extensions_mut().insert(Deadline(end));
        }
        // The clone is the one that was not polled: swap, so that the ready one is called.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let work = std::panic::AssertUnwindSafe(inner.call(request)).catch_unwind();
            let outcome = match end {
                Some(end) => match tokio::time::timeout_at(end, work).await {
                    Ok(outcome) => outcome,
                    Err(_) => return Ok(answer(deadline::exceeded(), id)),
                },
                None => work.await,
            };
            let mut response = outcome.unwrap_or_else(|_| {
                tracing::error!(path, request_id = %id, "a handler panicked");
                let failure = Failure::new(Reason::Internal, "internal error");
                Ok(answer(failure.into(), id))
            })?;
            metadata::set_request_headers(response.headers_mut(), id);
            Ok(response)
        })
    }
}

fn answer(status: Status, id: RequestId) -> Response<Body> {
    let mut response = status.into_http();
    metadata::set_request_headers(response.headers_mut(), id);
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rollcall_types::{OsEntropy, SystemClock};
    use tonic::Code;
    use tower::ServiceExt;

    use super::*;

    /// What a handler that never answers is given: the deadline it sees, then what the caller
    /// gets, and when.
    async fn hang(path: &str, timeout: Option<&str>) -> (Option<Duration>, Option<Code>, Duration) {
        let ids = IdSource::new(Arc::new(SystemClock), Arc::new(OsEntropy));
        let layer = ServerLayer::new(Arc::new(Callers::default()), Arc::new(ids), true);
        let began = Instant::now();
        let (see, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let hangs = tower::service_fn(move |request: Request<Body>| {
            let deadline = request.extensions().get::<Deadline>().copied();
            see.send(deadline.map(|Deadline(end)| end - began)).unwrap();
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let mut request = Request::builder().uri(path);
        if let Some(timeout) = timeout {
            request = request.header(deadline::HEADER, timeout);
        }
        let request = request.body(Body::empty()).unwrap();

        let call = layer.layer(hangs).oneshot(request);
        let answer = tokio::time::timeout(Duration::from_mins(30), call).await;

        let code = answer.ok().map(|Ok(answer)| {
            let status = Status::from_header_map(answer.headers()).unwrap();
            status.code()
        });
        (seen.recv().await.unwrap(), code, began.elapsed())
    }

    #[tokio::test(start_paused = true)] // rule: REL-20 (part)
    async fn a_sent_deadline_counts_also_where_the_default_is_shorter() {
        let health = "/grpc.health.v1.Health";
        for (method, timeout, seconds) in [
            ("CheckAnything", None, Some(1)),
            ("CheckAnything", Some("7S"), Some(7)),
            ("CheckAnything", Some("nonsense"), Some(1)),
            ("VerifyDomain", None, Some(15)),
            ("GetAnything", None, Some(10)),
            ("GetAnything", Some("20S"), Some(20)),
            ("GetAnything", Some("3S"), Some(3)),
            ("Watch", None, None),
            ("Watch", Some("60S"), Some(60)),
        ] {
            let (seen, code, took) = hang(&format!("{health}/{method}"), timeout).await;

            let span = seconds.map(Duration::from_secs);
            assert_eq!(seen, span, "{method} {timeout:?}");
            assert_eq!(code, span.map(|_| Code::DeadlineExceeded), "{method}");
            if let Some(span) = span {
                assert!(took.abs_diff(span) < Duration::from_millis(5), "{method}");
            }
        }
    }
}
