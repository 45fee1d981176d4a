//! The time limits of one connection, over a pipe in memory, in time that moves by itself.

use axum::body::Body;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::time::sleep;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\n";

/// The client's end of a connection that was just opened.
fn open(limits: HttpLimits) -> DuplexStream {
    let large = || async { "x".repeat(20_000) };
    let app = Router::new()
        .route("/", any(async |body: Body| echo(body).await))
        .route("/slow", get(|| sleep(Duration::from_mins(3))))
        .route("/large", get(large));
    let (client, server) = tokio::io::duplex(1024);
    let connection = Connection {
        limits,
        app,
        stop: CancellationToken::new(),
    };
    tokio::spawn(connection.run(server));
    client
}

/// Takes the body as long as it comes.
async fn echo(body: Body) -> String {
    let bytes = axum::body::to_bytes(body, usize::MAX).await;
    format!("{} bytes", bytes.map_or(0, |bytes| bytes.len()))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

async fn say(client: &mut DuplexStream, text: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
}

/// What comes by the next pause.
async fn hear(client: &mut DuplexStream) -> String {
    let mut bytes = vec![0; 1024];
    let length = client.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// What still comes until the server closes, and after how long.
async fn end(client: &mut DuplexStream) -> (String, Duration) {
    let began = Instant::now();
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    (rest, began.elapsed())
}

/// One request and its answer.
async fn exchange(client: &mut DuplexStream) {
    say(client, GET).await;
    assert!(hear(client).await.starts_with(OK));
}

fn assert_about(measured: Duration, expected: Duration) {
    let off = measured.abs_diff(expected);
    assert!(off < Duration::from_millis(20), "{measured:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_may_be_silent_for_75_s_between_requests() {
    let mut client = open(HttpLimits::default());
    for silence in [0, 1, 6, 30, 60, 74] {
        sleep(seconds(silence)).await;
        exchange(&mut client).await;
    }

    let (rest, after) = end(&mut client).await;

    assert_eq!(rest, "", "nobody asked");
    assert_about(after, seconds(75));
}

#[tokio::test(start_paused = true)] // rule: SEC-IN-03 (part)
async fn a_head_has_5_s_from_its_first_byte_and_dripping_wins_no_more() {
    for silence in [None, Some(0), Some(3), Some(60), Some(74)] {
        let mut client = open(HttpLimits::default());
        if let Some(silence) = silence {
            exchange(&mut client).await;
            sleep(seconds(silence)).await;
        }
        let began = Instant::now();
        for part in ["GET / HT", "TP/1.1\r\n", "host: a\r\n", "x: ", "y"] {
            say(&mut client, part).await;
            sleep(Duration::from_millis(900)).await;
        }

        let (rest, _) = end(&mut client).await;

        assert!(rest.starts_with("HTTP/1.1 408 "), "{silence:?}: {rest}");
        assert!(rest.contains("connection: close"), "{silence:?}: {rest}");
        assert_about(began.elapsed(), seconds(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_in_two_parts_is_answered_when_it_ends_in_time() {
    let mut client = open(HttpLimits::default());
    for (silence, pause) in [(0, 4), (70, 4), (0, 0)] {
        sleep(seconds(silence)).await;
        say(&mut client, &GET[..9]).await;
        sleep(seconds(pause)).await;
        say(&mut client, &GET[9..]).await;
        assert!(hear(&mut client).await.starts_with(OK), "{silence} {pause}");
    }
}

#[tokio::test(start_paused = true)] // rule: SEC-IN-03 (part)
async fn a_new_connection_that_says_nothing_is_closed_after_5_s_without_a_word() {
    let mut client = open(HttpLimits::default());

    let (rest, after) = end(&mut client).await;

    assert_eq!(rest, "");
    assert_about(after, seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_under_way_is_left_to_its_own_limits() {
    let mut client = open(HttpLimits::default());
    say(&mut client, "GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(hear(&mut client).await.starts_with(OK), "after 3 min");

    let head = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n";
    say(&mut client, head).await;
    for _ in 0..20 {
        sleep(seconds(9)).await;
        say(&mut client, "x").await;
    }
    let answer = hear(&mut client).await;
    assert!(answer.ends_with("20 bytes"), "{answer}");

    let (_, after) = end(&mut client).await;
    assert_about(after, seconds(75));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_put_into_an_answer_that_the_client_reads_late() {
    let mut client = open(HttpLimits::default());
    say(
        &mut client,
        "GET /large HTTP/1.1\r\nhost: a\r\n\r\nGET / HT",
    )
    .await;
    sleep(seconds(29)).await;

    let (rest, _) = end(&mut client).await;

    assert!(rest.starts_with(OK), "{rest:.30}");
    assert!(
        rest.ends_with(&"x".repeat(20_000)),
        "it is whole, and the last"
    );
}

#[tokio::test(start_paused = true)] // rule: SEC-IN-03 (part)
async fn a_client_that_takes_nothing_of_its_answer_for_30_s_is_cut_off() {
    let mut client = open(HttpLimits::default());
    say(&mut client, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    sleep(seconds(31)).await;

    let (rest, after) = end(&mut client).await;

    assert_eq!(rest.len(), 1024, "no more than what was on its way");
    assert_about(after, seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_its_answer_slowly_gets_it_whole() {
    let mut client = open(HttpLimits::default());
    say(&mut client, "GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let began = Instant::now();
    let mut taken = String::new();
    while !taken.ends_with(&"x".repeat(20_000)) {
        sleep(seconds(29)).await;
        taken.push_str(&hear(&mut client).await);
    }

    assert!(taken.starts_with(OK), "{taken:.30}");
    assert!(began.elapsed() > seconds(500), "{:?}", began.elapsed());
    exchange(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_closed_with_an_answer_and_never_between_two() {
    let limits = HttpLimits {
        max_age: seconds(100),
        ..HttpLimits::default()
    };
    let mut client = open(limits);
    for _ in 0..3 {
        say(&mut client, GET).await;
        assert!(!hear(&mut client).await.contains("connection: close"));
        sleep(seconds(40)).await;
    }

    say(&mut client, GET).await;
    let (last, after) = end(&mut client).await;

    assert!(last.starts_with(OK), "{last}");
    assert!(last.contains("connection: close"), "{last}");
    assert_about(after, seconds(0));
}
