//! The system as processes of their own, on addresses of loopback that no other test has.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rollcall::dev::zone::{self, Zone};
use rollcall_rpc::Backend;
use rollcall_rpc::pb::permissions::v1 as permissions;
use rollcall_rpc::pb::permissions::v1::access_service_client::AccessServiceClient;
use rollcall_rpc::pb::permissions::v1::catalogue_service_client::CatalogueServiceClient;
use rollcall_rpc::pb::permissions::v1::management_service_client::ManagementServiceClient;
use rollcall_rpc::pb::permissions::v1::permission_set_service_client::PermissionSetServiceClient;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use rollcall_rpc::pb::provisioning::v1::get_user_request::User as By;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use rollcall_rpc::pb::verification::v1 as domain;
use rollcall_rpc::pb::verification::v1::domain_service_client::DomainServiceClient;
use rollcall_store::testing;
use rollcall_types::{ExposeSecret, base32};
use sea_orm::{ConnectOptions, ConnectionTrait};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Endpoint;

use crate::agree::Reached;
use crate::program::{Ran, command, keep};

/// What comes at all comes before this, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// The token that each kind of caller presents.
const GATEWAY: &str = "token-of-the-gateway";
const SERVICE: &str = "token-of-a-service";
const OPERATOR: &str = "token-of-the-operator";

/// How many processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One for each role.
    Each,
    /// One for each role, and a second gateway with a second provisioning.
    Twice,
}

/// The processes; they are killed when this is dropped. A test that fails shows what they wrote.
pub(crate) struct Cluster {
    /// The bearer token of `acme`.
    pub(crate) token: String,
    folder: TempDir,
    layout: Layout,
    ip: Ipv4Addr,
    port: u16,
    zone: Zone,
    running: BTreeMap<String, Child>,
    output: Arc<Mutex<String>>,
    client: Client<HttpConnector, Full<Bytes>>,
    _stop: DropGuard,
}

impl Cluster {
    /// Everything runs, and `acme` is connected, with a verified domain and a permission set.
    pub(crate) async fn start(layout: Layout) -> Self {
        Self::prepare(layout).await.run().await
    }

    /// The same on a database of one's own.
    pub(crate) async fn start_on(layout: Layout, database: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::prepare_on(layout, folder, Some(database))
            .await
            .run()
            .await
    }

    async fn run(self) -> Self {
        let mut cluster = self;
        cluster.migrate().await;
        cluster.begin_all().await;
        cluster.furnish().await;
        cluster
    }

    /// Starts every process.
    pub(crate) async fn begin_all(&mut self) {
        for name in self.names() {
            self.begin(&name).await;
        }
    }

    /// Has verification ask another resolver than the zone of the test.
    pub(crate) fn ask_of(&self, resolver: SocketAddr) {
        let file = self.folder.path().join("verification.toml");
        let text = std::fs::read_to_string(file).unwrap();
        let vantage = |at: SocketAddr| format!("address = \"{}\", port = {}", at.ip(), at.port());
        let text = text.replace(&vantage(self.zone.address), &vantage(resolver));
        self.private("verification.toml", &text);
    }

    /// Configured, and nothing runs.
    pub(crate) async fn prepare(layout: Layout) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = testing::url(folder.path()).await;
        let database = database.map(|url| url.expose_secret().to_owned());
        Self::prepare_on(layout, folder, database.as_deref()).await
    }

    async fn prepare_on(layout: Layout, folder: TempDir, database: Option<&str>) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let stop = CancellationToken::new();
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let cluster = Self {
            token: String::new(),
            layout,
            // Of this process alone.
            ip: Ipv4Addr::new(127, 1 + high % 250, middle, low),
            port: 20_000 + 100 * NEXT.fetch_add(1, Ordering::Relaxed),
            zone: zone::serve(folder.path(), stop.clone()).await.unwrap(),
            folder,
            running: BTreeMap::new(),
            output: Arc::default(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            _stop: stop.drop_guard(),
        };
        cluster.private("token_key", &base32::encode(&[7; 32]));
        cluster.private("gateway_token", GATEWAY);
        cluster.private("service_token", SERVICE);
        for name in cluster.names() {
            let text = cluster.configuration(&name, database, None);
            cluster.private(&format!("{name}.toml"), &text);
        }
        cluster
    }

    /// The processes, whom others call first.
    fn names(&self) -> Vec<String> {
        let mut names = vec!["verification", "provisioning", "permissions", "gateway"];
        if self.layout == Layout::Twice {
            names.extend(["provisioning1", "gateway1"]);
        }
        names.into_iter().map(str::to_owned).collect()
    }

    fn private(&self, name: &str, text: &str) {
        let mut options = std::fs::OpenOptions::new();
        options.create(true).truncate(true).write(true).mode(0o600);
        let mut file = options.open(self.folder.path().join(name)).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    /// The address of a process: of what it serves, or its admin port.
    fn address(&self, name: &str, offset: u16) -> String {
        let all = ["verification", "provisioning", "permissions", "gateway"];
        let all = all.into_iter().chain(["provisioning1", "gateway1"]);
        let at = { all }.position(|one| one == name).unwrap();
        let at = u16::try_from(at).unwrap();
        format!("{}:{}", self.ip, self.port + 10 * at + offset)
    }

    fn configuration(&self, name: &str, database: Option<&str>, owner: Option<&str>) -> String {
        let role = name.trim_end_matches('1');
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let url = |of: &str| {
            database.map_or_else(
                || format!("sqlite:{}", file(&format!("{of}.db"))),
                str::to_owned,
            )
        };
        let serves = self.address(name, 0);
        let mut text = format!(
            "[admin]\nlisten = \"{}\"\n[shutdown]\ndelay = 6\ndrain = 5\n[secrets]\ntoken_key = \
             {:?}\n[tls]\nterminated_upstream = true\n",
            self.address(name, 1),
            file("token_key")
        );
        let listens = if role == "gateway" { "gateway" } else { "grpc" };
        writeln!(text, "[{listens}]\nlisten = \"{serves}\"").unwrap();
        if role == "gateway" {
            writeln!(text, "public_url = \"http://{serves}\"").unwrap();
        } else {
            writeln!(text, "[{role}.database]\nurl = {:?}", url(role)).unwrap();
            if let Some(owner) = owner {
                writeln!(text, "owner_url = {owner:?}").unwrap();
            }
        }
        if role == "verification" {
            let at = self.zone.address;
            writeln!(
                text,
                "[verification]\nallow_special_use = true\nrequire_known_tld = false\n\
                 max_check_interval = 1\nresolvers = [{{ address = \"{}\", port = {}, validate = \
                 \"off\" }}]",
                at.ip(),
                at.port()
            )
            .unwrap();
        }
        let (peer, token) = match name {
            "gateway" => ("provisioning", "gateway_token"),
            "gateway1" => ("provisioning1", "gateway_token"),
            "permissions" => ("provisioning", "service_token"),
            _ => ("verification", "service_token"),
        };
        if role != "verification" {
            writeln!(
                text,
                "[peers.{}]\nurl = \"http://{}\"\ntoken_file = {:?}",
                peer.trim_end_matches('1'),
                self.address(peer, 0),
                file(token)
            )
            .unwrap();
        }
        for (kind, token, scopes) in [
            ("gateway", GATEWAY, "[]"),
            ("service", SERVICE, "[]"),
            ("operator", OPERATOR, "[\"operate\"]"),
        ] {
            let hash = rollcall_types::credential::hash(token.as_bytes());
            let mut digits = String::new();
            for byte in hash.as_bytes() {
                write!(digits, "{byte:02x}").unwrap();
            }
            writeln!(
                text,
                "[[callers]]\nname = \"{kind}\"\nkind = \"{kind}\"\ntoken_sha256 = \
                 \"{digits}\"\nscopes = {scopes}"
            )
            .unwrap();
        }
        text
    }

    /// The command for a process, with what it is to do.
    fn program(&self, name: &str, verb: &[&str]) -> tokio::process::Command {
        let mut program = command(self.folder.path());
        program
            .env("ROLLCALL_LOG__FILTER", "warn")
            .env("ROLLCALL_LOG__FORMAT", "text")
            .args(verb)
            .arg("--config")
            .arg(self.folder.path().join(format!("{name}.toml")));
        program
    }

    /// Brings every schema up to date.
    pub(crate) async fn migrate(&self) {
        for role in ["provisioning", "permissions", "verification"] {
            let mut migrate = self.program(role, &["migrate", "--role", role]);
            let ran = Ran::from(migrate.output().await.unwrap());
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
    }

    /// Starts a process and waits until it is ready.
    pub(crate) async fn begin(&mut self, name: &str) {
        self.begin_unready(name).await;
        self.until_ready(name).await;
    }

    /// Starts a process and waits until it answers that it isn't.
    pub(crate) async fn begin_unready(&mut self, name: &str) {
        let role = name.trim_end_matches('1');
        let mut child = self
            .program(name, &["serve", "--role", role])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        keep(child.stdout.take().unwrap(), self.output.clone());
        keep(child.stderr.take().unwrap(), self.output.clone());
        self.running.insert(name.to_owned(), child);
        self.until(name, |status| status != 0).await;
    }

    pub(crate) async fn until_ready(&self, name: &str) {
        self.until(name, |status| status == 200).await;
    }

    pub(crate) async fn until_not_ready(&self, name: &str) {
        self.until(name, |status| status == 503).await;
    }

    async fn until(&self, name: &str, wanted: impl Fn(u16) -> bool) {
        let begun = Instant::now();
        loop {
            let (status, body) = self.ready(name).await;
            if wanted(status) {
                return;
            }
            assert!(begun.elapsed() < LONG, "{name}: {status} {body}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What `/readyz` of a process says; 0 if nobody answers.
    pub(crate) async fn ready(&self, name: &str) -> (u16, String) {
        let uri = format!("http://{}/readyz", self.address(name, 1));
        let uri = uri.parse().unwrap();
        let Ok(answer) = self.client.get(uri).await else {
            return (0, String::new());
        };
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self, name: &str) {
        let mut child = self.running.remove(name).unwrap();
        child.kill().await.unwrap();
    }

    /// Tells a process to stop.
    pub(crate) async fn terminate(&self, name: &str) {
        let pid = self.running[name].id().unwrap().to_string();
        let told = tokio::process::Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &pid])
            .status();
        assert!(told.await.unwrap().success());
    }

    /// How a process ended.
    pub(crate) async fn ended(&mut self, name: &str) -> ExitStatus {
        let mut child = self.running.remove(name).unwrap();
        let ended = tokio::time::timeout(LONG, child.wait()).await;
        ended.unwrap().unwrap()
    }

    /// Tries to serve a role with another section in its configuration.
    pub(crate) async fn try_with(&self, role: &str, section: &str) -> Ran {
        let name = format!("try-{role}");
        let text = std::fs::read_to_string(self.folder.path().join(format!("{role}.toml")));
        let head = section.split(']').next().unwrap().trim_start_matches('[');
        let mut kept = String::new();
        let mut drops = false;
        for line in text.unwrap().lines() {
            if line.starts_with('[') {
                let own = line.trim_start_matches('[').split(']').next().unwrap();
                drops = own == head || own.split('.').next() == Some(head) && head == "peers";
            }
            if !drops {
                kept += line;
                kept.push('\n');
            }
        }
        // On ports of its own, should it get so far.
        let kept = kept.replace(&self.ip.to_string(), "127.0.0.1");
        self.private(&format!("{name}.toml"), &format!("{section}\n{kept}"));
        let mut serve = self.program(&name, &["serve", "--role", role]);
        let ran = tokio::time::timeout(LONG, serve.output()).await;
        Ran::from(ran.unwrap().unwrap())
    }

    /// `config check` of a process's configuration.
    pub(crate) async fn check(&self, name: &str) -> Ran {
        let mut check = self.program(name, &["config", "check"]);
        Ran::from(check.output().await.unwrap())
    }

    /// `doctor` of a process's configuration.
    pub(crate) async fn doctor(&self, name: &str) -> Ran {
        let mut doctor = self.program(name, &["doctor", "--role", name]);
        Ran::from(doctor.output().await.unwrap())
    }

    /// The SCIM base URL of a gateway.
    pub(crate) fn scim(&self, gateway: usize) -> String {
        let name = ["gateway", "gateway1"][gateway];
        format!("http://{}/scim/v2", self.address(name, 0))
    }

    pub(crate) async fn get(&self, gateway: usize, path: &str) -> (u16, Value) {
        self.send(gateway, "GET", path, Value::Null).await
    }

    /// Sends a SCIM request with the token of `acme`: the status and the body.
    pub(crate) async fn send(
        &self,
        gateway: usize,
        method: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.scim(gateway)))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/scim+json; charset=utf-8")
            .body(Full::from(body))
            .unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (head.status.as_u16(), body)
    }

    /// Waits until a gateway answers what needs provisioning.
    pub(crate) async fn until_answered(&self, gateway: usize) {
        let begun = Instant::now();
        loop {
            let (status, body) = self.get(gateway, "/Users?count=1").await;
            if status == 200 {
                return;
            }
            assert!(begun.elapsed() < LONG, "{status} {body}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The gRPC services of a process, called with the operator's token.
    pub(crate) fn operator(&self, name: &str) -> Backend {
        let url = format!("http://{}", self.address(name, 0));
        let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
        Backend::channel(channel, OPERATOR)
    }

    /// Makes the account `acme`, and connects it.
    pub(crate) async fn account(&mut self) {
        let id = || "acme".to_owned();
        let account = pb::Account {
            account_id: id(),
            display_name: id(),
            subscriptions: vec!["suite-enterprise".to_owned()],
            pricing_model: pb::PricingModel::PermissionSetSeats.into(),
            sso_enabled: true,
            ..pb::Account::default()
        };
        let account = Some(account);
        let mut accounts = AccountServiceClient::new(self.operator("provisioning"));
        let put = pb::PutAccountRequest { account };
        accounts.put_account(put).await.unwrap();
        let mut connections = ConnectionServiceClient::new(self.operator("provisioning"));
        let install = pb::InstallConnectionRequest { account_id: id() };
        connections.install_connection(install).await.unwrap();
        let create = pb::CreateTokenRequest {
            account_id: id(),
            label: "okta".to_owned(),
            ..pb::CreateTokenRequest::default()
        };
        let created = connections.create_token(create).await.unwrap();
        self.token = created.into_inner().secret;
    }

    /// Adds a domain to `acme`; the value to publish.
    pub(crate) async fn claim(&self, name: &str) -> String {
        let add = domain::AddDomainRequest {
            account_id: "acme".to_owned(),
            name: name.to_owned(),
        };
        let mut domains = DomainServiceClient::new(self.operator("verification"));
        let added = domains.add_domain(add).await.unwrap().into_inner();
        added.domain.unwrap().challenge.unwrap().value
    }

    /// Waits until nobody of `acme` is held.
    pub(crate) async fn until_nobody_is_held(&self) {
        let begun = Instant::now();
        loop {
            let list = pb::ListUsersRequest {
                account_id: "acme".to_owned(),
                page_size: 1_000,
                ..pb::ListUsersRequest::default()
            };
            let mut users = UserServiceClient::new(self.operator("provisioning"));
            let page = users.list_users(list).await.unwrap().into_inner();
            let is_held = |user: &pb::User| {
                let access = user.access.as_ref().unwrap();
                access.state() == pb::AccessState::HeldDomainUnverified
            };
            if !page.users.iter().any(is_held) {
                return;
            }
            assert!(begun.elapsed() < LONG, "users stay held");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Makes the account `acme`, connects it, proves its domain, and lets the role `Sales Manager`
    /// select a set.
    pub(crate) async fn furnish(&mut self) {
        let id = || "acme".to_owned();
        self.account().await;
        let value = self.claim("acme.example").await;
        let mut zone = std::fs::read_to_string(&self.zone.file).unwrap();
        writeln!(zone, "acme.example. IN TXT {value:?}").unwrap();
        std::fs::write(&self.zone.file, zone).unwrap();

        let permission = permissions::Permission {
            key: "deals.write".to_owned(),
            label: "Edit deals".to_owned(),
            ..permissions::Permission::default()
        };
        let group = permissions::PermissionGroup {
            label: "Sales".to_owned(),
            permissions: vec![permission],
        };
        let catalogue = permissions::Catalogue {
            groups: vec![group],
            ..permissions::Catalogue::default()
        };
        let put = permissions::PutCatalogueRequest {
            catalogue: Some(catalogue),
            etag: String::new(),
        };
        let mut catalogues = CatalogueServiceClient::new(self.operator("permissions"));
        catalogues.put_catalogue(put).await.unwrap();
        let set = permissions::PermissionSet {
            name: "Sales Manager".to_owned(),
            permission_keys: vec!["deals.write".to_owned()],
            ..permissions::PermissionSet::default()
        };
        let create = permissions::CreatePermissionSetRequest {
            account_id: id(),
            permission_set: Some(set),
            idempotency_key: String::new(),
        };
        let mut sets = PermissionSetServiceClient::new(self.operator("permissions"));
        sets.create_permission_set(create).await.unwrap();
        let on = permissions::SetManagementRequest {
            account_id: id(),
            enabled: true,
        };
        let mut management = ManagementServiceClient::new(self.operator("permissions"));
        management.set_management(on).await.unwrap();
        // From here on nobody is held, and released while Okta looks.
        let probe = self.active_user_with_role("Probe").await;
        let probe = format!("/Users/{probe}");
        let (status, body) = self.send(0, "DELETE", &probe, Value::Null).await;
        assert_eq!(status, 204, "{body}");
    }

    /// Creates a user with a role, and waits until it is active; its id.
    pub(crate) async fn active_user_with_role(&self, role: &str) -> String {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let name = format!("one{}@acme.example", NEXT.fetch_add(1, Ordering::Relaxed));
        let body = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": name,
            "emails": [{"value": name, "primary": true, "type": "work"}],
            "active": true,
            "roles": [{"value": role}],
        });
        let (status, user) = self.send(0, "POST", "/Users", body).await;
        assert_eq!(status, 201, "{user}");
        let id = user["id"].as_str().unwrap().to_owned();
        let begun = Instant::now();
        loop {
            let get = pb::GetUserRequest {
                account_id: "acme".to_owned(),
                user: Some(By::UserId(id.clone())),
            };
            let mut users = UserServiceClient::new(self.operator("provisioning"));
            let got = users
                .get_user(get)
                .await
                .unwrap()
                .into_inner()
                .user
                .unwrap();
            if got.access.unwrap().state() == pb::AccessState::Active {
                return id;
            }
            assert!(begun.elapsed() < LONG, "{name} stays held");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a user may do something.
    pub(crate) async fn until_allowed(&self, user: &str, key: &str) {
        let begun = Instant::now();
        loop {
            let check = permissions::CheckPermissionRequest {
                account_id: "acme".to_owned(),
                user_id: user.to_owned(),
                permission_key: key.to_owned(),
                at_least: String::new(),
            };
            let mut access = AccessServiceClient::new(self.operator("permissions"));
            let told = access.check_permission(check).await;
            if told.as_ref().is_ok_and(|told| told.get_ref().allowed) {
                return;
            }
            assert!(begun.elapsed() < LONG, "{told:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives each schema an owner, beside whom everything runs as a user of its own.
    pub(crate) async fn separate_owner(&self) {
        let url = testing::url(self.folder.path()).await.unwrap();
        let owner = url.expose_secret().to_owned();
        let runner = runner(&owner);
        // Other tests make the same user at the same time.
        let made = "DO $$ BEGIN CREATE ROLE runner LOGIN; EXCEPTION WHEN OTHERS THEN NULL; END $$";
        run_sql(&owner, made).await.unwrap();
        for name in self.names() {
            let text = self.configuration(&name, Some(&runner), Some(&owner));
            self.private(&format!("{name}.toml"), &text);
        }
    }

    /// What the database says to a statement of who runs.
    pub(crate) async fn as_runner(&self, sql: &str) -> String {
        let url = testing::url(self.folder.path()).await.unwrap();
        run_sql(&runner(url.expose_secret()), sql)
            .await
            .unwrap_err()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the processes wrote:\n{}", self.output.lock().unwrap());
        }
    }
}

/// The same database as another user.
fn runner(url: &str) -> String {
    let (_, place) = url.split_once('@').unwrap();
    format!("postgres://runner@{place}")
}

async fn run_sql(url: &str, sql: &str) -> Result<(), String> {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let connection = sea_orm::Database::connect(options).await.unwrap();
    let ran = connection.execute_unprepared(sql).await;
    connection.close().await.unwrap();
    ran.map(drop).map_err(|error| error.to_string())
}

impl Reached for Cluster {
    async fn provisioning(&self) -> Backend {
        self.operator("provisioning")
    }

    async fn permissions(&self) -> Backend {
        self.operator("permissions")
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(0, "GET", path, Value::Null).await
    }
}
