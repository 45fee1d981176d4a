//! Whom a verified domain releases, and whom it does not.

use serde_json::json;

use crate::world::{World, patch, user};

const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";

#[tokio::test(flavor = "multi_thread")] // rule: U-09 (part), U-09 b
async fn a_domain_releases_the_deactivated_too_and_nobody_of_another_account() {
    let world = World::start().await;
    let acme = format!("Bearer {}", world.token);
    let globex = format!("Bearer {}", world.account("globex").await);
    let create = async |token: &str, name: &str| {
        let body = user(name).to_string();
        let made = world.send_as(token, "POST", "/Users", body).await;
        format!("/Users/{}", made.body["id"].as_str().unwrap())
    };
    let left = create(&acme, "left@acme.example").await;
    create(&acme, "stayed@acme.example").await;
    let before = create(&globex, "before@acme.example").await;
    let off = patch(&json!([{"op": "replace", "value": {"active": false}}]));
    let off = world.send("PATCH", &left, Some(off)).await;

    let value = world.add_domain("acme.example").await;
    world.dns.publish("acme.example", &value);
    world.all_released().await;

    let released = world.send("GET", &left, None).await;
    assert_ne!(
        released.header("etag"),
        off.header("etag"),
        "it is released"
    );
    assert_eq!(released.body[ACCESS]["state"], "DEACTIVATED");
    let after = create(&globex, "after@acme.example").await;
    for held in [before, after] {
        let held = world.send_as(&globex, "GET", &held, String::new()).await;
        assert_eq!(held.body[ACCESS]["state"], "HELD_DOMAIN_UNVERIFIED");
    }
}
