//! The one accept loop for HTTP, whose limits act before a request exists.

mod patience;

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::server::conn::http1::Builder;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::patience::Patience;

/// The bounds of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// How long the whole header of a request may take, from its first byte, of the first request
    /// from the opening of the connection (SEC-IN-03); 5 s.
    pub header_timeout: Duration,
    /// How long a connection may be silent between two requests; 75 s, longer than the 60 s after
    /// which usual proxies stop to use a connection: who closes first can't lose a request.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of an answer before its connection is closed
    /// (SEC-IN-03); 30 s. Who takes it slowly is left to take it.
    pub write_timeout: Duration,
    /// Bytes of request line and header together, beyond which the answer is 431; 32 KiB, and
    /// never below 8 KiB.
    pub header_bytes: usize,
    /// How old a connection may become before it is closed after its next answer, so that load
    /// moves to new replicas; 10 min.
    pub max_age: Duration,
    /// How long requests that are under way may take to end after the stop; 30 s.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            header_bytes: 32 * 1024,
            max_age: Duration::from_mins(10),
            drain: Duration::from_secs(30),
        }
    }
}

impl HttpLimits {
    /// The same, but a stop ends within 2 s: for the program at a developer's keyboard.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            drain: Duration::from_millis(1_500),
            ..Self::default()
        }
    }
}

/// How long to wait when the system has no more sockets to give.
const BREATH: Duration = Duration::from_millis(100);

/// Serves `app` until `stop`, then lets what is under way end within [`HttpLimits::drain`].
///
/// Speaks HTTP/1.1. What could not be read as a request is answered without a body, a header that
/// does not end in time with 408.
///
/// # Errors
/// When the listener itself is broken; a failed connection is no error.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    limits: &HttpLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.local_addr()?;
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if of_one_connection(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted, trying again");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        // Answers are written whole: waiting to fill a segment only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let connection = Connection {
            limits: limits.clone(),
            app: app.clone(),
            stop: stop.clone(),
        };
        let cut = cut.clone();
        connections.spawn(async move {
            tokio::select! {
                () = cut.cancelled() => {}
                () = connection.run(stream) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "requests did not end in time, their connections are cut"
        );
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

fn of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

/// What a client is told whose header did not end in time.
const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

struct Connection {
    limits: HttpLimits,
    app: Router,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, mut stream: impl AsyncRead + AsyncWrite + Send + Unpin) {
        let patience = Patience::new(&self.limits);
        let ended = self.converse(&mut stream, &patience).await;
        let Err(error) = ended else { return };
        tracing::debug!(%error, "a connection ended early");
        // After silence nothing is said: a client could take it for the answer to a request that
        // is on its way. An earlier answer is written out: hyper awaits no head before.
        if error.is_timeout() && patience.has_begun() {
            let told = async {
                stream.write_all(REQUEST_TIMEOUT).await?;
                stream.shutdown().await
            };
            drop(tokio::time::timeout(self.limits.header_timeout, told).await);
        }
    }

    /// Answers requests until the connection is to be closed.
    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin,
        patience: &Patience,
    ) -> hyper::Result<()> {
        let app = TowerToHyperService::new(self.app.clone());
        let old = Instant::now() + self.limits.max_age;
        let service = service_fn(move |request| {
            let answer = app.call(request);
            async move {
                let mut answer = answer.await?;
                // Said with an answer: closing an idle connection could lose a request.
                if Instant::now() >= old {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let connection = Builder::new()
            .timer(patience.clone())
            .header_read_timeout(self.limits.header_timeout)
            .max_buf_size(self.limits.header_bytes.max(8 * 1024))
            .serve_connection(TokioIo::new(patience.listen(stream)), service);
        let mut connection = pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = self.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        connection.await
    }
}

#[cfg(test)]
mod tests;
