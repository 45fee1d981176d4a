//! `/Users`: each operation is one gRPC call.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderValue, StatusCode};
use rollcall_rpc::convert::user::{roles_to_proto, to_proto};
use rollcall_rpc::pb::scim::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, PatchOperation,
    PatchUserRequest, ReplaceUserRequest, ScimUser,
};
use rollcall_scim::{Error, ErrorKind, Operation, PatchRequest, User};
use serde_json::{Map, Value};

use super::error::Problem;
use super::{Call, body, etag, json, render};

/// `GET /Users`.
pub(super) async fn list(call: &Call<'_>) -> Result<Response, Problem> {
    let query = call.query.list()?;
    etag::check_match(&call.headers, None)?;
    let message = call.message(ListUsersRequest {
        filter: query.filter,
        start_index: i64::try_from(query.start_index).unwrap_or(i64::MAX),
        count: i32::try_from(query.count).unwrap_or(i32::MAX),
    });
    let page = call.users().list_users(message).await?.into_inner();
    let body = render::list(&call.gateway.base, query.start_index, &page)?;
    Ok(json(StatusCode::OK, call.media_type, body))
}

/// `POST /Users`.
pub(super) async fn create(call: &Call<'_>, body: Body) -> Result<Response, Problem> {
    call.query.single()?;
    etag::check_match(&call.headers, None)?;
    etag::refuse_none_match(&call.headers)?;
    let (user, _) = User::from_json(read(call, body).await?)?;
    let message = call.message(CreateUserRequest {
        attributes: Some(to_proto(&user)),
        roles: user.roles.as_deref().map(roles_to_proto),
        external_id: user.external_id.unwrap_or_default(),
    });
    let reply = call.users().create_user(message).await?.into_inner();
    let user = present(reply.user)?;
    let location = render::location(&call.gateway.base, &user.user_id);
    let mut response = answer(call, StatusCode::CREATED, &user)?;
    let location = HeaderValue::from_str(&location)
        .map_err(|_| Problem::internal("a location does not fit a header"))?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

/// `GET /Users/{id}`.
pub(super) async fn get(call: &Call<'_>, user_id: String) -> Result<Response, Problem> {
    call.query.single()?;
    let message = call.message(GetUserRequest { user_id });
    let reply = call.users().get_user(message).await?.into_inner();
    let user = present(reply.user)?;
    etag::check_match(&call.headers, Some(&user.etag))?;
    if etag::values(&call.headers, &IF_NONE_MATCH)
        .iter()
        .any(|tag| etag::matches(tag, &user.etag))
    {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        set_etag(&mut response, &user)?;
        return Ok(response);
    }
    answer(call, StatusCode::OK, &user)
}

/// `PUT /Users/{id}`.
pub(super) async fn replace(
    call: &Call<'_>,
    user_id: String,
    body: Body,
) -> Result<Response, Problem> {
    call.query.single()?;
    etag::refuse_none_match(&call.headers)?;
    let object = read(call, body).await?;
    check_id(&object, &user_id)?;
    let (user, _) = User::from_json(object)?;
    let message = call.message(ReplaceUserRequest {
        user_id,
        attributes: Some(to_proto(&user)),
        roles: user.roles.as_deref().map(roles_to_proto),
        external_id: user.external_id.unwrap_or_default(),
        if_match: etag::values(&call.headers, &IF_MATCH),
    });
    let reply = call.users().replace_user(message).await?.into_inner();
    answer(call, StatusCode::OK, &present(reply.user)?)
}

/// `PATCH /Users/{id}`.
pub(super) async fn patch(
    call: &Call<'_>,
    user_id: String,
    body: Body,
) -> Result<Response, Problem> {
    call.query.single()?;
    etag::refuse_none_match(&call.headers)?;
    let operations = PatchRequest::from_json(read(call, body).await?)?;
    let message = call.message(PatchUserRequest {
        user_id,
        operations: operations.into_iter().map(operation).collect(),
        if_match: etag::values(&call.headers, &IF_MATCH),
    });
    let reply = call.users().patch_user(message).await?.into_inner();
    answer(call, StatusCode::OK, &present(reply.user)?)
}

/// `DELETE /Users/{id}`.
pub(super) async fn delete(call: &Call<'_>, user_id: String) -> Result<Response, Problem> {
    call.query.single()?;
    etag::refuse_none_match(&call.headers)?;
    let message = call.message(DeleteUserRequest {
        user_id,
        if_match: etag::values(&call.headers, &IF_MATCH),
    });
    call.users().delete_user(message).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn read(call: &Call<'_>, body: Body) -> Result<Map<String, Value>, Problem> {
    body::object(&call.headers, body, &call.gateway.limits).await
}

/// S-7644-3.5.1-04: an id that was sent has to be that of the URL.
fn check_id(object: &Map<String, Value>, user_id: &str) -> Result<(), Problem> {
    match rollcall_scim::json::find(object, "id") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(id)) if id == user_id => Ok(()),
        Some(_) => Err(Problem::from(Error::new(
            ErrorKind::Mutability,
            "id differs from the one in the URL and can't be changed; send the same or none",
        ))),
    }
}

fn operation(operation: Operation) -> PatchOperation {
    PatchOperation {
        op: operation.op.as_str().to_owned(),
        path: operation.path,
        value_json: operation.value.map(|value| value.to_string()),
    }
}

fn present(user: Option<ScimUser>) -> Result<ScimUser, Problem> {
    user.ok_or_else(|| Problem::internal("an answer of provisioning lacks its user"))
}

fn answer(call: &Call<'_>, status: StatusCode, user: &ScimUser) -> Result<Response, Problem> {
    let body = render::user(&call.gateway.base, user)?;
    let mut response = json(status, call.media_type, body);
    set_etag(&mut response, user)?;
    Ok(response)
}

fn set_etag(response: &mut Response, user: &ScimUser) -> Result<(), Problem> {
    let tag = HeaderValue::from_str(&user.etag)
        .map_err(|_| Problem::internal("an etag does not fit a header"))?;
    response.headers_mut().insert(ETAG, tag);
    Ok(())
}
