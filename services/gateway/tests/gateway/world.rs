//! A gateway in front of a fake provisioning service.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use rollcall_gateway::{Config, Limits, router};
use rollcall_rpc::convert::user::from_proto;
use rollcall_rpc::metadata::credential;
use rollcall_rpc::pb::provisioning::v1::{Access, AccessState, RoleList, UserAttributes};
use rollcall_rpc::pb::scim::v1::scim_user_service_server::{
    ScimUserService, ScimUserServiceServer,
};
use rollcall_rpc::pb::scim::v1::{
    CreateUserRequest, CreateUserResponse, DeleteUserRequest, DeleteUserResponse, GetUserRequest,
    GetUserResponse, ListUsersRequest, ListUsersResponse, PatchUserRequest, PatchUserResponse,
    ReplaceUserRequest, ReplaceUserResponse, ScimUser,
};
use rollcall_rpc::server::ServerLayer;
use rollcall_rpc::{Backend, Caller, CallerKind, Callers, Failure, Gate};
use rollcall_types::{
    Credential, ExposeSecret, IdSource, OsEntropy, RequestId, SystemClock, Timestamp, TokenId,
};
use serde_json::Value;
use tonic::service::Routes;
use tonic::{Response, Status};
use tower::ServiceExt;

pub(crate) const ID: &str = "0193a1b2-0000-7000-8000-00000000000a";
pub(crate) const TAG: &str = "W/\"7\"";
pub(crate) const BASE: &str = "https://scim.example.com";

/// One call that reached provisioning.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    List(ListUsersRequest),
    Create(CreateUserRequest),
    Get(GetUserRequest),
    Replace(ReplaceUserRequest),
    Patch(PatchUserRequest),
    Delete(DeleteUserRequest),
}

/// What all calls left behind, and what the next one is answered.
#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    credentials: Vec<String>,
    ids: Vec<String>,
    failure: Option<Failure>,
}

#[derive(Clone, Debug, Default)]
struct Fake(Arc<Mutex<State>>);

impl Fake {
    fn note<T>(&self, request: tonic::Request<T>, seen: fn(T) -> Seen) -> Result<(), Status> {
        let mut state = self.0.lock().unwrap();
        let token = credential(request.metadata()).unwrap_or_default();
        state.credentials.push(token.to_owned());
        let id = request.extensions().get::<RequestId>().unwrap();
        state.ids.push(id.to_string());
        state.seen.push(seen(request.into_inner()));
        state
            .failure
            .clone()
            .map_or(Ok(()), |failure| Err(failure.into()))
    }
}

fn stored(attributes: UserAttributes, roles: Option<RoleList>, external_id: String) -> ScimUser {
    let mut document = from_proto(attributes).unwrap().to_document();
    let schemas = document
        .get_mut("schemas")
        .and_then(Value::as_array_mut)
        .unwrap();
    schemas.push(rollcall_scim::schema::ACCESS.into());
    let moment = Timestamp::parse("2026-11-24T09:10:11.5Z").unwrap();
    let moment = rollcall_rpc::convert::time::to_proto(moment);
    ScimUser {
        user_id: ID.to_owned(),
        external_id,
        roles,
        document: Value::Object(document).to_string(),
        version: 7,
        etag: TAG.to_owned(),
        create_time: Some(moment),
        update_time: Some(moment),
        access: Some(Access {
            state: AccessState::HeldDomainUnverified.into(),
            since_time: Some(moment),
            cause: "DOMAIN_UNVERIFIED".to_owned(),
            message: "verify \"example.com\"".to_owned(),
        }),
    }
}

fn alice() -> ScimUser {
    let attributes = UserAttributes {
        user_name: "alice@example.com".to_owned(),
        active: Some(true),
        ..UserAttributes::default()
    };
    stored(attributes, None, String::new())
}

#[tonic::async_trait]
impl ScimUserService for Fake {
    async fn create_user(
        &self,
        request: tonic::Request<CreateUserRequest>,
    ) -> Result<Response<CreateUserResponse>, Status> {
        let sent = request.get_ref().clone();
        self.note(request, Seen::Create)?;
        let user = stored(sent.attributes.unwrap(), sent.roles, sent.external_id);
        Ok(Response::new(CreateUserResponse {
            user: Some(user),
            change_token: String::new(),
        }))
    }

    async fn get_user(
        &self,
        request: tonic::Request<GetUserRequest>,
    ) -> Result<Response<GetUserResponse>, Status> {
        let id = request.get_ref().user_id.clone();
        self.note(request, Seen::Get)?;
        if id != ID {
            return Err(Failure::not_found("user", &id).into());
        }
        Ok(Response::new(GetUserResponse {
            user: Some(alice()),
        }))
    }

    async fn list_users(
        &self,
        request: tonic::Request<ListUsersRequest>,
    ) -> Result<Response<ListUsersResponse>, Status> {
        let count = request.get_ref().count;
        self.note(request, Seen::List)?;
        let users = (0..count.min(2)).map(|_| alice()).collect();
        Ok(Response::new(ListUsersResponse {
            users,
            total_results: 2,
        }))
    }

    async fn replace_user(
        &self,
        request: tonic::Request<ReplaceUserRequest>,
    ) -> Result<Response<ReplaceUserResponse>, Status> {
        let sent = request.get_ref().clone();
        self.note(request, Seen::Replace)?;
        let user = stored(sent.attributes.unwrap(), sent.roles, sent.external_id);
        Ok(Response::new(ReplaceUserResponse {
            user: Some(user),
            change_token: String::new(),
        }))
    }

    async fn patch_user(
        &self,
        request: tonic::Request<PatchUserRequest>,
    ) -> Result<Response<PatchUserResponse>, Status> {
        self.note(request, Seen::Patch)?;
        Ok(Response::new(PatchUserResponse {
            user: Some(alice()),
            change_token: String::new(),
        }))
    }

    async fn delete_user(
        &self,
        request: tonic::Request<DeleteUserRequest>,
    ) -> Result<Response<DeleteUserResponse>, Status> {
        self.note(request, Seen::Delete)?;
        Ok(Response::new(DeleteUserResponse {
            change_token: String::new(),
        }))
    }
}

/// The whole of it.
pub(crate) struct World {
    app: Router,
    fake: Fake,
    pub(crate) gate: Gate,
    pub(crate) token: String,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let ids = Arc::new(IdSource::new(Arc::new(SystemClock), Arc::new(OsEntropy)));
        let mut callers = Callers::default();
        let caller = Caller {
            name: "gateway".into(),
            kind: CallerKind::Gateway,
            scopes: Arc::default(),
            accounts: None,
        };
        callers.add("gateway-token", caller);
        let layer = ServerLayer::new(Arc::new(callers), Arc::clone(&ids), false);
        let fake = Fake::default();
        let routes = Routes::new(ScimUserServiceServer::new(fake.clone()));
        let backend = Backend::in_process(routes, &layer, "gateway-token");
        let gate = backend.gate().clone();
        let (_, token) = Credential::generate(TokenId::from_uuid(ids.next()), &OsEntropy);
        let config = Config {
            public_url: format!("{BASE}/"),
            limits,
        };
        Self {
            app: router(config, backend, ids),
            fake,
            gate,
            token: token.expose_secret().to_owned(),
        }
    }

    /// Lets provisioning answer everything with `failure`.
    pub(crate) fn fail(&self, failure: Failure) {
        self.fake.0.lock().unwrap().failure = Some(failure);
    }

    /// The calls so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.fake.0.lock().unwrap().seen.clone()
    }

    /// Whether provisioning was asked for nothing but whether the credential is valid.
    pub(crate) fn asked_for_the_credential_only(&self) -> bool {
        let seen = self.seen();
        let mut others = seen.iter().filter(
            |seen| !matches!(seen, Seen::List(list) if list.count == 0 && list.filter.is_none()),
        );
        others.next().is_none()
    }

    /// The credentials that came with them.
    pub(crate) fn credentials(&self) -> Vec<String> {
        self.fake.0.lock().unwrap().credentials.clone()
    }

    /// Their request ids.
    pub(crate) fn request_ids(&self) -> Vec<String> {
        self.fake.0.lock().unwrap().ids.clone()
    }

    /// The routes, for a listener.
    pub(crate) fn app(&self) -> Router {
        self.app.clone()
    }

    /// A request below `/scim/v2`, with the token.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &str) -> Answer {
        self.with_headers(method, path, &[], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "").await
    }

    /// The same with further headers.
    pub(crate) async fn with_headers(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = headers.to_vec();
        headers.push(("authorization", &bearer));
        self.raw(
            method,
            &format!("/scim/v2{path}"),
            &headers,
            body.to_owned(),
        )
        .await
    }

    /// A request as it is.
    pub(crate) async fn raw(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Expects a SCIM error with everything that one has (S-7644-3.12-01, G-03).
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, scim_type: Option<&str>) -> String {
        assert_eq!(self.status, status, "{self:?}");
        let media_type = self.header("content-type").unwrap();
        assert!(
            ["application/scim+json", "application/json"].contains(&media_type),
            "{media_type}"
        );
        let body = self.json();
        assert_eq!(
            body["schemas"],
            serde_json::json!(["urn:ietf:params:scim:api:messages:2.0:Error"])
        );
        assert_eq!(body["status"], status.to_string());
        assert_eq!(
            body.get("scimType").and_then(Value::as_str),
            scim_type,
            "{body}"
        );
        let detail = body["detail"].as_str().unwrap().to_owned();
        let number = self.header("x-request-number").unwrap();
        let told = detail.strip_suffix(&format!(" ({number})"));
        assert!(told.is_some_and(|told| told.len() > 10), "{detail}");
        let id: RequestId = self.header("x-request-id").unwrap().parse().unwrap();
        assert_eq!(id.number().to_string(), number);
        detail
    }
}
