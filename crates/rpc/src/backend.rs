//! How one service reaches another: its routes in the same process, or a channel.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Channel;
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};

use crate::deadline;
use crate::failure::Failure;
use crate::server::ServerLayer;

/// A door that a test or an operator can close: behind it the service is away.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// Lets nothing through any more; every call answers UNAVAILABLE.
    pub fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Lets calls through again.
    pub fn open(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether calls are refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

type Inner = BoxCloneSyncService<Request<Body>, Response<Body>, tonic::transport::Error>;

/// Another service, as a generated client's transport.
///
/// Adds the caller's own credential, obeys `grpc-timeout` also where no transport is in between,
/// and answers UNAVAILABLE while its gate is closed.
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
            let failure = Failure::try_again("the service is away");
            return Box::pin(async move { Ok(Status::from(failure).into_http()) });
        }
        request
            .headers_mut()
            .insert(http::header::AUTHORIZATION, self.authorization.clone());
        let path = request.uri().path();
        let sent = deadline::read(request.headers());
        let span = sent.or_else(|| deadline::default_for(path));
        if let Some(span) = span {
            deadline::write(request.headers_mut(), span);
        }
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let Some(span) = span else {
                return inner.call(request).await;
            };
            match tokio::time::timeout(span, inner.call(request)).await {
                Ok(answer) => answer,
                Err(_) => Ok(deadline::exceeded().into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::Code;

    use super::*;

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
