//! `rollcall account`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use rollcall_rpc::Backend;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use serde_json::{Value, json};

use super::output::{fields, json_time, on_off, print, table, time};
use super::{PAGE, Switch, Target, told};
use crate::cli::Error;

/// What to do.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  rollcall account list
  rollcall account put initech --name Initech")]
pub enum Command {
    /// List the accounts.
    #[command(after_help = "Example:\n  rollcall account list")]
    List,
    /// Show one account, with what it lacks to be connected.
    #[command(after_help = "Example:\n  rollcall account show acme")]
    Show {
        /// The account.
        account: String,
    },
    /// Make an account, or change what is said of it; what is not said stays.
    #[command(after_help = "Examples:
  rollcall account put initech --name Initech --subscription suite-enterprise --sso on
  rollcall account put initech --seats sales=20 --seats service=5")]
    Put(Put),
}

/// What to say of an account.
#[derive(Debug, Args)]
pub struct Put {
    /// The account: the product's own id of it.
    account: String,
    /// The name for people; a new account needs one.
    #[arg(long)]
    name: Option<String>,
    /// A plan that it has subscribed to; repeat it for several. Replaces those it had.
    #[arg(long = "subscription", value_name = "PLAN")]
    subscriptions: Option<Vec<String>>,
    /// It has subscribed to nothing.
    #[arg(long, conflicts_with = "subscriptions")]
    no_subscriptions: bool,
    /// How seats are sold; a new account has permission-set-seats.
    #[arg(long)]
    pricing: Option<Pricing>,
    /// Whether single sign-on is on; off in a new account.
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    sso: Option<Switch>,
    /// How many seats of a type are purchased; repeat it for several. Replaces those it had.
    #[arg(long, value_name = "TYPE=COUNT", value_parser = seats)]
    seats: Option<Vec<pb::SeatPurchase>>,
}

/// How seats are sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pricing {
    PermissionSetSeats,
    SeatsBased,
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
                    page_size: PAGE,
                    page_token,
                };
                let page = client
                    .list_accounts(request)
                    .await
                    .map_err(|s| told(&s))?
                    .into_inner();
                for account in page.accounts {
                    if target.json {
                        print(to_json(&account))?;
                    }
                    let eligible = eligible(&account);
                    rows.push(vec![account.account_id, account.display_name, eligible]);
                }
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            if !target.json {
                print(table(&["ACCOUNT", "NAME", "ELIGIBLE"], &rows))?;
            }
        }
        Command::Show { account } => {
            let account = get(&mut client, account).await.map_err(|s| told(&s))?;
            show(target, &account)?;
        }
        Command::Put(put) => {
            let before = get(&mut client, put.account.clone()).await;
            let before = match before {
                Ok(before) => before,
                Err(status) if status.code() == tonic::Code::NotFound => new(&put)?,
                Err(status) => return Err(told(&status)),
            };
            let request = pb::PutAccountRequest {
                account: Some(changed(before, put)),
            };
            let answer = client
                .put_account(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            show(target, &answer.account.unwrap_or_default())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails if the account was never put: services that know accounts by hearsay show an empty list.
pub(crate) async fn must_exist(backend: &Backend, account: &str) -> Result<(), Error> {
    let mut client = AccountServiceClient::new(backend.clone());
    let found = get(&mut client, account.to_owned()).await;
    found.map(drop).map_err(|s| told(&s))
}

async fn get(
    client: &mut AccountServiceClient<Backend>,
    account_id: String,
) -> Result<pb::Account, tonic::Status> {
    let request = pb::GetAccountRequest { account_id };
    let answer = client.get_account(request).await?.into_inner();
    Ok(answer.account.unwrap_or_default())
}

fn new(put: &Put) -> Result<pb::Account, Error> {
    if put.name.is_none() {
        return Err(format!(
            "there is no account {:?}: give it a name with --name to make it",
            put.account
        )
        .into());
    }
    Ok(pb::Account {
        account_id: put.account.clone(),
        pricing_model: pb::PricingModel::PermissionSetSeats.into(),
        ..pb::Account::default()
    })
}

fn changed(before: pb::Account, put: Put) -> pb::Account {
    let pricing = put.pricing.map(|pricing| match pricing {
        Pricing::PermissionSetSeats => pb::PricingModel::PermissionSetSeats.into(),
        Pricing::SeatsBased => pb::PricingModel::SeatsBased.into(),
    });
    let subscriptions = if put.no_subscriptions {
        Vec::new()
    } else {
        put.subscriptions.unwrap_or(before.subscriptions)
    };
    pb::Account {
        display_name: put.name.unwrap_or(before.display_name),
        subscriptions,
        pricing_model: pricing.unwrap_or(before.pricing_model),
        sso_enabled: put
            .sso
            .map_or(before.sso_enabled, |switch| switch == Switch::On),
        seats: put.seats.unwrap_or(before.seats),
        ..before
    }
}

fn seats(text: &str) -> Result<pb::SeatPurchase, String> {
    let told = || "write the seat type, `=`, and how many, such as sales=20".to_owned();
    let (seat_type, count) = text.rsplit_once('=').ok_or_else(told)?;
    Ok(pb::SeatPurchase {
        seat_type: seat_type.to_owned(),
        purchased: count.parse().map_err(|_| told())?,
    })
}

/// `yes`, or what is missing.
fn eligible(account: &pb::Account) -> String {
    if account.eligible {
        "yes".to_owned()
    } else {
        format!("no: {}", account.missing.join(", "))
    }
}

fn pricing(account: &pb::Account) -> &'static str {
    match account.pricing_model() {
        pb::PricingModel::PermissionSetSeats => "permission-set-seats",
        pb::PricingModel::SeatsBased => "seats-based",
        pb::PricingModel::Unspecified => "",
    }
}

fn show(target: &Target, account: &pb::Account) -> Result<(), Error> {
    if target.json {
        return print(to_json(account));
    }
    let seats = account.seats.iter();
    let seats: Vec<String> = seats
        .map(|seats| format!("{}={}", seats.seat_type, seats.purchased))
        .collect();
    print(fields(&[
        ("account", account.account_id.clone()),
        ("name", account.display_name.clone()),
        ("eligible", eligible(account)),
        ("subscriptions", account.subscriptions.join(", ")),
        ("single sign-on", on_off(account.sso_enabled)),
        ("pricing", pricing(account).to_owned()),
        ("seats", seats.join(", ")),
        ("created", time(account.create_time.as_ref())),
        ("changed", time(account.update_time.as_ref())),
    ]))
}

fn to_json(account: &pb::Account) -> Value {
    let seats = account.seats.iter();
    let seats: Vec<Value> = seats
        .map(|seats| json!({"seat_type": seats.seat_type, "purchased": seats.purchased}))
        .collect();
    json!({
        "account_id": account.account_id,
        "display_name": account.display_name,
        "eligible": account.eligible,
        "missing": account.missing,
        "subscriptions": account.subscriptions,
        "sso_enabled": account.sso_enabled,
        "pricing_model": pricing(account),
        "seats": seats,
        "create_time": json_time(account.create_time.as_ref()),
        "update_time": json_time(account.update_time.as_ref()),
        "version": account.version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_a_type_and_a_count() {
        for (text, read) in [
            ("sales=20", Some(("sales", 20))),
            ("a=b=0", Some(("a=b", 0))),
            ("sales", None),
            ("sales=", None),
            ("sales=many", None),
        ] {
            let found = seats(text).ok();
            let found = found
                .as_ref()
                .map(|found| (found.seat_type.as_str(), found.purchased));
            assert_eq!(found, read, "{text}");
        }
    }
}
