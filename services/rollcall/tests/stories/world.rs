//! One whole system, on SQLite in a temporary folder or on a database of the server that tests are
//! to use, served on free ports of loopback.

mod permissions;
mod running;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rollcall::assemble::{Gates, Roles, Stores};
use rollcall_permissions::Recomputation;
use rollcall_rpc::Backend;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use rollcall_rpc::pb::verification::v1 as domain;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_runtime::HttpLimits;
use rollcall_store::testing;
use rollcall_types::{Clock, OsEntropy, SystemClock, Timestamp};
use rollcall_verification::{Dns, Heard, TxtAnswer, Unavailable};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use running::{Parts, Running};

/// An answer, its body read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A DNS whose TXT records the story writes.
#[derive(Debug, Default)]
pub(crate) struct PlayedDns(Mutex<HashMap<String, String>>);

impl PlayedDns {
    pub(crate) fn publish(&self, owner: &str, value: &str) {
        self.0
            .lock()
            .unwrap()
            .insert(owner.to_owned(), value.to_owned());
    }
}

#[async_trait::async_trait]
impl Dns for PlayedDns {
    async fn txt(&self, owner: &str) -> Result<Vec<Heard>, Unavailable> {
        let records = self.0.lock().unwrap();
        let answer = match records.get(owner) {
            Some(value) => TxtAnswer::Records(vec![value.clone().into_bytes()]),
            None => TxtAnswer::NoData,
        };
        Ok(vec![Heard {
            vantage: "192.0.2.53:53".to_owned(),
            answer,
        }])
    }
}

/// The system's time, and what a story adds to it: feeds and deadlines go on in real time.
#[derive(Debug, Default)]
pub(crate) struct MovedClock(Mutex<Duration>);

impl MovedClock {
    pub(crate) fn advance(&self, span: Duration) {
        *self.0.lock().unwrap() += span;
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(*self.0.lock().unwrap())
    }
}

/// The system, with one account `acme` whose connection has a token.
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) token: String,
    pub(crate) backend: Backend,
    pub(crate) gates: Gates,
    pub(crate) stores: Stores,
    pub(crate) recomputation: Recomputation,
    /// Where gRPC is served, to the token `operator`.
    pub(crate) grpc: SocketAddr,
    pub(crate) dns: Arc<PlayedDns>,
    pub(crate) clock: Arc<MovedClock>,
    client: Client<HttpConnector, Full<Bytes>>,
    folder: TempDir,
    _stop: DropGuard,
}

impl World {
    /// What names its database.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let stop = CancellationToken::new();
        let clock = Arc::new(MovedClock::default());
        let dns = Arc::new(PlayedDns::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let verification = rollcall_verification::Config {
            slug: "rollcall".to_owned(),
            resolvers: vec![rollcall_verification::Resolver {
                address: std::net::Ipv4Addr::LOCALHOST.into(),
                port: 1,
            }],
            allow_special_use: true,
            require_known_tld: false,
            allow_private_suffix: false,
            max_check_interval: Some(Duration::from_secs(1)),
            rate_limits: false,
        };
        let database = async |name| testing::database(folder.path(), name).await;
        let parts = Parts {
            roles: Roles {
                gateway: Some(rollcall_gateway::Config::new(base.clone())),
                provisioning: Some((
                    database("provisioning").await,
                    rollcall_provisioning::Config::default(),
                )),
                permissions: Some((
                    database("permissions").await,
                    rollcall_permissions::Config::default(),
                )),
                verification: Some((database("verification").await, verification)),
            },
            clock: clock.clone(),
            entropy: Arc::new(OsEntropy),
            dns: dns.clone(),
            stop: stop.clone(),
        };
        let Running {
            http,
            backend,
            grpc,
            gates,
            stores,
            recomputation,
        } = Box::pin(parts.run()).await;
        tokio::spawn({
            let stop = stop.clone();
            async move { rollcall_runtime::serve(listener, http, &HttpLimits::dev(), stop).await }
        });
        let mut world = Self {
            base,
            token: String::new(),
            backend,
            gates,
            stores,
            recomputation,
            grpc,
            dns,
            clock,
            client: Client::builder(TokioExecutor::new()).build_http(),
            folder,
            _stop: stop.drop_guard(),
        };
        world.token = world.account("acme").await;
        world
    }

    /// Puts an account and connects it; its token.
    pub(crate) async fn account(&self, id: &str) -> String {
        let account = pb::Account {
            account_id: id.to_owned(),
            display_name: id.to_owned(),
            subscriptions: vec!["suite-enterprise".to_owned()],
            pricing_model: pb::PricingModel::PermissionSetSeats.into(),
            sso_enabled: true,
            ..pb::Account::default()
        };
        let request = pb::PutAccountRequest {
            account: Some(account),
        };
        self.accounts().put_account(request).await.unwrap();
        let account_id = id.to_owned();
        let request = pb::InstallConnectionRequest { account_id };
        self.connections()
            .install_connection(request)
            .await
            .unwrap();
        self.create_token(id).await.unwrap().secret
    }

    pub(crate) async fn create_token(
        &self,
        account: &str,
    ) -> Result<pb::CreateTokenResponse, tonic::Status> {
        let request = pb::CreateTokenRequest {
            account_id: account.to_owned(),
            label: "okta".to_owned(),
            expire_time: None,
            idempotency_key: String::new(),
        };
        Ok(self.connections().create_token(request).await?.into_inner())
    }

    /// Adds a domain to `acme`; the value to publish.
    pub(crate) async fn add_domain(&self, name: &str) -> String {
        self.claim(name).await.challenge.unwrap().value
    }

    /// Adds a domain to `acme`; all of it.
    pub(crate) async fn claim(&self, name: &str) -> domain::Domain {
        let request = domain::AddDomainRequest {
            account_id: "acme".to_owned(),
            name: name.to_owned(),
        };
        let mut client = DomainServiceClient::new(self.backend.clone());
        let added = client.add_domain(request).await.unwrap().into_inner();
        added.domain.unwrap()
    }

    /// The users of `acme` in order of their creation, each with its access state.
    pub(crate) async fn access(&self) -> Vec<(String, pb::AccessState)> {
        let request = pb::ListUsersRequest {
            account_id: "acme".to_owned(),
            page_size: 1000,
            ..pb::ListUsersRequest::default()
        };
        let mut client = UserServiceClient::new(self.backend.clone());
        let users = client.list_users(request).await.unwrap().into_inner().users;
        users
            .into_iter()
            .map(|user| (user.user_id, user.access.unwrap().state()))
            .collect()
    }

    /// Waits until nobody of `acme` is held; how long it took.
    pub(crate) async fn all_released(&self) -> Duration {
        let begun = Instant::now();
        loop {
            let users = self.access().await;
            if users
                .iter()
                .all(|(_, state)| *state != pb::AccessState::HeldDomainUnverified)
            {
                return begun.elapsed();
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "users stay held");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn accounts(&self) -> AccountServiceClient<Backend> {
        AccountServiceClient::new(self.backend.clone())
    }

    pub(crate) fn connections(&self) -> ConnectionServiceClient<Backend> {
        ConnectionServiceClient::new(self.backend.clone())
    }

    /// Sends a request as Okta does, with the token of `acme`.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.send_as(&format!("Bearer {}", self.token), method, path, body)
            .await
    }

    /// Sends any bytes with any credential.
    pub(crate) async fn send_as(
        &self,
        authorization: &str,
        method: &str,
        path: &str,
        body: String,
    ) -> Answer {
        let mut headers = vec![
            ("accept", "application/scim+json"),
            ("content-type", "application/scim+json; charset=utf-8"),
        ];
        if !authorization.is_empty() {
            headers.push(("authorization", authorization));
        }
        self.send_with(&headers, method, path, body).await
    }

    /// Sends any bytes with these headers alone.
    pub(crate) async fn send_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let uri = format!("{}/scim/v2{path}", self.base);
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.into())).unwrap();
        let answer = self.client.request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// How many users the account has.
    pub(crate) async fn total(&self) -> u64 {
        let list = self.send("GET", "/Users?startIndex=1&count=1", None).await;
        list.body["totalResults"].as_u64().unwrap()
    }
}

/// The body of a POST or PUT.
pub(crate) fn user(name: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": name, "type": "work"}],
        "active": true,
    })
}

/// The body of a PATCH.
pub(crate) fn patch(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

/// How often a race is run: the full count under `cargo xtask soak`.
pub(crate) fn rounds(full: usize, in_ci: usize) -> usize {
    if std::env::var_os("ROLLCALL_SOAK").is_some() {
        full
    } else {
        in_ci
    }
}
