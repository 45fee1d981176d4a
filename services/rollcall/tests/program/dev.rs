//! `rollcall dev`: starts, keeps, stops.

use std::time::Duration;

use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use serde_json::json;
use tempfile::TempDir;

use crate::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn dev_starts_and_its_handshake_file_reaches_it() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;

    let account = pb::GetAccountRequest {
        account_id: "acme".to_owned(),
    };
    let mut accounts = AccountServiceClient::new(program.backend().await);
    let account = accounts.get_account(account).await;
    let (status, list) = program.scim("GET", "/Users", None).await;
    let listed = program.run(&["user", "list", "acme"]).await;
    let unknown = program
        .run(&["user", "show", "acme", "nobody@acme.example"])
        .await;

    assert!(account.is_ok(), "{account:?}");
    assert_eq!((status, &list["totalResults"]), (200, &json!(0)), "{list}");
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stdout.starts_with("USER"), "{listed:?}");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("RESOURCE_NOT_FOUND"), "{unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_keeps_users_tokens_and_domains() {
    let folder = TempDir::new().unwrap();
    let mut program = Program::start(folder.path()).await;
    let ada = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@acme.example",
        "emails": [{"value": "ada@acme.example", "primary": true}],
        "active": true,
    });
    let (created, user) = program.scim("POST", "/Users", Some(ada)).await;
    let path = format!("/Users/{}", user["id"].as_str().unwrap());
    let domains = program.run(&["domain", "list", "acme"]).await;
    let first = program.handshake.clone();

    program.interrupt().await;
    program.restart().await;

    let second = &program.handshake;
    assert_eq!(created, 201, "{user}");
    assert_eq!(second.grpc_token, first.grpc_token);
    assert_eq!(
        program.account("acme").scim_token,
        first.accounts[0].scim_token
    );
    let (status, kept) = program.scim("GET", &path, None).await;
    assert_eq!(status, 200, "{kept}");
    assert_eq!(kept["meta"]["version"], user["meta"]["version"]);
    let kept = program.run(&["domain", "list", "acme"]).await;
    assert!(kept.stdout.contains("VERIFIED"), "{kept:?}");
    assert_eq!(kept.stdout, domains.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_dev_starts_again_with_what_it_had() {
    let folder = TempDir::new().unwrap();
    let mut program = Program::start(folder.path()).await;
    let before = program.run(&["domain", "list", "acme"]).await;

    program.kill().await;
    program.restart().await;

    let after = program.run(&["domain", "list", "acme"]).await;
    assert_eq!(after.code, Some(0), "{after:?}");
    assert_eq!(after.stdout, before.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_dev_within_two_seconds_and_takes_the_handshake_file_away() {
    let folder = TempDir::new().unwrap();
    let mut program = Program::start(folder.path()).await;
    assert!(program.handshake_file().exists());

    let (status, took) = program.interrupt().await;

    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!program.handshake_file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_belongs_to_one_dev_at_a_time() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;
    let data = folder.path().to_str().unwrap();

    let second = program
        .run(&["dev", "--data", data, "--listen", "127.0.0.1:0"])
        .await;

    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.stderr.contains("in use by another rollcall"),
        "{second:?}"
    );
    assert!(program.handshake_file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_cut_off_is_finished_and_what_was_removed_stays_removed() {
    let folder = TempDir::new().unwrap();
    let mut program = Program::start(folder.path()).await;
    let delete = ["permission-set", "delete", "acme", "Billing Admin"];
    assert_eq!(program.run(&delete).await.code, Some(0));
    let off = ["permission-set", "manage", "acme", "off"];
    assert_eq!(program.run(&off).await.code, Some(0));

    program.interrupt().await;
    program.restart().await;
    let kept = program.run(&["permission-set", "list", "acme"]).await;
    // As if the kill had come before the last set: nothing says that all was made.
    program.kill().await;
    std::fs::remove_file(folder.path().join("demo-acme.done")).unwrap();
    program.restart().await;
    let finished = program.run(&["permission-set", "list", "acme"]).await;
    let management = program.run(&["permission-set", "manage", "acme"]).await;

    assert!(kept.stdout.contains("Sales Manager"), "{kept:?}");
    assert!(!kept.stdout.contains("Billing Admin"), "{kept:?}");
    assert!(finished.stdout.contains("Billing Admin"), "{finished:?}");
    assert!(management.stdout.contains("is on"), "{management:?}");
}

#[tokio::test(flavor = "multi_thread")] // rule: S-7643-3.1-08 (part)
async fn a_public_url_stands_in_every_location_and_the_handshake_names_the_listener() {
    let folder = TempDir::new().unwrap();
    let args = ["--public-url", "https://scim.example.com/"];
    let program = Program::start_with(folder.path(), &args).await;
    let ada = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@acme.example",
    });

    let (created, user) = program.scim("POST", "/Users", Some(ada)).await;
    let (_, config) = program.scim("GET", "/ServiceProviderConfig", None).await;
    let twice = ["dev", "--public-url", "https://scim.example.com/scim/v2"];
    let refused = program.run(&twice).await;

    assert_eq!(created, 201, "{user}");
    let id = user["id"].as_str().unwrap();
    let location = format!("https://scim.example.com/scim/v2/Users/{id}");
    assert_eq!(user["meta"]["location"], location);
    let location = config["meta"]["location"].as_str().unwrap();
    assert!(
        location.starts_with("https://scim.example.com/scim/v2/"),
        "{location}"
    );
    assert!(
        program
            .handshake
            .scim_base_url
            .starts_with("http://127.0.0.1:")
    );
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("without /scim/v2"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_in_one_line_with_the_fix() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;
    let other = TempDir::new().unwrap();
    let data = other.path().to_str().unwrap();
    let at = |url: &str| url.split('/').nth(2).unwrap().to_owned();
    let http = at(&program.handshake.scim_base_url);
    let grpc = at(&program.handshake.grpc_url);

    for (listen, grpc_listen, taken, flag) in [
        (http.as_str(), "127.0.0.1:0", &http, "--listen"),
        ("127.0.0.1:0", grpc.as_str(), &grpc, "--grpc-listen"),
    ] {
        let args = [
            "dev",
            "--data",
            data,
            "--listen",
            listen,
            "--grpc-listen",
            grpc_listen,
        ];
        let ran = program.run(&args).await;

        assert_eq!(ran.code, Some(1), "{ran:?}");
        let line = format!(
            "rollcall: {taken} is taken by another program: stop it, or choose another address, \
             such as {flag} 127.0.0.1:0 for any free port\n"
        );
        assert_eq!(ran.stderr, line);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_others_may_read_is_told_in_one_line_with_the_fix() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let mut program = Program::start(folder.path()).await;
    program.interrupt().await;
    let secret = folder
        .path()
        .canonicalize()
        .unwrap()
        .join("secrets/grpc_token");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();

    let data = folder.path().to_str().unwrap();
    let args = [
        "dev",
        "--data",
        data,
        "--listen",
        "127.0.0.1:0",
        "--grpc-listen",
        "127.0.0.1:0",
    ];
    let ran = program.run(&args).await;

    assert_eq!(ran.code, Some(1), "{ran:?}");
    let secret = secret.display();
    let line = format!(
        "rollcall: others may read the secret {secret} (mode 644): run `chmod 600 {secret}`, or \
         remove it to have a new one made\n"
    );
    assert_eq!(ran.stderr, line);
}
