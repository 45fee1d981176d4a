//! Groups, of which this release has none: Okta asks for them when its settings are saved.

use axum::response::Response;
use http::StatusCode;
use rollcall_rpc::pb::scim::v1::ListUsersRequest;
use rollcall_scim::{Filter, ListResponse};

use super::error::Problem;
use super::{Call, json};

/// `GET /Groups`: a valid list without members.
pub(super) async fn list(call: Call<'_>) -> Result<Response, Problem> {
    let query = call.query.list()?;
    if let Some(filter) = &query.filter {
        Filter::parse(filter)?;
    }
    authenticate(&call).await?;
    let page = ListResponse {
        total_results: 0,
        start_index: query.start_index,
        resources: Vec::new(),
    };
    Ok(json(
        StatusCode::OK,
        call.media_type,
        page.to_json().to_string(),
    ))
}

/// `GET /Groups/{id}`: there is none.
pub(super) async fn get(call: Call<'_>, id: &str) -> Result<Response, Problem> {
    authenticate(&call).await?;
    let shown: String = id.chars().take(100).collect();
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is no group {shown:?}"),
    ))
}

/// Lets the call that costs least tell whether the credential is valid.
async fn authenticate(call: &Call<'_>) -> Result<(), Problem> {
    let nothing = ListUsersRequest {
        filter: None,
        start_index: 1,
        count: 0,
    };
    call.users().list_users(call.message(nothing)).await?;
    Ok(())
}
