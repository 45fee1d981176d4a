//! How long a connection waits for its client: short for a head that has begun, long for the
//! silence between two requests, and for an answer to be taken.
//!
//! hyper has one timer for both. A client that keeps connections sends its next request whenever
//! it likes; if the connection is closed at that moment, a POST is lost and nobody knows whether
//! it was done. So the timer that hyper is given asks here how long to wait.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};

use super::HttpLimits;

/// The head that a connection waits for, or that came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    /// The first one, awaited since the connection was opened.
    First(Instant),
    /// A later one, of which nothing has come.
    Silent,
    /// Its first byte came, or as the first one it was awaited, at that time.
    Coming(Instant),
}

/// What the stream and the timer of one connection share.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    head: Arc<Mutex<Head>>,
    head_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
}

impl Patience {
    /// The patience with a connection that is opened now.
    pub(super) fn new(limits: &HttpLimits) -> Self {
        Self {
            head: Arc::new(Mutex::new(Head::First(Instant::now()))),
            head_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            write_timeout: limits.write_timeout,
        }
    }

    /// Whether a part of the head that is awaited has come.
    pub(super) fn has_begun(&self) -> bool {
        matches!(*self.head(), Head::Coming(_))
    }

    /// The stream, whose reads are noted and whose writes have to get on.
    pub(super) fn listen<S>(&self, stream: S) -> Heard<S> {
        Heard {
            stream,
            patience: self.clone(),
            stalled: None,
        }
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came. Those of a body change nothing: when the next head is awaited, it is silent.
    fn hear(&self) {
        let mut head = self.head();
        *head = match *head {
            Head::First(since) | Head::Coming(since) => Head::Coming(since),
            Head::Silent => Head::Coming(Instant::now()),
        };
    }

    /// The wait for a head begins. What a client sent of it before the last answer was there is
    /// not seen; it is waited for as if it had not begun.
    fn wait(&self) -> Waiting {
        let mut head = self.head();
        if matches!(*head, Head::Coming(_)) {
            *head = Head::Silent;
        }
        drop(head);
        let idle_end = Instant::now() + self.idle_timeout;
        Waiting {
            patience: self.clone(),
            idle_end,
            sleep: Box::pin(tokio::time::sleep_until(idle_end)),
        }
    }
}

/// hyper calls for it once a head; its deadline, of the one timeout that hyper knows, is not used.
impl Timer for Patience {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.wait())
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.wait())
    }

    fn now(&self) -> std::time::Instant {
        Instant::now().into()
    }
}

/// Ends when the patience with the awaited head does. hyper polls it after each read.
struct Waiting {
    patience: Patience,
    idle_end: Instant,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let end = match *self.patience.head() {
            Head::First(since) | Head::Coming(since) => since + self.patience.head_timeout,
            Head::Silent => self.idle_end,
        };
        if self.sleep.deadline() != end {
            self.sleep.as_mut().reset(end);
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl Sleep for Waiting {}

/// A stream whose reads are noted and whose writes have to get on.
#[derive(Debug)]
pub(super) struct Heard<S> {
    stream: S,
    patience: Patience,
    /// Runs while the client takes nothing of what is written.
    stalled: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<S> Heard<S> {
    /// What becomes of a write: an error once the client has taken nothing for too long. The next
    /// byte that it takes starts the time anew.
    fn get_on(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.patience.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes nothing of its answer",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.patience.hear();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.get_on(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.get_on(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
