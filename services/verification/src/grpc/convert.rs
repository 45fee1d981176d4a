//! Claims as protobuf messages.

use rollcall_rpc::convert::time::{span_to_proto, to_proto};
use rollcall_rpc::pb::verification::v1 as pb;

use crate::challenge::{Challenge, Place, TTL};
use crate::claim::{Check, Claim, Trigger, Verdict};
use crate::diagnosis::{Diagnosis, TITLE};
use crate::judge::{Outcome, Warning};
use crate::state::{State, WINDOW};

/// A claim as others see it.
pub(super) fn domain(claim: &Claim) -> pb::Domain {
    let attempt = claim.state.attempt();
    let (verify_time, verified_by) = match claim.state {
        State::Verified { at, by } => (Some(to_proto(at)), place(by)),
        _ => (None, pb::ProofPlace::Unspecified),
    };
    pb::Domain {
        account_id: claim.account.to_string(),
        domain_id: claim.id.to_string(),
        name: claim.name.to_string(),
        display_name: claim.name.to_unicode(),
        state: state(claim.state).into(),
        challenge: Some(challenge(claim)),
        attempt_start_time: attempt.map(to_proto),
        attempt_end_time: attempt.map(|start| to_proto(start.plus(WINDOW))),
        last_check: claim.last_check.as_ref().map(check),
        next_check_time: claim.next_check.map(to_proto),
        person_check_time: claim.person_check.map(to_proto),
        verify_time,
        verified_by: verified_by.into(),
        note: String::new(),
        etag: claim.etag(),
        version: claim.version,
        create_time: Some(to_proto(claim.created)),
        update_time: Some(to_proto(claim.updated)),
    }
}

fn state(state: State) -> pb::DomainState {
    match state {
        State::Pending { .. } => pb::DomainState::Pending,
        State::Verified { .. } => pb::DomainState::Verified,
        State::Failed { .. } => pb::DomainState::Failed,
        State::Expired => pb::DomainState::Expired,
    }
}

fn place(place: Place) -> pb::ProofPlace {
    match place {
        Place::AtDomain => pb::ProofPlace::AtDomain,
        Place::AtChallenge => pb::ProofPlace::AtChallenge,
    }
}

fn challenge(claim: &Claim) -> pb::Challenge {
    let below = claim.challenge.at_challenge(&claim.name);
    let hosts = [Challenge::at_domain(&claim.name)].into_iter().chain(below);
    pb::Challenge {
        value: claim.challenge.value(),
        hosts: hosts
            .map(|host| pb::ChallengeHost {
                name: host.name,
                relative_host: host.relative,
            })
            .collect(),
        ttl: Some(span_to_proto(TTL)),
        generation: claim.challenge.generation(),
        expire_time: Some(to_proto(claim.challenge.expires())),
    }
}

/// A check as others see it.
pub(super) fn check(check: &Check) -> pb::Check {
    let trigger = match check.trigger {
        Trigger::Schedule => pb::CheckTrigger::Schedule,
        Trigger::Person => pb::CheckTrigger::Person,
    };
    let verdict = match check.verdict {
        Verdict::Verified => pb::Verdict::Verified,
        Verdict::NotVerified => pb::Verdict::NotVerified,
        Verdict::HeldByAnotherAccount => pb::Verdict::HeldByAnotherAccount,
    };
    let servers = check.servers.iter().map(|server| pb::ServerOutcome {
        address: server.address.clone(),
        outcome: outcome(server.outcome).to_owned(),
    });
    pb::Check {
        time: Some(to_proto(check.time)),
        trigger: trigger.into(),
        verdict: verdict.into(),
        diagnosis: check.diagnosis.as_ref().map(diagnosis),
        servers: servers.collect(),
        warnings: check.warnings.iter().map(|it| warning(*it)).collect(),
    }
}

fn diagnosis(diagnosis: &Diagnosis) -> pb::Diagnosis {
    pb::Diagnosis {
        reason: diagnosis.reason.clone(),
        title: TITLE.to_owned(),
        explanation: diagnosis.explanation.clone(),
        next_step: diagnosis.next_step.clone(),
        facts: diagnosis.facts.clone(),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Match => "MATCH",
        Outcome::Other => "OTHER",
        Outcome::NoData => "NODATA",
        Outcome::NxDomain => "NXDOMAIN",
        Outcome::ServFail => "SERVFAIL",
        Outcome::Timeout => "TIMEOUT",
    }
}

fn warning(warning: Warning) -> String {
    match warning {
        Warning::ValueQuoted => "VALUE_QUOTED".to_owned(),
        Warning::ValueWhitespace => "VALUE_WHITESPACE".to_owned(),
    }
}
