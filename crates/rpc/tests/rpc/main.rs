//! What the proto files say of their methods, read from the descriptor set that is published.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod methods;
