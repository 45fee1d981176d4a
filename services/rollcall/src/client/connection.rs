//! `rollcall connection`.

use std::process::ExitCode;

use clap::Subcommand;
use rollcall_rpc::Backend;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use serde_json::{Value, json};

use super::output::{fields, hint, json_time, print, table, time};
use super::{PAGE, Target, told_of};
use crate::cli::Error;

/// What to do.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  rollcall connection install acme
  rollcall connection show acme
  rollcall connection token create acme")]
pub enum Command {
    /// Show the connection of an account.
    #[command(after_help = "Example:\n  rollcall connection show acme")]
    Show {
        /// The account.
        account: String,
    },
    /// Install the connection of an account; an installed one stays as it is.
    #[command(after_help = "Example:\n  rollcall connection install acme")]
    Install {
        /// The account.
        account: String,
    },
    /// Bearer tokens of an account's connection.
    Token {
        /// What to do.
        #[command(subcommand)]
        command: Token,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  rollcall connection token create acme --label okta
  rollcall connection token list acme")]
pub enum Token {
    /// Make a token; its secret is shown once.
    #[command(after_help = "Example:\n  rollcall connection token create acme --label okta")]
    Create {
        /// The account.
        account: String,
        /// What to call it.
        #[arg(long, default_value = "okta")]
        label: String,
    },
    /// List the tokens.
    #[command(after_help = "Example:\n  rollcall connection token list acme")]
    List {
        /// The account.
        account: String,
    },
    /// End a token now.
    #[command(after_help = "Example:
  rollcall connection token revoke acme 01a20dc2-ef7b-7347-8e39-a869631cc4b0")]
    Revoke {
        /// The account.
        account: String,
        /// The token's id, as `token list` shows it.
        token: String,
    },
}

/// Runs the command.
///
/// # Errors
/// One line with the fix.
pub async fn run(target: &Target, command: Command) -> Result<ExitCode, Error> {
    let mut client = ConnectionServiceClient::new(target.backend().await?);
    match command {
        Command::Show { account } => {
            let request = pb::GetConnectionRequest {
                account_id: account.clone(),
            };
            let answer = client
                .get_connection(request)
                .await
                .map_err(|s| told_of(&account, &s))?
                .into_inner();
            show(target, &answer.connection.unwrap_or_default())?;
        }
        Command::Install { account } => {
            let request = pb::InstallConnectionRequest {
                account_id: account.clone(),
            };
            let answer = client
                .install_connection(request)
                .await
                .map_err(|s| told_of(&account, &s))?
                .into_inner();
            show(target, &answer.connection.unwrap_or_default())?;
            hint(format!(
                "Next: `rollcall connection token create {account}` makes Okta's token."
            ));
        }
        Command::Token { command } => token(target, &mut client, command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn token(
    target: &Target,
    client: &mut ConnectionServiceClient<Backend>,
    command: Token,
) -> Result<(), Error> {
    match command {
        Token::Create { account, label } => {
            let request = pb::CreateTokenRequest {
                account_id: account.clone(),
                label,
                expire_time: None,
                idempotency_key: String::new(),
            };
            let made = client
                .create_token(request)
                .await
                .map_err(|s| told_of(&account, &s))?
                .into_inner();
            if target.json {
                let mut token = token_json(&made.token.unwrap_or_default());
                if let Some(object) = token.as_object_mut() {
                    object.insert("secret".to_owned(), made.secret.into());
                }
                return print(token);
            }
            print(made.secret)?;
            hint("Shown once: paste it into Okta as the bearer token.");
        }
        Token::List { account } => {
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = pb::ListTokensRequest {
                    account_id: account.clone(),
                    page_size: PAGE,
                    page_token,
                };
                let page = client
                    .list_tokens(request)
                    .await
                    .map_err(|s| told_of(&account, &s))?
                    .into_inner();
                for token in page.tokens {
                    if target.json {
                        print(token_json(&token))?;
                    }
                    let state = token_state(&token).to_owned();
                    let used = time(token.last_used_time.as_ref());
                    let expires = time(token.expire_time.as_ref());
                    rows.push(vec![
                        token.token_id,
                        token.display,
                        token.label,
                        state,
                        used,
                        expires,
                    ]);
                }
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if !target.json {
                let head = [
                    "TOKEN",
                    "SHOWN AS",
                    "LABEL",
                    "STATE",
                    "LAST USED",
                    "EXPIRES",
                ];
                print(table(&head, &rows))?;
            }
        }
        Token::Revoke { account, token } => {
            let request = pb::RevokeTokenRequest {
                account_id: account.clone(),
                token_id: token,
                end_time: None,
            };
            let ended = client
                .revoke_token(request)
                .await
                .map_err(|s| told_of(&account, &s))?
                .into_inner();
            let token = ended.token.unwrap_or_default();
            if target.json {
                return print(token_json(&token));
            }
            print(format!("{} is revoked", token.display))?;
        }
    }
    Ok(())
}

fn state(connection: &pb::Connection) -> &'static str {
    let name = connection.state().as_str_name();
    name.trim_start_matches("CONNECTION_STATE_")
}

fn show(target: &Target, connection: &pb::Connection) -> Result<(), Error> {
    if target.json {
        return print(json!({
            "account_id": connection.account_id,
            "connection_id": connection.connection_id,
            "state": state(connection),
            "missing": connection.missing,
            "managed_users": connection.managed_users(),
            "held_users": connection.held_users(),
            "install_time": json_time(connection.install_time.as_ref()),
            "last_request_time": json_time(connection.last_request_time.as_ref()),
            "version": connection.version,
        }));
    }
    let missing = if connection.missing.is_empty() {
        "nothing".to_owned()
    } else {
        connection.missing.join(", ")
    };
    let users = match connection.held_users() {
        0 => connection.managed_users().to_string(),
        held => format!("{}, {held} of them held", connection.managed_users()),
    };
    print(fields(&[
        ("account", connection.account_id.clone()),
        ("connection", connection.connection_id.clone()),
        ("state", state(connection).to_owned()),
        ("missing", missing),
        ("users", users),
        ("installed", time(connection.install_time.as_ref())),
        ("last request", time(connection.last_request_time.as_ref())),
    ]))
}

fn token_state(token: &pb::Token) -> &'static str {
    if token.end_time.is_some() {
        "revoked"
    } else {
        "live"
    }
}

fn token_json(token: &pb::Token) -> Value {
    json!({
        "token_id": token.token_id,
        "display": token.display,
        "label": token.label,
        "state": token_state(token),
        "creator": token.creator,
        "create_time": json_time(token.create_time.as_ref()),
        "expire_time": json_time(token.expire_time.as_ref()),
        "end_time": json_time(token.end_time.as_ref()),
        "last_used_time": json_time(token.last_used_time.as_ref()),
    })
}
