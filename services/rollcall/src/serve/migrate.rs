//! `rollcall migrate`: brings schemas up to date, as their owner. Safe when several do so at once.

use std::process::ExitCode;

use super::{Options, Role, config};
use crate::cli::Error;

/// Migrates each service that has a schema.
///
/// # Errors
/// One line that names the service and what is wrong.
pub async fn run(options: Options) -> Result<ExitCode, Error> {
    let config = config::load(options.config.as_deref())?;
    rollcall_runtime::telemetry::init(&config.log.filter, config.log.format)?;
    let mut done = 0;
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
        if !options.has(role) {
            continue;
        }
        let (database, user) = entry.owned(name)?;
        let user = user.as_deref();
        let migrated = match role {
            Role::Provisioning => rollcall_provisioning::migrate(&database, user).await,
            Role::Permissions => rollcall_permissions::migrate(&database, user).await,
            Role::Verification => rollcall_verification::migrate(&database, user).await,
            Role::Gateway => Ok(()),
        };
        migrated.map_err(|error| format!("{name}: {error}"))?;
        println!("{name}: its schema is up to date");
        done += 1;
    }
    if done == 0 {
        return Err("the gateway has no schema: name a service with --role".into());
    }
    Ok(ExitCode::SUCCESS)
}
