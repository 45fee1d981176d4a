//! "Test API Credentials", and saving the configuration.

use http::StatusCode;

use super::CONNECTION_TEST;
use crate::check::Check;
use crate::client::{Call, Credentials};
use crate::world::{PAGE, World};

/// Whether the service can be worked with at all.
pub(crate) async fn connection_test(world: &World<'_>) -> bool {
    world.begin(CONNECTION_TEST);
    let call = Call::get(CONNECTION_TEST, "/Users?startIndex=1&count=2");
    let Some(answer) = world.client.send(&call).await else {
        return false;
    };
    let check = Check::new(world.journal, &call, &answer);
    let Some(page) = check.page(1, 2) else {
        if answer.status == StatusCode::UNAUTHORIZED {
            world.journal.presence.refused();
        }
        return false;
    };
    for user in page.resources {
        check.user(user);
    }
    for credentials in [Credentials::Unknown, Credentials::NoToken] {
        refused(world, credentials).await;
    }
    // Okta: the cache of app groups, asked for also if no group is ever pushed.
    let call = Call::get(
        CONNECTION_TEST,
        format!("/Groups?startIndex=1&count={PAGE}"),
    );
    if let Some(answer) = world.client.send(&call).await {
        Check::new(world.journal, &call, &answer).page(1, PAGE);
    }
    world.end(CONNECTION_TEST);
    !world.is_over()
}

/// Wrong credentials must not look valid in the administrator's form.
async fn refused(world: &World<'_>, credentials: Credentials) {
    let call = Call::get(CONNECTION_TEST, "/Users?startIndex=1&count=2");
    let call = call.with_credentials(credentials);
    let Some(answer) = world.client.send(&call).await else {
        return;
    };
    let check = Check::new(world.journal, &call, &answer);
    check.error(401, None);
    if answer.status == 401
        && let Some(challenge) = check.header("WWW-Authenticate")
        && !challenge.to_ascii_lowercase().starts_with("bearer")
    {
        check.fail("WWW-Authenticate", "Bearer", challenge);
    }
}
