//! SCIM's endpoints (RFC 7644, section 3.2): who answers what.

pub(crate) mod body;
mod discovery;
pub(crate) mod error;
mod etag;
mod groups;
pub(crate) mod media;
pub(crate) mod query;
mod render;
mod route;
mod users;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use rollcall_rpc::Backend;
use rollcall_rpc::metadata::{CREDENTIAL, REQUEST_ID};
use rollcall_rpc::pb::scim::v1::ListUsersRequest;
use rollcall_rpc::pb::scim::v1::scim_user_service_client::ScimUserServiceClient;
use rollcall_types::RequestId;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{Gateway, auth};
use error::Problem;
use media::MediaType;
use query::Query;
use route::Route;

/// Answers one request.
pub(crate) async fn serve(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    answer(&gateway, request)
        .await
        .unwrap_or_else(Problem::into_marker)
}

async fn answer(gateway: &Gateway, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or(0, |t| t.as_str().len());
    if target > gateway.limits.target {
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            format!(
                "the URL has {target} bytes; send at most {}",
                gateway.limits.target
            ),
        ));
    }
    let route = Route::parse(&parts.method, parts.uri.path())?;
    let query = Query::parse(&parts.uri)?;
    let accepted = media::answer_type(&parts.headers);
    if let Route::Discovery(route) = route {
        let media_type = accepted.ok_or_else(media::not_acceptable)?;
        return discovery::answer(&gateway.base, &route, &query, media_type);
    }
    let id = parts.extensions.get::<RequestId>().copied();
    let call = Call {
        gateway,
        credential: auth::credential(&parts.headers, &query)?,
        request_id: id.and_then(|id| MetadataValue::try_from(id.to_string()).ok()),
        headers: parts.headers,
        query,
        media_type: accepted.unwrap_or_default(),
    };
    let answered = match accepted {
        Some(_) => dispatch(&call, route, body).await,
        None => Err(media::not_acceptable()),
    };
    match answered {
        // S-7644-7.3-01: without a valid credential nothing is learned but that it is none. Only
        // who is refused waits for that.
        Err(problem) if problem.is_own_refusal() => {
            call.authenticate().await?;
            Err(problem)
        }
        answered => answered,
    }
}

async fn dispatch(call: &Call<'_>, route: Route, body: Body) -> Result<Response, Problem> {
    match route {
        Route::ListUsers => users::list(call).await,
        Route::CreateUser => users::create(call, body).await,
        Route::GetUser(id) => users::get(call, id).await,
        Route::ReplaceUser(id) => users::replace(call, id, body).await,
        Route::PatchUser(id) => users::patch(call, id, body).await,
        Route::DeleteUser(id) => users::delete(call, id).await,
        Route::ListGroups => groups::list(call).await,
        Route::GetGroup(id) => Err(groups::get(&id)),
        Route::Discovery(_) => Err(Problem::internal("discovery needs no call")),
    }
}

/// A request on its way to be one gRPC call.
struct Call<'g> {
    gateway: &'g Gateway,
    credential: MetadataValue<Ascii>,
    request_id: Option<MetadataValue<Ascii>>,
    headers: HeaderMap,
    query: Query,
    media_type: MediaType,
}

impl Call<'_> {
    /// The client to call with.
    fn users(&self) -> ScimUserServiceClient<Backend> {
        self.gateway.users.clone()
    }

    /// A message with what rides beside it.
    fn message<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert(CREDENTIAL, self.credential.clone());
        if let Some(id) = &self.request_id {
            metadata.insert(REQUEST_ID, id.clone());
        }
        request
    }

    /// Lets the call that costs least tell whether the credential is valid.
    async fn authenticate(&self) -> Result<(), Problem> {
        let nothing = ListUsersRequest {
            filter: None,
            start_index: 1,
            count: 0,
        };
        self.users().list_users(self.message(nothing)).await?;
        Ok(())
    }
}

/// An answer whose body is JSON text.
fn json(status: StatusCode, media_type: MediaType, body: String) -> Response {
    let content_type = [(http::header::CONTENT_TYPE, media_type.as_str())];
    (status, content_type, body).into_response()
}
