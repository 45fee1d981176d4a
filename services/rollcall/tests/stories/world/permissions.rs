//! Permission sets of the account, and what they grant.

use std::time::Duration;

use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::access_service_client::AccessServiceClient;
use rollcall_rpc::pb::permissions::v1::catalogue_service_client::CatalogueServiceClient;
use rollcall_rpc::pb::permissions::v1::management_service_client::ManagementServiceClient;
use rollcall_rpc::pb::permissions::v1::permission_set_service_client::PermissionSetServiceClient;

use tonic::Code;

use super::World;

impl World {
    /// A permission set `Sales Manager` that grants `reports.export`, with management on.
    pub(crate) async fn sales_manager(&self) {
        let permission = permissions::Permission {
            key: "reports.export".to_owned(),
            label: "Export".to_owned(),
            ..permissions::Permission::default()
        };
        let group = permissions::PermissionGroup {
            label: "Sales".to_owned(),
            permissions: vec![permission],
        };
        let catalogue = Some(permissions::Catalogue {
            groups: vec![group],
            ..permissions::Catalogue::default()
        });
        let put = permissions::PutCatalogueRequest {
            catalogue,
            etag: String::new(),
        };
        CatalogueServiceClient::new(self.backend.clone())
            .put_catalogue(put)
            .await
            .unwrap();
        let set = permissions::PermissionSet {
            name: "Sales Manager".to_owned(),
            permission_keys: vec!["reports.export".to_owned()],
            ..permissions::PermissionSet::default()
        };
        let create = permissions::CreatePermissionSetRequest {
            account_id: "acme".to_owned(),
            permission_set: Some(set),
            idempotency_key: String::new(),
        };
        let mut sets = PermissionSetServiceClient::new(self.backend.clone());
        sets.create_permission_set(create).await.unwrap();
        let on = permissions::SetManagementRequest {
            account_id: "acme".to_owned(),
            enabled: true,
        };
        ManagementServiceClient::new(self.backend.clone())
            .set_management(on)
            .await
            .unwrap();
    }

    pub(crate) async fn check(&self, user_id: &str) -> permissions::CheckPermissionResponse {
        let request = permissions::CheckPermissionRequest {
            account_id: "acme".to_owned(),
            user_id: user_id.to_owned(),
            permission_key: "reports.export".to_owned(),
            at_least: String::new(),
        };
        let mut client = AccessServiceClient::new(self.backend.clone());
        // Right after the start it is told to repeat the call.
        for _ in 0..500 {
            match client.check_permission(request.clone()).await {
                Err(status) if status.code() == Code::Unavailable => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer => return answer.unwrap().into_inner(),
            }
        }
        panic!("permissions do not follow provisioning");
    }

    /// Waits until the user has the permission, or has not.
    pub(crate) async fn wait_until_allowed(&self, user_id: &str, allowed: bool) {
        for _ in 0..500 {
            if self.check(user_id).await.allowed == allowed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("CheckPermission never became {allowed}");
    }
}
