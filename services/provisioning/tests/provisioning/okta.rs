//! What Okta writes, as the gateway forwards it.

use std::time::Duration;

use futures::future::BoxFuture;
use rollcall_provisioning::store;
use rollcall_provisioning::store::domain::Projected;
use rollcall_rpc::convert::time::from_proto;
use rollcall_rpc::failure::{Received, read};
use rollcall_rpc::metadata::CREDENTIAL;
use rollcall_rpc::pb::provisioning::v1::account_service_client::AccountServiceClient;
use rollcall_rpc::pb::provisioning::v1::connection_service_client::ConnectionServiceClient;
use rollcall_rpc::pb::provisioning::v1::user_service_client::UserServiceClient;
use rollcall_rpc::pb::provisioning::v1::{self as pb, AccessState};
use rollcall_rpc::pb::scim::v1::scim_user_service_client::ScimUserServiceClient;
use rollcall_rpc::pb::scim::v1::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, PatchOperation,
    PatchUserRequest, ReplaceUserRequest, ScimUser,
};
use rollcall_rpc::{Backend, Reason};
use rollcall_store::{Error, Store, Tx};
use rollcall_types::{AccountId, Clock, DomainName, SystemClock, Timestamp, TokenId};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::{Request, Status};

use crate::world::World;

/// Okta, connected to the account `acme`.
pub(crate) struct Okta {
    users: ScimUserServiceClient<Backend>,
    /// The users as the product sees them.
    pub(crate) product: UserServiceClient<Backend>,
    connections: ConnectionServiceClient<Backend>,
    secret: String,
    token: TokenId,
    pub(crate) store: Store,
    pub(crate) folder: TempDir,
}

impl Okta {
    pub(crate) async fn connect() -> Self {
        Self::connect_in(tempfile::tempdir().unwrap()).await
    }

    /// Connects to what keeps its data in a folder.
    pub(crate) async fn connect_in(folder: TempDir) -> Self {
        let world = World::start(folder.path()).await;
        let operator = || world.reached_by("operator");
        let account = pb::Account {
            account_id: "acme".to_owned(),
            display_name: "Acme".to_owned(),
            subscriptions: vec!["sales-enterprise".to_owned()],
            pricing_model: pb::PricingModel::SeatsBased.into(),
            sso_enabled: true,
            ..pb::Account::default()
        };
        let put = pb::PutAccountRequest {
            account: Some(account),
        };
        let mut accounts = AccountServiceClient::new(operator());
        accounts.put_account(put).await.unwrap();
        let mut connections = ConnectionServiceClient::new(operator());
        let account_id = || "acme".to_owned();
        let install = pb::InstallConnectionRequest {
            account_id: account_id(),
        };
        connections.install_connection(install).await.unwrap();
        let create = pb::CreateTokenRequest {
            account_id: account_id(),
            label: "Okta".to_owned(),
            ..pb::CreateTokenRequest::default()
        };
        let made = connections.create_token(create).await.unwrap().into_inner();
        Self {
            users: ScimUserServiceClient::new(world.reached_by("gateway")),
            product: UserServiceClient::new(operator()),
            connections,
            secret: made.secret,
            token: made.token.unwrap().token_id.parse().unwrap(),
            store: world.service.store.clone(),
            folder,
        }
    }

    fn says<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let secret = self.secret.parse().unwrap();
        request.metadata_mut().insert(CREDENTIAL, secret);
        request
    }

    pub(crate) async fn create(
        &self,
        user_name: &str,
        external_id: &str,
    ) -> Result<ScimUser, Status> {
        let role = pb::MultiValue {
            value: "Sales Manager".to_owned(),
            ..pb::MultiValue::default()
        };
        let create = CreateUserRequest {
            attributes: Some(named(user_name)),
            roles: Some(pb::RoleList { roles: vec![role] }),
            external_id: external_id.to_owned(),
        };
        let created = self.users.clone().create_user(self.says(create)).await?;
        Ok(created.into_inner().user.unwrap())
    }

    pub(crate) async fn get(&self, user: &ScimUser) -> Result<ScimUser, Status> {
        let get = GetUserRequest {
            user_id: user.user_id.clone(),
        };
        let got = self.users.clone().get_user(self.says(get)).await?;
        Ok(got.into_inner().user.unwrap())
    }

    pub(crate) async fn replace(
        &self,
        user: &ScimUser,
        user_name: &str,
    ) -> Result<ScimUser, Status> {
        let replace = ReplaceUserRequest {
            user_id: user.user_id.clone(),
            attributes: Some(named(user_name)),
            external_id: user.external_id.clone(),
            ..ReplaceUserRequest::default()
        };
        let replaced = self.users.clone().replace_user(self.says(replace)).await?;
        Ok(replaced.into_inner().user.unwrap())
    }

    pub(crate) async fn set_active(
        &self,
        user: &ScimUser,
        active: bool,
    ) -> Result<ScimUser, Status> {
        self.patch(user, "active", &active.to_string()).await
    }

    async fn patch(&self, user: &ScimUser, path: &str, json: &str) -> Result<ScimUser, Status> {
        let operation = PatchOperation {
            op: "replace".to_owned(),
            path: Some(path.to_owned()),
            value_json: Some(json.to_owned()),
        };
        let patch = PatchUserRequest {
            user_id: user.user_id.clone(),
            operations: vec![operation],
            if_match: Vec::new(),
        };
        let patched = self.users.clone().patch_user(self.says(patch)).await?;
        Ok(patched.into_inner().user.unwrap())
    }

    pub(crate) async fn delete(&self, user: &ScimUser) -> Result<(), Status> {
        let delete = DeleteUserRequest {
            user_id: user.user_id.clone(),
            if_match: Vec::new(),
        };
        self.users.clone().delete_user(self.says(delete)).await?;
        Ok(())
    }

    pub(crate) async fn count(&self) -> i64 {
        self.list(None, 1, 0).await.1
    }

    /// The users of a page, and how many there are.
    pub(crate) async fn list(
        &self,
        filter: Option<&str>,
        start_index: i64,
        count: i32,
    ) -> (Vec<ScimUser>, i64) {
        let list = self.says(ListUsersRequest {
            filter: filter.map(str::to_owned),
            start_index,
            count,
        });
        let page = self.users.clone().list_users(list).await.unwrap();
        let page = page.into_inner();
        (page.users, page.total_results)
    }

    /// Revokes the token.
    pub(crate) async fn revoke(&self) {
        let revoke = pb::RevokeTokenRequest {
            account_id: "acme".to_owned(),
            token_id: self.token.to_string(),
            end_time: None,
        };
        self.connections.clone().revoke_token(revoke).await.unwrap();
    }

    /// The version of a user as the product sees it.
    pub(crate) async fn version(&self, user: &ScimUser) -> i64 {
        let get = pb::GetUserRequest {
            account_id: "acme".to_owned(),
            user: Some(pb::get_user_request::User::UserId(user.user_id.clone())),
        };
        let got = self.product.clone().get_user(get).await.unwrap();
        got.into_inner().user.unwrap().version
    }

    /// When the token and its connection were last used.
    async fn last_use(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let account_id = || "acme".to_owned();
        let list = pb::ListTokensRequest {
            account_id: account_id(),
            ..pb::ListTokensRequest::default()
        };
        let mut connections = self.connections.clone();
        let tokens = connections.list_tokens(list).await.unwrap().into_inner();
        let get = pb::GetConnectionRequest {
            account_id: account_id(),
        };
        let connection = connections.get_connection(get).await.unwrap().into_inner();
        let connection = connection.connection.unwrap().last_request_time;
        let token = tokens.tokens.first().unwrap().last_used_time.as_ref();
        (
            token.and_then(from_proto),
            connection.as_ref().and_then(from_proto),
        )
    }

    /// Begins a write that holds up all others until it is told to go on.
    async fn held_up_by<F>(&self, work: F) -> HeldUp
    where
        F: for<'a> FnOnce(&'a Tx) -> BoxFuture<'a, Result<(), Error>> + Send + 'static,
    {
        let (begins, begun) = oneshot::channel();
        let (free, busy) = oneshot::channel();
        let store = self.store.clone();
        let write = tokio::spawn(async move {
            let write = store.write(move |tx| {
                Box::pin(async move {
                    begins.send(()).unwrap();
                    busy.await.unwrap();
                    work(tx).await
                })
            });
            write.await.unwrap();
        });
        begun.await.unwrap();
        HeldUp { free, write }
    }

    /// Lets writes meet one that holds them up: where writes follow one another, so many are queued
    /// before it goes on, and what they decided before is decided. Where each is a statement that
    /// waits for nobody they come after it.
    async fn meet<T>(&self, writes: impl Future<Output = T>, count: usize, held_up: HeldUp) -> T {
        if self.store.direct().is_some() {
            held_up.go_on().await;
            return writes.await;
        }
        let queued = async {
            while self.store.queued().is_some_and(|queued| queued < count) {
                tokio::task::yield_now().await;
            }
            held_up.go_on().await;
        };
        tokio::join!(writes, queued).0
    }

    /// Ends the token as another replica would: nothing is forgotten here.
    async fn end_token(&self) -> Result<(), Error> {
        let token = self.token;
        let ended = self.store.write(move |tx| Box::pin(end_token(tx, token)));
        ended.await
    }
}

/// A write that others wait for.
struct HeldUp {
    free: oneshot::Sender<()>,
    write: JoinHandle<()>,
}

impl HeldUp {
    async fn go_on(self) {
        self.free.send(()).unwrap();
        self.write.await.unwrap();
    }
}

async fn end_token(tx: &Tx, token: TokenId) -> Result<(), Error> {
    let acme = AccountId::parse("acme").unwrap();
    store::token::end(tx, &acme, token, SystemClock.now()).await
}

/// Says of the domain `new.example` since when it is verified, if it is.
async fn verify(tx: &Tx, verified: Option<Timestamp>) -> Result<(), Error> {
    let domain = Projected {
        account: AccountId::parse("acme").unwrap(),
        id: "0193a1b2-0000-7000-8000-000000000001".parse().unwrap(),
        name: DomainName::parse("new.example").unwrap(),
        verified,
        version: 1,
    };
    store::domain::upsert(tx, &domain, 1).await
}

fn named(user_name: &str) -> pb::UserAttributes {
    pb::UserAttributes {
        user_name: user_name.to_owned(),
        ..pb::UserAttributes::default()
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> Received {
    read(&answer.unwrap_err())
}

#[tokio::test] // rule: U-11 (part)
async fn who_holds_a_taken_name_is_told_to_the_caller() {
    let okta = Okta::connect().await;
    let alice = okta.create("Alice", "1").await.unwrap();
    let bob = okta.create("bob", "2").await.unwrap();

    for answer in [
        okta.create("ALICE", "3").await,
        okta.replace(&bob, "aLiCe").await,
    ] {
        let refused = refused(answer);
        assert_eq!(refused.reason, Some(Reason::UserNameTaken));
        assert_eq!(refused.metadata["id"], alice.user_id);
    }
    let refused = refused(okta.create("carol", "2").await);
    assert_eq!(refused.reason, Some(Reason::ExternalIdTaken));
    assert_eq!(refused.metadata["id"], bob.user_id);
    assert_eq!(okta.get(&bob).await.unwrap(), bob);
    assert_eq!(okta.count().await, 2);
}

#[tokio::test] // rule: U-06 (part)
async fn a_write_answers_what_a_read_then_finds() {
    let okta = Okta::connect().await;

    let created = okta.create("alice", "1").await.unwrap();
    assert_eq!(okta.get(&created).await.unwrap(), created);
    let replaced = okta.replace(&created, "Alice").await.unwrap();
    assert_eq!(okta.get(&created).await.unwrap(), replaced);
    let patched = okta.set_active(&created, false).await.unwrap();
    assert_eq!(okta.get(&created).await.unwrap(), patched);
    let unchanged = okta.set_active(&created, false).await.unwrap();
    assert_eq!(unchanged, patched);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)] // rule: REL-04 (part)
async fn changes_of_one_user_at_the_same_time_lose_none_of_each_other() {
    let okta = Okta::connect().await;
    let alice = okta.create("alice", "1").await.unwrap();
    let paths = [
        "title",
        "nickName",
        "displayName",
        "locale",
        "timezone",
        "userType",
        "name.givenName",
        "name.familyName",
    ];

    let changes = paths.map(|path| okta.patch(&alice, path, "\"en\""));
    for changed in futures::future::join_all(changes).await {
        changed.unwrap();
    }

    let after = okta.get(&alice).await.unwrap();
    let document: serde_json::Value = serde_json::from_str(&after.document).unwrap();
    for path in paths {
        let pointer = format!("/{}", path.replace('.', "/"));
        assert_eq!(document.pointer(&pointer).unwrap(), "en", "{path}");
    }
    assert_eq!(after.version, 1 + i64::try_from(paths.len()).unwrap());
}

#[tokio::test] // rule: C-03 (part)
async fn a_write_that_waits_while_its_token_ends_changes_nothing() {
    let okta = Okta::connect().await;
    let alice = okta.create("alice", "1").await.unwrap();
    assert_eq!(okta.get(&alice).await.unwrap(), alice);
    let token = okta.token;
    let ends = okta
        .held_up_by(move |tx| Box::pin(end_token(tx, token)))
        .await;

    let writes = async {
        tokio::join!(
            okta.create("bob", "2"),
            okta.delete(&alice),
            okta.replace(&alice, "Alicia"),
            okta.set_active(&alice, false),
        )
    };
    let (create, delete, replace, patch) = Box::pin(okta.meet(writes, 4, ends)).await;

    for refused in [
        refused(create),
        refused(delete),
        refused(replace),
        refused(patch),
    ] {
        assert_eq!(refused.reason, Some(Reason::CredentialInvalid));
    }
    // A read may trust the token for five seconds.
    assert_eq!(okta.get(&alice).await.unwrap(), alice);
    assert_eq!(okta.count().await, 1);
}

#[tokio::test] // rule: SEC-TOK-05 (part)
async fn the_last_use_of_a_token_is_told_and_nobody_waits_until_it_is_stored() {
    let okta = Okta::connect().await;
    assert_eq!(okta.last_use().await, (None, None), "nobody used it");
    let begun = SystemClock.now();
    let nothing = okta.held_up_by(|_| Box::pin(async { Ok(()) })).await;

    // On SQLite no write can be stored now.
    assert_eq!(okta.count().await, 0);
    nothing.go_on().await;

    let used = loop {
        if let (Some(token), Some(connection)) = okta.last_use().await {
            assert_eq!(token, connection);
            break token;
        }
        tokio::task::yield_now().await;
    };
    // To the microsecond, as it is stored.
    assert!(
        used.since(begun) < Duration::from_secs(60) && begun.since(used) < Duration::from_millis(1)
    );
}

#[tokio::test] // rule: U-09 c
async fn a_change_that_was_decided_before_its_domain_was_verified_is_decided_again() {
    let okta = Okta::connect().await;
    let alice = okta.create("alice@old.example", "1").await.unwrap();
    let held = |user: &ScimUser| user.access.as_ref().unwrap().state();
    assert_eq!(held(&alice), AccessState::HeldDomainUnverified);
    let verified = okta
        .held_up_by(|tx| Box::pin(verify(tx, Some(SystemClock.now()))))
        .await;

    let move_ = okta.replace(&alice, "alice@new.example");
    let moved = okta.meet(move_, 1, verified).await;

    assert_eq!(held(&moved.unwrap()), AccessState::Active);
}

#[tokio::test] // rule: U-09 c
async fn a_user_is_active_whose_domain_was_verified_since_the_last_one_was_held() {
    let okta = Okta::connect().await;
    let state = |user: &ScimUser| user.access.as_ref().unwrap().state();
    let verify = |verified| okta.store.write(move |tx| Box::pin(verify(tx, verified)));

    let alice = okta.create("alice@new.example", "1").await.unwrap();
    verify(Some(SystemClock.now())).await.unwrap();
    let bob = okta.create("bob@new.example", "2").await.unwrap();
    verify(None).await.unwrap();
    let carol = okta.create("carol@new.example", "3").await.unwrap();

    assert_eq!(state(&alice), AccessState::HeldDomainUnverified);
    assert_eq!(state(&bob), AccessState::Active);
    assert_eq!(state(&carol), AccessState::HeldDomainUnverified);
}

#[tokio::test] // rule: C-03 (part)
async fn a_change_that_turns_out_to_be_none_needs_a_token_that_lives() {
    let okta = Okta::connect().await;
    let alice = okta.create("alice", "1").await.unwrap();
    assert_eq!(okta.get(&alice).await.unwrap(), alice);
    okta.end_token().await.unwrap();

    let refused = refused(okta.set_active(&alice, true).await);

    assert_eq!(refused.reason, Some(Reason::CredentialInvalid));
    assert!(okta.get(&alice).await.is_ok(), "a read may trust it yet");
}
