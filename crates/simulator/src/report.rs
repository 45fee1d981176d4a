//! What a run found out, as values and as a table for a terminal.

use std::fmt;
use std::time::Duration;

/// How many failures a report prints; the rest is counted.
const PRINTED_FAILURES: usize = 20;

/// One answer that was not what Okta, RFC 7644 or the run's own writes ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step that noticed it, such as `update`.
    pub step: &'static str,
    /// The userName of the user it is about, if it is about one.
    pub user: Option<String>,
    /// The HTTP method of the request.
    pub method: String,
    /// Path and query of the request, without the base URL.
    pub target: String,
    /// The part of the answer that is wrong: `status`, a header, or the path of an attribute.
    pub field: String,
    /// What was expected there.
    pub expected: String,
    /// What stood there instead.
    pub got: String,
    /// The `X-Request-Number` of the answer, if it has one.
    pub request_number: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} {}", self.step, self.method, self.target)?;
        if let Some(user) = &self.user {
            write!(out, " ({user})")?;
        }
        if let Some(number) = &self.request_number {
            write!(out, " {number}")?;
        }
        write!(
            out,
            "\n  {}: expected {}, got {}",
            self.field, self.expected, self.got
        )
    }
}

/// Why a run ended before its last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nobody ever answered, for this reason.
    Unreachable(String),
    /// The service answered once, then not for so long.
    Away(Duration),
    /// The service does not take the token.
    TokenRefused,
}

/// What one step cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// The name of the step.
    pub name: &'static str,
    /// How many requests were answered in it.
    pub requests: usize,
    /// How many failures were noticed in it.
    pub failures: usize,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// 95 % of the answers came within this time.
    pub p95: Duration,
    /// 99 % of the answers came within this time.
    pub p99: Duration,
}

/// The outcome of a run; its `Display` is a table for a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What was played, for the first line of the table.
    pub title: String,
    /// How many requests were answered.
    pub requests: usize,
    /// How many requests were repeated because the service asked for it by 429 or 503.
    pub retried: usize,
    /// How many requests were repeated because the connection was refused or broke.
    pub reconnected: usize,
    /// The failures, in the order in which they were noticed; at most 1000 are kept.
    pub failures: Vec<Failure>,
    /// How many further failures were only counted.
    pub failures_not_kept: usize,
    /// The steps that were played, in order.
    pub steps: Vec<StepReport>,
    /// Why the run ended before its last step; `None` if it did not.
    pub ended: Option<Ended>,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Report {
    /// Whether the service did everything right.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// How many failures there were, kept or only counted.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failures.len().saturating_add(self.failures_not_kept)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.title)?;
        writeln!(
            out,
            "{:<16}{:>10}{:>11}{:>11}{:>11}{:>10}",
            "step", "requests", "p50", "p95", "p99", "failures"
        )?;
        for step in &self.steps {
            writeln!(
                out,
                "{:<16}{:>10}{:>11}{:>11}{:>11}{:>10}",
                step.name,
                step.requests,
                Brief(step.p50).to_string(),
                Brief(step.p95).to_string(),
                Brief(step.p99).to_string(),
                step.failures,
            )?;
        }
        writeln!(
            out,
            "\n{} requests in {}, {} retried when asked to, {} after a broken connection",
            self.requests,
            Brief(self.elapsed),
            self.retried,
            self.reconnected,
        )?;
        if self.passed() {
            return write!(out, "PASSED: every answer was as expected");
        }
        match &self.ended {
            Some(Ended::Unreachable(_)) => write!(out, "FAILED: nobody answers")?,
            Some(Ended::Away(limit)) => write!(
                out,
                "FAILED: the service went away and did not answer for {}",
                Brief(*limit)
            )?,
            Some(Ended::TokenRefused) => write!(out, "FAILED: the token is refused")?,
            None => write!(
                out,
                "FAILED: {} answers or parts of them were wrong",
                self.failed()
            )?,
        }
        for failure in self.failures.iter().take(PRINTED_FAILURES) {
            write!(out, "\n\n{failure}")?;
        }
        match self.failed().saturating_sub(PRINTED_FAILURES) {
            0 => Ok(()),
            more => write!(out, "\n\n... and {more} more"),
        }
    }
}

/// A duration in the unit that suits its size.
struct Brief(Duration);

impl fmt::Display for Brief {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if seconds >= 1.0 {
            write!(out, "{seconds:.1} s")
        } else {
            write!(out, "{:.1} ms", seconds * 1000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failures: Vec<Failure>) -> Report {
        Report {
            title: "Okta as oin".to_owned(),
            requests: 3,
            retried: 1,
            reconnected: 0,
            failures_not_kept: 0,
            steps: vec![StepReport {
                name: "assign",
                requests: 3,
                failures: failures.len(),
                p50: Duration::from_micros(1_250),
                p95: Duration::from_millis(20),
                p99: Duration::from_secs(2),
            }],
            failures,
            ended: None,
            elapsed: Duration::from_millis(1_520),
        }
    }

    #[test]
    fn a_report_without_failures_says_passed() {
        let text = report(Vec::new()).to_string();

        assert!(text.contains("assign"), "{text}");
        assert!(text.contains("20.0 ms"), "{text}");
        assert!(
            text.ends_with("PASSED: every answer was as expected"),
            "{text}"
        );
    }

    #[test]
    fn a_failure_says_where_to_look() {
        let failure = Failure {
            step: "assign",
            user: Some("ada@acme.example".to_owned()),
            method: "POST".to_owned(),
            target: "/Users".to_owned(),
            field: "status".to_owned(),
            expected: "201".to_owned(),
            got: "200".to_owned(),
            request_number: Some("R-7K3M-9QFA".to_owned()),
        };

        assert_eq!(
            report(vec![failure; 21])
                .to_string()
                .lines()
                .skip(6)
                .take(4)
                .collect::<Vec<_>>(),
            [
                "FAILED: 21 answers or parts of them were wrong",
                "",
                "assign: POST /Users (ada@acme.example) R-7K3M-9QFA",
                "  status: expected 201, got 200",
            ]
        );
    }
}
