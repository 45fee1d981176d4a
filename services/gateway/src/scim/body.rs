//! Bodies of requests, whose bounds act while they are read (SEC-IN-01, SEC-IN-03).

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use rollcall_scim::{Error, ErrorKind, json};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::error::Problem;
use super::media;
use crate::Limits;

/// How many times the largest body is read and thrown away before a larger one is cut off.
const LINGER: usize = 8;

/// Reads the JSON object that a request has to carry.
///
/// # Errors
/// 400 `invalidSyntax`, 408, 413, 415.
pub(crate) async fn object(
    headers: &HeaderMap,
    body: Body,
    limits: &Limits,
) -> Result<Map<String, Value>, Problem> {
    media::check_body(headers)?;
    let stated = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if let Some(stated) = stated.and_then(|bytes| usize::try_from(bytes).ok())
        && stated > limits.body
    {
        // Who asks before it sends (curl) is told at once.
        if !headers.contains_key(EXPECT) && stated <= limits.body * LINGER {
            discard(body, limits).await;
        }
        return Err(too_large(limits));
    }
    let bytes = read(body, limits).await?;
    Ok(json::read_object(&bytes, &limits.json)?)
}

async fn read(mut body: Body, limits: &Limits) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let end = Instant::now() + limits.body_total;
    loop {
        let pause = (Instant::now() + limits.body_idle).min(end);
        let frame = match timeout_at(pause, body.frame()).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(_))) => return Err(torn()),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        if bytes.len() + data.len() > limits.body {
            discard(body, limits).await;
            return Err(too_large(limits));
        }
        bytes.extend_from_slice(&data);
    }
}

/// Reads on without keeping anything, within bounds: a client that still sends when the connection
/// closes would lose the answer.
async fn discard(mut body: Body, limits: &Limits) {
    let end = Instant::now() + limits.body_idle;
    let mut left = limits.body * LINGER;
    while let Ok(Some(Ok(frame))) = timeout_at(end, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, axum::body::Bytes::len);
        match left.checked_sub(bytes) {
            Some(fewer) => left = fewer,
            None => return,
        }
    }
}

fn too_large(limits: &Limits) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {} bytes; send less", limits.body),
    )
    .with_header(CONNECTION, "close")
}

fn too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "the body did not arrive in time; send the request again",
    )
    .with_header(CONNECTION, "close")
}

fn torn() -> Problem {
    Problem::from(Error::new(
        ErrorKind::InvalidSyntax,
        "the body broke off before its end; send the request again",
    ))
    .with_header(CONNECTION, "close")
}
