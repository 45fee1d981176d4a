//! `rollcall domain`.

use std::process::ExitCode;

use clap::Subcommand;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_rpc::{Backend, Reason, failure};
use rollcall_types::DomainId;
use serde_json::{Value, json};

use super::output::{fields, json_time, print, reaches, table, time};
use super::{PAGE, Target, account, not_found, told_of};
use crate::cli::Error;

type Client = DomainServiceClient<Backend>;

/// What to do.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  rollcall domain add acme team.example       the record to publish
  rollcall domain verify acme team.example    look for it now
  rollcall domain list acme")]
pub enum Command {
    /// Add a domain and show the record to publish.
    #[command(after_help = "Example:\n  rollcall domain add acme team.example")]
    Add {
        /// The account.
        account: String,
        /// The domain, or an address in it.
        name: String,
    },
    /// List the domains of an account.
    #[command(after_help = "Example:\n  rollcall domain list acme")]
    List {
        /// The account.
        account: String,
    },
    /// Show one domain: where its proof stands, what to publish, what the last check found.
    #[command(after_help = "Example:\n  rollcall domain show acme team.example")]
    Show {
        /// The account.
        account: String,
        /// Its id or name.
        domain: String,
    },
    /// Look at the DNS now; exits non-zero while the domain is not verified.
    #[command(after_help = "Example:\n  rollcall domain verify acme team.example")]
    Verify {
        /// The account.
        account: String,
        /// Its id or name.
        domain: String,
    },
    /// Make a new value to publish; the old one is worth nothing from then on.
    #[command(after_help = "Example:\n  rollcall domain renew acme team.example")]
    Renew {
        /// The account.
        account: String,
        /// Its id or name.
        domain: String,
    },
}

/// Runs the command.
///
/// # Errors
/// One line with the fix.
pub async fn run(target: &Target, command: Command) -> Result<ExitCode, Error> {
    let backend = target.backend().await?;
    let mut client = DomainServiceClient::new(backend.clone());
    match command {
        Command::Add { account, name } => {
            account::must_exist(&backend, &account).await?;
            let request = pb::AddDomainRequest {
                account_id: account.clone(),
                name,
            };
            let domain = client
                .add_domain(request)
                .await
                .map_err(|s| told_of(&account, &s))?
                .into_inner();
            publish(target, &domain.domain.unwrap_or_default())?;
        }
        Command::List { account } => {
            let domains = list(&mut client, &account).await?;
            if domains.is_empty() {
                account::must_exist(&backend, &account).await?;
            }
            let mut rows = Vec::new();
            for domain in domains {
                if target.json {
                    print(to_json(&domain))?;
                }
                let state = state(&domain);
                rows.push(vec![domain.domain_id, domain.name, state]);
            }
            if !target.json {
                print(table(&["DOMAIN", "NAME", "STATE"], &rows))?;
            }
        }
        Command::Show { account, domain } => {
            let domain = find(&mut client, &account, domain).await?;
            show(target, &domain)?;
        }
        Command::Verify { account, domain } => {
            let domain = find(&mut client, &account, domain).await?;
            let request = pb::VerifyDomainRequest {
                account_id: account.clone(),
                domain_id: domain.domain_id,
            };
            let answer = client
                .verify_domain(request)
                .await
                .map_err(|s| told_of(&account, &s))?
                .into_inner();
            let domain = answer.domain.unwrap_or_default();
            // A reader that has heard enough doesn't make an unverified domain a verified one.
            if target.json {
                reaches(to_json(&domain))?;
            } else {
                reaches(state(&domain))?;
                if let Some(why) = answer.check.and_then(|check| check.diagnosis) {
                    reaches(diagnosis(&why))?;
                }
            }
            if domain.state() != pb::DomainState::Verified {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Renew { account, domain } => {
            let domain = find(&mut client, &account, domain).await?;
            let request = pb::RenewChallengeRequest {
                account_id: account.clone(),
                domain_id: domain.domain_id.clone(),
                etag: domain.etag.clone(),
            };
            let answer = client.renew_challenge(request).await;
            let renewed = answer.map_err(|s| not_renewed(&s, &domain))?.into_inner();
            publish(target, &renewed.domain.unwrap_or_default())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &mut Client, account: &str) -> Result<Vec<pb::Domain>, Error> {
    let mut domains = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListDomainsRequest {
            account_id: account.to_owned(),
            page_size: PAGE,
            page_token,
        };
        let page = client
            .list_domains(request)
            .await
            .map_err(|s| told_of(account, &s))?
            .into_inner();
        domains.extend(page.domains);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(domains);
        }
    }
}

/// A domain by its id, else by its name as it is written or shown.
async fn find(client: &mut Client, account: &str, domain: String) -> Result<pb::Domain, Error> {
    if domain.parse::<DomainId>().is_ok() {
        let request = pb::GetDomainRequest {
            account_id: account.to_owned(),
            domain_id: domain,
        };
        let answer = client
            .get_domain(request)
            .await
            .map_err(|s| told_of(account, &s))?
            .into_inner();
        return Ok(answer.domain.unwrap_or_default());
    }
    let name = domain.trim_end_matches('.').to_lowercase();
    let domains = list(client, account).await?;
    let found = domains
        .into_iter()
        .find(|found| found.name == name || found.display_name == name);
    found.ok_or_else(|| not_found(account, "domain", &domain))
}

/// A verified domain's value can't be renewed in this release, and need not be.
fn not_renewed(status: &tonic::Status, domain: &pb::Domain) -> Error {
    let error = told_of(&domain.account_id, status);
    if failure::read(status).reason == Some(Reason::Unsupported) {
        let name = &domain.name;
        let fix = "nothing has to be done, leave the TXT record where it is";
        return format!("{error}: {name} stays verified, {fix}").into();
    }
    error
}

fn state(domain: &pb::Domain) -> String {
    domain
        .state()
        .as_str_name()
        .trim_start_matches("DOMAIN_STATE_")
        .to_owned()
}

/// The domain in a line, and what to publish.
fn publish(target: &Target, domain: &pb::Domain) -> Result<(), Error> {
    if target.json {
        return print(to_json(domain));
    }
    print(format!(
        "{} is {} ({})",
        domain.name,
        state(domain),
        domain.domain_id
    ))?;
    print(records(domain))
}

/// The records that may be published, each as a line of a zone file that can be copied whole.
fn records(domain: &pb::Domain) -> String {
    let Some(challenge) = &domain.challenge else {
        return String::new();
    };
    let mut lines = vec![
        if domain.state() == pb::DomainState::Verified {
            "Verified by this TXT record, at one of these names:"
        } else {
            "Publish this TXT record, at one of these names:"
        }
        .to_owned(),
    ];
    lines.extend(challenge.hosts.iter().map(|host| {
        format!(
            "\n{}. IN TXT \"{}\"\n  host field: {}",
            host.name, challenge.value, host.relative_host
        )
    }));
    lines.join("\n")
}

fn show(target: &Target, domain: &pb::Domain) -> Result<(), Error> {
    if target.json {
        return print(to_json(domain));
    }
    let name = if domain.display_name == domain.name {
        domain.name.clone()
    } else {
        format!("{} ({})", domain.name, domain.display_name)
    };
    let until = |what: &str| format!("{} until {what}", state(domain));
    let state = match domain.state() {
        pb::DomainState::Pending => until(&time(domain.attempt_end_time.as_ref())),
        pb::DomainState::Verified => {
            format!(
                "{} since {}",
                state(domain),
                time(domain.verify_time.as_ref())
            )
        }
        _ => state(domain),
    };
    let value_ends = domain
        .challenge
        .as_ref()
        .and_then(|it| it.expire_time.as_ref());
    let mut lines = vec![
        ("domain", domain.domain_id.clone()),
        ("name", name),
        ("state", state),
        ("added", time(domain.create_time.as_ref())),
    ];
    if domain.state() != pb::DomainState::Verified {
        lines.push(("value expires", time(value_ends)));
    }
    lines.push((
        "last check",
        domain.last_check.as_ref().map_or_else(String::new, check),
    ));
    if domain.next_check_time.is_some() {
        lines.push(("next check", time(domain.next_check_time.as_ref())));
    }
    print(fields(&lines))?;
    let why = domain
        .last_check
        .as_ref()
        .and_then(|it| it.diagnosis.as_ref());
    if let Some(why) = why {
        print(format!("\n{}", diagnosis(why)))?;
    }
    print(format!("\n{}", records(domain)))
}

/// A check in a line: when, who asked for it, what each resolver said.
fn check(check: &pb::Check) -> String {
    let by = match check.trigger() {
        pb::CheckTrigger::Person => "asked for",
        pb::CheckTrigger::Schedule | pb::CheckTrigger::Unspecified => "by itself",
    };
    let servers = check.servers.iter();
    let servers: Vec<String> = servers
        .map(|server| format!("{} said {}", server.address, server.outcome))
        .collect();
    let servers = servers.join(", ");
    format!("{}, {by}: {servers}", time(check.time.as_ref()))
}

fn diagnosis(why: &pb::Diagnosis) -> String {
    format!(
        "{}: {}\n{} {}",
        why.title, why.reason, why.explanation, why.next_step
    )
}

fn to_json(domain: &pb::Domain) -> Value {
    let challenge = domain.challenge.clone().unwrap_or_default();
    let hosts = challenge.hosts.iter();
    let hosts: Vec<Value> = hosts
        .map(|host| json!({"name": host.name, "relative_host": host.relative_host}))
        .collect();
    let last_check = domain.last_check.as_ref().map(|check| {
        let servers = check.servers.iter();
        let servers: Vec<Value> = servers
            .map(|server| json!({"address": server.address, "outcome": server.outcome}))
            .collect();
        let diagnosis = check.diagnosis.as_ref().map(|why| {
            json!({
                "reason": why.reason,
                "title": why.title,
                "explanation": why.explanation,
                "next_step": why.next_step,
            })
        });
        json!({
            "time": json_time(check.time.as_ref()),
            "trigger": check.trigger().as_str_name().trim_start_matches("CHECK_TRIGGER_"),
            "verdict": check.verdict().as_str_name().trim_start_matches("VERDICT_"),
            "diagnosis": diagnosis,
            "servers": servers,
            "warnings": check.warnings,
        })
    });
    json!({
        "account_id": domain.account_id,
        "domain_id": domain.domain_id,
        "name": domain.name,
        "display_name": domain.display_name,
        "state": state(domain),
        "challenge": {
            "value": challenge.value,
            "hosts": hosts,
            "expire_time": json_time(challenge.expire_time.as_ref()),
        },
        "last_check": last_check,
        "attempt_end_time": json_time(domain.attempt_end_time.as_ref()),
        "next_check_time": json_time(domain.next_check_time.as_ref()),
        "verify_time": json_time(domain.verify_time.as_ref()),
        "note": domain.note,
        "version": domain.version,
    })
}
