//! The catalogue and permission sets.

use rollcall_rpc::pb::common::v1::Reason;
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::{Backend, failure};
use tonic::Status;
use tonic_types::StatusExt;

use crate::world::{ACCOUNT, World, change, client, reason, set};

#[tokio::test] // rule: P-03 (part)
async fn two_sets_exchange_their_names_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let [sales, auditor] = <[pb::PermissionSet; 2]>::try_from(world.sets().await).unwrap();
    let renamed = |of: &pb::PermissionSet, name: &str| {
        change(set(&of.permission_set_id, name, &[]), &["name"], &of.etag)
    };

    let answer = world
        .update(vec![
            renamed(&sales, "Auditor"),
            renamed(&auditor, "Sales Manager"),
        ])
        .await
        .unwrap();

    let names: Vec<&str> = answer
        .permission_sets
        .iter()
        .map(|set| set.name.as_str())
        .collect();
    assert_eq!(names, ["Auditor", "Sales Manager"]);
    assert_eq!(
        answer.permission_sets[0].permission_keys,
        ["deals", "reports"]
    );
    assert_eq!(answer.permission_sets[0].etag, "W/\"2\"");
    assert!(!answer.change_token.is_empty());
    assert_eq!(
        world.service.recomputation.differences().await.unwrap(),
        [""; 0]
    );
}

#[tokio::test]
async fn a_taken_name_names_its_holder_and_undoes_the_whole_call() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let before = world.sets().await;

    let refused = world.create("Auditor", &[]).await.unwrap_err();
    let received = failure::read(&refused);
    assert_eq!(received.reason, Some(Reason::PermissionSetNameTaken));
    assert_eq!(received.metadata["id"], before[1].permission_set_id);

    let mut first = before[1].clone();
    first.description = "changed".to_owned();
    let second = set(&before[0].permission_set_id, "Auditor", &[]);
    let refused = world.update(vec![
        change(first, &["description"], ""),
        change(second, &["name"], ""),
    ]);
    assert_eq!(reason(refused.await), Reason::PermissionSetNameTaken);
    assert_eq!(world.sets().await, before);
}

#[tokio::test]
async fn a_change_to_the_present_values_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let sales = world.sets().await[0].clone();

    let answer = world
        .update(vec![change(
            sales.clone(),
            &["name", "permission_keys"],
            "",
        )])
        .await
        .unwrap();

    assert_eq!(answer.change_token, "");
    assert_eq!(answer.permission_sets, [sales]);
}

#[tokio::test] // rule: P-03 (part)
async fn what_is_wrong_with_a_set_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let sales = world.sets().await[0].clone();
    let id = sales.permission_set_id.as_str();

    for name in ["", "a\u{0}b", "a\nb", &"x".repeat(201), id] {
        assert_eq!(
            reason(world.create(name, &[]).await),
            Reason::InvalidField,
            "{name:?}"
        );
    }
    assert_eq!(
        reason(world.create("X", &["nonesuch"]).await),
        Reason::InvalidField
    );
    assert_eq!(
        reason(world.create("X", &["old"]).await),
        Reason::InvalidField,
        "retired"
    );

    let update =
        |paths: &[&str], etag: &str| world.update(vec![change(sales.clone(), paths, etag)]);
    for paths in [&[][..], &["*"], &["etag"], &["name", "version"]] {
        assert_eq!(
            reason(update(paths, "").await),
            Reason::InvalidField,
            "{paths:?}"
        );
    }
    let stale = update(&["name"], "W/\"9\"").await.unwrap_err();
    assert_eq!(failure::read(&stale).metadata["etag"], "W/\"1\"");
    assert_eq!(reason::<()>(Err(stale)), Reason::VersionMismatch);
    let twice = vec![
        change(sales.clone(), &["name"], ""),
        change(sales.clone(), &["name"], ""),
    ];
    assert_eq!(reason(world.update(twice).await), Reason::InvalidField);
    assert_eq!(reason(world.update(vec![]).await), Reason::InvalidField);
    let own_id = change(set(id, id, &[]), &["name"], "");
    assert_eq!(
        reason(world.update(vec![own_id]).await),
        Reason::InvalidField
    );
    let unknown = set("0193a1b2-0000-7000-8000-0000000000ff", "X", &[]);
    let unknown = world.update(vec![change(unknown, &["name"], "")]).await;
    assert_eq!(reason(unknown), Reason::ResourceNotFound);

    world.create("Third", &["login"]).await.unwrap();
    let full = world.create("Fourth", &[]).await.unwrap_err();
    assert_eq!(failure::read(&full).metadata["limit"], "3");
    assert_eq!(reason::<()>(Err(full)), Reason::LimitReached);
}

#[tokio::test]
async fn a_name_is_kept_code_point_for_code_point() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;

    let name = " Cafe\u{301}  ";
    assert_eq!(world.create(name, &[]).await.unwrap().name, name);
    assert_eq!(world.sets().await[2].name, name);
}

#[tokio::test]
async fn a_deleted_set_is_gone_and_pages_go_on_by_token() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    world.create("Third", &[]).await.unwrap();
    let mut client = client!(
        world,
        permission_set_service_client::PermissionSetServiceClient
    );
    let page = |page_token: String| pb::ListPermissionSetsRequest {
        account_id: ACCOUNT.to_owned(),
        page_size: 2,
        page_token,
    };

    let first = client
        .list_permission_sets(page(String::new()))
        .await
        .unwrap()
        .into_inner();
    let second = client
        .list_permission_sets(page(first.next_page_token))
        .await
        .unwrap();
    let second = second.into_inner();
    assert_eq!(
        (first.permission_sets.len(), second.permission_sets.len()),
        (2, 1)
    );
    assert_eq!(second.next_page_token, "");
    let torn = client.list_permission_sets(page("zz".to_owned())).await;
    assert_eq!(reason(torn), Reason::InvalidPageToken);

    let third = &second.permission_sets[0];
    let request = |etag: &str| pb::DeletePermissionSetRequest {
        account_id: ACCOUNT.to_owned(),
        permission_set_id: third.permission_set_id.clone(),
        etag: etag.to_owned(),
    };
    let stale = client.delete_permission_set(request("W/\"7\"")).await;
    assert_eq!(reason(stale), Reason::VersionMismatch);
    client
        .delete_permission_set(request(&third.etag))
        .await
        .unwrap();
    let again = client.delete_permission_set(request("")).await;
    assert_eq!(reason(again), Reason::ResourceNotFound);
    let got = client
        .get_permission_set(pb::GetPermissionSetRequest {
            account_id: ACCOUNT.to_owned(),
            permission_set_id: third.permission_set_id.clone(),
        })
        .await;
    assert_eq!(reason(got), Reason::ResourceNotFound);
}

#[tokio::test]
async fn the_catalogue_keeps_the_keys_that_sets_hold() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;

    let refused = world
        .put_catalogue(&["login", "deals", "reports"], &[])
        .await;
    let details = refused.as_ref().unwrap_err().get_error_details();
    let in_the_way = &details.precondition_failure().unwrap().violations;
    assert_eq!(in_the_way[0].r#type, "PERMISSION_SET");
    assert_eq!(reason(refused), Reason::KeyInUse);

    let retired = world
        .put_catalogue(&["login", "deals", "reports"], &["audit"])
        .await
        .unwrap();
    assert_eq!((retired.version, retired.etag.as_str()), (2, "W/\"2\""));
    assert_eq!(retired.minimal_keys, ["login"]);
    let again = world
        .put_catalogue(&["login", "deals", "reports"], &["audit"])
        .await
        .unwrap();
    assert_eq!(again.version, 2);
    // A set that holds a retired key keeps it.
    let auditor = world.sets().await[1].clone();
    let kept = set(&auditor.permission_set_id, "", &["audit"]);
    world
        .update(vec![change(kept, &["permission_keys"], "")])
        .await
        .unwrap();
    let twice = world.put_catalogue(&["login", "login"], &[]).await;
    assert_eq!(reason(twice), Reason::InvalidField);
}

#[tokio::test]
async fn an_idempotency_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;
    let mut client = client!(
        world,
        permission_set_service_client::PermissionSetServiceClient
    );

    let request = pb::CreatePermissionSetRequest {
        account_id: ACCOUNT.to_owned(),
        permission_set: Some(set("", "X", &[])),
        idempotency_key: "0193a1b2-0000-7000-8000-0000000000ff".to_owned(),
    };
    assert_eq!(
        reason(client.create_permission_set(request).await),
        Reason::Unsupported
    );
}

#[tokio::test]
async fn a_caller_of_another_account_finds_nothing() {
    async fn management(backend: &Backend, account: &str) -> Result<(), Status> {
        let client = pb::management_service_client::ManagementServiceClient::new(backend.clone());
        let request = pb::GetManagementRequest {
            account_id: account.to_owned(),
        };
        let answer = { client }.get_management(request).await?.into_inner();
        assert!(!answer.management.unwrap().enabled);
        Ok(())
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::furnished(folder.path()).await;

    management(&world.globex, "globex").await.unwrap();
    let other = management(&world.globex, ACCOUNT).await.unwrap_err();
    assert_eq!(failure::read(&other).metadata["kind"], "account");
    assert_eq!(reason::<()>(Err(other)), Reason::ResourceNotFound);
    assert_eq!(
        reason(management(&world.backend, "a/b").await),
        Reason::InvalidField
    );
}
