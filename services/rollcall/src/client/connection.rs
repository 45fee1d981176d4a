//! `rollcall connection`.

use std::process::ExitCode;

use clap::Subcommand;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;

use super::{Target, table, told};
use crate::cli::Error;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bearer tokens of an account's connection.
    Token {
        /// What to do.
        #[command(subcommand)]
        command: Token,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a token; its secret is shown once.
    Create {
        /// The account.
        account: String,
        /// What to call it.
        #[arg(long, default_value = "okta")]
        label: String,
    },
    /// List the tokens.
    List {
        /// The account.
        account: String,
    },
    /// End a token now.
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
    let Command::Token { command } = command;
    match command {
        Token::Create { account, label } => {
            let request = pb::CreateTokenRequest {
                account_id: account,
                label,
                expire_time: None,
                idempotency_key: String::new(),
            };
            let made = client
                .create_token(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            println!("{}", made.secret);
            eprintln!("Shown once: paste it into Okta as the bearer token.");
        }
        Token::List { account } => {
            let request = pb::ListTokensRequest {
                account_id: account,
                page_size: 1000,
                page_token: String::new(),
            };
            let page = client
                .list_tokens(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            let rows: Vec<Vec<String>> = page
                .tokens
                .into_iter()
                .map(|token| {
                    let state = if token.end_time.is_some() {
                        "revoked"
                    } else {
                        "live"
                    };
                    vec![token.token_id, token.display, token.label, state.to_owned()]
                })
                .collect();
            println!("{}", table(&["TOKEN", "SHOWN AS", "LABEL", "STATE"], &rows));
        }
        Token::Revoke { account, token } => {
            let request = pb::RevokeTokenRequest {
                account_id: account,
                token_id: token,
                end_time: None,
            };
            let ended = client
                .revoke_token(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            println!("{} is revoked", ended.token.unwrap_or_default().display);
        }
    }
    Ok(ExitCode::SUCCESS)
}
