//! `cargo xtask coverage`: which test proves which rule, and the gate over it.

use std::collections::BTreeMap;

use crate::command;
use crate::failure::Failure;
use crate::proof::{Proof, Proofs};
use crate::rules::{self, Rule, State};

/// Families of ids that are counted without a gate: the requirements of the RFCs, of security
/// and of reliability.
const COUNTED: [&str; 4] = ["S-7643-", "S-7644-", "SEC-", "REL-"];

/// Prints the table (unless `brief`), the counts and the problems.
///
/// # Errors
/// When a rule lacks the proof that its state asks for, or a comment names no rule or no test.
pub(crate) fn run(brief: bool) -> Result<(), Failure> {
    let root = command::root();
    let rules = rules::load(&root)?;
    let proofs = Proofs::collect(&root)?;
    let report = Report::new(&rules, proofs);

    if !brief {
        print!("{}", report.table());
    }
    print!("{}", report.counts());
    let problems = report.problems();
    if problems.is_empty() {
        return Ok(());
    }
    println!("\nproblems:");
    for problem in &problems {
        println!("  {problem}");
    }
    Err(Failure::new(
        format!("rule coverage has {} problem(s)", problems.len()),
        format!(
            "name each rule beside the test that proves it, or correct {}",
            rules::FILE
        ),
    ))
}

struct Report<'a> {
    rules: &'a BTreeMap<String, Rule>,
    by_rule: BTreeMap<String, Vec<Proof>>,
    counted: BTreeMap<&'static str, Vec<Proof>>,
    strays: Vec<String>,
}

impl<'a> Report<'a> {
    fn new(rules: &'a BTreeMap<String, Rule>, proofs: Proofs) -> Self {
        let mut report = Self {
            rules,
            by_rule: BTreeMap::new(),
            counted: BTreeMap::new(),
            strays: proofs.problems,
        };
        for proof in proofs.found {
            if let Some(family) = COUNTED
                .into_iter()
                .find(|family| proof.rule.starts_with(family))
            {
                report.counted.entry(family).or_default().push(proof);
            } else if rules.contains_key(&proof.rule) {
                report
                    .by_rule
                    .entry(proof.rule.clone())
                    .or_default()
                    .push(proof);
            } else {
                let Proof { rule, place, .. } = proof;
                report
                    .strays
                    .push(format!("{place}: {rule} is not in {}", rules::FILE));
            }
        }
        report
    }

    fn proofs(&self, id: &str) -> &[Proof] {
        self.by_rule.get(id).map_or(&[], Vec::as_slice)
    }

    fn table(&self) -> String {
        let mut lines = vec![format!("{:<6} {:<6} {}", "rule", "state", "title, proofs")];
        for (id, rule) in self.rules {
            lines.push(format!("{id:<6} {:<6} {}", rule.state.name(), rule.title));
            lines.extend(
                self.proofs(id)
                    .iter()
                    .map(|proof| format!("{:14}{}", "", proof.place)),
            );
        }
        lines.join("\n") + "\n\n"
    }

    fn counts(&self) -> String {
        let mut lines = Vec::new();
        for state in [State::Done, State::Part, State::Open] {
            let of_state = || self.rules.iter().filter(|(_, rule)| rule.state == state);
            let bare: Vec<&str> = of_state()
                .filter(|(id, _)| self.proofs(id).is_empty())
                .map(|(id, _)| id.as_str())
                .collect();
            let names = if bare.is_empty() {
                String::new()
            } else {
                format!(": {}", bare.join(" "))
            };
            let all = of_state().count();
            lines.push(format!(
                "{:<5} {all:>3} rules, {} without a named proof{names}",
                state.name(),
                bare.len()
            ));
        }
        for family in COUNTED {
            let proofs = self.counted.get(family).map_or(&[][..], Vec::as_slice);
            let mut ids: Vec<&str> = proofs.iter().map(|proof| proof.rule.as_str()).collect();
            ids.sort_unstable();
            ids.dedup();
            lines.push(format!(
                "{family}… {} ids named by {} proofs",
                ids.len(),
                proofs.len()
            ));
        }
        lines.join("\n") + "\n"
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.strays.clone();
        for (id, rule) in self.rules {
            let proofs = self.proofs(id);
            match rule.state {
                State::Done if !proofs.iter().any(|proof| proof.is_whole) => {
                    problems.push(format!("{id} is done and no test proves the whole of it"));
                }
                State::Part if proofs.is_empty() => {
                    problems.push(format!(
                        "{id} is built in part and no test proves any of it"
                    ));
                }
                _ => {}
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(state: State, claims: &[(&str, bool)]) -> Vec<String> {
        let rules = BTreeMap::from([(
            "U-01".to_owned(),
            Rule {
                state,
                title: "t".to_owned(),
            },
        )]);
        let found = claims
            .iter()
            .map(|(rule, is_whole)| Proof {
                rule: (*rule).to_owned(),
                is_whole: *is_whole,
                place: "a.rs:1".to_owned(),
            })
            .collect();
        Report::new(
            &rules,
            Proofs {
                found,
                problems: vec![],
            },
        )
        .problems()
    }

    #[test]
    fn a_finished_rule_needs_a_proof_of_the_whole() {
        assert_eq!(
            problems(State::Done, &[("U-01", false), ("U-01", true)]),
            [""; 0]
        );
        for claims in [&[][..], &[("U-01", false)]] {
            let wanted = ["U-01 is done and no test proves the whole of it"];
            assert_eq!(problems(State::Done, claims), wanted);
        }
    }

    #[test]
    fn a_rule_in_part_needs_any_proof_and_an_open_one_none() {
        assert_eq!(problems(State::Part, &[("U-01", false)]), [""; 0]);
        assert_eq!(problems(State::Part, &[]).len(), 1);
        assert_eq!(problems(State::Open, &[]), [""; 0]);
    }

    #[test]
    fn a_proof_of_an_unknown_rule_is_a_problem_but_not_of_a_counted_family() {
        let claims = [
            ("U-99", true),
            ("SEC-TOK-01", true),
            ("S-7644-3.1-01", true),
        ];

        assert_eq!(
            problems(State::Open, &claims),
            ["a.rs:1: U-99 is not in docs/rules.toml"]
        );
    }
}
