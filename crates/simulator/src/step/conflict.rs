//! The same user a second time.

use http::Method;
use serde_json::json;

use super::CONFLICT;
use crate::change::create;
use crate::check::Check;
use crate::client::Call;
use crate::world::{User, World};

/// A second create is refused, in whatever letter case, and the existence check ignores case too.
pub(crate) async fn conflict(world: &World<'_>, user: &mut User) {
    let capitals = user.person.user_name.to_uppercase();
    let mut body = create(&user.person, &user.person.profile(), None);
    if user.person.number.is_multiple_of(3)
        && let Some(body) = body.as_object_mut()
    {
        body.insert("userName".to_owned(), json!(capitals));
    }
    let call = Call::write(CONFLICT, Method::POST, "/Users", &body).of(user.name());
    if let Some(answer) = world.client.send(&call).await {
        Check::new(world.journal, &call, &answer).error(409, Some("uniqueness"));
    }
    world.expect_found(CONFLICT, user, &capitals).await;
}
