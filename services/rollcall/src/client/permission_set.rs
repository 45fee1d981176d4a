//! `rollcall permission-set`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use rollcall_rpc::Backend;
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::pb::permissions::v1::catalogue_service_client::CatalogueServiceClient;
use rollcall_rpc::pb::permissions::v1::management_service_client::ManagementServiceClient;
use rollcall_rpc::pb::permissions::v1::permission_set_service_client::PermissionSetServiceClient;
use rollcall_rpc::prost_types::FieldMask;
use rollcall_types::PermissionSetId;
use serde_json::{Value, json};

use super::output::{fields, json_time, on_off, print, table, time};
use super::{PAGE, Switch, Target, account, not_found, told, told_of};
use crate::cli::Error;

type Client = PermissionSetServiceClient<Backend>;

/// What to do.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  rollcall permission-set list acme
  rollcall permission-set create acme Auditor --permission deals.read
  rollcall permission-set manage acme on")]
pub enum Command {
    /// List the permission sets of an account.
    #[command(after_help = "Example:\n  rollcall permission-set list acme")]
    List {
        /// The account.
        account: String,
    },
    /// Show one permission set.
    #[command(after_help = "Example:\n  rollcall permission-set show acme \"Sales Manager\"")]
    Show {
        /// The account.
        account: String,
        /// Its id or name.
        set: String,
    },
    /// Make a permission set; an Okta role of the same name assigns it.
    #[command(after_help = "Example:
  rollcall permission-set create acme Auditor --permission deals.read --permission tickets.read")]
    Create {
        /// The account.
        account: String,
        /// The name, exactly as the role is called in Okta.
        name: String,
        /// What it is for.
        #[arg(long, default_value = "")]
        description: String,
        /// A permission that it grants; repeat it for several. `catalogue` lists them.
        #[arg(long = "permission", value_name = "KEY")]
        permissions: Vec<String>,
    },
    /// Rename a permission set, or change what it grants; what is not said stays.
    #[command(after_help = "Examples:
  rollcall permission-set update acme Auditor --name \"Internal Auditor\"
  rollcall permission-set update acme Auditor --permission deals.read")]
    Update(Update),
    /// Delete a permission set; its users lose it at once.
    #[command(after_help = "Example:\n  rollcall permission-set delete acme Auditor")]
    Delete {
        /// The account.
        account: String,
        /// Its id or name.
        set: String,
    },
    /// Say whether Okta roles select permission sets; without on or off, show it.
    #[command(after_help = "Examples:
  rollcall permission-set manage acme
  rollcall permission-set manage acme on")]
    Manage {
        /// The account.
        account: String,
        /// On: roles from Okta assign the sets of their names. Off: they are only shown.
        #[arg(value_name = "on|off", hide_possible_values = true)]
        switch: Option<Switch>,
    },
    /// List the permissions that a set may grant, the same for all accounts.
    #[command(after_help = "Example:\n  rollcall permission-set catalogue")]
    Catalogue,
}

/// What to change of a set.
#[derive(Debug, Args)]
#[group(skip)]
pub struct Update {
    /// The account.
    account: String,
    /// Its id or name.
    set: String,
    #[command(flatten)]
    change: Change,
}

/// The new values.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// The new name.
    #[arg(long)]
    name: Option<String>,
    /// What it is for.
    #[arg(long)]
    description: Option<String>,
    /// A permission that it grants; repeat it for several. Replaces those it had.
    #[arg(long = "permission", value_name = "KEY")]
    permissions: Option<Vec<String>>,
    /// It grants nothing.
    #[arg(long, conflicts_with = "permissions")]
    no_permissions: bool,
}

/// Runs the command.
///
/// # Errors
/// One line with the fix.
pub async fn run(target: &Target, command: Command) -> Result<ExitCode, Error> {
    let backend = target.backend().await?;
    let mut client = PermissionSetServiceClient::new(backend.clone());
    match command {
        Command::List { account } => {
            let sets = list(&mut client, &account).await?;
            if sets.is_empty() {
                account::must_exist(&backend, &account).await?;
            }
            if target.json {
                return each(sets.iter().map(to_json));
            }
            let rows: Vec<Vec<String>> = sets
                .into_iter()
                .map(|set| {
                    let keys = set.permission_keys.join(", ");
                    vec![set.permission_set_id, set.name, keys]
                })
                .collect();
            print(table(&["PERMISSION SET", "NAME", "PERMISSIONS"], &rows))?;
        }
        Command::Show { account, set } => {
            let set = find(&mut client, &account, set).await?;
            show(target, &set)?;
        }
        Command::Create {
            account,
            name,
            description,
            permissions,
        } => {
            account::must_exist(&backend, &account).await?;
            let set = pb::PermissionSet {
                name,
                description,
                permission_keys: permissions,
                ..pb::PermissionSet::default()
            };
            let request = pb::CreatePermissionSetRequest {
                account_id: account.clone(),
                permission_set: Some(set),
                idempotency_key: String::new(),
            };
            let made = client
                .create_permission_set(request)
                .await
                .map_err(|s| refused(&account, &s))?
                .into_inner();
            show(target, &made.permission_set.unwrap_or_default())?;
        }
        Command::Update(update) => {
            let account = update.account;
            let set = find(&mut client, &account, update.set).await?;
            let request = pb::UpdatePermissionSetsRequest {
                account_id: account.clone(),
                updates: vec![changed(set, update.change)],
            };
            let answer = client
                .update_permission_sets(request)
                .await
                .map_err(|s| refused(&account, &s))?
                .into_inner();
            for set in &answer.permission_sets {
                show(target, set)?;
            }
        }
        Command::Delete { account, set } => {
            let set = find(&mut client, &account, set).await?;
            let request = pb::DeletePermissionSetRequest {
                account_id: account.clone(),
                permission_set_id: set.permission_set_id.clone(),
                etag: set.etag.clone(),
            };
            let deleted = client.delete_permission_set(request).await;
            deleted.map_err(|s| told_of(&account, &s))?;
            if target.json {
                return each([to_json(&set)]);
            }
            print(format!("{} is deleted; its users have lost it", set.name))?;
        }
        Command::Manage { account, switch } => {
            let mut client = ManagementServiceClient::new(backend.clone());
            let management = match switch {
                Some(switch) => turn(&mut client, account, switch).await?,
                None => {
                    account::must_exist(&backend, &account).await?;
                    let request = pb::GetManagementRequest {
                        account_id: account.clone(),
                    };
                    let answer = client.get_management(request).await;
                    answer
                        .map_err(|s| told_of(&account, &s))?
                        .into_inner()
                        .management
                }
            };
            show_management(target, &management.unwrap_or_default())?;
        }
        Command::Catalogue => catalogue(target, CatalogueServiceClient::new(backend)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &mut Client, account: &str) -> Result<Vec<pb::PermissionSet>, Error> {
    let mut sets = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListPermissionSetsRequest {
            account_id: account.to_owned(),
            page_size: PAGE,
            page_token,
        };
        let page = client
            .list_permission_sets(request)
            .await
            .map_err(|s| told_of(account, &s))?
            .into_inner();
        sets.extend(page.permission_sets);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(sets);
        }
    }
}

/// A set by its id, else by its name: no name equals an id (P-03).
async fn find(client: &mut Client, account: &str, set: String) -> Result<pb::PermissionSet, Error> {
    if set.parse::<PermissionSetId>().is_ok() {
        let request = pb::GetPermissionSetRequest {
            account_id: account.to_owned(),
            permission_set_id: set,
        };
        let answer = client
            .get_permission_set(request)
            .await
            .map_err(|s| told_of(account, &s))?
            .into_inner();
        return Ok(answer.permission_set.unwrap_or_default());
    }
    let sets = list(client, account).await?;
    let found = sets.into_iter().find(|found| found.name == set);
    found.ok_or_else(|| not_found(account, "permission_set", &set))
}

/// The update, with the etag of what was looked at.
fn changed(set: pb::PermissionSet, change: Change) -> pb::PermissionSetUpdate {
    let permissions = if change.no_permissions {
        Some(Vec::new())
    } else {
        change.permissions
    };
    let paths = [
        ("name", change.name.is_some()),
        ("description", change.description.is_some()),
        ("permission_keys", permissions.is_some()),
    ];
    let said = paths.into_iter().filter(|(_, said)| *said);
    pb::PermissionSetUpdate {
        update_mask: Some(FieldMask {
            paths: said.map(|(path, _)| path.to_owned()).collect(),
        }),
        etag: set.etag.clone(),
        permission_set: Some(pb::PermissionSet {
            name: change.name.unwrap_or_default(),
            description: change.description.unwrap_or_default(),
            permission_keys: permissions.unwrap_or_default(),
            ..set
        }),
    }
}

async fn turn(
    client: &mut ManagementServiceClient<Backend>,
    account: String,
    switch: Switch,
) -> Result<Option<pb::Management>, Error> {
    let request = pb::SetManagementRequest {
        account_id: account.clone(),
        enabled: switch == Switch::On,
    };
    let answer = client.set_management(request).await;
    Ok(answer
        .map_err(|s| told_of(&account, &s))?
        .into_inner()
        .management)
}

async fn catalogue(
    target: &Target,
    mut client: CatalogueServiceClient<Backend>,
) -> Result<(), Error> {
    let request = pb::GetCatalogueRequest {};
    let answer = client
        .get_catalogue(request)
        .await
        .map_err(|s| told(&s))?
        .into_inner();
    let mut rows = Vec::new();
    for group in answer.catalogue.unwrap_or_default().groups {
        for permission in group.permissions {
            if target.json {
                print(json!({
                    "key": permission.key,
                    "group": group.label,
                    "label": permission.label,
                    "description": permission.description,
                    "retired": permission.retired,
                }))?;
            }
            let label = if permission.retired {
                format!("{} (retired)", permission.label)
            } else {
                permission.label
            };
            let group = group.label.clone();
            rows.push(vec![permission.key, group, label, permission.description]);
        }
    }
    if !target.json {
        let head = ["PERMISSION", "GROUP", "LABEL", "DESCRIPTION"];
        print(table(&head, &rows))?;
    }
    Ok(())
}

/// What a service says of a set that it refuses, and how to see which permissions there are.
fn refused(account: &str, status: &tonic::Status) -> Error {
    let error = told_of(account, status);
    if status.message().contains("the catalogue has no") {
        return format!("{error}: `rollcall permission-set catalogue` shows the permissions")
            .into();
    }
    error
}

fn each(values: impl IntoIterator<Item = Value>) -> Result<ExitCode, Error> {
    values.into_iter().try_for_each(print)?;
    Ok(ExitCode::SUCCESS)
}

fn show(target: &Target, set: &pb::PermissionSet) -> Result<(), Error> {
    if target.json {
        return print(to_json(set));
    }
    print(fields(&[
        ("permission set", set.permission_set_id.clone()),
        ("name", set.name.clone()),
        ("description", set.description.clone()),
        ("permissions", set.permission_keys.join("\n")),
        ("created", time(set.create_time.as_ref())),
        ("changed", time(set.update_time.as_ref())),
    ]))
}

fn show_management(target: &Target, management: &pb::Management) -> Result<(), Error> {
    if target.json {
        return print(json!({
            "account_id": management.account_id,
            "enabled": management.enabled,
            "enable_time": json_time(management.enable_time.as_ref()),
            "connection_id": management.connection_id,
        }));
    }
    let meaning = if management.enabled {
        "Okta roles assign the permission sets of their names"
    } else {
        "Okta roles are shown, and assign nothing"
    };
    print(format!(
        "permission-set management of {} is {}: {meaning}",
        management.account_id,
        on_off(management.enabled)
    ))
}

fn to_json(set: &pb::PermissionSet) -> Value {
    json!({
        "account_id": set.account_id,
        "permission_set_id": set.permission_set_id,
        "name": set.name,
        "description": set.description,
        "permission_keys": set.permission_keys,
        "create_time": json_time(set.create_time.as_ref()),
        "update_time": json_time(set.update_time.as_ref()),
        "version": set.version,
    })
}
