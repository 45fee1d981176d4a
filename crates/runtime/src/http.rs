//! The one accept loop for HTTP, whose limits act before a request exists.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The bounds of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// How long a connection may wait for the whole header of its next request (SEC-IN-03);
    /// 5 s.
    pub header_timeout: Duration,
    /// Bytes of request line and header together, beyond which the answer is 431; 32 KiB, and
    /// never below 8 KiB.
    pub header_bytes: usize,
    /// How old a connection may become before it is closed after an answer, so that load moves
    /// to new replicas; 10 min.
    pub max_age: Duration,
    /// How long requests that are under way may take to end after the stop; 30 s.
    pub drain: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(5),
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
/// Speaks HTTP/1.1. What could not be read as a request is answered by hyper, without a body.
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
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes.max(8 * 1024));
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
        let connection = Connection {
            builder: builder.clone(),
            app: app.clone(),
            max_age: limits.max_age,
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

struct Connection {
    builder: Builder<TokioExecutor>,
    app: Router,
    max_age: Duration,
    stop: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        // Answers are written whole: waiting to fill a segment only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let service = TowerToHyperService::new(self.app);
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.stop.cancelled() => None,
            () = tokio::time::sleep(self.max_age) => None,
        };
        let ended = if let Some(ended) = ended {
            ended
        } else {
            connection.as_mut().graceful_shutdown();
            connection.await
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended early");
        }
    }
}
