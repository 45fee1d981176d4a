//! The people that Okta assigns: made from the seed alone, so that a second run meets the same ones.

use serde_json::{Value, json};

use crate::options::Options;
use crate::state::{self, State};

/// Given names as people write them, and as addresses spell them.
const GIVEN: [(&str, &str); 10] = [
    ("Ada", "ada"),
    ("Grace", "grace"),
    ("Alan", "alan"),
    ("Barbara", "barbara"),
    ("Linus", "linus"),
    ("Zoë", "zoe"),
    ("Jürgen", "juergen"),
    ("Łucja", "lucja"),
    ("Søren", "soeren"),
    ("Αθηνά", "athina"),
];
const FAMILY: [(&str, &str); 10] = [
    ("Lovelace", "lovelace"),
    ("Hopper", "hopper"),
    ("Turing", "turing"),
    ("O'Brien", "obrien"),
    ("van der Berg", "vanderberg"),
    ("Müller", "mueller"),
    ("Nuñez", "nunez"),
    ("Dvořák", "dvorak"),
    ("Åkesson", "akesson"),
    ("山田", "yamada"),
];
const DEPARTMENTS: [&str; 5] = [
    "Sales",
    "Service & Support",
    "Finance",
    "Forschung",
    "Legal",
];
const TITLES: [&str; 4] = ["Engineer", "Account Manager", "Director, EMEA", "Analyst"];

/// One person in Okta's directory.
pub(crate) struct Person {
    pub(crate) number: usize,
    pub(crate) user_name: String,
    pub(crate) email: String,
    external_id: String,
    password: String,
    given: &'static str,
    family: &'static str,
    random: u64,
}

impl Person {
    /// The `number`th person of the run.
    pub(crate) fn new(options: &Options, number: usize) -> Self {
        let random = mix(options.seed, number, 0);
        let (given, given_ascii) = pick(&GIVEN, random).unwrap_or(("Ada", "ada"));
        let (family, family_ascii) = pick(&FAMILY, random >> 16).unwrap_or(("Hopper", "hopper"));
        let tail = format!("{}.{number}@{}", options.seed, options.email_domain);
        let email = format!("{given_ascii}.{family_ascii}.{tail}");
        // Okta: the user name is often not the address, and not ASCII.
        let user_name = match number % 5 {
            1 => format!(
                "{}{family_ascii}.{tail}",
                given_ascii.get(..1).unwrap_or("x")
            ),
            3 => format!("zoë.{family_ascii}.{tail}"),
            _ => email.clone(),
        };
        Self {
            number,
            user_name,
            email,
            external_id: format!("00u{}", text(options.seed, number, 1, 17, BASE62)),
            password: text(options.seed, number, 2, 8, BASE36),
            given,
            family,
            random,
        }
    }

    /// The random placeholder that Okta sends although password sync is off.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The profile as it is mapped to the app, active, without roles.
    pub(crate) fn profile(&self) -> State {
        let mut state = State {
            active: true,
            ..State::default()
        };
        state.set(state::USER_NAME, self.user_name.as_str());
        state.set(state::EXTERNAL_ID, self.external_id.as_str());
        state.set(state::GIVEN_NAME, self.given);
        state.set(state::FAMILY_NAME, self.family);
        state.set(state::EMAILS, email(&self.email));
        state.set(
            state::DISPLAY_NAME,
            format!("{} {}", self.given, self.family),
        );
        state.set(
            state::LOCALE,
            if self.number % 3 == 2 {
                "de-DE"
            } else {
                "en-US"
            },
        );
        state.set(
            state::DEPARTMENT,
            pick(&DEPARTMENTS, self.random >> 24).unwrap_or("Sales"),
        );
        state.set(state::EMPLOYEE_NUMBER, format!("{:06}", self.number));
        if !self.number.is_multiple_of(4) {
            state.set(
                state::TITLE,
                pick(&TITLES, self.random >> 32).unwrap_or("Engineer"),
            );
            state.set(state::COST_CENTER, format!("CC-{}", self.random % 90 + 10));
            state.set(state::ORGANIZATION, "Acme");
        }
        if self.number % 4 == 2 {
            state.set(state::DIVISION, "Europe");
            state.set(state::MANAGER, json!({"value": "Maria Manager"}));
        }
        state
    }

    /// The roles that this person has in Okta: as they are sent, and as they must be returned.
    ///
    /// The five shapes that Okta administrators produce take turns.
    pub(crate) fn roles(&self, names: &[String]) -> Option<(Value, Vec<Value>)> {
        let first = names.get((self.number / 5) % names.len().max(1))?.as_str();
        let second = names
            .get((self.number / 5 + 1) % names.len())
            .map(String::as_str)
            .filter(|name| *name != first);
        let names = [Some(first), second].into_iter().flatten();
        Some(match self.number % 5 {
            // The template's string array.
            0 => (
                names.clone().map(Value::from).collect(),
                names.map(|name| json!({"value": name})).collect(),
            ),
            // External name `roles.^[type=='Primary'].value`, one Okta attribute for each type.
            1 => objects(
                names
                    .zip(["Primary", "Secondary"])
                    .map(|(name, kind)| json!({"type": kind, "value": name}))
                    .collect(),
            ),
            // External name `roles.^[primary==true].value`.
            2 => objects(vec![json!({"primary": true, "value": first})]),
            // A custom attribute of type string.
            3 => (json!(first), vec![json!({"value": first})]),
            // Entitlement management.
            _ => objects(
                names
                    .map(|name| json!({"value": name, "display": name}))
                    .collect(),
            ),
        })
    }

    /// Whether the first POST already brings roles.
    pub(crate) fn is_created_with_roles(&self) -> bool {
        self.number % 4 == 2
    }

    /// Whether the run ends with the roles taken away.
    pub(crate) fn loses_roles(&self) -> bool {
        self.number % 4 == 1
    }

    /// Whether the run deactivates and reactivates this person.
    pub(crate) fn is_deactivated(&self) -> bool {
        self.number.is_multiple_of(2)
    }
}

/// Okta's only email address.
pub(crate) fn email(address: &str) -> Value {
    json!([{"primary": true, "value": address, "type": "work"}])
}

fn objects(roles: Vec<Value>) -> (Value, Vec<Value>) {
    (Value::Array(roles.clone()), roles)
}

const BASE36: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const BASE62: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn text(seed: u64, number: usize, salt: u64, length: u64, alphabet: &[u8]) -> String {
    (0..length)
        .filter_map(|place| pick(alphabet, mix(seed, number, salt << 32 | (place + 1))))
        .map(char::from)
        .collect()
}

fn pick<T: Copy>(table: &[T], random: u64) -> Option<T> {
    let length = u64::try_from(table.len())
        .ok()
        .filter(|length| *length > 0)?;
    table.get(usize::try_from(random % length).ok()?).copied()
}

/// One step of `SplitMix64`: stable over releases of every library, which a rerun needs.
fn mix(seed: u64, number: usize, salt: u64) -> u64 {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let mut word = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03))
        .wrapping_add(salt.wrapping_mul(0x8CB9_2BA7_2F3D_8DD7));
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_people() {
        let options = Options::new("http://localhost", "t");

        for number in 0..50 {
            let (one, other) = (Person::new(&options, number), Person::new(&options, number));
            assert_eq!(one.profile(), other.profile());
            assert_eq!(one.password(), other.password());
        }
    }

    #[test]
    fn people_do_not_share_names_or_ids() {
        let options = Options::new("http://localhost", "t");
        let people: Vec<Person> = (0..500)
            .map(|number| Person::new(&options, number))
            .collect();

        let names: HashSet<&str> = people
            .iter()
            .map(|person| person.user_name.as_str())
            .collect();
        let ids: HashSet<&str> = people
            .iter()
            .map(|person| person.external_id.as_str())
            .collect();
        assert_eq!((names.len(), ids.len()), (500, 500));
        assert!(people.iter().all(|person| person.external_id.len() == 20));
        assert!(people.iter().all(|person| person.password.len() == 8));
        assert!(people.iter().any(|person| !person.user_name.is_ascii()));
        assert!(people.iter().any(|person| person.user_name != person.email));
        assert!(people.iter().all(|person| person.email.is_ascii()));
    }

    #[test]
    fn roles_take_all_documented_shapes_by_turns() {
        let options = Options::new("http://localhost", "t");
        let roles = ["A".to_owned(), "B".to_owned()];

        let sent: Vec<Value> = (0..5)
            .filter_map(|number| Person::new(&options, number).roles(&roles))
            .map(|(sent, _)| sent)
            .collect();

        assert_eq!(
            sent,
            [
                json!(["A", "B"]),
                json!([{"type": "Primary", "value": "A"}, {"type": "Secondary", "value": "B"}]),
                json!([{"primary": true, "value": "A"}]),
                json!("A"),
                json!([{"value": "A", "display": "A"}, {"value": "B", "display": "B"}]),
            ]
        );
        assert!(Person::new(&options, 0).roles(&[]).is_none());
    }
}
