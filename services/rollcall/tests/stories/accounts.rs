//! The product's accounts and the connection's tokens.

use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::{Reason, failure};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")] // rule: A-01
async fn an_account_is_put_again_without_an_event_and_shows_what_it_lacks() {
    let world = World::start().await;
    let account = pb::Account {
        account_id: "initech".to_owned(),
        display_name: "Initech".to_owned(),
        pricing_model: pb::PricingModel::SeatsBased.into(),
        ..pb::Account::default()
    };
    let request = pb::PutAccountRequest {
        account: Some(account),
    };

    let first = world
        .accounts()
        .put_account(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = world
        .accounts()
        .put_account(request)
        .await
        .unwrap()
        .into_inner();

    let stored = first.account.clone().unwrap();
    assert_eq!(stored.missing, ["ELIGIBLE_SUBSCRIPTION", "SINGLE_SIGN_ON"]);
    assert!(!stored.eligible && !first.change_token.is_empty());
    assert_eq!(again.account, first.account);
    assert_eq!(again.change_token, "", "nothing changed");
    let changed = pb::Account {
        account_id: "initech".to_owned(),
        display_name: "Initech Corp".to_owned(),
        subscriptions: vec!["suite-enterprise".to_owned()],
        pricing_model: pb::PricingModel::PermissionSetSeats.into(),
        sso_enabled: true,
        seats: vec![pb::SeatPurchase {
            seat_type: "sales".to_owned(),
            purchased: 5,
        }],
        ..pb::Account::default()
    };
    let request = pb::PutAccountRequest {
        account: Some(changed.clone()),
    };
    world.accounts().put_account(request).await.unwrap();
    let request = pb::GetAccountRequest {
        account_id: "initech".to_owned(),
    };
    let read = world.accounts().get_account(request).await.unwrap();
    let read = read.into_inner().account.unwrap();
    let expected = pb::Account {
        eligible: true,
        version: 2,
        create_time: stored.create_time,
        etag: read.etag.clone(),
        update_time: read.update_time,
        ..changed
    };
    assert_eq!(read, expected, "each value is the one last put");
    let bad = pb::Account {
        account_id: "a/b".to_owned(),
        ..pb::Account::default()
    };
    let status = world
        .accounts()
        .put_account(pb::PutAccountRequest { account: Some(bad) })
        .await;
    assert_eq!(
        failure::read(&status.unwrap_err()).reason,
        Some(Reason::InvalidField)
    );
}

#[tokio::test(flavor = "multi_thread")] // rule: SEC-TOK-04 (part)
async fn two_tokens_live_at_once_and_a_revoked_one_opens_nothing() {
    let world = World::start().await;
    let second = world.create_token("acme").await.unwrap();
    let third = world.create_token("acme").await.unwrap_err();
    assert_eq!(failure::read(&third).reason, Some(Reason::LimitReached));
    let bearer = format!("Bearer {}", second.secret);
    let read = world
        .send_as(&bearer, "GET", "/Users?count=1", String::new())
        .await;
    assert_eq!(read.status, 200);

    let request = pb::RevokeTokenRequest {
        account_id: "acme".to_owned(),
        token_id: second.token.unwrap().token_id,
        end_time: None,
    };
    world.connections().revoke_token(request).await.unwrap();

    let read = world
        .send_as(&bearer, "GET", "/Users?count=1", String::new())
        .await;
    let body = crate::world::user("a@acme.example").to_string();
    let write = world.send_as(&bearer, "POST", "/Users", body).await;
    assert_eq!((read.status, write.status), (401, 401));
    assert_eq!(world.send("GET", "/Users?count=1", None).await.status, 200);
    assert_eq!(world.total().await, 0);
}
