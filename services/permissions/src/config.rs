//! Settings.

use std::time::Duration;

/// The settings of permissions.
#[derive(Clone, Debug)]
pub struct Config {
    /// The keys of every active user without any set; none by default.
    pub minimal_keys: Vec<String>,
    /// How many permission sets an account can have; 100 by default.
    pub max_permission_sets: usize,
    /// How far behind provisioning's feed answers are still given; 60 s by default.
    pub stale_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            minimal_keys: Vec::new(),
            max_permission_sets: 100,
            stale_after: Duration::from_mins(1),
        }
    }
}
