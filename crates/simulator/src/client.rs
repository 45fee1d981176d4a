//! Sends requests as Okta does, waits when it is asked to, and comes back after a broken connection.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::journal::Journal;
use crate::options::Options;
use crate::presence::Missed;
use crate::report::Failure;
use crate::run::Progress;

const JSON: &str = "application/scim+json; charset=utf-8";
/// The largest answer that is read: a page of 100 users with room to spare.
const MAX_ANSWER: usize = 32 << 20;
/// The first pause before a connection is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the `Authorization` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    Right,
    /// A bearer token that nobody issued.
    Unknown,
    /// Okta's test suite: no scheme, no token.
    NoToken,
}

/// One request, before it is sent.
pub(crate) struct Call<'a> {
    pub(crate) step: &'static str,
    pub(crate) user: Option<&'a str>,
    pub(crate) method: Method,
    /// Path and query, relative to the base URL.
    pub(crate) target: String,
    pub(crate) body: Option<Bytes>,
    pub(crate) credentials: Credentials,
}

impl<'a> Call<'a> {
    pub(crate) fn get(step: &'static str, target: impl Into<String>) -> Self {
        Self {
            step,
            user: None,
            method: Method::GET,
            target: target.into(),
            body: None,
            credentials: Credentials::Right,
        }
    }

    pub(crate) fn write(
        step: &'static str,
        method: Method,
        target: impl Into<String>,
        body: &Value,
    ) -> Self {
        let body = Some(Bytes::from(body.to_string()));
        Self {
            method,
            body,
            ..Self::get(step, target)
        }
    }

    pub(crate) fn of(mut self, user: &'a str) -> Self {
        self.user = Some(user);
        self
    }

    pub(crate) fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// A failure of this call that is not about an answer.
    pub(crate) fn failure(&self, expected: &str, got: String) -> Failure {
        Failure {
            step: self.step,
            user: self.user.map(str::to_owned),
            method: self.method.to_string(),
            target: self.target.clone(),
            field: "answer".to_owned(),
            expected: expected.to_owned(),
            got,
            request_number: None,
        }
    }
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body as JSON, if it is.
    pub(crate) json: Option<Value>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn is_encoded(&self) -> bool {
        self.headers
            .get(header::CONTENT_ENCODING)
            .is_some_and(|coding| coding != "identity")
    }
}

/// How a request ended that may not be repeated blindly.
pub(crate) enum Sent {
    Answer(Box<Answer>),
    /// The connection broke after the request was sent: nobody knows whether it took effect.
    Lost,
    /// There was no answer; the journal says why.
    Failed,
}

enum Trouble {
    /// The request never left.
    Refused(String),
    Lost(String),
    Timeout,
    Invalid(String),
}

type Http = HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The HTTP client of one run.
pub(crate) struct Client<'a> {
    /// Without TLS there is no client, and each call says why.
    http: Result<Http, rustls::Error>,
    base: &'a str,
    authorization: Option<HeaderValue>,
    options: &'a Options,
    journal: &'a Journal,
    progress: &'a dyn Progress,
    /// Compressed answers are asked for as Okta does until one comes; this client cannot read them.
    is_plain: AtomicBool,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        options: &'a Options,
        journal: &'a Journal,
        progress: &'a dyn Progress,
    ) -> Self {
        let token = options.token.expose_secret();
        let token = if options.bare_token {
            token.to_owned()
        } else {
            format!("Bearer {token}")
        };
        let authorization = HeaderValue::from_str(&token).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        Self {
            http: connector().map(|tls| HttpClient::builder(TokioExecutor::new()).build(tls)),
            base: options.base_url.trim_end_matches('/'),
            authorization,
            options,
            journal,
            progress,
            is_plain: AtomicBool::new(false),
        }
    }

    /// Waits for a service that is just starting, too.
    pub(crate) fn expect_start(&self) {
        self.journal.presence.expect_start();
    }

    /// Sends a request that may be repeated: a read, or a write that does the same twice.
    pub(crate) async fn send(&self, call: &Call<'_>) -> Option<Answer> {
        match self.deliver(call, true).await {
            Sent::Answer(answer) => Some(*answer),
            Sent::Lost | Sent::Failed => None,
        }
    }

    /// Sends a request that must not be repeated once it may have reached the service.
    pub(crate) async fn send_once(&self, call: &Call<'_>) -> Sent {
        self.deliver(call, false).await
    }

    async fn deliver(&self, call: &Call<'_>, may_repeat: bool) -> Sent {
        let mut tries = 1;
        let mut unstated = self.options.unstated_wait;
        let mut broken_since: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            if self.journal.presence.is_over() {
                return Sent::Failed;
            }
            let start = Instant::now();
            match self.attempt(call).await {
                Ok(answer)
                    if answer.is_encoded() && !self.is_plain.swap(true, Ordering::Relaxed) => {}
                Ok(answer) => {
                    self.journal.answered(call.step, start.elapsed());
                    self.journal.presence.answered();
                    (broken_since, pause) = (None, FIRST_PAUSE);
                    let Some(wait) = asked_wait(&answer, &mut unstated) else {
                        return Sent::Answer(Box::new(answer));
                    };
                    let too_long = self
                        .options
                        .longest_wait
                        .is_some_and(|longest| wait > longest);
                    if tries >= self.options.tries || too_long {
                        return Sent::Answer(Box::new(answer));
                    }
                    tries += 1;
                    self.journal.retried();
                    self.progress.waiting(wait, answer.status.as_u16());
                    tokio::time::sleep(wait).await;
                }
                Err(trouble) => {
                    let (reason, is_sent) = match trouble {
                        Trouble::Refused(reason) => (reason, false),
                        Trouble::Lost(reason) => (reason, true),
                        Trouble::Timeout => {
                            let limit = self.options.timeout;
                            self.journal.fail(call.failure(
                                &format!("an answer within {limit:?}"),
                                "none".to_owned(),
                            ));
                            return Sent::Failed;
                        }
                        Trouble::Invalid(reason) => {
                            self.journal
                                .fail(call.failure("a request that can be sent", reason));
                            return Sent::Failed;
                        }
                    };
                    let since = *broken_since.get_or_insert(start);
                    if !self.is_worth_a_try(call, since, reason) {
                        return Sent::Failed;
                    }
                    self.journal.reconnected();
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                    if is_sent && !may_repeat {
                        return Sent::Lost;
                    }
                }
            }
        }
    }

    /// Whether a call that found nobody is tried again; the journal says why not.
    fn is_worth_a_try(&self, call: &Call<'_>, since: Instant, reason: String) -> bool {
        let limit = self.options.reconnect_for;
        let presence = &self.journal.presence;
        match presence.missed(Instant::now(), limit, &reason) {
            Missed::Over => return false,
            Missed::Ends => {}
            // Others may be answered for ever while this one never is.
            Missed::Again(_) if since.elapsed() >= limit => {}
            Missed::Again(away) => {
                self.progress.away(away, limit);
                return true;
            }
        }
        self.journal.fail(call.failure("an answer", reason));
        false
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let request = self.request(call)?;
        let http = self
            .http
            .as_ref()
            .map_err(|error| Trouble::Invalid(error.to_string()))?;
        let exchange = async {
            let response = http.request(request).await.map_err(|error| {
                let reason = reason(&error);
                if error.is_connect() {
                    Trouble::Refused(reason)
                } else {
                    Trouble::Lost(reason)
                }
            })?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| Trouble::Lost(reason(error.as_ref())))?
                .to_bytes();
            Ok(Answer {
                method: call.method.clone(),
                target: call.target.clone(),
                status: parts.status,
                headers: parts.headers,
                json: serde_json::from_slice(&body).ok(),
                body,
            })
        };
        tokio::time::timeout(self.options.timeout, exchange)
            .await
            .unwrap_or(Err(Trouble::Timeout))
    }

    /// Okta: these headers, in this spelling, on every request.
    fn request(&self, call: &Call<'_>) -> Result<Request<Full<Bytes>>, Trouble> {
        let authorization = match call.credentials {
            Credentials::Right => self.authorization.clone().ok_or_else(|| {
                Trouble::Invalid("the token has characters that no header can hold".to_owned())
            })?,
            Credentials::Unknown => HeaderValue::from_static("Bearer a-token-that-nobody-issued"),
            Credentials::NoToken => HeaderValue::from_static("non-token"),
        };
        let is_plain = self.is_plain.load(Ordering::Relaxed);
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}", self.base, call.target))
            .header(header::ACCEPT, "application/scim+json")
            .header(header::ACCEPT_CHARSET, "utf-8")
            .header(
                header::ACCEPT_ENCODING,
                if is_plain { "identity" } else { "gzip,deflate" },
            )
            .header(header::USER_AGENT, "Okta SCIM Client 1.0.0")
            .header(header::AUTHORIZATION, authorization);
        if call.body.is_some() {
            request = request.header(header::CONTENT_TYPE, JSON);
        }
        request
            .body(Full::new(call.body.clone().unwrap_or_default()))
            .map_err(|error| Trouble::Invalid(error.to_string()))
    }
}

fn connector() -> Result<HttpsConnector<HttpConnector>, rustls::Error> {
    let mut tcp = HttpConnector::new();
    tcp.set_nodelay(true);
    tcp.enforce_http(false);
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider)?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(tcp))
}

/// How long Okta would wait before it repeats the request, if it would.
fn asked_wait(answer: &Answer, unstated: &mut Duration) -> Option<Duration> {
    let stated = answer.header("retry-after").map(str::trim);
    let seconds = stated
        .and_then(|text| text.parse().ok())
        .map(Duration::from_secs);
    match answer.status {
        // Okta: exactly the seconds given; without them, or with a date, five minutes, then doubling.
        StatusCode::TOO_MANY_REQUESTS => Some(seconds.unwrap_or_else(|| {
            let wait = *unstated;
            *unstated = wait.saturating_mul(2);
            wait
        })),
        StatusCode::SERVICE_UNAVAILABLE => seconds,
        _ => None,
    }
}

/// The whole chain of an error in one line.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Encodes text for a query or a path segment (RFC 3986, section 2.1).
pub(crate) fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |half: u8| HEX.get(usize::from(half)).copied().map_or('0', char::from);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(value));
        }
        Answer {
            method: Method::GET,
            target: String::new(),
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::new(),
            json: None,
        }
    }

    #[test]
    fn a_wait_is_what_okta_would_wait() {
        let minutes = Duration::from_mins;
        let cases = [
            (429, Some("7"), Some(Duration::from_secs(7))),
            (429, Some("0"), Some(Duration::ZERO)),
            (429, None, Some(minutes(5))),
            (429, Some("1.5"), Some(minutes(5))),
            (429, Some("Wed, 21 Oct 2026 07:28:00 GMT"), Some(minutes(5))),
            (503, Some("3"), Some(Duration::from_secs(3))),
            (503, None, None),
            (500, Some("3"), None),
        ];
        for (status, header, expected) in cases {
            let wait = asked_wait(&answer(status, header), &mut minutes(5));
            assert_eq!(wait, expected, "{status} {header:?}");
        }
    }

    #[test]
    fn a_wait_that_nobody_stated_doubles() {
        let mut unstated = Duration::from_mins(5);

        asked_wait(&answer(429, None), &mut unstated);

        assert_eq!(
            asked_wait(&answer(429, None), &mut unstated),
            Some(Duration::from_mins(10))
        );
    }

    #[test]
    fn a_filter_is_encoded_as_okta_does_it() {
        assert_eq!(
            encode("userName eq \"test.user@okta.local\""),
            "userName%20eq%20%22test.user%40okta.local%22"
        );
        assert_eq!(encode("ë+"), "%C3%AB%2B");
    }
}
