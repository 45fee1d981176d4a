//! Domain values as messages.

use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::convert::user as convert;
use rollcall_rpc::pb::{provisioning::v1 as pb, scim::v1 as scim_pb};
use rollcall_scim as scim;
use rollcall_types::{AccountId, Timestamp, credential, etag};

use crate::account::{self, Prerequisite, PricingModel};
use crate::connection::{Connection, Token};
use crate::store::user::Row;
use crate::user::{self, Access, AccessState, User};
use crate::{Config, Error};

pub(super) fn account(entry: &account::Entry, config: &Config) -> pb::Account {
    let stored = &entry.stored;
    let account = &stored.account;
    let missing = account.missing(config);
    pb::Account {
        account_id: entry.id.to_string(),
        display_name: account.display_name.clone(),
        subscriptions: account.subscriptions.clone(),
        pricing_model: match account.pricing_model {
            PricingModel::PermissionSetSeats => pb::PricingModel::PermissionSetSeats,
            PricingModel::SeatsBased => pb::PricingModel::SeatsBased,
        }
        .into(),
        sso_enabled: account.sso_enabled,
        seats: account
            .seats
            .iter()
            .map(|seats| pb::SeatPurchase {
                seat_type: seats.seat_type.clone(),
                purchased: seats.purchased,
            })
            .collect(),
        eligible: missing.is_empty(),
        missing: names(&missing),
        etag: etag::of(stored.version),
        version: stored.version,
        create_time: Some(to_proto(stored.created)),
        update_time: Some(to_proto(stored.updated)),
    }
}

pub(super) fn names(missing: &[Prerequisite]) -> Vec<String> {
    missing.iter().map(|one| one.as_str().to_owned()).collect()
}

/// A connection as the feed tells it: without what moves while it stays as it is.
pub(super) fn connection(account: &AccountId, connection: &Connection) -> pb::Connection {
    pb::Connection {
        account_id: account.to_string(),
        connection_id: connection.id.to_string(),
        // The only state that there is until a connection can be suspended or uninstalled.
        state: pb::ConnectionState::Connected.into(),
        missing: Vec::new(),
        install_time: Some(to_proto(connection.installed)),
        managed_users: None,
        held_users: None,
        etag: etag::of(connection.version),
        version: connection.version,
        last_request_time: None,
    }
}

pub(super) fn token(token: &Token) -> pb::Token {
    pb::Token {
        token_id: token.id.to_string(),
        display: credential::display(token.id),
        label: token.label.clone(),
        creator: token.creator.clone(),
        create_time: Some(to_proto(token.created)),
        expire_time: Some(to_proto(token.expires)),
        end_time: token.ends.map(to_proto),
        last_used_time: token.last_used.map(to_proto),
    }
}

pub(super) fn state(state: AccessState) -> pb::AccessState {
    match state {
        AccessState::Active => pb::AccessState::Active,
        AccessState::Held => pb::AccessState::HeldDomainUnverified,
        AccessState::Deactivated => pb::AccessState::Deactivated,
    }
}

pub(super) fn access(access: &Access) -> pb::Access {
    pb::Access {
        state: state(access.state).into(),
        since_time: Some(to_proto(access.since)),
        cause: access.cause.as_str().to_owned(),
        message: access.message.clone(),
    }
}

/// The verdict on a user that does not exist.
pub(super) fn no_such_user() -> pb::Access {
    pb::Access {
        state: pb::AccessState::NoSuchUser.into(),
        since_time: None,
        cause: String::new(),
        message: "The account has no such user.".to_owned(),
    }
}

pub(super) fn user(user: &User) -> pb::User {
    pb::User {
        account_id: user.account.to_string(),
        user_id: user.id.to_string(),
        attributes: Some(convert::to_proto(&user.attributes)),
        roles: user
            .attributes
            .roles
            .as_deref()
            .map(convert::roles_to_proto),
        external_id: user.attributes.external_id.clone().unwrap_or_default(),
        managed_by: user.connection.map(|id| pb::ManagedBy {
            connection_id: id.to_string(),
        }),
        access: Some(access(&user.access())),
        etag: user.etag(),
        version: user.version,
        create_time: Some(to_proto(user.created)),
        update_time: Some(to_proto(user.updated)),
    }
}

/// A user that was just written, for the gateway: what a read of it would give.
pub(super) fn written(user: &User) -> Result<scim_pb::ScimUser, Error> {
    scim_user(&user.account, Row::of(user)?)
}

/// A user for the gateway. The document passes unread unless the message of a held user has to
/// name its domain.
pub(super) fn scim_user(account: &AccountId, row: Row) -> Result<scim_pb::ScimUser, Error> {
    let roles: Option<Vec<scim::MultiValue>> = row
        .roles
        .as_deref()
        .map(|roles| crate::store::record::from_text(roles, "roles"))
        .transpose()?;
    let document = row.document.clone();
    let version = row.version;
    let (created, updated) = (row.created, row.updated);
    let id = row.id;
    let external_id = row.external_id.clone().unwrap_or_default();
    let access = if row.active && !row.admitted {
        row.decode(account)?.access()
    } else {
        user::plain_access(row.active, row.admitted, row.since)
    };
    Ok(scim_pb::ScimUser {
        user_id: id.to_string(),
        external_id,
        roles: roles.as_deref().map(convert::roles_to_proto),
        document,
        version,
        etag: etag::of(version),
        create_time: Some(to_proto(created)),
        update_time: Some(to_proto(updated)),
        access: Some(self::access(&access)),
    })
}

/// The time of a message's field, or the violation.
pub(super) fn time(
    field: &'static str,
    time: Option<&rollcall_rpc::prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Error> {
    let Some(time) = time else { return Ok(None) };
    let time = rollcall_rpc::convert::time::from_proto(time);
    time.map(Some)
        .ok_or_else(|| Error::field(field, "is no time"))
}
