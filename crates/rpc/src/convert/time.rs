//! Times and spans.

use std::time::Duration;

use rollcall_types::Timestamp;

/// A time as protobuf writes it.
#[must_use]
pub fn to_proto(time: Timestamp) -> prost_types::Timestamp {
    let time = time.to_chrono();
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// A time from protobuf; `None` outside the representable range.
#[must_use]
pub fn from_proto(time: &prost_types::Timestamp) -> Option<Timestamp> {
    let nanos = u32::try_from(time.nanos).ok()?;
    chrono::DateTime::from_timestamp(time.seconds, nanos).map(Timestamp::new)
}

/// A span as protobuf writes it.
#[must_use]
pub fn span_to_proto(span: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(span).unwrap_or_default()
}
