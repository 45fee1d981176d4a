//! The demo accounts, made through the same public API that the product uses. It looks before it
//! makes, so that a second start keeps everything.

use std::path::Path;
use std::time::Duration;

use rollcall_rpc::Backend;
use rollcall_rpc::convert::time::from_proto;
use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::catalogue_service_client::CatalogueServiceClient;
use rollcall_rpc::pb::permissions::v1::management_service_client::ManagementServiceClient;
use rollcall_rpc::pb::permissions::v1::permission_set_service_client::PermissionSetServiceClient;
use rollcall_rpc::pb::provisioning::v1 as provisioning;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use rollcall_rpc::pb::verification::v1 as verification;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_types::{Clock, Credential, SystemClock};
use serde::Deserialize;

use super::folder::Folder;
use super::handshake;
use crate::cli::Error;

/// The checked-in file that catalogue, accounts and sets come from.
const DEMO: &str = include_str!("demo.json");
/// What dev calls its tokens.
const LABEL: &str = "rollcall dev";

#[derive(Debug, Deserialize)]
struct Demo {
    catalogue: Vec<Group>,
    accounts: Vec<Account>,
}

#[derive(Debug, Deserialize)]
struct Group {
    label: String,
    permissions: Vec<Permission>,
}

#[derive(Debug, Deserialize)]
struct Permission {
    key: String,
    label: String,
    description: String,
}

#[derive(Debug, Deserialize)]
struct Account {
    id: String,
    display_name: String,
    email_domain: String,
    management: bool,
    permission_sets: Vec<Set>,
}

#[derive(Debug, Deserialize)]
struct Set {
    name: String,
    description: String,
    keys: Vec<String>,
}

/// Makes what is not there, and tells how to reach it.
///
/// # Errors
/// When a call fails.
pub(super) async fn make(
    backend: &Backend,
    folder: &Folder,
    zone: &Path,
) -> Result<Vec<handshake::Account>, Error> {
    let demo: Demo = serde_json::from_str(DEMO)?;
    put_catalogue(backend, demo.catalogue).await?;
    let mut made = Vec::new();
    for account in demo.accounts {
        put_account(backend, &account).await?;
        let scim_token = connect(backend, folder, &account).await?;
        create_sets(backend, folder, &account).await?;
        prove(backend, &account, zone).await?;
        made.push(handshake::Account {
            id: account.id,
            scim_token,
            email_domain: account.email_domain,
            roles: account
                .permission_sets
                .into_iter()
                .map(|set| set.name)
                .collect(),
        });
    }
    Ok(made)
}

async fn put_catalogue(backend: &Backend, groups: Vec<Group>) -> Result<(), Error> {
    let permission = |one: Permission| permissions::Permission {
        key: one.key,
        label: one.label,
        description: one.description,
        retired: false,
    };
    let groups = groups
        .into_iter()
        .map(|group| permissions::PermissionGroup {
            label: group.label,
            permissions: group.permissions.into_iter().map(permission).collect(),
        });
    let mut client = CatalogueServiceClient::new(backend.clone());
    let present = client
        .get_catalogue(permissions::GetCatalogueRequest {})
        .await?
        .into_inner();
    // A catalogue that somebody has put is theirs.
    if present
        .catalogue
        .is_some_and(|catalogue| !catalogue.groups.is_empty())
    {
        return Ok(());
    }
    let catalogue = permissions::Catalogue {
        groups: groups.collect(),
        ..permissions::Catalogue::default()
    };
    let request = permissions::PutCatalogueRequest {
        catalogue: Some(catalogue),
        etag: String::new(),
    };
    client.put_catalogue(request).await?;
    Ok(())
}

async fn put_account(backend: &Backend, account: &Account) -> Result<(), Error> {
    let mut client = AccountServiceClient::new(backend.clone());
    let request = provisioning::GetAccountRequest {
        account_id: account.id.clone(),
    };
    match client.get_account(request).await {
        Ok(_) => return Ok(()),
        Err(status) if status.code() == tonic::Code::NotFound => {}
        Err(status) => return Err(status.into()),
    }
    let message = provisioning::Account {
        account_id: account.id.clone(),
        display_name: account.display_name.clone(),
        subscriptions: vec!["suite-enterprise".to_owned()],
        pricing_model: provisioning::PricingModel::PermissionSetSeats.into(),
        sso_enabled: true,
        ..provisioning::Account::default()
    };
    client
        .put_account(provisioning::PutAccountRequest {
            account: Some(message),
        })
        .await?;
    Ok(())
}

/// Installs the connection; reuses the kept token while it lives, else revokes dev's own ones and
/// makes another, since only hashes are stored.
async fn connect(backend: &Backend, folder: &Folder, account: &Account) -> Result<String, Error> {
    let mut client = ConnectionServiceClient::new(backend.clone());
    let account_id = account.id.clone();
    let install = provisioning::InstallConnectionRequest {
        account_id: account_id.clone(),
    };
    client.install_connection(install).await?;
    let list = provisioning::ListTokensRequest {
        account_id: account_id.clone(),
        page_size: 1000,
        page_token: String::new(),
    };
    let tokens = client.list_tokens(list).await?.into_inner().tokens;
    let file = format!("scim-{account_id}");
    let now = SystemClock.now();
    let expired = |token: &&provisioning::Token| {
        let expires = token.expire_time.as_ref().and_then(from_proto);
        expires.is_some_and(|time| time <= now)
    };
    let mine = tokens
        .iter()
        .filter(|token| token.label == LABEL && token.end_time.is_none() && !expired(token));
    if let Some(kept) = folder.secret(&file)?
        && let Some(credential) = Credential::parse(&kept)
        && mine
            .clone()
            .any(|token| token.token_id == credential.id().to_string())
    {
        return Ok(kept);
    }
    for token in mine {
        let request = provisioning::RevokeTokenRequest {
            account_id: account_id.clone(),
            token_id: token.token_id.clone(),
            end_time: None,
        };
        client.revoke_token(request).await?;
    }
    let request = provisioning::CreateTokenRequest {
        account_id,
        label: LABEL.to_owned(),
        expire_time: None,
        idempotency_key: String::new(),
    };
    let secret = client.create_token(request).await?.into_inner().secret;
    folder.keep(&file, &secret)?;
    Ok(secret)
}

/// Makes the sets and turns management on, once: what somebody has changed or removed since is
/// theirs. A mark in the folder says that all of it was done, so that a start that was cut off is
/// finished by the next.
async fn create_sets(backend: &Backend, folder: &Folder, account: &Account) -> Result<(), Error> {
    if folder.is_done(&account.id) {
        return Ok(());
    }
    let mut client = PermissionSetServiceClient::new(backend.clone());
    let list = permissions::ListPermissionSetsRequest {
        account_id: account.id.clone(),
        page_size: 1000,
        page_token: String::new(),
    };
    let present = client
        .list_permission_sets(list)
        .await?
        .into_inner()
        .permission_sets;
    let missing = account
        .permission_sets
        .iter()
        .filter(|set| !present.iter().any(|there| there.name == set.name));
    for set in missing {
        let message = permissions::PermissionSet {
            name: set.name.clone(),
            description: set.description.clone(),
            permission_keys: set.keys.clone(),
            ..permissions::PermissionSet::default()
        };
        let request = permissions::CreatePermissionSetRequest {
            account_id: account.id.clone(),
            permission_set: Some(message),
            idempotency_key: String::new(),
        };
        client.create_permission_set(request).await?;
    }
    if account.management {
        let request = permissions::SetManagementRequest {
            account_id: account.id.clone(),
            enabled: true,
        };
        ManagementServiceClient::new(backend.clone())
            .set_management(request)
            .await?;
    }
    folder.set_done(&account.id)
}

/// Adds the account's domain, publishes its value in dev's zone, and waits until it is verified.
async fn prove(backend: &Backend, account: &Account, zone: &Path) -> Result<(), Error> {
    let mut client = DomainServiceClient::new(backend.clone());
    let request = verification::AddDomainRequest {
        account_id: account.id.clone(),
        name: account.email_domain.clone(),
    };
    let domain = client
        .add_domain(request)
        .await?
        .into_inner()
        .domain
        .unwrap_or_default();
    if domain.state() == verification::DomainState::Verified {
        return Ok(());
    }
    let value = domain
        .challenge
        .map(|challenge| challenge.value)
        .unwrap_or_default();
    let mut text = std::fs::read_to_string(zone)?;
    if !text.contains(&value) {
        text = format!("{text}{}. IN TXT \"{value}\"\n", domain.name);
        std::fs::write(zone, text)?;
    }
    // The zone is read again each second.
    for _ in 0..20 {
        let request = verification::VerifyDomainRequest {
            account_id: account.id.clone(),
            domain_id: domain.domain_id.clone(),
        };
        let answer = client.verify_domain(request).await?.into_inner();
        let state = answer.domain.unwrap_or_default().state();
        if state == verification::DomainState::Verified {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    // The schedule goes on by itself; what is missing is in the zone file for anybody to see.
    tracing::warn!(account = account.id, "the demo domain is not verified yet");
    Ok(())
}
