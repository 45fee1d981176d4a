//! How one service reaches another: its routes in the same process, or a channel.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::service::Routes;
use tonic::transport::Channel;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use crate::deadline;
use crate::failure::Failure;
use crate::server::ServerLayer;

/// A door that a test or an operator can close: behind it the service is away.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<watch::Sender<Door>>);

/// How a gate stands.
#[derive(Clone, Copy, Debug, Default)]
struct Door {
    is_closed: bool,
    /// How often it was closed: a stream ends also if the gate was opened again meanwhile.
    closings: u64,
}

impl Gate {
    /// Lets nothing through any more: every call answers UNAVAILABLE, and every open stream ends
    /// with it. A single answer that is on its way arrives.
    pub fn close(&self) {
        self.0.send_if_modified(|door| {
            let closes = !door.is_closed;
            door.is_closed = true;
            door.closings += u64::from(closes);
            closes
        });
    }

    /// Lets calls through again.
    pub fn open(&self) {
        self.0.send_modify(|door| door.is_closed = false);
    }

    /// Whether calls are refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.borrow().is_closed
    }

    /// Ends when the gate is closed after this call.
    fn closing(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut door = self.0.subscribe();
        let closings = door.borrow().closings;
        async move {
            let changed = |door: &Door| door.closings != closings;
            if door.wait_for(changed).await.is_err() {
                // Nobody is left who could close it.
                std::future::pending::<()>().await;
            }
        }
    }
}

fn away() -> Status {
    Failure::try_again("the service is away").into()
}

/// The messages of a stream until its gate is closed.
struct Gated {
    messages: Option<Body>,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl http_body::Body for Gated {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        if this.closing.as_mut().poll(cx).is_pending() {
            return Pin::new(messages).poll_frame(cx);
        }
        this.messages = None;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(
            away()
                .add_header(&mut trailers)
                .map(|()| Frame::trailers(trailers)),
        ))
    }
}

/// Says what broke, for who looks after it: the caller learns only that it may try again.
fn lost(error: &(dyn std::error::Error + 'static)) -> Status {
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    tracing::debug!(error = causes.join(": "), "a service can't be reached");
    away()
}

/// The messages of another process, whose end it may not live to tell.
struct Whole(Option<Body>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = match std::task::ready!(Pin::new(body).poll_frame(cx)) {
            Some(Err(error)) => {
                self.0 = None;
                let mut trailers = HeaderMap::new();
                let told = lost(&error).add_header(&mut trailers);
                Some(told.map(|()| Frame::trailers(trailers)))
            }
            frame => frame,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(http_body::Body::is_end_stream)
    }
}

type Inner = BoxCloneSyncService<Request<Body>, Response<Body>, tonic::transport::Error>;

/// Another service, as a generated client's transport.
///
/// Adds the caller's own credential, obeys `grpc-timeout` also where no transport is in between,
/// and answers UNAVAILABLE while its gate is closed; closing it ends open streams.
#[derive(Clone)]
pub struct Backend {
    inner: Inner,
    gate: Gate,
    authorization: HeaderValue,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// Routes of this process, behind the same layer as on a socket.
    #[must_use]
    pub fn in_process(routes: Routes, layer: &ServerLayer, token: &str) -> Self {
        let guarded = layer.layer(routes.prepare());
        let inner = guarded.map_err(|never: Infallible| match never {});
        Self::new(BoxCloneSyncService::new(inner), token)
    }

    /// A service in another process.
    #[must_use]
    pub fn channel(channel: Channel, token: &str) -> Self {
        Self::new(BoxCloneSyncService::new(channel), token)
    }

    /// The same as one service calls another: while it can't be reached, and if it is lost before
    /// its answer is whole, it is away, whatever the reason.
    #[must_use]
    pub fn peer(channel: Channel, token: &str) -> Self {
        let inner = channel.map_result(|answer: Result<Response<Body>, _>| {
            Ok(match answer {
                Ok(answer) => answer.map(|body| Body::new(Whole(Some(body)))),
                Err(error) => lost(&error).into_http(),
            })
        });
        Self::new(BoxCloneSyncService::new(inner), token)
    }

    fn new(inner: Inner, token: &str) -> Self {
        let authorization = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut authorization = authorization.unwrap_or(HeaderValue::from_static("Bearer"));
        authorization.set_sensitive(true);
        Self {
            inner,
            gate: Gate::default(),
            authorization,
        }
    }

    /// The gate of this back end; its clones share it.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Service<Request<Body>> for Backend {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if self.gate.is_closed() {
            return Box::pin(async { Ok(away().into_http()) });
        }
        let closing = self.gate.closing();
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, self.authorization.clone());
        let path = request.uri().path();
        let sent = deadline::read(request.headers());
        let default = deadline::default_for(path);
        let is_stream = default.is_none();
        let span = sent.or(default);
        if let Some(span) = span {
            deadline::write(request.headers_mut(), span);
        }
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let answer = match span {
                Some(span) => match tokio::time::timeout(span, inner.call(request)).await {
                    Ok(answer) => answer?,
                    Err(_) => deadline::exceeded().into_http(),
                },
                None => inner.call(request).await?,
            };
            if !is_stream {
                return Ok(answer);
            }
            Ok(answer.map(|messages| {
                Body::new(Gated {
                    messages: Some(messages),
                    closing: Box::pin(closing),
                })
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{StreamExt, stream};
    use http_body_util::StreamBody;
    use tonic::Code;

    use super::*;
    use crate::pb::verification::v1::feed_service_client::FeedServiceClient;
    use crate::pb::verification::v1::{WatchRequest, WatchResponse};

    /// A back end whose every answer is one empty message and then nothing more.
    fn endless() -> Backend {
        let answers = tower::service_fn(|_: Request<Body>| async {
            let message = Bytes::from_static(&[0; 5]);
            let first = stream::iter([Ok::<_, Status>(Frame::data(message))]);
            let messages = first.chain(stream::pending());
            let mut answer = Response::new(Body::new(StreamBody::new(messages)));
            let grpc = HeaderValue::from_static("application/grpc");
            answer.headers_mut().insert("content-type", grpc);
            Ok::<_, tonic::transport::Error>(answer)
        });
        Backend::new(BoxCloneSyncService::new(answers), "token")
    }

    async fn watch(backend: &Backend) -> Result<tonic::Streaming<WatchResponse>, Status> {
        let mut client = FeedServiceClient::new(backend.clone());
        let mut stream = client.watch(WatchRequest::default()).await?.into_inner();
        assert!(stream.message().await?.is_some());
        Ok(stream)
    }

    #[tokio::test]
    async fn closing_the_gate_ends_open_streams_and_refuses_new_ones_until_it_is_open() {
        let backend = endless();
        let mut open = watch(&backend).await.unwrap();
        let mut cut = watch(&backend).await.unwrap();
        let waiting = tokio::spawn(async move { open.message().await });
        tokio::task::yield_now().await;

        backend.gate().close();
        backend.gate().close();
        let refused = watch(&backend).await.unwrap_err();
        backend.gate().open();

        assert_eq!(refused.code(), Code::Unavailable);
        let ended = [waiting.await.unwrap(), cut.message().await];
        for end in ended {
            assert_eq!(end.unwrap_err().code(), Code::Unavailable);
        }
        let mut again = watch(&backend).await.unwrap();
        let more = tokio::time::timeout(Duration::from_millis(10), again.message());
        assert!(more.await.is_err(), "it goes on");
    }

    #[tokio::test(start_paused = true)] // rule: REL-20 (part)
    async fn a_back_end_that_hangs_is_left_at_the_deadline_of_the_method() {
        for (method, sent, seconds) in [
            ("CheckAccess", None, 1),
            ("CheckAccess", Some(4), 4),
            ("VerifyDomain", None, 15),
            ("GetUser", None, 10),
            ("GetUser", Some(2), 2),
        ] {
            let (see, mut seen) = tokio::sync::mpsc::unbounded_channel();
            let hangs = tower::service_fn(move |request: Request<Body>| {
                see.send(deadline::read(request.headers())).unwrap();
                std::future::pending::<Result<Response<Body>, tonic::transport::Error>>()
            });
            let backend = Backend::new(BoxCloneSyncService::new(hangs), "token");
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = format!("/package.Service/{method}").parse().unwrap();
            if let Some(sent) = sent {
                deadline::write(request.headers_mut(), Duration::from_secs(sent));
            }
            let began = tokio::time::Instant::now();

            let answer = backend.oneshot(request).await.unwrap();

            let status = Status::from_header_map(answer.headers()).unwrap();
            assert_eq!(status.code(), Code::DeadlineExceeded, "{method}");
            let span = Duration::from_secs(seconds);
            assert_eq!(seen.recv().await.unwrap(), Some(span), "{method}");
            let late = began.elapsed().abs_diff(span);
            assert!(late < Duration::from_millis(5), "{method}: {late:?}");
        }
    }
}
