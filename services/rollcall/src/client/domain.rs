//! `rollcall domain`.

use std::process::ExitCode;

use clap::Subcommand;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;

use super::{Target, table, told};
use crate::cli::Error;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a domain and show the record to publish.
    Add {
        /// The account.
        account: String,
        /// The domain, or an address in it.
        name: String,
    },
    /// List the domains of an account.
    List {
        /// The account.
        account: String,
    },
    /// Look at the DNS now.
    Verify {
        /// The account.
        account: String,
        /// The domain's id, as `domain list` shows it.
        domain: String,
    },
}

/// Runs the command.
///
/// # Errors
/// One line with the fix.
pub async fn run(target: &Target, command: Command) -> Result<ExitCode, Error> {
    let mut client = DomainServiceClient::new(target.backend().await?);
    match command {
        Command::Add { account, name } => {
            let request = pb::AddDomainRequest {
                account_id: account,
                name,
            };
            let domain = client
                .add_domain(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            show(&domain.domain.unwrap_or_default());
        }
        Command::List { account } => {
            let request = pb::ListDomainsRequest {
                account_id: account,
                page_size: 1000,
                page_token: String::new(),
            };
            let page = client
                .list_domains(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            let rows: Vec<Vec<String>> = page
                .domains
                .into_iter()
                .map(|domain| {
                    vec![
                        domain.domain_id.clone(),
                        domain.name.clone(),
                        state(&domain),
                    ]
                })
                .collect();
            println!("{}", table(&["DOMAIN", "NAME", "STATE"], &rows));
        }
        Command::Verify { account, domain } => {
            let request = pb::VerifyDomainRequest {
                account_id: account,
                domain_id: domain,
            };
            let answer = client
                .verify_domain(request)
                .await
                .map_err(|s| told(&s))?
                .into_inner();
            let diagnosis = answer.check.and_then(|check| check.diagnosis);
            println!("{}", state(&answer.domain.unwrap_or_default()));
            if let Some(why) = diagnosis {
                println!(
                    "{}: {}\n{} {}",
                    why.title, why.reason, why.explanation, why.next_step
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn state(domain: &pb::Domain) -> String {
    domain
        .state()
        .as_str_name()
        .trim_start_matches("DOMAIN_STATE_")
        .to_owned()
}

fn show(domain: &pb::Domain) {
    println!(
        "{} is {} ({})",
        domain.name,
        state(domain),
        domain.domain_id
    );
    let Some(challenge) = &domain.challenge else {
        return;
    };
    println!("Publish this TXT record, at one of these names:");
    for host in &challenge.hosts {
        println!(
            "  {}. IN TXT \"{}\"   (host field: {})",
            host.name, challenge.value, host.relative_host
        );
    }
}
