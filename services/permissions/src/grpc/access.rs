//! `AccessService`: answers from memory.

use std::sync::Arc;
use std::time::Duration;

use rollcall_rpc::convert::time;
use rollcall_rpc::pb::permissions::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::AccessState;
use rollcall_store::position::Source;
use rollcall_types::{AccountId, UserId};
use tonic::{Extensions, Request, Response, Status};

use super::{Context, account, open, wait_until};
use crate::error::Error;
use crate::explain;
use crate::input::At;
use crate::resolve::{self, Outcome, Resolution, UserInput};
use crate::state::State;

/// How long `at_least` waits when the call has no deadline.
const WAIT: Duration = Duration::from_secs(1);

/// The service.
pub(super) struct Access(pub(super) Arc<Context>);

#[tonic::async_trait]
impl pb::access_service_server::AccessService for Access {
    async fn check_permission(
        &self,
        request: Request<pb::CheckPermissionRequest>,
    ) -> Result<Response<pb::CheckPermissionResponse>, Status> {
        let (message, _, extensions) = open(&self.0, request)?;
        let key = &message.permission_key;
        let look = |state: &State, found: Option<(&UserInput, Resolution)>| {
            cause(found.as_ref(), key, state.keys.contains(key))
        };
        let query = Query {
            account: account(&extensions, &message.account_id)?,
            user: &message.user_id,
            at_least: &message.at_least,
        };
        let (cause, as_of) = self.look(&extensions, query, look).await?;
        if cause == pb::CheckCause::KeyUnknown {
            tracing::debug!(
                key,
                "a permission was asked for that the catalogue doesn't have"
            );
        }
        Ok(Response::new(pb::CheckPermissionResponse {
            allowed: cause == pb::CheckCause::Granted,
            cause: cause.into(),
            as_of_time: as_of,
        }))
    }

    async fn get_effective_permissions(
        &self,
        request: Request<pb::GetEffectivePermissionsRequest>,
    ) -> Result<Response<pb::GetEffectivePermissionsResponse>, Status> {
        let (message, _, extensions) = open(&self.0, request)?;
        let look = |_: &State, found: Option<(&UserInput, Resolution)>| {
            found.map(|(user, resolution)| (user.access, resolution))
        };
        let query = Query {
            account: account(&extensions, &message.account_id)?,
            user: &message.user_id,
            at_least: &message.at_least,
        };
        let (found, as_of_time) = self.look(&extensions, query, look).await?;
        let access_state = access_state(found.as_ref().map(|(access, _)| *access));
        let resolution = found.map(|(_, resolution)| resolution).unwrap_or_default();
        let mut permission_sets: Vec<pb::AssignedSet> = resolution
            .assigned
            .into_iter()
            .map(|(id, name)| pb::AssignedSet {
                permission_set_id: id.to_string(),
                name,
            })
            .collect();
        permission_sets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Response::new(pb::GetEffectivePermissionsResponse {
            keys: resolution.keys.into_keys().collect(),
            permission_sets,
            access_state,
            as_of_time,
        }))
    }

    async fn explain_user(
        &self,
        request: Request<pb::ExplainUserRequest>,
    ) -> Result<Response<pb::ExplainUserResponse>, Status> {
        let (message, _, extensions) = open(&self.0, request)?;
        let account = account(&extensions, &message.account_id)?;
        let of = account.clone();
        let look = move |state: &State, found: Option<(&UserInput, Resolution)>| {
            let management = state.accounts.get(&of).map(|account| &account.management);
            found.map(|(user, resolution)| {
                let covered = management.is_some_and(|management| management.covers(user));
                (
                    user.access,
                    explain::summary(user.access, &resolution, covered),
                    resolution,
                )
            })
        };
        let query = Query {
            account,
            user: &message.user_id,
            at_least: &message.at_least,
        };
        let (found, as_of_time) = self.look(&extensions, query, look).await?;
        let Some((access, summary, resolution)) = found else {
            return Ok(Response::new(pb::ExplainUserResponse {
                access_state: access_state(None),
                summary: explain::NO_SUCH_USER.to_owned(),
                as_of_time,
                ..pb::ExplainUserResponse::default()
            }));
        };
        let key = |(key, source): (String, resolve::KeySource)| pb::KeySource {
            key,
            from_permission_set_ids: source.sets.iter().map(ToString::to_string).collect(),
            minimal: source.minimal,
        };
        Ok(Response::new(pb::ExplainUserResponse {
            access_state: access_state(Some(access)),
            roles: resolution.roles.into_iter().map(verdict).collect(),
            keys: resolution.keys.into_iter().map(key).collect(),
            summary,
            as_of_time,
        }))
    }
}

/// What is asked, of whom, and how fresh the answer must be.
struct Query<'a> {
    account: AccountId,
    user: &'a str,
    at_least: &'a str,
}

impl Access {
    /// Waits as `at_least` asks, then looks at one consistent moment, and says which.
    async fn look<T>(
        &self,
        extensions: &Extensions,
        query: Query<'_>,
        look: impl FnOnce(&State, Option<(&UserInput, Resolution)>) -> T,
    ) -> Result<(T, Option<prost_types::Timestamp>), Error> {
        self.wait(extensions, query.at_least).await?;
        let user = UserId::parse(query.user).ok();
        let minimal = &self.0.config.minimal_keys;
        let (seen, place) = self.0.memory.read(|state| {
            let found = user.and_then(|user| state.resolve(&query.account, user, minimal));
            (look(state, found), state.place.clone())
        });
        let as_of = self.fresh(&place)?;
        Ok((seen, as_of))
    }

    async fn wait(&self, extensions: &Extensions, at_least: &str) -> Result<(), Error> {
        if at_least.is_empty() {
            return Ok(());
        }
        let wrong = |why: &str| Error::field("at_least", why);
        let token = self
            .0
            .token_key
            .open(at_least)
            .ok_or_else(|| wrong("is no change token of this system"))?;
        let own = self.0.store.epoch();
        match token.source {
            Source::Provisioning => {}
            Source::Permissions if token.epoch == own => {}
            Source::Permissions => {
                return Err(wrong(
                    "names a change from before the database was restored",
                ));
            }
            Source::Verification => {
                return Err(wrong(
                    "must be a change token of provisioning or permissions",
                ));
            }
        }
        let applied = |place: &At| match token.source {
            // Every kind that has tokens is followed. Times would be those of two clocks.
            Source::Provisioning => place.applied.covers(token.epoch, token.change),
            _ => place.position.covers(token.change),
        };
        // After a start the change may be there before the rest of the state.
        let reached = |place: &At| place.through.is_some() && applied(place);
        if self
            .0
            .memory
            .wait(wait_until(extensions, WAIT), reached)
            .await
        {
            Ok(())
        } else {
            Err(Error::NotYetApplied)
        }
    }

    /// The time up to which the answer is complete.
    fn fresh(&self, place: &At) -> Result<Option<prost_types::Timestamp>, Error> {
        let through = place.through.ok_or(Error::FeedStale { lag: None })?;
        let lag = self.0.clock.now().since(through);
        if lag > self.0.config.stale_after {
            return Err(Error::FeedStale { lag: Some(lag) });
        }
        Ok(Some(time::to_proto(through)))
    }
}

fn cause(found: Option<&(&UserInput, Resolution)>, key: &str, known: bool) -> pb::CheckCause {
    let Some((user, resolution)) = found else {
        return pb::CheckCause::NoSuchUser;
    };
    match user.access {
        resolve::Access::Active if resolution.keys.contains_key(key) => pb::CheckCause::Granted,
        _ if !known => pb::CheckCause::KeyUnknown,
        resolve::Access::Held => pb::CheckCause::UserHeld,
        resolve::Access::Deactivated => pb::CheckCause::UserDeactivated,
        resolve::Access::Active | resolve::Access::Other(_) => pb::CheckCause::NotGranted,
    }
}

/// A state of a newer provisioning is passed on as it is.
fn access_state(access: Option<resolve::Access>) -> i32 {
    access.map_or(AccessState::NoSuchUser.into(), i32::from)
}

fn verdict((name, outcome): (String, Outcome)) -> pb::RoleVerdict {
    let (outcome, id) = match outcome {
        Outcome::Matched(id) => (pb::RoleOutcome::Matched, id.to_string()),
        Outcome::ManagementOff => (pb::RoleOutcome::ManagementOff, String::new()),
        Outcome::NoSuchSet => (pb::RoleOutcome::NoSuchSet, String::new()),
    };
    pb::RoleVerdict {
        name,
        outcome: outcome.into(),
        permission_set_id: id,
    }
}
