//! The comments by which tests name what they prove: `// rule: U-03, U-09 b, P-03 (part)`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Where tests stand, from the root.
const FOLDERS: [&str; 2] = ["crates", "services"];

const MARK: &str = "// rule:";

/// How many lines before a comment may hold the attribute that makes its function a test.
const ATTRIBUTES_BEFORE: usize = 4;

/// One test's claim to prove one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    /// The rule's id, such as `U-09`.
    pub(crate) rule: String,
    /// Whether it proves the whole rule: neither `(part)` nor a point of the fine print.
    pub(crate) is_whole: bool,
    /// The claim as written and where, such as `crates/types/src/id.rs:174 (part)`.
    pub(crate) place: String,
}

/// What the tests of a checkout claim.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    pub(crate) found: Vec<Proof>,
    /// Comments that prove nothing, each a sentence with its place.
    pub(crate) problems: Vec<String>,
}

impl Proofs {
    /// Reads every Rust file of the workspace's crates, in order of path.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub(crate) fn collect(root: &Path) -> Result<Self, Failure> {
        let mut proofs = Self::default();
        for folder in FOLDERS {
            for file in rust_files(&root.join(folder))? {
                let text = fs::read_to_string(&file).map_err(|error| unreadable(&file, &error))?;
                let name = file
                    .strip_prefix(root)
                    .unwrap_or(&file)
                    .display()
                    .to_string();
                proofs.read(&name, &text);
            }
        }
        Ok(proofs)
    }

    /// Adds what one file claims.
    fn read(&mut self, file: &str, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            if line.trim_start().starts_with("///") || line.trim_start().starts_with("//!") {
                continue;
            }
            let Some((_, claims)) = line.split_once(MARK) else {
                continue;
            };
            let place = format!("{file}:{}", index + 1);
            match standing(&lines, index) {
                Standing::Test => {}
                Standing::Ignored => {
                    self.problems
                        .push(format!("{place}: an ignored test proves nothing"));
                    continue;
                }
                Standing::Elsewhere => {
                    self.problems
                        .push(format!("{place}: no test stands at this comment"));
                    continue;
                }
            }
            for claim in claims.split(',') {
                match parse(claim, &place) {
                    Some(proof) => self.found.push(proof),
                    None => self.problems.push(format!(
                        "{place}: `{}` is none of `U-03`, `U-09 b`, `P-03 (part)`",
                        claim.trim()
                    )),
                }
            }
        }
    }
}

/// Reads one claim, such as ` U-09 b (part)`.
fn parse(claim: &str, place: &str) -> Option<Proof> {
    let mut words = claim.split_whitespace();
    let rule = words.next().filter(|id| is_id(id))?;
    let mut qualifiers = String::new();
    for word in words {
        let is_letter = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_letter && word != "(part)" {
            return None;
        }
        qualifiers.push(' ');
        qualifiers.push_str(word);
    }
    Some(Proof {
        rule: rule.to_owned(),
        is_whole: qualifiers.is_empty(),
        place: format!("{place}{qualifiers}"),
    })
}

/// Whether the text looks like an id: capitals, a hyphen, and a number at its end.
fn is_id(text: &str) -> bool {
    let (Some((family, _)), Some((_, number))) = (text.split_once('-'), text.rsplit_once('-'))
    else {
        return false;
    };
    !family.is_empty()
        && family.bytes().all(|byte| byte.is_ascii_uppercase())
        && number.len() >= 2
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Test,
    Ignored,
    Elsewhere,
}

/// What the comment in line `at` stands at: the attributes around it, up to the function.
fn standing(lines: &[&str], at: usize) -> Standing {
    let starts_function = |line: &str| {
        let code = line.split(MARK).next().unwrap_or(line);
        !code.trim_start().starts_with("//") && (code.contains("fn ") || code.contains("fn("))
    };
    let mut attributes = Vec::new();
    let (before, after) = lines.split_at(at);
    for line in before.iter().rev().take(ATTRIBUTES_BEFORE) {
        if line.trim().is_empty() || line.trim() == "}" || starts_function(line) {
            break;
        }
        attributes.push(line.trim_start());
    }
    for line in after {
        attributes.push(line.trim_start());
        if starts_function(line) || line.trim().is_empty() {
            break;
        }
    }

    attributes.retain(|line| line.starts_with("#["));
    let name = |line: &str| {
        line[2..]
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
            .next()
            .map(|path| path.rsplit("::").next().unwrap_or(path).to_owned())
    };
    let names: Vec<String> = attributes.into_iter().filter_map(name).collect();
    if names.iter().any(|name| name == "ignore") {
        Standing::Ignored
    } else if names.iter().any(|name| name == "test" || name == "rstest") {
        Standing::Test
    } else {
        Standing::Elsewhere
    }
}

/// Every `.rs` file below a folder, in order of path.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{}: {error}", path.display()),
        "run it in a whole checkout",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Proofs {
        let mut proofs = Proofs::default();
        proofs.read("a.rs", text);
        proofs
    }

    #[test]
    fn a_comment_lists_rules_points_and_parts() {
        let proofs = read("#[tokio::test] // rule: U-03, U-09 b, P-03 (part)\nasync fn f() {\n");

        let found: Vec<_> = proofs
            .found
            .iter()
            .map(|p| (p.rule.as_str(), p.is_whole, p.place.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("U-03", true, "a.rs:1"),
                ("U-09", false, "a.rs:1 b"),
                ("P-03", false, "a.rs:1 (part)"),
            ]
        );
        assert_eq!(proofs.problems, [""; 0]);
    }

    #[test]
    fn other_families_of_ids_are_read_too() {
        let proofs = read("#[test] // rule: S-7643-4.1.1-02, SEC-TOK-01, REL-03\nfn f() {}");

        let rules: Vec<_> = proofs
            .found
            .iter()
            .map(|proof| proof.rule.as_str())
            .collect();
        assert_eq!(rules, ["S-7643-4.1.1-02", "SEC-TOK-01", "REL-03"]);
    }

    #[test]
    fn a_comment_may_stand_on_any_line_of_the_attributes() {
        for text in [
            "// rule: U-03\n#[test]\nfn f() {}",
            "#[tokio::test(flavor = \"multi_thread\")]\n// rule: U-03\nasync fn f() {}",
            "#[test]\nfn f() { // rule: U-03\n",
            "#[rstest]\n#[case(1)]\n#[case(2)] // rule: U-03\nfn f() {}",
        ] {
            assert_eq!(read(text).found.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_comment_proves_nothing_away_from_a_test_that_runs() {
        for text in [
            "// rule: U-03\nfn f() {}",
            "#[test]\n#[ignore = \"slow\"] // rule: U-03\nfn f() {}",
            "#[test]\nfn f() {}\n// rule: U-03\nfn g() {}",
            "#[test]\nfn f() {\n    body(); // rule: U-03\n}\n",
            "#[cfg(test)] // rule: U-03\nmod tests {\n\n",
        ] {
            let proofs = read(text);
            assert_eq!(
                (proofs.found.len(), proofs.problems.len()),
                (0, 1),
                "{text}"
            );
        }
    }

    #[test]
    fn a_claim_that_is_no_id_is_a_problem() {
        for claim in ["", "U-3", "u-03", "U-03 maybe", "U-03 and U-04", "U03"] {
            let proofs = read(&format!("#[test] // rule: {claim}\nfn f() {{}}"));
            assert_eq!(
                (proofs.found.len(), proofs.problems.len()),
                (0, 1),
                "{claim}"
            );
        }
    }

    #[test]
    fn documentation_may_speak_of_the_comment() {
        let proofs = read("/// Write `// rule: U-03`.\nfn f() {}");

        assert_eq!((proofs.found.len(), proofs.problems.len()), (0, 0));
    }
}
