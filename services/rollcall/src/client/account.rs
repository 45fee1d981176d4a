//! `rollcall account`.

use std::process::ExitCode;

use clap::Subcommand;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use serde_json::json;

use super::{Target, table, told};
use crate::cli::Error;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the accounts.
    List,
}

/// Runs the command.
///
/// # Errors
/// One line with the fix.
pub async fn run(target: &Target, command: Command) -> Result<ExitCode, Error> {
    let mut client = AccountServiceClient::new(target.backend().await?);
    match command {
        Command::List => {
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = pb::ListAccountsRequest {
                    page_size: 0,
                    page_token,
                };
                let page = client
                    .list_accounts(request)
                    .await
                    .map_err(|s| told(&s))?
                    .into_inner();
                for account in page.accounts {
                    if target.json {
                        println!(
                            "{}",
                            json!({"account_id": account.account_id, "display_name":
                            account.display_name, "eligible": account.eligible, "missing": account.missing})
                        );
                    }
                    let eligible = if account.eligible {
                        "yes".to_owned()
                    } else {
                        account.missing.join(" ")
                    };
                    rows.push(vec![account.account_id, account.display_name, eligible]);
                }
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if !target.json {
                println!("{}", table(&["ACCOUNT", "NAME", "ELIGIBLE"], &rows));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
