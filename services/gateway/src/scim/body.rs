//! Bodies of requests, whose bounds act while they are read (SEC-IN-01, SEC-IN-03).

use axum::body::Body;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use rollcall_scim::{Error, ErrorKind, json};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::error::Problem;
use super::media;
use crate::Limits;

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
    if stated.is_some_and(|bytes| usize::try_from(bytes).map_or(true, |n| n > limits.body)) {
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
            return Err(too_large(limits));
        }
        bytes.extend_from_slice(&data);
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
