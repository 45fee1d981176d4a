use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn set_id(number: u128) -> PermissionSetId {
    PermissionSetId::from_uuid(Uuid::from_u128(number))
}

fn connection(number: u128) -> ConnectionId {
    ConnectionId::from_uuid(Uuid::from_u128(number))
}

fn sets(sets: &[(u128, &str, &[&str])]) -> Sets {
    let mut all = Sets::default();
    for (id, name, keys) in sets {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let name = (*name).to_owned();
        all.insert(set_id(*id), Set { name, keys });
    }
    all
}

fn user(roles: &[&str]) -> UserInput {
    UserInput {
        access: Access::Active,
        connection: Some(connection(1)),
        roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
    }
}

fn on() -> Management {
    Management {
        enabled: true,
        connection: Some(connection(1)),
        installed: Some(connection(1)),
    }
}

fn keys(resolution: &Resolution) -> Vec<&str> {
    resolution.keys.keys().map(String::as_str).collect()
}

fn sample() -> Sets {
    sets(&[
        (1, "Sales Manager", &["deals", "reports"]),
        (2, "Auditor", &["reports", "audit"]),
    ])
}

#[test] // rule: P-02
fn with_management_off_roles_are_shown_and_assign_nothing() {
    let cases = [
        ("never set", Management::default()),
        (
            "off",
            Management {
                enabled: false,
                ..on()
            },
        ),
        (
            "of a connection that is gone",
            Management {
                installed: None,
                ..on()
            },
        ),
        (
            "of an earlier connection",
            Management {
                installed: Some(connection(2)),
                ..on()
            },
        ),
    ];
    for (case, management) in cases {
        let found = resolve(&user(&["Auditor", "Nobody"]), &sample(), &management, &[]);

        assert_eq!(found.assigned.len() + found.keys.len(), 0, "{case}");
        let off = |role: &str| (role.to_owned(), Outcome::ManagementOff);
        assert_eq!(found.roles, [off("Auditor"), off("Nobody")], "{case}");
    }
}

#[test] // rule: P-03 (part)
fn a_role_assigns_the_set_whose_name_or_id_it_equals_code_point_for_code_point() {
    let id = set_id(2).to_string();
    let lettered = sets(&[(0xa, "Clerk", &["k"])]);
    let composed = sets(&[(3, "Caf\u{e9}", &["k"])]);
    let cases: [(&str, &Sets, &str, Outcome); 11] = [
        (
            "name",
            &sample(),
            "Sales Manager",
            Outcome::Matched(set_id(1)),
        ),
        ("id", &sample(), &id, Outcome::Matched(set_id(2))),
        ("case", &sample(), "sales manager", Outcome::NoSuchSet),
        ("its beginning", &sample(), "Sales", Outcome::NoSuchSet),
        ("more than it", &sample(), "Auditors", Outcome::NoSuchSet),
        ("space before", &sample(), " Auditor", Outcome::NoSuchSet),
        ("space after", &sample(), "Auditor ", Outcome::NoSuchSet),
        (
            "two spaces",
            &sample(),
            "Sales  Manager",
            Outcome::NoSuchSet,
        ),
        (
            "id in upper case",
            &lettered,
            &set_id(0xa).to_string().to_uppercase(),
            Outcome::NoSuchSet,
        ),
        (
            "composed",
            &composed,
            "Caf\u{e9}",
            Outcome::Matched(set_id(3)),
        ),
        ("decomposed", &composed, "Cafe\u{301}", Outcome::NoSuchSet),
    ];
    for (case, sets, role, outcome) in cases {
        let found = resolve(&user(&[role]), sets, &on(), &[]);
        assert_eq!(found.roles, [(role.to_owned(), outcome)], "{case}");
        assert_eq!(
            found.assigned.len(),
            usize::from(outcome != Outcome::NoSuchSet),
            "{case}"
        );
    }
}

#[test] // rule: P-03 (part)
fn several_roles_give_the_union_of_their_sets() {
    let found = resolve(
        &user(&["Auditor", "Nobody", "Sales Manager"]),
        &sample(),
        &on(),
        &[],
    );

    assert_eq!(keys(&found), ["audit", "deals", "reports"]);
    assert_eq!(found.keys["reports"].sets, [set_id(1), set_id(2)]);
    assert_eq!(found.assigned.len(), 2);
}

#[test] // rule: P-03 (part)
fn the_switch_covers_only_users_that_its_connection_manages() {
    for managed_by in [None, Some(connection(2))] {
        let local = UserInput {
            connection: managed_by,
            ..user(&["Auditor"])
        };
        let found = resolve(&local, &sample(), &on(), &["minimal".to_owned()]);
        assert_eq!(
            found.roles,
            [("Auditor".to_owned(), Outcome::ManagementOff)]
        );
        assert_eq!(keys(&found), ["minimal"]);
    }
}

#[test] // rule: P-04
fn who_has_no_set_has_the_minimal_keys_and_nobody_else_has() {
    let minimal = ["minimal".to_owned(), "login".to_owned()];
    let silent = UserInput {
        roles: None,
        ..user(&[])
    };
    let cases = [
        ("no role", user(&[]), on(), vec!["login", "minimal"]),
        ("roles are not sent", silent, on(), vec!["login", "minimal"]),
        (
            "no match",
            user(&["Nobody"]),
            on(),
            vec!["login", "minimal"],
        ),
        (
            "management off",
            user(&["Auditor"]),
            Management::default(),
            vec!["login", "minimal"],
        ),
        (
            "a match",
            user(&["Auditor", "Nobody"]),
            on(),
            vec!["audit", "reports"],
        ),
    ];
    for (case, user, management, expected) in cases {
        let found = resolve(&user, &sample(), &management, &minimal);
        assert_eq!(keys(&found), expected, "{case}");
        assert!(
            found
                .keys
                .values()
                .all(|key| key.minimal == key.sets.is_empty()),
            "{case}"
        );
    }
    let empty = sets(&[(1, "Empty", &[])]);
    assert_eq!(
        keys(&resolve(&user(&["Empty"]), &empty, &on(), &minimal)),
        [""; 0]
    );
    assert_eq!(
        keys(&resolve(&user(&["Nobody"]), &sample(), &on(), &[])),
        [""; 0]
    );
}

#[test] // rule: P-07
fn who_is_not_active_has_nothing_and_keeps_its_verdicts() {
    for access in [
        Access::Held,
        Access::Deactivated,
        Access::Other(0),
        Access::Other(99),
    ] {
        let found = resolve(
            &UserInput {
                access,
                ..user(&["Auditor"])
            },
            &sample(),
            &on(),
            &["minimal".to_owned()],
        );
        assert_eq!(found.assigned.len() + found.keys.len(), 0, "{access:?}");
        assert_eq!(
            found.roles,
            [("Auditor".to_owned(), Outcome::Matched(set_id(2)))]
        );
    }
}

#[test]
fn two_sets_exchange_their_names_one_after_the_other() {
    let mut all = sample();
    all.insert(
        set_id(1),
        Set {
            name: "Auditor".to_owned(),
            keys: vec!["deals".to_owned()],
        },
    );
    all.insert(
        set_id(2),
        Set {
            name: "Sales Manager".to_owned(),
            keys: vec![],
        },
    );

    assert_eq!(
        keys(&resolve(&user(&["Auditor"]), &all, &on(), &[])),
        ["deals"]
    );
    assert_eq!(
        keys(&resolve(&user(&["Sales Manager"]), &all, &on(), &[])),
        [""; 0]
    );
    all.remove(set_id(1));
    let gone = resolve(&user(&["Auditor"]), &all, &on(), &[]);
    assert_eq!(gone.roles, [("Auditor".to_owned(), Outcome::NoSuchSet)]);
}

/// A name out of a few that are alike.
fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["A", "a", "A ", "\u{c4}", "A\u{308}", "B", "C"])
        .prop_map(str::to_owned)
}

fn role() -> impl Strategy<Value = String> {
    prop_oneof![3 => name(), 1 => (0_u128..6).prop_map(|id| set_id(id).to_string())]
}

prop_compose! {
    fn any_sets()(
        // Names are unique in an account: the map's keys.
        named in prop::collection::hash_map(name(), prop::collection::vec("[k-p]", 0..4), 0..5)
    ) -> Vec<(PermissionSetId, Set)> {
        let with_id = |(at, (name, keys)): (usize, (String, Vec<String>))| {
            let keys = BTreeSet::from_iter(keys).into_iter().collect();
            (set_id(at as u128), Set { name, keys })
        };
        named.into_iter().enumerate().map(with_id).collect()
    }
}

prop_compose! {
    fn any_user()(
        access in 0..5_i32,
        by in prop::option::of(1_u128..3),
        roles in prop::option::of(prop::collection::vec(role(), 0..5)),
    ) -> UserInput {
        UserInput { access: access.into(), connection: by.map(connection), roles }
    }
}

prop_compose! {
    fn any_management()(
        enabled: bool,
        of in prop::option::of(1_u128..3),
        installed in prop::option::of(1_u128..3),
    ) -> Management {
        Management { enabled, connection: of.map(connection), installed: installed.map(connection) }
    }
}

/// The rules again, as loops over everything.
fn model(
    user: &UserInput,
    sets: &[(PermissionSetId, Set)],
    management: &Management,
    minimal: &[String],
) -> (BTreeSet<PermissionSetId>, BTreeSet<String>) {
    let mut assigned = BTreeSet::new();
    let mut granted = BTreeSet::new();
    if i32::from(user.access) != 1 {
        return (assigned, granted);
    }
    let on = management.enabled
        && management.connection.is_some()
        && management.installed == management.connection
        && user.connection == management.connection;
    for (id, set) in sets {
        let wanted = user
            .roles
            .iter()
            .flatten()
            .any(|r| *r == set.name || *r == id.to_string());
        if on && wanted {
            assigned.insert(*id);
            granted.extend(set.keys.iter().cloned());
        }
    }
    if assigned.is_empty() {
        granted.extend(minimal.iter().cloned());
    }
    (assigned, granted)
}

proptest! {
    #[test] // rule: P-02, P-03 (part), P-04, P-07
    fn resolve_says_what_the_rules_read_naively_say(
        user in any_user(),
        list in any_sets(),
        management in any_management(),
        minimal in prop::collection::vec("[k-p]", 0..3),
    ) {
        let mut all = Sets::default();
        for (id, set) in &list {
            all.insert(*id, set.clone());
        }

        let found = resolve(&user, &all, &management, &minimal);

        let (assigned, granted) = model(&user, &list, &management, &minimal);
        prop_assert_eq!(found.assigned.keys().copied().collect::<BTreeSet<_>>(), assigned);
        prop_assert_eq!(found.keys.keys().cloned().collect::<BTreeSet<_>>(), granted);
        prop_assert_eq!(found.roles.len(), user.roles.as_ref().map_or(0, Vec::len));
    }
}
