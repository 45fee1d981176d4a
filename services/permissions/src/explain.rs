//! Why a user has what it has, in a sentence for an administrator.

use crate::resolve::{Access, Outcome, Resolution};

/// The sentence for a user that the account doesn't have.
pub(crate) const NO_SUCH_USER: &str =
    "The account has no user with this id, so nothing is granted.";

/// Tells the whole; names roles and sets, never the user.
pub(crate) fn summary(access: Access, resolution: &Resolution, covered: bool) -> String {
    let mut sentences = Vec::new();
    match access {
        Access::Active => {}
        Access::Held => sentences.push(
            "The user is held until its email domain is verified, so nothing is granted."
                .to_owned(),
        ),
        Access::Deactivated => {
            sentences.push("The user is deactivated, so nothing is granted.".to_owned());
        }
        Access::Other(_) => {
            sentences.push("The user has no access, so nothing is granted.".to_owned());
        }
    }
    let active = access == Access::Active;
    let assigns = if active { "assigns" } else { "would assign" };
    let mut off = Vec::new();
    for (role, outcome) in &resolution.roles {
        match outcome {
            Outcome::Matched(id) => {
                let by = if *role == id.to_string() {
                    "with that id"
                } else {
                    "of that name"
                };
                sentences.push(format!(
                    "The role “{role}” {assigns} the permission set {by}."
                ));
            }
            Outcome::NoSuchSet => sentences.push(format!(
                "The role “{role}” assigns nothing: the account has no permission set of that \
                 name or id."
            )),
            Outcome::ManagementOff => off.push(format!("“{role}”")),
        }
    }
    if !off.is_empty() {
        let (role, verb) = if off.len() == 1 {
            ("role", "is")
        } else {
            ("roles", "are")
        };
        sentences.push(format!(
            "The {role} {} {verb} shown but not applied, since permission-set management is off \
             for this user.",
            off.join(", ")
        ));
    } else if resolution.roles.is_empty() {
        let why = if covered {
            "Okta sends no role"
        } else {
            "No role is known"
        };
        sentences.push(format!("{why} for the user."));
    }
    if active && resolution.assigned.is_empty() {
        sentences.push(
            if resolution.keys.is_empty() {
                "No permission set is assigned, and there are no minimal permissions."
            } else {
                "No permission set is assigned, so the minimal permissions apply."
            }
            .to_owned(),
        );
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(outcome: Outcome) -> Resolution {
        Resolution {
            roles: vec![("Sales Manager".to_owned(), outcome)],
            ..Resolution::default()
        }
    }

    #[test]
    fn the_sentence_names_the_role_and_what_became_of_it() {
        let id = rollcall_types::PermissionSetId::from_uuid(uuid::Uuid::from_u128(7));
        let mut matched = one(Outcome::Matched(id));
        assert_eq!(
            summary(Access::Deactivated, &matched, true),
            "The user is deactivated, so nothing is granted. \
             The role “Sales Manager” would assign the permission set of that name."
        );
        matched.assigned.insert(id, "Sales Manager".to_owned());
        assert_eq!(
            summary(Access::Active, &matched, true),
            "The role “Sales Manager” assigns the permission set of that name."
        );
        let off = summary(Access::Active, &one(Outcome::ManagementOff), false);
        assert!(off.contains("management is off"), "{off}");
        let none = summary(Access::Active, &one(Outcome::NoSuchSet), true);
        assert!(
            none.contains("no permission set of that name or id"),
            "{none}"
        );
    }
}
