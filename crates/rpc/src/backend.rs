//! How one service reaches another: its routes in the same process, or a channel.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

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
    default: Duration,
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
            default: Duration::from_secs(10),
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
        let stream = deadline::default_for(path).is_none();
        let sent = deadline::read(request.headers());
        let span = if stream {
            sent
        } else {
            Some(sent.unwrap_or(self.default))
        };
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
