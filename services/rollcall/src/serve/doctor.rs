//! `rollcall doctor`: tries everything that the configuration names, and says what is wrong.

use std::process::ExitCode;
use std::time::Duration;

use rollcall_store::Database;
use rollcall_verification::{Heard, TxtAnswer};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{Options, Role, config};
use crate::cli::Error;

/// How long one thing may take.
const LONGEST: Duration = Duration::from_secs(5);

/// Tries each thing and prints a line for it.
///
/// # Errors
/// When the configuration itself can't be read. What is wrong is printed, and told by the exit code.
pub async fn run(options: Options) -> Result<ExitCode, Error> {
    let config = config::load(options.config.as_deref())?;
    let mut well = true;
    let mut say = |what: String, outcome: Result<String, String>| match outcome {
        Ok(how) => println!("ok      {what}: {how}"),
        Err(why) => {
            well = false;
            println!("BROKEN  {what}: {why}");
        }
    };
    for (role, name, entry) in [
        (
            Role::Provisioning,
            "provisioning",
            &config.provisioning.database,
        ),
        (
            Role::Permissions,
            "permissions",
            &config.permissions.database,
        ),
        (
            Role::Verification,
            "verification",
            &config.verification.database,
        ),
    ] {
        if options.has(role) {
            let tried = match entry.running(name) {
                Ok(database) => try_database(role, &database).await,
                Err(why) => Err(why.to_string()),
            };
            say(format!("database of {name}"), tried);
        }
    }
    for (role, url) in config.peers() {
        say(format!("peer {role} at {url}"), try_peer(url).await);
    }
    if options.has(Role::Verification) {
        say("DNS".to_owned(), try_dns(config.verification()).await);
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Whether the database answers, and its schema is up to date.
async fn try_database(role: Role, database: &Database) -> Result<String, String> {
    let missing = async {
        match role {
            Role::Provisioning => rollcall_provisioning::missing(database).await,
            Role::Permissions => rollcall_permissions::missing(database).await,
            Role::Verification => rollcall_verification::missing(database).await,
            Role::Gateway => Ok(Vec::new()),
        }
    };
    let missing = tokio::time::timeout(LONGEST, missing).await;
    let missing = missing.map_err(|_| "it does not answer".to_owned())?;
    let missing = missing.map_err(|error| error.to_string())?;
    match missing.as_slice() {
        [] => Ok("its schema is up to date".to_owned()),
        [first, ..] => Err(format!(
            "its schema lacks {first}: run `rollcall migrate` as its owner"
        )),
    }
}

/// Whether a peer says that it serves.
async fn try_peer(url: &str) -> Result<String, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| "it is no URL".to_owned())?;
    let asked = async {
        let channel = endpoint.connect().await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            cause.unwrap_or_else(|| error.to_string())
        })?;
        let mut health = HealthClient::new(channel);
        let check = health.check(HealthCheckRequest::default()).await;
        check.map_err(|status| status.message().to_owned())
    };
    let asked = tokio::time::timeout(LONGEST, asked).await;
    asked.map_err(|_| "it does not answer".to_owned())??;
    Ok("it serves".to_owned())
}

/// Whether each vantage answers a question for TXT records; that there are none is an answer.
async fn try_dns(config: rollcall_verification::Config) -> Result<String, String> {
    let dns = rollcall_verification::vantages(&config);
    let heard = tokio::time::timeout(LONGEST, dns.txt("rollcall-doctor.example")).await;
    let heard = heard.map_err(|_| "no vantage answers in time".to_owned())?;
    let heard = heard.map_err(|error| error.to_string())?;
    for Heard { vantage, answer } in &heard {
        if matches!(answer, TxtAnswer::ServFail | TxtAnswer::Timeout) {
            return Err(format!("{vantage} can't find out what it is asked"));
        }
    }
    let vantages: Vec<&str> = heard.iter().map(|heard| heard.vantage.as_str()).collect();
    Ok(format!("answered by {}", vantages.join(", ")))
}
