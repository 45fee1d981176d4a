//! `CatalogueService`.

use std::sync::Arc;

use rollcall_rpc::pb::permissions::v1 as pb;
use tonic::{Request, Response, Status};

use super::{Context, open};
use crate::catalogue::{self, Group, Permission};
use crate::error::Error;
use crate::store;

/// The service.
pub(super) struct Catalogue(pub(super) Arc<Context>);

#[tonic::async_trait]
impl pb::catalogue_service_server::CatalogueService for Catalogue {
    async fn put_catalogue(
        &self,
        request: Request<pb::PutCatalogueRequest>,
    ) -> Result<Response<pb::PutCatalogueResponse>, Status> {
        let (message, origin, _) = open(&self.0, request)?;
        let catalogue = message
            .catalogue
            .ok_or_else(|| Error::field("catalogue", "is missing"))?;
        let groups: Vec<Group> = catalogue.groups.into_iter().map(group).collect();
        catalogue::check(&groups)?;
        let etag = message.etag;
        let stored = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move { store::catalogue::put(tx, &origin, groups, &etag).await })
            })
            .await?;
        let catalogue = Some(self.to_proto(stored));
        Ok(Response::new(pb::PutCatalogueResponse { catalogue }))
    }

    async fn get_catalogue(
        &self,
        _: Request<pb::GetCatalogueRequest>,
    ) -> Result<Response<pb::GetCatalogueResponse>, Status> {
        let stored = store::catalogue::load(self.0.store.reader())
            .await
            .map_err(Error::from)?;
        let catalogue = Some(self.to_proto(stored));
        Ok(Response::new(pb::GetCatalogueResponse { catalogue }))
    }
}

impl Catalogue {
    fn to_proto(&self, catalogue: catalogue::Catalogue) -> pb::Catalogue {
        let permission = |permission: Permission| pb::Permission {
            key: permission.key,
            label: permission.label,
            description: permission.description,
            retired: permission.retired,
        };
        let group = |group: Group| pb::PermissionGroup {
            label: group.label,
            permissions: group.permissions.into_iter().map(permission).collect(),
        };
        pb::Catalogue {
            groups: catalogue.groups.into_iter().map(group).collect(),
            minimal_keys: self.0.config.minimal_keys.clone(),
            etag: rollcall_types::etag::of(catalogue.version),
            version: catalogue.version,
        }
    }
}

fn group(group: pb::PermissionGroup) -> Group {
    let permission = |permission: pb::Permission| Permission {
        key: permission.key,
        label: permission.label,
        description: permission.description,
        retired: permission.retired,
    };
    Group {
        label: group.label,
        permissions: group.permissions.into_iter().map(permission).collect(),
    }
}
