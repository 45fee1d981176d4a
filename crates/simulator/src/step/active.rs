//! Deactivation and reactivation.

use super::{DEACTIVATE, REACTIVATE};
use crate::world::{User, World};

/// Deactivates twice: the user stays readable and findable, and the second time changes nothing.
pub(crate) async fn deactivate(world: &World<'_>, user: &mut User) {
    world.set_active(DEACTIVATE, user, false).await;
    world.fetch(DEACTIVATE, user).await;
    world
        .expect_found(DEACTIVATE, user, &user.person.user_name)
        .await;
    world.set_active(DEACTIVATE, user, false).await;
}

/// Gives the access back.
pub(crate) async fn reactivate(world: &World<'_>, user: &mut User) {
    world.set_active(REACTIVATE, user, true).await;
    world.fetch(REACTIVATE, user).await;
}
