//! What Okta waits for walks an index, and users come back as they were stored.

use rollcall_scim::{MultiValue, User as Attributes};
use rollcall_types::{Clock, DomainId, SystemClock};

use super::*;
use crate::account::{self as accounts, Account, PricingModel};
use crate::store::account as account_store;
use crate::store::domain::{self, Projected, Waiting};
use crate::store::plan::{acme, open_store, plan};
use crate::user::{self as rules, Moment, Unique};

fn filtered(filter: &str) -> Condition {
    compile(Some(&Filter::parse(filter).unwrap())).unwrap()
}

#[tokio::test]
async fn each_query_walks_an_index_and_sorts_nothing() {
    let (store, _folder) = open_store().await;
    let (db, acme) = (store.reader(), acme());
    let domain = DomainName::parse("acme.example").unwrap();
    let (all, first) = (Condition::default(), Slice::Skip(0));
    let after = Slice::After(Uuid::nil());
    let by_name = filtered("userName eq \"alice\"");
    let nobody = ("", Uuid::nil());
    let (token, user) = (
        TokenId::from_uuid(Uuid::nil()),
        UserId::from_uuid(Uuid::nil()),
    );
    let key = "COVERING INDEX sqlite_autoindex_users_1 (account_id=?)";
    let key_after = "COVERING INDEX sqlite_autoindex_users_1 (account_id=? AND user_id>?)";
    let name = "INDEX users_user_name (account_id=? AND user_name_folded=?)";
    let held = "INDEX users_held (account_id=? AND email_domain=?)";
    let snapshot = "sqlite_autoindex_users_1 ((account_id,user_id)>(?,?))";
    let snapshot_of_one = "sqlite_autoindex_users_1 (account_id=? AND user_id>?)";

    for (query, index) in [
        (page(db, &acme, &all, first, 9), key),
        (page(db, &acme, &all, after, 9), key_after),
        (page(db, &acme, &by_name, first, 9), name),
        (count::total(db, &acme, &by_name), name),
        (count::total(db, &acme, &all), "user_counts"),
        (held_page(db, &acme, &domain, 9), held),
        (
            snapshot_page(db, None, nobody, &Position::Sequence(9)),
            snapshot,
        ),
        (
            snapshot_page(db, Some(&acme), nobody, &Position::Sequence(9)),
            snapshot_of_one,
        ),
    ] {
        let plan = plan(&store, query).await;
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("B-TREE"), "{plan}");
    }

    let alice = alice(ConnectionId::from_uuid(Uuid::nil()), SystemClock.now());
    let external = "INDEX users_external_id (account_id=? AND connection_id=? AND external_id=?)";
    for (query, indices) in [
        (holding(db, &alice, Unique::UserName), vec![name]),
        (holding(db, &alice, Unique::ExternalId), vec![external]),
        (
            token_and_user(db, token, user),
            vec![
                "t USING INDEX tokens_look_up (token_id=?)",
                "c USING INDEX sqlite_autoindex_connections_1",
                "u USING INDEX sqlite_autoindex_users_1 (account_id=? AND user_id=?)",
                "d USING INDEX sqlite_autoindex_domains_1 (account_id=? AND name=?)",
            ],
        ),
    ] {
        let plan = plan(&store, query).await;
        for index in indices {
            assert!(plan.contains(index), "{index}: {plan}");
        }
        assert!(!plan.contains("SCAN u"), "{plan}");
    }
}

fn alice(connection: ConnectionId, now: Timestamp) -> User {
    let attributes = Attributes {
        user_name: "alice@acme.example".to_owned(),
        external_id: Some("00u1".to_owned()),
        roles: Some(vec![MultiValue::new("Sales Manager")]),
        emails: ["alice@acme.example", "al@acme.example", "a@acme.example"]
            .map(MultiValue::new)
            .to_vec(),
        ..Attributes::default()
    };
    let moment = Moment {
        connection,
        now,
        verified: true,
    };
    rules::create(
        &acme(),
        UserId::from_uuid(Uuid::from_u128(1)),
        attributes,
        &moment,
    )
}

/// The account `acme`, at least as far as its users need it.
fn account(now: Timestamp) -> accounts::Stored {
    let product = Account {
        display_name: "Acme".to_owned(),
        subscriptions: Vec::new(),
        pricing_model: PricingModel::PermissionSetSeats,
        sso_enabled: true,
        seats: Vec::new(),
    };
    accounts::put(None, product, now).unwrap()
}

async fn addresses(db: &impl ConnectionTrait) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM user_emails";
    let row = db.query_one_raw(statement(db, sql, [])).await.unwrap();
    row.unwrap().try_get("", "n").unwrap()
}

#[tokio::test]
async fn a_user_comes_back_to_the_microsecond_and_its_addresses_go_with_it() {
    let (store, _folder) = open_store().await;
    let now = Timestamp::parse("2026-11-24T09:00:00.000120Z").unwrap();
    let user = alice(ConnectionId::from_uuid(Uuid::from_u128(7)), now);
    let stored = account(now);
    let origin = Origin::system(now);

    let seen = store.write(|tx| {
        Box::pin(async move {
            account_store::save(tx, &user.account, None, &stored, &origin).await?;
            insert(tx, &user, &origin).await?;
            let with = addresses(tx).await;
            let found = find(tx, &user.account, user.id).await?;
            assert_eq!(found, Some(Row::of(&user)?));
            let found = found.map(|row| row.decode(&user.account)).transpose()?;
            let entry = account_store::find(tx, &user.account).await?;
            delete(tx, &user, &origin).await?;
            let users = (Some(user), found);
            let stored = (Some(stored), entry.map(|entry| entry.stored));
            Ok::<_, Error>((users, stored, [with, addresses(tx).await]))
        })
    });
    let (users, stored, addresses) = seen.await.unwrap();

    assert_eq!(users.0, users.1);
    assert_eq!(stored.0, stored.1);
    assert_eq!(addresses, [2, 0]);
}

#[tokio::test] // rule: U-09 (part)
async fn who_waits_has_waited_since_the_domain_was_verified() {
    let (store, _folder) = open_store().await;
    let verified = Timestamp::parse("2026-11-24T09:00:00.000120Z").unwrap();
    let held = User {
        admitted: false,
        ..alice(ConnectionId::from_uuid(Uuid::from_u128(7)), verified)
    };
    let told = Projected {
        account: acme(),
        id: DomainId::from_uuid(Uuid::from_u128(9)),
        name: DomainName::parse("acme.example").unwrap(),
        verified: Some(verified),
        version: 1,
    };
    let name = told.name.clone();

    let waiting = store.write(move |tx| {
        Box::pin(async move {
            let origin = Origin::system(verified);
            account_store::save(tx, &acme(), None, &account(verified), &origin).await?;
            insert(tx, &held, &origin).await?;
            let before = domain::with_held_users(tx).await?;
            domain::upsert(tx, &told, 1).await?;
            Ok::<_, Error>((before, domain::with_held_users(tx).await?))
        })
    });

    let (before, after) = waiting.await.unwrap();
    assert_eq!(before, []);
    let waits = Waiting {
        account: acme(),
        name,
        users: 1,
        since: verified,
    };
    assert_eq!(after, [waits]);
}
