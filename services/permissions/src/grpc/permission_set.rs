//! `PermissionSetService`.

use std::collections::HashSet;
use std::sync::Arc;

use rollcall_rpc::convert::time;
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_store::page::{self, Page, PageError};
use rollcall_types::{AccountId, PermissionSetId};
use tonic::{Request, Response, Status};

use super::{Context, account, open};
use crate::error::Error;
use crate::permission_set::{Content, Path, PermissionSet, Update};
use crate::store::permission_set as sets;

/// How many sets one call can change.
const UPDATES: usize = 100;

/// The service.
pub(super) struct PermissionSets(pub(super) Arc<Context>);

#[tonic::async_trait]
impl pb::permission_set_service_server::PermissionSetService for PermissionSets {
    async fn create_permission_set(
        &self,
        request: Request<pb::CreatePermissionSetRequest>,
    ) -> Result<Response<pb::CreatePermissionSetResponse>, Status> {
        let (message, origin, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        if !message.idempotency_key.is_empty() {
            return Err(Error::Unsupported("idempotency keys").into());
        }
        let set = message
            .permission_set
            .ok_or_else(|| Error::field("permission_set", "is missing"))?;
        let content = Content::new(set.name, set.description, set.permission_keys);
        let id = PermissionSetId::from_uuid(self.0.ids.next());
        let limit = self.0.config.max_permission_sets;
        let of = account.clone();
        let created = self.0.store.write(move |tx| {
            Box::pin(async move { sets::create(tx, &origin, &of, id, content, limit).await })
        });
        let (set, change) = self.name_holder(&account, created.await).await?;
        Ok(Response::new(pb::CreatePermissionSetResponse {
            permission_set: Some(to_proto(set)),
            change_token: self.0.change_token(change),
        }))
    }

    async fn get_permission_set(
        &self,
        request: Request<pb::GetPermissionSetRequest>,
    ) -> Result<Response<pb::GetPermissionSetResponse>, Status> {
        let (message, _, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let id = parse(&message.permission_set_id)?;
        let found = sets::find(self.0.store.reader(), &account, id)
            .await
            .map_err(Error::from)?;
        let set = found.ok_or_else(|| not_found(&message.permission_set_id))?;
        let permission_set = Some(to_proto(set));
        Ok(Response::new(pb::GetPermissionSetResponse {
            permission_set,
        }))
    }

    async fn list_permission_sets(
        &self,
        request: Request<pb::ListPermissionSetsRequest>,
    ) -> Result<Response<pb::ListPermissionSetsResponse>, Status> {
        let (message, _, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let list = format!("{account} permission sets");
        let page =
            Page::parse(message.page_size, &message.page_token, &list).map_err(
                |error| match error {
                    PageError::Size => Error::field("page_size", "must not be negative"),
                    PageError::Token => Error::PageToken,
                },
            )?;
        let after = match page.after.as_str() {
            "" => None,
            text => Some(PermissionSetId::parse(text).map_err(|_| Error::PageToken)?),
        };
        // One more than asked for tells whether there is a next page.
        let found = sets::list(self.0.store.reader(), &account, after, page.size + 1).await;
        let mut found = found.map_err(Error::from)?;
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let more = found.len() > size;
        found.truncate(size);
        let newest = found.last().filter(|_| more);
        let next_page_token = newest
            .map(|set| page::token(&set.id.to_string(), &list))
            .unwrap_or_default();
        Ok(Response::new(pb::ListPermissionSetsResponse {
            permission_sets: found.into_iter().map(to_proto).collect(),
            next_page_token,
        }))
    }

    async fn update_permission_sets(
        &self,
        request: Request<pb::UpdatePermissionSetsRequest>,
    ) -> Result<Response<pb::UpdatePermissionSetsResponse>, Status> {
        let (message, origin, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let updates = parse_updates(message.updates)?;
        let of = account.clone();
        let outcome = self.0.store.write(move |tx| {
            Box::pin(async move { sets::update(tx, &origin, &of, &updates).await })
        });
        let (sets, change) = self.name_holder(&account, outcome.await).await?;
        Ok(Response::new(pb::UpdatePermissionSetsResponse {
            permission_sets: sets.into_iter().map(to_proto).collect(),
            change_token: change.map(|at| self.0.change_token(at)).unwrap_or_default(),
        }))
    }

    async fn delete_permission_set(
        &self,
        request: Request<pb::DeletePermissionSetRequest>,
    ) -> Result<Response<pb::DeletePermissionSetResponse>, Status> {
        let (message, origin, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let id = parse(&message.permission_set_id)?;
        let etag = message.etag;
        let deleted = self.0.store.write(move |tx| {
            Box::pin(async move { sets::delete(tx, &origin, &account, id, &etag).await })
        });
        let change_token = self.0.change_token(deleted.await?);
        Ok(Response::new(pb::DeletePermissionSetResponse {
            change_token,
        }))
    }
}

impl PermissionSets {
    /// Adds to a refused name which set has it: asked afterwards, since the write is undone.
    async fn name_holder<T>(
        &self,
        account: &AccountId,
        outcome: Result<T, Error>,
    ) -> Result<T, Error> {
        match outcome {
            Err(Error::NameTaken { name, .. }) => {
                let holder = sets::holder(self.0.store.reader(), account, &name).await?;
                Err(Error::NameTaken { name, holder })
            }
            outcome => outcome,
        }
    }
}

/// An id that is not well-formed is nobody's.
fn parse(id: &str) -> Result<PermissionSetId, Error> {
    PermissionSetId::parse(id).map_err(|_| not_found(id))
}

fn not_found(id: &str) -> Error {
    Error::NotFound {
        kind: "permission_set",
        id: id.to_owned(),
    }
}

fn parse_updates(sent: Vec<pb::PermissionSetUpdate>) -> Result<Vec<Update>, Error> {
    if !(1..=UPDATES).contains(&sent.len()) {
        return Err(Error::field("updates", format!("must be 1 to {UPDATES}")));
    }
    let mut seen = HashSet::new();
    let mut parsed = Vec::with_capacity(sent.len());
    for (at, update) in sent.into_iter().enumerate() {
        let field = |name: &str| format!("updates[{at}].{name}");
        let set = update
            .permission_set
            .ok_or_else(|| Error::field(&field("permission_set"), "is missing"))?;
        let paths = paths(update.update_mask, &field("update_mask"))?;
        let id = parse(&set.permission_set_id)?;
        if !seen.insert(id) {
            return Err(Error::field(
                &field("permission_set.permission_set_id"),
                "is changed twice: put both changes into one",
            ));
        }
        let content = Content::new(set.name, set.description, set.permission_keys);
        parsed.push(Update {
            id,
            content,
            paths,
            etag: update.etag,
        });
    }
    Ok(parsed)
}

fn paths(mask: Option<prost_types::FieldMask>, field: &str) -> Result<Vec<Path>, Error> {
    let sent = mask.map(|mask| mask.paths).unwrap_or_default();
    if sent.is_empty() {
        return Err(Error::field(field, "is required"));
    }
    let path = |path: String| match path.as_str() {
        "name" => Ok(Path::Name),
        "description" => Ok(Path::Description),
        "permission_keys" => Ok(Path::PermissionKeys),
        _ => Err(Error::field(
            field,
            format!("{path:?} can't be updated: name, description and permission_keys can"),
        )),
    };
    sent.into_iter().map(path).collect()
}

fn to_proto(set: PermissionSet) -> pb::PermissionSet {
    pb::PermissionSet {
        account_id: set.account.to_string(),
        permission_set_id: set.id.to_string(),
        name: set.content.name,
        description: set.content.description,
        permission_keys: set.content.permission_keys,
        etag: rollcall_types::etag::of(set.version),
        version: set.version,
        create_time: Some(time::to_proto(set.create_time)),
        update_time: Some(time::to_proto(set.update_time)),
    }
}
