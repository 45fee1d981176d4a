use proptest::prelude::*;
use rollcall_types::{OsEntropy, Timestamp};

use super::*;

fn challenge() -> Challenge {
    let now = Timestamp::parse("2026-11-24T09:00:00Z").unwrap();
    Challenge::first("rollcall", &OsEntropy, now)
}

fn records(texts: &[&str]) -> TxtAnswer {
    TxtAnswer::Records(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}

fn nx(zone: &str) -> TxtAnswer {
    TxtAnswer::NxDomain {
        zone: Some(zone.to_owned()),
    }
}

fn alias() -> TxtAnswer {
    TxtAnswer::Alias {
        target: "pages.example.net".to_owned(),
    }
}

fn heard(answers: &[TxtAnswer]) -> Vec<Heard> {
    let one = |(index, answer): (usize, &TxtAnswer)| Heard {
        vantage: format!("192.0.2.{index}:53"),
        answer: answer.clone(),
    };
    answers.iter().enumerate().map(one).collect()
}

fn judge_at(name: &str, challenge: &Challenge, vantages: &[(TxtAnswer, TxtAnswer)]) -> Finding {
    let (at, below): (Vec<_>, Vec<_>) = vantages.iter().cloned().unzip();
    let look = Look {
        name,
        registrable: "acme.com",
        at_domain: &heard(&at),
        at_challenge: &heard(&below),
    };
    judge(challenge, &look)
}

fn judge_one(challenge: &Challenge, at: TxtAnswer, below: TxtAnswer) -> Finding {
    judge_at("acme.com", challenge, &[(at, below)])
}

fn reason(finding: &Finding) -> String {
    finding.proof.as_ref().unwrap_err().reason.clone()
}

use TxtAnswer::{NoData, ServFail, Timeout};

#[test] // rule: D-01 (part)
fn the_value_counts_at_either_place_also_quoted_or_with_space_around_it() {
    let challenge = challenge();
    let value = challenge.value();
    for (text, warnings) in [
        (value.clone(), vec![]),
        (value.to_uppercase(), vec![]),
        (format!(" {value}\t"), vec![Warning::ValueWhitespace]),
        (format!("\"{value}\""), vec![Warning::ValueQuoted]),
        (format!("“{value}”"), vec![Warning::ValueQuoted]),
        (
            format!(" '{value}' "),
            vec![Warning::ValueQuoted, Warning::ValueWhitespace],
        ),
    ] {
        let at = judge_one(&challenge, records(&["v=spf1 -all", &text]), NoData);
        assert_eq!(at.proof, Ok(Place::AtDomain), "{text:?}");
        assert_eq!(at.warnings, warnings, "{text:?}");
        let below = judge_one(&challenge, NoData, records(&[&text]));
        assert_eq!(below.proof, Ok(Place::AtChallenge), "{text:?}");
    }
}

#[test]
fn a_bare_token_counts_at_the_challenge_name_only() {
    let challenge = challenge();
    let token = records(&[challenge.token()]);

    assert_eq!(
        judge_one(&challenge, NoData, token.clone()).proof,
        Ok(Place::AtChallenge)
    );
    assert_eq!(
        reason(&judge_one(&challenge, token, NoData)),
        "VALUE_MISMATCH"
    );
}

#[test] // rule: D-02
fn an_alias_at_one_place_leaves_the_value_at_the_other_to_count() {
    let challenge = challenge();
    let value = records(&[&challenge.value()]);

    let below = judge_one(&challenge, alias(), value.clone());
    assert_eq!(below.proof, Ok(Place::AtChallenge));
    let at = judge_one(&challenge, value, alias());
    assert_eq!(at.proof, Ok(Place::AtDomain));
}

#[test] // rule: D-02
fn a_part_of_a_record_never_counts() {
    let challenge = challenge();
    let value = challenge.value();
    for text in [
        format!("{value}x"),
        format!("x{value}"),
        format!("{value} {value}"),
        format!("\"\"{value}\"\""),
        value[..value.len() - 1].to_owned(),
    ] {
        assert!(
            judge_one(&challenge, records(&[&text]), NoData)
                .proof
                .is_err()
        );
    }
}

#[test] // rule: D-04 (part)
fn every_look_without_the_value_has_the_one_reason_that_applies() {
    let challenge = challenge();
    let old = format!("Rollcall-domain-verification={}", "a".repeat(32));
    let typo = challenge.value().replacen("domain", "domian", 1);
    let spf = || records(&["v=spf1 -all", "google-site-verification=x"]);
    for (at, below, expected) in [
        (nx("com"), nx("com"), "DOMAIN_DOES_NOT_EXIST"),
        (nx(""), nx(""), "DOMAIN_DOES_NOT_EXIST"),
        (NoData, NoData, "NO_TXT"),
        (NoData, nx("acme.com"), "NO_TXT"),
        (spf(), nx("acme.com"), "NO_MATCHING_TXT"),
        (records(&["v=spf1 -all", &old]), NoData, "VALUE_MISMATCH"),
        (NoData, records(&[&typo]), "VALUE_MISMATCH"),
        (ServFail, records(&[&old]), "VALUE_MISMATCH"),
        (alias(), NoData, "CNAME_AT_NAME"),
        (spf(), alias(), "CNAME_AT_NAME"),
        (alias(), records(&[&typo]), "VALUE_MISMATCH"),
        (alias(), ServFail, "SERVFAIL"),
        (Timeout, alias(), "TIMEOUT"),
        (ServFail, NoData, "SERVFAIL"),
        (spf(), ServFail, "SERVFAIL"),
        (Timeout, ServFail, "SERVFAIL"),
        (Timeout, Timeout, "TIMEOUT"),
        (NoData, Timeout, "TIMEOUT"),
    ] {
        let finding = judge_one(&challenge, at.clone(), below.clone());
        assert_eq!(reason(&finding), expected, "{at:?} {below:?}");
        let diagnosis = finding.proof.unwrap_err();
        assert!(!diagnosis.explanation.is_empty() && !diagnosis.next_step.is_empty());
    }
    let facts = |at| judge_one(&challenge, at, NoData).proof.unwrap_err().facts;
    assert_eq!(facts(spf())["count"], "2");
    assert_eq!(facts(records(&[&old]))["found"], old);
    assert_eq!(facts(alias())["target"], "pages.example.net");
    let explained = |at, below| {
        judge_one(&challenge, at, below)
            .proof
            .unwrap_err()
            .explanation
    };
    assert!(explained(alias(), NoData).starts_with("The domain itself is an alias"));
    assert!(explained(NoData, alias()).starts_with("The name that begins with an underscore"));
}

#[test]
fn a_missing_name_below_a_registered_domain_is_only_a_missing_record() {
    let challenge = challenge();
    let look = |zone| judge_at("mail.acme.com", &challenge, &[(nx(zone), nx(zone))]);

    assert_eq!(reason(&look("acme.com")), "NO_TXT");
    assert_eq!(reason(&look("mail.acme.com")), "NO_TXT");
    assert_eq!(reason(&look("com")), "DOMAIN_DOES_NOT_EXIST");
}

#[test]
fn what_is_shown_of_a_foreign_value_is_short_and_has_no_control_bytes() {
    let challenge = challenge();
    let mut record = b"rollcall-domain-verification=\n\x1b[31m\xff".to_vec();
    record.extend("é".repeat(200).bytes());

    let finding = judge_one(&challenge, TxtAnswer::Records(vec![record]), NoData);

    let found = finding.proof.unwrap_err().facts["found"].clone();
    assert!(found.starts_with("rollcall-domain-verification=\\n\\u{1b}[31m\\xff"));
    assert!(found.chars().count() <= 100 && !found.chars().any(char::is_control));
}

#[test]
fn enough_vantages_must_show_the_value() {
    let challenge = challenge();
    let with = (records(&[&challenge.value()]), NoData);
    let without = (NoData, NoData);
    let broken = (ServFail, ServFail);
    let look = |vantages: &[(usize, &(TxtAnswer, TxtAnswer))]| {
        let all = vantages
            .iter()
            .flat_map(|(n, answers)| vec![(*answers).clone(); *n]);
        judge_at("acme.com", &challenge, &all.collect::<Vec<_>>())
    };

    for (shown, missed, verified) in [
        (1, 0, true),
        (1, 1, true),
        (2, 1, true),
        (1, 2, false),
        (4, 1, true),
        (3, 2, false),
        (4, 2, true),
        (3, 3, false),
    ] {
        let finding = look(&[(shown, &with), (missed, &without)]);
        assert_eq!(
            finding.proof.is_ok(),
            verified,
            "{shown} of {}",
            shown + missed
        );
        assert_eq!(finding.servers.len(), shown + missed);
    }
    assert!(look(&[(2, &with), (1, &broken)]).proof.is_ok());
    assert_eq!(reason(&look(&[(2, &without), (1, &broken)])), "NO_TXT");
    assert_eq!(reason(&look(&[(1, &without), (2, &broken)])), "SERVFAIL");
    assert_eq!(reason(&look(&[])), "TIMEOUT", "no vantage, no proof");
    let some = look(&[(1, &with), (2, &without)]).proof.unwrap_err();
    assert_eq!(some.facts["resolvers_with_value"], "1");
}

#[test]
fn distances_are_those_of_levenshtein() {
    assert_eq!(distance(b"kitten", b"sitting"), 3);
    assert_eq!(distance(b"", b"abc"), 3);
    assert_eq!(distance(b"ABC", b"abc"), 0);
    assert_eq!(distance(b"", b"123456789"), usize::MAX);
}

proptest! {
    #[test] // rule: D-02
    fn without_the_exact_token_nothing_verifies(texts in prop::collection::vec(".{0,80}", 0..5)) {
        let own = challenge();
        let others = challenge();
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let value = others.value();
        texts.extend([value.as_str(), others.token()]);

        let finding = judge_one(&own, records(&texts), records(&texts));

        prop_assert!(finding.proof.is_err());
    }
}
