//! Deadlines, on the in-process path too: tonic enforces `grpc-timeout` in its transport only.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use tonic::Status;

/// The moment by which the answer must be there, found in the extensions of each request, so that
/// nested calls can send the time that is left.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// The key of the header (gRPC over HTTP/2, section "Requests").
pub const HEADER: &str = "grpc-timeout";

/// Reads the header: at most 8 digits and a unit. What is unreadable counts as absent.
#[must_use]
pub fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count.checked_mul(3600)?),
        "M" => Duration::from_secs(count.checked_mul(60)?),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes the header, in the finest unit that holds the span in 8 digits.
pub fn write(headers: &mut HeaderMap, span: Duration) {
    let text = if span.as_micros() < 100_000_000 {
        format!("{}u", span.as_micros())
    } else if span.as_millis() < 100_000_000 {
        format!("{}m", span.as_millis())
    } else {
        format!("{}S", span.as_secs().min(99_999_999))
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(HEADER, value);
    }
}

/// What the server allows a call whose client sent no deadline; `None` for streams.
#[must_use]
pub fn default_for(path: &str) -> Option<Duration> {
    let method = path.rsplit('/').next().unwrap_or_default();
    match method {
        "Watch" | "ServerReflectionInfo" => None,
        "VerifyDomain" => Some(Duration::from_secs(15)),
        _ if method.starts_with("Check") => Some(Duration::from_secs(1)),
        _ => Some(Duration::from_secs(10)),
    }
}

/// The answer once the time is over; the work has been dropped.
#[must_use]
pub fn exceeded() -> Status {
    Status::deadline_exceeded("the deadline passed before the answer was ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, text.parse().unwrap());
        read(&headers)
    }

    #[test]
    fn the_header_is_read_in_every_unit_and_never_overflows() {
        for (text, span) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("99999999H", Some(Duration::from_secs(359_999_996_400))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("100000000S", None),
            ("-1S", None),
            ("S", None),
            ("1", None),
            ("1x", None),
        ] {
            assert_eq!(read_text(text), span, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for span in [
            Duration::from_micros(1),
            Duration::from_secs(10),
            Duration::from_hours(50),
        ] {
            let mut headers = HeaderMap::new();
            write(&mut headers, span);
            assert_eq!(read(&headers), Some(span));
        }
    }
}
