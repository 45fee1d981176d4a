//! An identity provider as a client: plays Okta against any SCIM 2.0 service and checks every answer.
//!
//! It works on raw JSON and knows nothing of `rollcall-scim`, so that the server's SCIM model and
//! the judge of its answers cannot be wrong alike. What it sends is what Okta was seen or is
//! documented to send; what it expects is what RFC 7643, RFC 7644 and Okta's published tests ask.
//!
//! ```no_run
//! # async fn example() {
//! use rollcall_simulator::{Mode, Options, Silent, run};
//!
//! let mut options = Options::new("http://127.0.0.1:8080/scim/v2", "the token");
//! options.mode = Mode::OinPatch;
//! options.users = 50;
//! options.email_domain = "acme.example".to_owned();
//! options.roles = vec!["Sales Manager".to_owned()];
//!
//! let report = run(&options, &Silent).await;
//! println!("{report}");
//! assert!(report.passed());
//! # }
//! ```
//!
//! A run leaves every user active with its first profile, so it can be repeated with the same seed:
//! the second run finds all users and takes Okta's re-assignment path instead of creating them.

mod brake;
mod change;
mod check;
mod client;
mod journal;
mod ledger;
mod options;
mod person;
mod presence;
mod record;
mod report;
mod run;
mod state;
mod step;
mod world;

pub use brake::{BrakeReport, run_brake};
pub use ledger::{Ledger, verify_whole};
pub use options::{Access, Mode, Options, ParseModeError};
pub use record::{AnsweredWrite, Recorder, SentWrite, verify_recorded};
pub use report::{Ended, Failure, Report, StepReport};
pub use run::{Progress, Silent, run};
