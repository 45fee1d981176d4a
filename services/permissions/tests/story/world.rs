//! Permissions on a file, with the fake provisioning behind it and clients in front.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rollcall_permissions::{Config, Deps, Service};
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::pb::provisioning::v1 as provisioning;
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers, Reason, failure};
use rollcall_store::{TokenKey, testing};
use rollcall_types::{AccountId, Clock, IdSource, OsEntropy, SystemClock};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::Routes;

use crate::fake::Fake;

pub(crate) const ACCOUNT: &str = "acme";
pub(crate) const CONNECTION: &str = "0193a1b2-0000-7000-8000-000000000001";
pub(crate) const ALICE: &str = "0193a1b2-0000-7000-8000-00000000000a";
pub(crate) const BOB: &str = "0193a1b2-0000-7000-8000-00000000000b";

/// Makes a client of a service of permissions.
macro_rules! client {
    ($world:expr, $module:ident :: $client:ident) => {
        rollcall_rpc::pb::permissions::v1::$module::$client::new($world.backend.clone())
    };
}
pub(crate) use client;

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) provisioning: Backend,
    /// The operator's way in.
    pub(crate) backend: Backend,
    /// The way in of a platform that may see the account `globex` only.
    pub(crate) globex: Backend,
    pub(crate) service: Service,
    running: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
}

fn caller(name: &str, kind: CallerKind, scopes: &[&str], accounts: Option<&str>) -> Caller {
    Caller {
        name: name.into(),
        kind,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        accounts: accounts.map(|id| [AccountId::parse(id).unwrap()].into()),
    }
}

pub(crate) fn key() -> Arc<TokenKey> {
    Arc::new(TokenKey::new(&[7; 32], Arc::new(OsEntropy)))
}

impl World {
    pub(crate) async fn start(folder: &Path, fake: Fake) -> Self {
        Self::start_with(folder, fake, Arc::new(SystemClock), false).await
    }

    /// Starts with a clock of its own, and with the door to provisioning closed if it is `away`.
    pub(crate) async fn start_with(
        folder: &Path,
        fake: Fake,
        clock: Arc<dyn Clock>,
        away: bool,
    ) -> Self {
        let ids = Arc::new(IdSource::new(clock.clone(), Arc::new(OsEntropy)));
        let mut callers = Callers::default();
        callers.add(
            "sibling",
            caller("permissions", CallerKind::Service, &[], None),
        );
        callers.add(
            "operator",
            caller("root", CallerKind::Operator, &["operate"], None),
        );
        let scopes = ["access.check", "permissions.read", "permissions.write"];
        callers.add(
            "globex",
            caller("web", CallerKind::Platform, &scopes, Some("globex")),
        );
        let layer = ServerLayer::new(Arc::new(callers), Arc::clone(&ids), false);
        let feed = provisioning::feed_service_server::FeedServiceServer::new(fake.clone());
        let routes = Routes::new(feed).add_service(
            provisioning::connection_service_server::ConnectionServiceServer::new(fake.clone()),
        );
        let provisioning = Backend::in_process(routes, &layer, "sibling");
        if away {
            provisioning.gate().close();
        }
        let stop = CancellationToken::new();
        let deps = Deps {
            clock,
            entropy: Arc::new(OsEntropy),
            ids,
            token_key: key(),
            provisioning: provisioning.clone(),
            stop: stop.clone(),
        };
        let config = Config {
            minimal_keys: vec!["login".to_owned()],
            max_permission_sets: 3,
            ..Config::default()
        };
        let database = testing::database(folder, "permissions").await;
        let mut service = rollcall_permissions::build(&database, config, deps)
            .await
            .unwrap();
        let tasks = std::mem::take(&mut service.tasks);
        let running = tokio::spawn(async move { drop(join_all(tasks).await) });
        let in_process = |token| Backend::in_process(service.routes.clone(), &layer, token);
        let (backend, globex) = (in_process("operator"), in_process("globex"));
        Self {
            fake,
            provisioning,
            backend,
            globex,
            service,
            running,
            stop,
        }
    }

    /// Starts with a connection, two sets and a catalogue.
    pub(crate) async fn furnished(folder: &Path) -> Self {
        let fake = Fake::new(key());
        fake.install(ACCOUNT, CONNECTION);
        let world = Self::start(folder, fake).await;
        world
            .put_catalogue(&["login", "deals", "reports", "audit"], &["old"])
            .await
            .unwrap();
        world
            .create("Sales Manager", &["deals", "reports"])
            .await
            .unwrap();
        world
            .create("Auditor", &["audit", "reports"])
            .await
            .unwrap();
        world
    }

    /// Stops as the program does, and gives the fake for the next start.
    pub(crate) async fn stop(self) -> Fake {
        self.stop.cancel();
        self.running.await.unwrap();
        self.service.store.close().await;
        self.fake
    }

    pub(crate) async fn put_catalogue(
        &self,
        keys: &[&str],
        retired: &[&str],
    ) -> Result<pb::Catalogue, Status> {
        let permission = |key: &&str, retired| pb::Permission {
            key: (*key).to_owned(),
            label: format!("Label of {key}"),
            description: String::new(),
            retired,
        };
        let permissions = keys.iter().map(|key| permission(key, false));
        let permissions = permissions.chain(retired.iter().map(|key| permission(key, true)));
        let group = pb::PermissionGroup {
            label: "All".into(),
            permissions: permissions.collect(),
        };
        let catalogue = Some(pb::Catalogue {
            groups: vec![group],
            ..pb::Catalogue::default()
        });
        let request = pb::PutCatalogueRequest {
            catalogue,
            etag: String::new(),
        };
        let mut client = client!(self, catalogue_service_client::CatalogueServiceClient);
        Ok(client
            .put_catalogue(request)
            .await?
            .into_inner()
            .catalogue
            .unwrap())
    }

    pub(crate) async fn create(
        &self,
        name: &str,
        keys: &[&str],
    ) -> Result<pb::PermissionSet, Status> {
        let mut client = client!(
            self,
            permission_set_service_client::PermissionSetServiceClient
        );
        let request = pb::CreatePermissionSetRequest {
            account_id: ACCOUNT.to_owned(),
            permission_set: Some(set("", name, keys)),
            idempotency_key: String::new(),
        };
        Ok(client
            .create_permission_set(request)
            .await?
            .into_inner()
            .permission_set
            .unwrap())
    }

    pub(crate) async fn sets(&self) -> Vec<pb::PermissionSet> {
        let mut client = client!(
            self,
            permission_set_service_client::PermissionSetServiceClient
        );
        let request = pb::ListPermissionSetsRequest {
            account_id: ACCOUNT.to_owned(),
            ..pb::ListPermissionSetsRequest::default()
        };
        client
            .list_permission_sets(request)
            .await
            .unwrap()
            .into_inner()
            .permission_sets
    }

    pub(crate) async fn update(
        &self,
        updates: Vec<pb::PermissionSetUpdate>,
    ) -> Result<pb::UpdatePermissionSetsResponse, Status> {
        let mut client = client!(
            self,
            permission_set_service_client::PermissionSetServiceClient
        );
        let account_id = ACCOUNT.to_owned();
        let request = pb::UpdatePermissionSetsRequest {
            account_id,
            updates,
        };
        Ok(client.update_permission_sets(request).await?.into_inner())
    }

    pub(crate) async fn switch(&self, enabled: bool) -> Result<pb::SetManagementResponse, Status> {
        let mut client = client!(self, management_service_client::ManagementServiceClient);
        let request = pb::SetManagementRequest {
            account_id: ACCOUNT.to_owned(),
            enabled,
        };
        Ok(client.set_management(request).await?.into_inner())
    }

    pub(crate) async fn effective(
        &self,
        user: &str,
        at_least: &str,
    ) -> Result<pb::GetEffectivePermissionsResponse, Status> {
        let default = Duration::from_secs(10);
        self.effective_within(default, user, at_least).await
    }

    /// The same with a deadline.
    pub(crate) async fn effective_within(
        &self,
        deadline: Duration,
        user: &str,
        at_least: &str,
    ) -> Result<pb::GetEffectivePermissionsResponse, Status> {
        let mut client = client!(self, access_service_client::AccessServiceClient);
        let mut request = tonic::Request::new(pb::GetEffectivePermissionsRequest {
            account_id: ACCOUNT.to_owned(),
            user_id: user.to_owned(),
            at_least: at_least.to_owned(),
        });
        request.set_timeout(deadline);
        Ok(client
            .get_effective_permissions(request)
            .await?
            .into_inner())
    }

    /// The keys of a user once the change of the token is applied.
    pub(crate) async fn keys(&self, user: &str, at_least: &str) -> Vec<String> {
        self.effective(user, at_least).await.unwrap().keys
    }

    pub(crate) async fn check(
        &self,
        user: &str,
        key: &str,
        at_least: &str,
    ) -> Result<(bool, pb::CheckCause), Status> {
        let mut client = client!(self, access_service_client::AccessServiceClient);
        let request = pb::CheckPermissionRequest {
            account_id: ACCOUNT.to_owned(),
            user_id: user.to_owned(),
            permission_key: key.to_owned(),
            at_least: at_least.to_owned(),
        };
        let answer = client.check_permission(request).await?.into_inner();
        Ok((answer.allowed, answer.cause()))
    }
}

/// A set to send.
pub(crate) fn set(id: &str, name: &str, keys: &[&str]) -> pb::PermissionSet {
    pb::PermissionSet {
        permission_set_id: id.to_owned(),
        name: name.to_owned(),
        permission_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        ..pb::PermissionSet::default()
    }
}

/// A change of a set to send.
pub(crate) fn change(
    set: pb::PermissionSet,
    paths: &[&str],
    etag: &str,
) -> pb::PermissionSetUpdate {
    pb::PermissionSetUpdate {
        permission_set: Some(set),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        }),
        etag: etag.to_owned(),
    }
}

/// An active user whom the connection manages.
pub(crate) fn user(id: &str, roles: &[&str]) -> provisioning::User {
    let role = |value: &&str| provisioning::MultiValue {
        value: (*value).to_owned(),
        display: "Auditor".to_owned(),
        ..provisioning::MultiValue::default()
    };
    provisioning::User {
        account_id: ACCOUNT.to_owned(),
        user_id: id.to_owned(),
        roles: Some(provisioning::RoleList {
            roles: roles.iter().map(role).collect(),
        }),
        managed_by: Some(provisioning::ManagedBy {
            connection_id: CONNECTION.to_owned(),
        }),
        access: Some(access(provisioning::AccessState::Active)),
        ..provisioning::User::default()
    }
}

pub(crate) fn access(state: provisioning::AccessState) -> provisioning::Access {
    provisioning::Access {
        state: state.into(),
        ..provisioning::Access::default()
    }
}

/// The reason of a refused call.
pub(crate) fn reason<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Reason {
    failure::read(&outcome.unwrap_err()).reason.unwrap()
}
