//! A gRPC client that is not ours and knows no schema of ours: `buf curl`, over reflection.

mod buf;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::Program;
use buf::Buf;

/// The program, with a user of Okta's who sells.
struct World {
    program: Program,
    buf: Buf,
    ada: String,
    _folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let buf = Buf::of_environment();
        let folder = TempDir::new().unwrap();
        let program = Program::start(folder.path()).await;
        let ada = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "ada@acme.example",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"value": "ada@acme.example", "primary": true}],
            "roles": [{"value": "Sales Manager"}, {"value": "Nobody's"}],
            "active": true,
        });
        let (status, user) = program.scim("POST", "/Users", Some(ada)).await;
        assert_eq!(status, 201, "{user}");
        Self {
            program,
            buf,
            ada: user["id"].as_str().unwrap().to_owned(),
            _folder: folder,
        }
    }

    async fn set_active(&self, active: bool) {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "replace", "value": {"active": active}}],
        });
        let path = format!("/Users/{}", self.ada);
        let (status, user) = self.program.scim("PATCH", &path, Some(body)).await;
        assert_eq!(status, 200, "{user}");
    }

    /// Calls a method that must succeed.
    async fn call(&self, method: &str, request: Value) -> Value {
        let ran = self.buf.call(&self.program, method, &request).await;
        assert_eq!(ran.code, Some(0), "{method}: {ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    }

    async fn access(&self) -> Value {
        let request = json!({"accountId": "acme", "email": "ada@acme.example"});
        let method = "rollcall.provisioning.v1.UserService/CheckAccess";
        self.call(method, request).await["access"]["state"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: U-10 (part)
async fn a_foreign_client_sees_a_user_of_okta() {
    let world = World::start().await;

    let by_name = json!({"accountId": "acme", "userName": "ADA@acme.example"});
    let method = "rollcall.provisioning.v1.UserService/GetUser";
    let user = world.call(method, by_name).await["user"].clone();
    let method = "rollcall.provisioning.v1.UserService/ListUsers";
    let list = world.call(method, json!({"accountId": "acme"})).await;

    assert_eq!(user["userId"], world.ada.as_str());
    assert_eq!(user["attributes"]["name"]["familyName"], "Lovelace");
    assert_eq!(
        user["roles"]["roles"],
        json!([{"value": "Sales Manager"}, {"value": "Nobody's"}])
    );
    assert_eq!(user["access"]["cause"], "DOMAIN_VERIFIED");
    assert_eq!(list["users"], json!([user]));
    assert_eq!(world.access().await, "ACCESS_STATE_ACTIVE");
}

#[tokio::test(flavor = "multi_thread")] // rule: U-06 (part), P-03 (part), P-08 (part)
async fn a_foreign_client_follows_changes_and_asks_what_they_permit() {
    let world = World::start().await;
    let mut watch = world.buf.watch(&world.program);
    let snapshot = watch.until("snapshotEnd").await;
    let told = &snapshot[1]["changes"]["changes"][0]["user"]["userId"];
    assert_eq!(told, world.ada.as_str(), "{snapshot:?}");

    world.set_active(false).await;
    let left = watch.until("changes").await.pop().unwrap()["changes"]["changes"][0].take();
    assert_eq!(left["changedPaths"], json!(["active", "access"]), "{left}");
    assert_eq!(left["previousAccess"], "ACCESS_STATE_ACTIVE", "{left}");
    assert_eq!(world.access().await, "ACCESS_STATE_DEACTIVATED");
    assert_eq!(world.permitted(&left).await, json!(null));

    world.set_active(true).await;
    let back = watch.until("changes").await.pop().unwrap()["changes"]["changes"][0].take();
    assert_eq!(
        world.permitted(&back).await,
        json!(["deals.read", "deals.write", "reports.export"])
    );
    let explained = world.permissions("ExplainUser", &back).await;
    let outcomes: Vec<&Value> = explained["roles"].as_array().unwrap().iter().collect();
    assert_eq!(outcomes[0]["name"], "Sales Manager", "{explained}");
    assert_eq!(
        outcomes[0]["outcome"], "ROLE_OUTCOME_MATCHED",
        "{explained}"
    );
    assert_eq!(
        outcomes[1]["outcome"], "ROLE_OUTCOME_NO_SUCH_SET",
        "{explained}"
    );
}

impl World {
    /// Asks permissions about the user as soon as it knows of the change.
    async fn permissions(&self, method: &str, change: &Value) -> Value {
        let request = json!({
            "accountId": "acme",
            "userId": self.ada,
            "atLeast": change["changeToken"],
        });
        let method = format!("rollcall.permissions.v1.AccessService/{method}");
        self.call(&method, request).await
    }

    /// The keys that the user has; none is no list at all in JSON.
    async fn permitted(&self, change: &Value) -> Value {
        self.permissions("GetEffectivePermissions", change).await["keys"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")] // rule: SEC-SVC-02 (part)
async fn a_foreign_client_without_the_right_token_is_unauthenticated() {
    let world = World::start().await;
    let method = "rollcall.provisioning.v1.UserService/ListUsers";
    let request = json!({"accountId": "acme"});
    // A token of Okta's is none for gRPC.
    let of_okta = format!("Bearer {}", world.program.account("acme").scim_token);

    for authorization in [None, Some("Bearer nobody"), Some(of_okta.as_str())] {
        let url = &world.program.handshake.grpc_url;
        let ran = world
            .buf
            .call_as(authorization, url, method, &request)
            .await;

        // The gRPC code, shifted three bits to the left.
        assert_eq!(ran.code, Some(16 << 3), "{ran:?}");
        assert!(ran.stderr.contains("unauthenticated"), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
}
