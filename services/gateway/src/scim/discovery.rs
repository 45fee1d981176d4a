//! What the service says of itself (RFC 7644, section 4): no credential, no call.

use axum::response::Response;
use http::StatusCode;
use rollcall_scim::{ListResponse, discovery};

use super::error::Problem;
use super::json;
use super::media::MediaType;
use super::query::Query;
use super::route::Discovery;

pub(crate) fn answer(
    base: &str,
    route: &Discovery,
    query: &Query,
    media_type: MediaType,
) -> Result<Response, Problem> {
    query.refuse_filter()?;
    let found = match route {
        Discovery::ServiceProviderConfig => Some(discovery::service_provider_config(base)),
        Discovery::Schemas => Some(ListResponse::whole(discovery::schemas(base)).to_json()),
        Discovery::Schema(urn) => discovery::schema(base, urn),
        Discovery::ResourceTypes => {
            Some(ListResponse::whole(discovery::resource_types(base)).to_json())
        }
        Discovery::ResourceType(name) => discovery::resource_type(base, name),
    };
    let found = found.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "this service has none of that name; ask without a name to see all that it has",
        )
    })?;
    Ok(json(StatusCode::OK, media_type, found.to_string()))
}
