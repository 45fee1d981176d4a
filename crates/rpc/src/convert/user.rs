//! Users (to come).
