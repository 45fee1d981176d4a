//! The switch of permission-set management.

use rollcall_types::{ConnectionId, Timestamp};
use serde::{Deserialize, Serialize};

/// The switch as it is stored: it belongs to a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Switch {
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// On or off.
    pub(crate) enabled: bool,
    /// When it was last turned on; absent while it is off.
    pub(crate) enable_time: Option<Timestamp>,
    /// Rises by one a change.
    pub(crate) version: i64,
}

impl Switch {
    /// The switch after it was turned, or `None` if that changes nothing.
    pub(crate) fn turn(
        before: Option<&Self>,
        connection: ConnectionId,
        enabled: bool,
        now: Timestamp,
    ) -> Option<Self> {
        let was = before.is_some_and(|switch| switch.enabled);
        let same = before.is_some_and(|switch| switch.connection == connection);
        if was == enabled && (same || !enabled) {
            return None;
        }
        Some(Self {
            connection,
            enabled,
            enable_time: enabled.then_some(now),
            version: before.map_or(0, |switch| switch.version) + 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use rollcall_types::{Clock, SystemClock};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn turning_the_switch_to_where_it_stands_changes_nothing() {
        let (old, new) = (1, 2);
        let [old, new] = [old, new].map(|id| ConnectionId::from_uuid(Uuid::from_u128(id)));
        let now = SystemClock.now();

        assert_eq!(Switch::turn(None, old, false, now), None);
        let on = Switch::turn(None, old, true, now).unwrap();
        assert_eq!((on.enable_time, on.version), (Some(now), 1));
        assert_eq!(Switch::turn(Some(&on), old, true, now), None);
        let moved = Switch::turn(Some(&on), new, true, now).unwrap();
        assert_eq!((moved.connection, moved.version), (new, 2));
        let off = Switch::turn(Some(&moved), new, false, now).unwrap();
        assert_eq!((off.enabled, off.enable_time), (false, None));
        assert_eq!(Switch::turn(Some(&off), old, false, now), None);
    }
}
