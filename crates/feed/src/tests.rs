//! What is asked, who sees what, and how a stream ends.

use super::*;

const KINDS: &[(u8, &str)] = &[(2, "TWO"), (1, "ONE")];

fn caller(accounts: Option<&[&str]>) -> Caller {
    let parse = |id: &&str| AccountId::parse(id).unwrap();
    Caller {
        name: "tester".into(),
        kind: CallerKind::Platform,
        scopes: Arc::new([]),
        accounts: accounts.map(|ids| ids.iter().map(parse).collect()),
    }
}

#[test]
fn kinds_come_each_once_in_the_order_of_the_snapshot() {
    assert_eq!(kinds(KINDS, &[1, 2, 1]).unwrap(), [2, 1]);
    assert_eq!(kinds(KINDS, &[1]).unwrap(), [1]);
    for wrong in [&[][..], &[0], &[1, 3], &[-1]] {
        let refused = kinds(KINDS, wrong).unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidField);
        assert!(refused.message().contains("TWO, ONE"), "{refused:?}");
    }
}

#[test]
fn a_follower_has_a_stable_name() {
    let longest = "a".repeat(64);
    for name in ["billing", "b-2", &longest] {
        assert!(check_consumer(name).is_ok(), "{name}");
    }
    let longer = "a".repeat(65);
    for name in ["", "Billing", "b 2", "b_2", &longer] {
        assert!(check_consumer(name).is_err(), "{name:?}");
    }
}

#[test] // rule: G-01 (part)
fn a_caller_watches_what_it_may_see() {
    let acme = AccountId::parse("acme").unwrap();
    let all = caller(None);
    let some = caller(Some(&["acme", "globex"]));

    assert!(matches!(accounts(&all, "").unwrap(), Accounts::All));
    assert!(matches!(accounts(&some, "").unwrap(), Accounts::Among(own) if own.len() == 2));
    for caller in [&all, &some] {
        assert!(matches!(accounts(caller, "acme").unwrap(), Accounts::One(one) if one == acme));
        let refused = accounts(caller, "no account").unwrap_err();
        assert_eq!(refused.reason(), Reason::InvalidField);
    }
    let refused = accounts(&some, "initech").unwrap_err();
    assert_eq!(refused.reason(), Reason::ResourceNotFound);
}

#[test]
fn the_end_of_a_stream_says_whether_to_resume() {
    let reason = |error| ended(error).reason();

    assert_eq!(reason(WatchError::InvalidCursor), Reason::InvalidCursor);
    assert_eq!(reason(WatchError::Aged), Reason::StreamAged);
    let busy = WatchError::Storage(Error::TryAgain("the writer has stopped".to_owned()));
    assert_eq!(reason(busy), Reason::TryAgain);
    let broken = WatchError::Storage(Error::Corrupt("id"));
    assert_eq!(reason(broken), Reason::Internal);
}

#[test] // rule: U-12 (part)
fn who_made_a_change_is_told_by_the_numbers_that_are_stored() {
    for (kind, told) in [
        (ActorKind::Connection, common::ActorKind::Connection),
        (ActorKind::Platform, common::ActorKind::Platform),
        (ActorKind::Operator, common::ActorKind::Operator),
        (ActorKind::System, common::ActorKind::System),
    ] {
        let id = "somebody".to_owned();
        let sent = actor(&Actor { kind, id });
        assert_eq!((sent.kind(), sent.id.as_str()), (told, "somebody"));
        assert_eq!(ActorKind::from_number(i64::from(sent.kind)), Some(kind));
    }
    assert_eq!(ActorKind::from_number(0), None);
}
