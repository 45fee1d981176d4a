//! Groups, of which this release has none: Okta asks for them when its settings are saved.

use axum::response::Response;
use http::StatusCode;
use rollcall_scim::{Filter, ListResponse};

use super::error::Problem;
use super::{Call, etag, json};

/// `GET /Groups`: a valid list without members.
pub(super) async fn list(call: &Call<'_>) -> Result<Response, Problem> {
    let query = call.query.list()?;
    etag::check_match(&call.headers, None)?;
    if let Some(filter) = &query.filter {
        Filter::check_of_groups(filter)?;
    }
    call.authenticate().await?;
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
pub(super) fn get(id: &str) -> Problem {
    let shown: String = id.chars().take(100).collect();
    Problem::new(
        StatusCode::NOT_FOUND,
        format!("there is no group {shown:?}: switch Push Groups off in Okta"),
    )
}
