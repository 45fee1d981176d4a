//! The commands that an operator types, and what they show.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::program::{Program, Ran};

/// The id of something that nobody has.
const NOBODY: &str = "01a20dd2-bd40-7f0d-935c-4ef1ab0f3ac6";

fn user(name: &str, roles: &[&str]) -> Value {
    let roles: Vec<Value> = roles.iter().map(|role| json!({"value": role})).collect();
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "displayName": "Ada Lovelace",
        "emails": [{"value": name, "primary": true}],
        "active": true,
        "roles": roles,
    })
}

impl Program {
    /// What a command shows; it must succeed.
    async fn shows(&self, args: &[&str]) -> String {
        let ran = self.run(args).await;
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        ran.stdout
    }

    /// What a command shows once that has `text` in it: permissions follow provisioning's feed.
    async fn comes_to_show(&self, args: &[&str], text: &str) -> String {
        let begun = Instant::now();
        loop {
            let shown = self.shows(args).await;
            if shown.contains(text) {
                return shown;
            }
            let waited = begun.elapsed();
            assert!(waited < Duration::from_secs(20), "no {text:?} in:\n{shown}");
        }
    }

    /// The one line of a command that fails.
    async fn refuses(&self, args: &[&str]) -> String {
        let Ran {
            code,
            stdout,
            stderr,
        } = self.run(args).await;
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        let line = stderr.strip_prefix("rollcall: ").unwrap();
        line.trim_end().to_owned()
    }
}

/// The line of a table that has `text` in it, its columns as words.
fn row<'a>(table: &'a str, text: &str) -> Vec<&'a str> {
    let line = table.lines().find(|line| line.contains(text));
    let cells = line.unwrap_or_else(|| panic!("no {text:?} in:\n{table}"));
    let cells = cells.split("  ").map(str::trim);
    cells.filter(|cell| !cell.is_empty()).collect()
}

/// The value of a field.
fn field<'a>(fields: &'a str, name: &str) -> &'a str {
    let mut lines = fields.lines().filter_map(|line| line.split_once("  "));
    let found = lines.find(|(field, _)| *field == name);
    let (_, value) = found.unwrap_or_else(|| panic!("no {name:?} in:\n{fields}"));
    value.trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_users_their_roles_and_their_deactivation() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;
    let ada = user("ada@acme.example", &["Sales Manager", "Wizard"]);
    let (created, ada) = program.scim("POST", "/Users", Some(ada)).await;
    let (held, _) = program
        .scim("POST", "/Users", Some(user("bob@new.example", &[])))
        .await;
    assert_eq!((created, held), (201, 201), "{ada}");
    let id = ada["id"].as_str().unwrap();

    let list = program.shows(&["user", "list", "acme"]).await;
    assert_eq!(
        row(&list, "USERNAME"),
        ["USER", "USERNAME", "ACCESS", "ROLES"]
    );
    assert_eq!(
        row(&list, "ada@"),
        [id, "ada@acme.example", "ACTIVE", "Sales Manager, Wizard"]
    );
    assert_eq!(
        row(&list, "bob@")[1..],
        ["bob@new.example", "HELD_DOMAIN_UNVERIFIED", "-"]
    );

    let show = program
        .shows(&["user", "show", "acme", "ada@acme.example"])
        .await;
    assert_eq!(field(&show, "user"), id);
    assert_eq!(field(&show, "name"), "Ada Lovelace");
    assert!(
        field(&show, "access").starts_with("ACTIVE since 20"),
        "{show}"
    );
    assert!(
        show.contains("\nroles        Sales Manager\n             Wizard\n"),
        "{show}"
    );

    let explain = ["user", "explain", "acme", "ada@acme.example"];
    let granted = "permissions: deals.read, deals.write, reports.export";
    let explained = program.comes_to_show(&explain, granted).await;
    assert_eq!(
        row(&explained, "MATCHED")[..2],
        ["Sales Manager", "MATCHED"]
    );
    assert_eq!(
        row(&explained, "NO_SUCH_SET"),
        ["Wizard", "NO_SUCH_SET", "-"]
    );

    let check = |key| ["user", "check", "acme", "ada@acme.example", key];
    let allowed = program.shows(&check("deals.read")).await;
    assert_eq!(allowed.trim_end(), "deals.read: allowed (GRANTED)");
    let denied = program.shows(&check("billing.manage")).await;
    assert_eq!(denied.trim_end(), "billing.manage: denied (NOT_GRANTED)");
    let unknown = program.shows(&check("no.such")).await;
    assert_eq!(unknown.trim_end(), "no.such: denied (KEY_UNKNOWN)");

    let off = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "value": {"active": false}}],
    });
    let (patched, body) = program
        .scim("PATCH", &format!("/Users/{id}"), Some(off))
        .await;
    assert_eq!(patched, 200, "{body}");

    let list = program.shows(&["user", "list", "acme"]).await;
    assert_eq!(row(&list, "ada@")[2], "DEACTIVATED");
    let show = program.shows(&["user", "show", "acme", id]).await;
    assert!(show.contains("The user was deactivated in Okta."), "{show}");
    let denied = "deals.read: denied (USER_DEACTIVATED)";
    program.comes_to_show(&check("deals.read"), denied).await;
    let explained = program.comes_to_show(&explain, "permissions: none").await;
    assert!(
        explained.starts_with("The user is deactivated, so nothing is granted."),
        "{explained}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_an_account_and_connects_it() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;

    let unnamed = program.refuses(&["account", "put", "initech"]).await;
    assert_eq!(
        unnamed,
        "there is no account \"initech\": give it a name with --name to make it"
    );
    let put = ["account", "put", "initech", "--name", "Initech"];
    let made = program.shows(&put).await;
    assert_eq!(
        field(&made, "eligible"),
        "no: ELIGIBLE_SUBSCRIPTION, SINGLE_SIGN_ON"
    );
    let lacking = [
        "account",
        "put",
        "initech",
        "--subscription",
        "suite-enterprise",
        "--sso",
        "on",
        "--seats",
        "sales=20",
    ];
    program.shows(&lacking).await;

    let shown = program.shows(&["account", "show", "initech"]).await;
    for (name, value) in [
        ("account", "initech"),
        ("name", "Initech"),
        ("eligible", "yes"),
        ("subscriptions", "suite-enterprise"),
        ("single sign-on", "on"),
        ("seats", "sales=20"),
    ] {
        assert_eq!(field(&shown, name), value, "{shown}");
    }

    let before = program.refuses(&["connection", "show", "initech"]).await;
    assert!(
        before.ends_with("`rollcall connection install initech` makes it"),
        "{before}"
    );
    let installed = program.run(&["connection", "install", "initech"]).await;
    assert_eq!(installed.code, Some(0), "{installed:?}");
    assert!(
        installed
            .stderr
            .contains("rollcall connection token create initech"),
        "{installed:?}"
    );
    let connection = program.shows(&["connection", "show", "initech"]).await;
    assert_eq!(connection, installed.stdout);
    assert_eq!(field(&connection, "state"), "CONNECTED");
    assert_eq!(field(&connection, "missing"), "nothing");
    assert_eq!(field(&connection, "users"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_renames_and_deletes_a_permission_set() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;

    let catalogue = program.shows(&["permission-set", "catalogue"]).await;
    assert_eq!(
        row(&catalogue, "tickets.read")[..3],
        ["tickets.read", "Service", "See tickets"]
    );
    let create = ["permission-set", "create", "acme", "Auditor"];
    let made = program
        .shows(&[&create[..], &["--permission", "deals.read"]].concat())
        .await;
    assert_eq!(field(&made, "name"), "Auditor");
    assert_eq!(field(&made, "permissions"), "deals.read");
    let taken = program.refuses(&create).await;
    assert!(
        taken.contains("(PERMISSION_SET_NAME_TAKEN): choose another name"),
        "{taken}"
    );
    let update = ["permission-set", "update", "acme", "Auditor"];
    let unknown = [&update[..], &["--permission", "deals.fly"]].concat();
    let unknown = program.refuses(&unknown).await;
    assert!(
        unknown.ends_with("`rollcall permission-set catalogue` shows the permissions"),
        "{unknown}"
    );
    program
        .shows(&[&update[..], &["--name", "Internal Auditor"]].concat())
        .await;

    let list = program.shows(&["permission-set", "list", "acme"]).await;
    let id = field(&made, "permission set");
    assert_eq!(
        row(&list, "Auditor"),
        [id, "Internal Auditor", "deals.read"]
    );
    let by_name = ["permission-set", "show", "acme", "Internal Auditor"];
    let by_id = ["permission-set", "show", "acme", id];
    assert_eq!(program.shows(&by_name).await, program.shows(&by_id).await);
    let delete = ["permission-set", "delete", "acme", "Internal Auditor"];
    assert_eq!(
        program.shows(&delete).await,
        "Internal Auditor is deleted; its users have lost it\n"
    );
    let gone = program.refuses(&by_id).await;
    assert!(gone.contains("RESOURCE_NOT_FOUND"), "{gone}");

    for (switch, shown) in [("on", "globex is on: "), ("off", "globex is off: ")] {
        let turned = ["permission-set", "manage", "globex", switch];
        let turned = program.shows(&turned).await;
        assert!(turned.contains(shown), "{turned}");
        let now = program.shows(&["permission-set", "manage", "globex"]).await;
        assert_eq!(now, turned);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_why_a_domain_is_not_verified_and_renews_its_value() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;
    let record = |shown: &str| {
        shown
            .lines()
            .find(|line| line.contains("IN TXT"))
            .map(str::to_owned)
    };
    let added = program
        .shows(&["domain", "add", "acme", "Team.example"])
        .await;
    let looked = program
        .run(&["domain", "verify", "acme", "team.example"])
        .await;
    assert_eq!(looked.code, Some(1), "{looked:?}");
    assert!(looked.stdout.starts_with("PENDING\n"), "{looked:?}");
    let record_line = record(&added).unwrap();
    assert!(
        record_line.starts_with("team.example. IN TXT \""),
        "{added}"
    );
    assert!(record_line.ends_with('"'), "{added}");
    assert!(added.contains("\n  host field: @\n"), "{added}");

    let shown = program
        .shows(&["domain", "show", "acme", "team.example"])
        .await;
    assert!(
        field(&shown, "state").starts_with("PENDING until 20"),
        "{shown}"
    );
    assert!(
        field(&shown, "last check").ends_with(" said NXDOMAIN"),
        "{shown}"
    );
    assert!(
        shown.contains("This domain couldn't be verified: "),
        "{shown}"
    );
    assert_eq!(record(&shown), record(&added));
    let renewed = program
        .shows(&["domain", "renew", "acme", "team.example"])
        .await;
    assert_ne!(record(&renewed), record(&added));
    let shown = program
        .shows(&["domain", "show", "acme", "team.example"])
        .await;
    assert_eq!(record(&shown), record(&renewed));

    let verified = program
        .shows(&["domain", "show", "acme", "acme.example"])
        .await;
    assert!(
        field(&verified, "state").starts_with("VERIFIED since 20"),
        "{verified}"
    );
    assert_eq!(
        program
            .refuses(&["domain", "renew", "acme", "acme.example"])
            .await,
        "this release does not offer to renew the value of a verified domain (UNSUPPORTED): \
         acme.example stays verified, nothing has to be done, leave the TXT record where it is"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_in_one_line_that_says_where_to_look() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;

    for (args, list) in [
        (&["account", "show", "nosuch"][..], "account list"),
        (&["connection", "show", "nosuch"], "account list"),
        (&["connection", "install", "nosuch"], "account list"),
        (
            &["connection", "token", "revoke", "acme", NOBODY],
            "connection token list acme",
        ),
        (&["domain", "list", "nosuch"], "account list"),
        (&["domain", "add", "nosuch", "team.example"], "account list"),
        (&["domain", "show", "acme", NOBODY], "domain list acme"),
        (
            &["domain", "renew", "acme", "no.example"],
            "domain list acme",
        ),
        (&["permission-set", "list", "nosuch"], "account list"),
        (
            &["permission-set", "create", "nosuch", "Auditor"],
            "account list",
        ),
        (
            &["permission-set", "show", "acme", NOBODY],
            "permission-set list acme",
        ),
        (
            &["permission-set", "update", "acme", "No Such", "--name", "A"],
            "permission-set list acme",
        ),
        (
            &["permission-set", "delete", "acme", "sales manager"],
            "permission-set list acme",
        ),
        (&["permission-set", "manage", "nosuch"], "account list"),
        (
            &["permission-set", "manage", "nosuch", "on"],
            "account list",
        ),
        (&["user", "list", "nosuch"], "account list"),
        (&["user", "watch", "nosuch"], "account list"),
        (&["user", "show", "acme", NOBODY], "user list acme"),
        (
            &["user", "explain", "acme", "nobody@acme.example"],
            "user list acme",
        ),
    ] {
        let line = program.refuses(args).await;

        let fix = format!("(RESOURCE_NOT_FOUND): `rollcall {list}` shows the ");
        assert!(line.contains(&fix), "{args:?}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_prints_json_one_object_a_line() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;
    let ada = user("ada@acme.example", &["Sales Manager"]);
    let (created, ada) = program.scim("POST", "/Users", Some(ada)).await;
    assert_eq!(created, 201, "{ada}");

    for (args, key, value) in [
        (&["account", "list"][..], "account_id", json!("acme")),
        (&["account", "show", "acme"], "eligible", json!(true)),
        (
            &["account", "put", "acme"],
            "display_name",
            json!("Acme Corp"),
        ),
        (&["connection", "show", "acme"], "managed_users", json!(1)),
        (
            &["connection", "install", "acme"],
            "state",
            json!("CONNECTED"),
        ),
        (
            &["connection", "token", "list", "acme"],
            "state",
            json!("live"),
        ),
        (&["domain", "list", "acme"], "name", json!("acme.example")),
        (
            &["domain", "show", "acme", "acme.example"],
            "state",
            json!("VERIFIED"),
        ),
        (
            &["permission-set", "list", "acme"],
            "name",
            json!("Sales Manager"),
        ),
        (
            &["permission-set", "show", "acme", "Billing Admin"],
            "permission_keys",
            json!(["billing.manage"]),
        ),
        (
            &["permission-set", "manage", "acme"],
            "enabled",
            json!(true),
        ),
        (&["permission-set", "catalogue"], "key", json!("deals.read")),
        (&["user", "list", "acme"], "roles", json!(["Sales Manager"])),
        (
            &["user", "show", "acme", "ada@acme.example"],
            "displayName",
            json!("Ada Lovelace"),
        ),
        (
            &["user", "explain", "acme", "ada@acme.example"],
            "access",
            json!("ACTIVE"),
        ),
    ] {
        let shown = program
            .comes_to_show(&[args, &["--json"]].concat(), &value.to_string())
            .await;

        let lines: Vec<Value> = shown
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0][key], value, "{args:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_cannot_be_called_is_told_in_one_line_with_the_fix() {
    let folder = TempDir::new().unwrap();
    let program = Program::start(folder.path()).await;
    let http = program.handshake.console_url.as_str();
    let junk = folder.path().join("junk");
    std::fs::write(&junk, "junk").unwrap();

    for (args, what, fix) in [
        (
            &["--grpc-url", http][..],
            "does not speak gRPC",
            "give --grpc-url",
        ),
        (
            &["--grpc-url", "nonsense"],
            "is no URL",
            "write one such as http://",
        ),
        (
            &["--token-file", "/nonexistent"],
            "can't be read",
            "with --token-file",
        ),
    ] {
        let line = program
            .refuses(&[&["account", "list"], args].concat())
            .await;

        assert!(line.contains(what) && line.contains(fix), "{line}");
        assert!(line.contains(args[1]), "{line}");
    }
    let refused = program
        .refuses(&["simulate", "okta", "--token", "wrong"])
        .await;
    assert!(refused.contains("refuses the token: "), "{refused}");
    let junk = Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args(["account", "list", "--handshake"])
        .arg(&junk)
        .output();
    let junk = Ran::from(junk.await.unwrap());
    let fix = "name the file that a running `rollcall dev` wrote with --handshake\n";
    assert!(junk.stderr.ends_with(fix), "{junk:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_went_away_is_told_with_the_fix() {
    for is_killed in [true, false] {
        let folder = TempDir::new().unwrap();
        let mut program = Program::start(folder.path()).await;
        let ada = user("ada@acme.example", &[]);
        let (created, body) = program.scim("POST", "/Users", Some(ada)).await;
        assert_eq!(created, 201, "{body}");
        let file = program.handshake_file();
        let mut watch = Command::new(env!("CARGO_BIN_EXE_rollcall"))
            .args(["user", "watch", "acme", "--handshake"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
        assert!(lines.next_line().await.unwrap().is_some());
        let kept = std::fs::read(&file).unwrap();

        if is_killed {
            program.kill().await;
        } else {
            program.interrupt().await;
        }

        let watched = Ran::from(watch.wait_with_output().await.unwrap());
        assert_eq!(watched.code, Some(1), "{watched:?}");
        let fix = "once `rollcall dev` runs again, repeat `rollcall user watch acme`\n";
        assert!(watched.stderr.ends_with(fix), "{watched:?}");
        assert_eq!(watched.stderr.lines().count(), 1, "{watched:?}");
        // What a killed one leaves behind.
        std::fs::write(&file, kept).unwrap();
        for args in [&["account", "list"][..], &["simulate", "okta"]] {
            let line = program.refuses(args).await;
            assert!(line.starts_with("nobody answers at http://"), "{line}");
            assert!(line.contains("`rollcall dev`"), "{line}");
        }
    }
}
