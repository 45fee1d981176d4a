//! The accept loop, spoken to over sockets.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions, not in helpers"
)]

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rollcall_runtime::{HttpLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const GET: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// More than the sockets of both sides hold.
const LARGE: usize = 64 * 1024 * 1024;

async fn start(limits: HttpLimits) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/", get(|| async { "here" }))
        .route(
            "/slow",
            get(|| async { sleep(Duration::from_millis(300)).await }),
        )
        .route("/large", get(|| async { "x".repeat(LARGE) }))
        .route("/never", get(std::future::pending::<()>));
    let stop = CancellationToken::new();
    let token = stop.clone();
    let served = tokio::spawn(async move { serve(listener, app, &limits, token).await.unwrap() });
    (address, stop, served)
}

async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = vec![0; 1024];
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn a_header_above_the_limit_is_431() {
    let (address, _, _) = start(HttpLimits::default()).await;

    // No more than the limit: the rest would only reset the connection before the answer is read.
    let start = "GET / HTTP/1.1\r\nX-Large: ";
    let large = format!("{start}{}", "x".repeat(32 * 1024 - start.len()));
    let mut stream = send(address, &large).await;

    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test] // rule: SEC-IN-03 (part)
async fn a_header_that_does_not_end_closes_its_connection_and_holds_no_other() {
    let limits = HttpLimits {
        header_timeout: Duration::from_millis(200),
        ..HttpLimits::default()
    };
    let (address, _, _) = start(limits).await;
    let mut slow = send(address, "GET / HTTP/1.1\r\nHost: loc").await;

    let mut quick = send(address, GET).await;
    assert!(answer(&mut quick).await.starts_with("HTTP/1.1 200 "));

    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection stayed open");
    assert!(rest.starts_with(b"HTTP/1.1 408 "));
}

#[tokio::test] // rule: SEC-IN-03 (part)
async fn who_does_not_read_its_answer_is_cut_off_and_who_reads_slowly_is_not() {
    let limits = HttpLimits {
        write_timeout: Duration::from_millis(500),
        ..HttpLimits::default()
    };
    let (address, _, _) = start(limits).await;
    let large = "GET /large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut deaf = send(address, large).await;
    let mut slow = send(address, large).await;

    let mut quick = send(address, GET).await;
    assert!(answer(&mut quick).await.starts_with("HTTP/1.1 200 "));

    let start = Instant::now();
    let mut taken = 0;
    let mut bytes = vec![0; 1024 * 1024];
    loop {
        let length = slow.read(&mut bytes).await.unwrap();
        if length == 0 {
            break;
        }
        taken += length;
        if start.elapsed() < Duration::from_millis(1_500) {
            sleep(Duration::from_millis(50)).await;
        }
    }
    assert!(taken > LARGE, "the slow one got {taken} bytes only");

    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), deaf.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection stayed open");
    assert!(rest.len() < LARGE, "the whole answer was on its way");
}

#[tokio::test]
async fn a_stop_lets_requests_end_and_closes_idle_connections() {
    let (address, stop, served) = start(HttpLimits::default()).await;
    let mut idle = send(address, GET).await;
    answer(&mut idle).await;
    let mut slow = send(address, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    sleep(Duration::from_millis(50)).await;

    stop.cancel();

    assert!(answer(&mut slow).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(answer(&mut idle).await, "");
    served.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stop_cuts_what_does_not_end() {
    let limits = HttpLimits {
        drain: Duration::from_millis(200),
        ..HttpLimits::default()
    };
    let (address, stop, served) = start(limits).await;
    let mut never = send(address, "GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();

    stop.cancel();
    served.await.unwrap();

    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(answer(&mut never).await, "");
}

#[tokio::test]
async fn a_connection_has_an_age_and_then_ends_after_an_answer() {
    let limits = HttpLimits {
        max_age: Duration::from_millis(200),
        ..HttpLimits::default()
    };
    let (address, _, _) = start(limits).await;
    let mut stream = send(address, GET).await;
    assert!(!answer(&mut stream).await.contains("connection: close"));
    sleep(Duration::from_millis(300)).await;

    stream.write_all(GET.as_bytes()).await.unwrap();

    let last = answer(&mut stream).await;
    assert!(last.starts_with("HTTP/1.1 200 ") && last.contains("connection: close"));
    let closed = tokio::time::timeout(Duration::from_secs(5), answer(&mut stream)).await;
    assert_eq!(closed.as_deref(), Ok(""));
}

#[tokio::test]
async fn a_connection_outlives_the_time_of_a_header_and_ends_when_it_is_silent_for_longer() {
    let limits = HttpLimits {
        header_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_secs(1),
        ..HttpLimits::default()
    };
    let (address, _, _) = start(limits).await;
    let mut stream = send(address, GET).await;
    answer(&mut stream).await;
    sleep(Duration::from_millis(500)).await;

    stream.write_all(GET.as_bytes()).await.unwrap();

    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    let closed = tokio::time::timeout(Duration::from_secs(5), answer(&mut stream)).await;
    assert_eq!(closed.as_deref(), Ok(""));
}
