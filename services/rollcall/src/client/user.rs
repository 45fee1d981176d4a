//! `rollcall user`.

use std::process::ExitCode;

use clap::Subcommand;
use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::access_service_client::AccessServiceClient;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::feed_service_client::FeedServiceClient;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use rollcall_rpc::{Reason, failure};
use serde_json::json;

use super::output::{fields, json_time, print, table, time, visible};
use super::{PAGE, Target, account, is_broken, told_of};
use crate::cli::Error;

/// What to do.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  rollcall user list acme
  rollcall user explain acme alice@acme.example
  rollcall user check acme alice@acme.example deals.read
  rollcall user watch acme")]
pub enum Command {
    /// List the users of an account.
    #[command(after_help = "Examples:
  rollcall user list acme
  rollcall user list acme --filter 'userName eq \"alice@acme.example\"'")]
    List {
        /// The account.
        account: String,
        /// A SCIM filter, such as `userName eq "alice@acme.example"`.
        #[arg(long, default_value = "")]
        filter: String,
    },
    /// Show one user: its access, its roles, its attributes.
    #[command(after_help = "Example:\n  rollcall user show acme alice@acme.example")]
    Show {
        /// The account.
        account: String,
        /// Its id or userName.
        user: String,
    },
    /// Explain what a user may do, role by role.
    #[command(after_help = "Example:\n  rollcall user explain acme alice@acme.example")]
    Explain {
        /// The account.
        account: String,
        /// Its id or userName.
        user: String,
    },
    /// Ask whether a user has a permission, as the product does.
    #[command(after_help = "Example:\n  rollcall user check acme alice@acme.example deals.read")]
    Check {
        /// The account.
        account: String,
        /// Its id or userName.
        user: String,
        /// The permission's key in the catalogue.
        key: String,
    },
    /// Follow the users of an account, as JSON: first the state, then every change.
    #[command(after_help = "Example:\n  rollcall user watch acme")]
    Watch {
        /// The account.
        account: String,
    },
}

/// Runs the command.
///
/// # Errors
/// One line with the fix.
pub async fn run(target: &Target, command: Command) -> Result<ExitCode, Error> {
    let backend = target.backend().await?;
    match command {
        Command::List { account, filter } => {
            let mut client = UserServiceClient::new(backend.clone());
            let mut rows = Vec::new();
            let mut none = true;
            let mut page_token = String::new();
            loop {
                let request = pb::ListUsersRequest {
                    account_id: account.clone(),
                    filter: filter.clone(),
                    page_size: PAGE,
                    page_token,
                };
                let page = client
                    .list_users(request)
                    .await
                    .map_err(|s| told_of(&account, &s))?
                    .into_inner();
                none &= page.users.is_empty();
                for user in &page.users {
                    if target.json {
                        print(to_json(user))?;
                    } else {
                        rows.push(row(user));
                    }
                }
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if none {
                account::must_exist(&backend, &account).await?;
            }
            if !target.json {
                print(table(&["USER", "USERNAME", "ACCESS", "ROLES"], &rows))?;
            }
        }
        Command::Show { account, user } => {
            let user = find(&mut UserServiceClient::new(backend), &account, user).await?;
            show(target, &user)?;
        }
        Command::Explain { account, user } => {
            let user = find(&mut UserServiceClient::new(backend.clone()), &account, user).await?;
            let request = permissions::ExplainUserRequest {
                account_id: account.clone(),
                user_id: user.user_id,
                at_least: String::new(),
            };
            let answer = AccessServiceClient::new(backend)
                .explain_user(request)
                .await;
            let explained = answer.map_err(|s| told_of(&account, &s))?.into_inner();
            explain(target, &explained)?;
        }
        Command::Check { account, user, key } => {
            let user = find(&mut UserServiceClient::new(backend.clone()), &account, user).await?;
            let request = permissions::CheckPermissionRequest {
                account_id: account.clone(),
                user_id: user.user_id,
                permission_key: key.clone(),
                at_least: String::new(),
            };
            let answer = AccessServiceClient::new(backend)
                .check_permission(request)
                .await;
            let checked = answer.map_err(|s| told_of(&account, &s))?.into_inner();
            check(target, &key, &checked)?;
        }
        Command::Watch { account } => {
            // The feed of an account that was never put is empty, and lasts.
            account::must_exist(&backend, &account).await?;
            watch(FeedServiceClient::new(backend), account).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn find(
    client: &mut UserServiceClient<rollcall_rpc::Backend>,
    account: &str,
    user: String,
) -> Result<pb::User, Error> {
    use pb::get_user_request::User as By;
    let by = if user.parse::<rollcall_types::UserId>().is_ok() {
        By::UserId(user)
    } else {
        By::UserName(user)
    };
    let request = pb::GetUserRequest {
        account_id: account.to_owned(),
        user: Some(by),
    };
    let answer = client
        .get_user(request)
        .await
        .map_err(|s| told_of(account, &s))?
        .into_inner();
    Ok(answer.user.unwrap_or_default())
}

async fn watch(
    mut client: FeedServiceClient<rollcall_rpc::Backend>,
    account: String,
) -> Result<(), Error> {
    use pb::watch_response::Mark;
    let mut request = pb::WatchRequest {
        account_id: account.clone(),
        kinds: vec![pb::ResourceKind::User.into()],
        cursor: String::new(),
        consumer: "rollcall-cli".to_owned(),
    };
    let open = |status| broken(&status, &account);
    let stream = client.watch(request.clone()).await;
    let mut stream = stream.map_err(|s| told_of(&account, &s))?.into_inner();
    loop {
        let message = match stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(ended("the service ended the stream", &account)),
            Err(status) if failure::read(&status).reason == Some(Reason::StreamAged) => {
                stream = client
                    .watch(request.clone())
                    .await
                    .map_err(open)?
                    .into_inner();
                continue;
            }
            Err(status) => return Err(broken(&status, &account)),
        };
        let page = match message.mark {
            Some(Mark::Changes(page)) => page,
            Some(Mark::SnapshotEnd(end)) => {
                request.cursor = end.cursor;
                continue;
            }
            Some(Mark::Progress(progress)) => {
                request.cursor = progress.cursor;
                continue;
            }
            Some(Mark::Reset(_)) | None => continue,
        };
        request.cursor.clone_from(&page.cursor);
        for change in page.changes {
            let op = change
                .op()
                .as_str_name()
                .trim_start_matches("CHANGE_OP_")
                .to_owned();
            let Some(pb::change::Resource::User(user)) = change.resource else {
                continue;
            };
            print(
                json!({"op": op, "snapshot": page.snapshot, "changed_paths": change.changed_paths,
                       "user": to_json(&user)}),
            )?;
        }
    }
}

/// Why a stream can't be followed further.
fn broken(status: &tonic::Status, account: &str) -> Error {
    if failure::read(status).reason.is_none() && is_broken(status) {
        return ended("the service went away", account);
    }
    if status.code() == tonic::Code::Unavailable {
        return ended("the service ended the stream", account);
    }
    told_of(account, status)
}

fn ended(what: &str, account: &str) -> Error {
    let account = visible(account);
    format!("{what}: once `rollcall dev` runs again, repeat `rollcall user watch {account}`").into()
}

fn state(user: &pb::User) -> String {
    let state = user
        .access
        .as_ref()
        .map_or(pb::AccessState::Unspecified, pb::Access::state);
    state
        .as_str_name()
        .trim_start_matches("ACCESS_STATE_")
        .to_owned()
}

fn roles(user: &pb::User) -> Vec<String> {
    let roles = user.roles.iter().flat_map(|list| &list.roles);
    roles.map(|role| role.value.clone()).collect()
}

fn row(user: &pb::User) -> Vec<String> {
    let name = user
        .attributes
        .as_ref()
        .map(|a| a.user_name.clone())
        .unwrap_or_default();
    vec![
        user.user_id.clone(),
        name,
        state(user),
        roles(user).join(", "),
    ]
}

/// What Okta calls the user, else the parts of its name.
fn name(attributes: &pb::UserAttributes) -> String {
    let name = attributes.name.clone().unwrap_or_default();
    let parts = format!("{} {}", name.given_name, name.family_name);
    let names = [&attributes.display_name, &name.formatted, &parts];
    let known = names.into_iter().find(|name| !name.trim().is_empty());
    known.map(|name| name.trim().to_owned()).unwrap_or_default()
}

fn show(target: &Target, user: &pb::User) -> Result<(), Error> {
    if target.json {
        return print(to_json(user));
    }
    let attributes = user.attributes.clone().unwrap_or_default();
    let access = user.access.clone().unwrap_or_default();
    let since = format!("{} since {}", state(user), time(access.since_time.as_ref()));
    let emails = attributes.emails.iter();
    let emails: Vec<String> = emails.map(|it| it.value.clone()).collect();
    print(fields(&[
        ("user", user.user_id.clone()),
        ("username", attributes.user_name.clone()),
        ("name", name(&attributes)),
        ("emails", emails.join("\n")),
        ("external id", user.external_id.clone()),
        ("access", format!("{since}\n{}", access.message)),
        ("roles", roles(user).join("\n")),
        ("created", time(user.create_time.as_ref())),
        ("changed", time(user.update_time.as_ref())),
    ]))
}

fn explain(target: &Target, explained: &permissions::ExplainUserResponse) -> Result<(), Error> {
    let outcome = |role: &permissions::RoleVerdict| {
        let name = role.outcome().as_str_name();
        name.trim_start_matches("ROLE_OUTCOME_").to_owned()
    };
    let keys: Vec<&str> = explained.keys.iter().map(|key| key.key.as_str()).collect();
    if target.json {
        let access = explained.access_state().as_str_name();
        let roles = explained.roles.iter().map(|role| {
            json!({"name": role.name, "outcome": outcome(role),
                   "permission_set_id": role.permission_set_id})
        });
        return print(json!({
            "summary": explained.summary,
            "access": access.trim_start_matches("ACCESS_STATE_"),
            "roles": roles.collect::<Vec<_>>(),
            "keys": keys,
        }));
    }
    print(visible(&explained.summary))?;
    if !explained.roles.is_empty() {
        let rows: Vec<Vec<String>> = explained
            .roles
            .iter()
            .map(|role| {
                let set = role.permission_set_id.clone();
                vec![role.name.clone(), outcome(role), set]
            })
            .collect();
        let head = ["ROLE", "VERDICT", "PERMISSION SET"];
        print(format!("\n{}", table(&head, &rows)))?;
    }
    let keys = if keys.is_empty() {
        "none".to_owned()
    } else {
        keys.join(", ")
    };
    print(format!("\npermissions: {keys}"))
}

fn check(
    target: &Target,
    key: &str,
    checked: &permissions::CheckPermissionResponse,
) -> Result<(), Error> {
    let cause = checked.cause().as_str_name();
    let cause = cause.trim_start_matches("CHECK_CAUSE_");
    if target.json {
        return print(
            json!({"key": key, "allowed": checked.allowed, "cause": cause,
                            "as_of_time": json_time(checked.as_of_time.as_ref())}),
        );
    }
    let verdict = if checked.allowed { "allowed" } else { "denied" };
    print(format!("{}: {verdict} ({cause})", visible(key)))
}

fn to_json(user: &pb::User) -> serde_json::Value {
    let attributes = user.attributes.clone().unwrap_or_default();
    let access = user.access.clone().unwrap_or_default();
    json!({
        "user_id": user.user_id,
        "userName": attributes.user_name,
        "displayName": attributes.display_name,
        "emails": attributes.emails.iter().map(|email| &email.value).collect::<Vec<_>>(),
        "externalId": user.external_id,
        "roles": roles(user),
        "access": {"state": state(user), "cause": access.cause, "message": access.message,
                   "since_time": json_time(access.since_time.as_ref())},
        "version": user.version,
    })
}
