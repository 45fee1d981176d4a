//! The judge is judged: a correct service passes, and each way of being wrong is noticed.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops where its surroundings fail"
)]

mod fake;
mod faults;
mod server;
mod spoil;
mod whole;

use rollcall_simulator::{Access, Mode, Report, Silent, run};
use server::Server;
use spoil::Spoil;

const MODES: [Mode; 3] = [Mode::Wizard, Mode::Oin, Mode::OinPatch];

async fn report(spoil: Spoil, mode: Mode) -> Report {
    let server = Server::start(Some(spoil)).await;
    let mut options = server.options();
    options.mode = mode;
    run(&options, &Silent).await
}

/// A test for each way of being wrong: in this mode it is noticed in this step, at this field.
macro_rules! spoiled {
    ($($name:ident: $spoil:ident, $mode:ident => $step:literal, $field:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let report = report(Spoil::$spoil, Mode::$mode).await;

            let is_noticed = report
                .failures
                .iter()
                .any(|failure| failure.step == $step && failure.field == $field);
            assert!(is_noticed, "no failure of {} in {}:\n{report}", $field, $step);
            assert!(!report.passed());
        }
    )*};
}

spoiled! {
    any_token_is_accepted: AcceptsAnyToken, Oin => "connection test", "status";
    a_refusal_has_no_challenge: NoChallenge, Oin => "connection test", "WWW-Authenticate";
    there_is_no_list_of_groups: NoGroups, Oin => "connection test", "status";
    a_list_lacks_its_schema: NoListSchema, Oin => "connection test", "schemas";
    the_total_is_a_string: TotalAsString, Oin => "connection test", "totalResults";
    the_media_type_is_plain_json: PlainJson, Oin => "connection test", "Content-Type";
    items_per_page_is_not_the_number_of_items: WrongItemsPerPage, Oin => "import", "itemsPerPage";
    a_page_lacks_a_user: ShortPage, Oin => "import", "Resources";
    pages_are_capped_below_what_okta_steps_by: CapsPages, Oin => "import", "Resources";
    a_user_stands_on_two_pages: RepeatsAcrossPages, Oin => "import", "id";
    the_resource_type_is_misspelt: WrongResourceType, Oin => "import", "meta.resourceType";
    the_version_is_a_strong_tag: StrongVersion, Oin => "import", "meta.version";
    a_change_lies_before_the_creation: ModifiedBeforeCreated, Oin => "import", "meta.lastModified";
    a_member_is_null: ReturnsNull, Oin => "import", "timezone";
    a_member_is_an_empty_array: ReturnsEmptyArray, Oin => "import", "photos";
    active_is_a_string: ActiveAsString, Oin => "import", "active";
    an_empty_list_is_a_404: EmptyListAs404, Oin => "assign", "status";
    a_create_answers_200: CreatedAs200, Oin => "assign", "status";
    a_create_has_no_location: NoLocation, Oin => "assign", "Location";
    the_location_is_that_of_another_user: ForeignLocation, Oin => "assign", "Location";
    there_is_no_entity_tag: NoEtag, Oin => "assign", "ETag";
    the_entity_tag_is_not_the_version: EtagDiffers, Oin => "assign", "ETag";
    the_external_id_is_dropped: DropsExternalId, Oin => "assign", "externalId";
    an_attribute_is_not_stored: ForgetsTitle, Oin => "assign", "title";
    the_password_is_returned: ReturnsPassword, Oin => "assign", "password";
    an_extension_is_not_listed: UnlistedExtension, Oin => "assign", "schemas";
    roles_are_returned_as_strings: RolesAsStrings, Oin => "assign", "roles";
    a_role_gets_a_type_that_nobody_sent: InventsRoleType, Oin => "roles", "roles";
    a_second_create_makes_a_second_user: CreatesTwice, Oin => "conflict", "status";
    names_are_looked_up_with_case: CaseSensitiveFilter, Oin => "conflict", "totalResults";
    the_status_of_an_error_is_a_number: NumericErrorStatus, Oin => "conflict", "body.status";
    an_error_lacks_its_schema: NoErrorSchema, Oin => "conflict", "schemas";
    an_error_does_not_end_with_its_number: DetailWithoutNumber, Oin => "conflict", "detail";
    the_id_changes_on_put: IdChangesOnPut, Oin => "update", "id";
    a_rename_is_ignored: IgnoresRename, OinPatch => "update", "userName";
    the_display_name_is_derived: DerivesDisplayName, Wizard => "update", "displayName";
    an_empty_value_is_kept: EmptyStringKept, OinPatch => "update", "title";
    the_version_stays_after_a_change: VersionStays, Wizard => "update", "meta.version";
    a_put_without_roles_takes_them_away: PutClearsRoles, Oin => "roles", "roles";
    active_is_ignored_in_a_put: IgnoresActive, Wizard => "deactivate", "active";
    active_is_ignored_in_a_patch: IgnoresActive, Oin => "deactivate", "active";
    inactive_users_are_not_found: HidesInactive, Oin => "deactivate", "totalResults";
    a_repeated_write_moves_the_version: VersionMovesAlways, Oin => "deactivate", "meta.version";
    a_deactivated_user_keeps_its_access: AccessStays, OinPatch =>
        "deactivate", "urn:rollcall:scim:schemas:extension:access:1.0:User:state";
    a_404_has_no_detail: NoDetail, Oin => "errors", "detail";
    a_bad_filter_is_ignored: IgnoresBadFilter, Oin => "errors", "status";
    a_broken_body_has_the_wrong_type: WrongScimType, Oin => "errors", "scimType";
    an_assigned_user_is_not_imported: HidesUserFromImport, Oin => "final import", "Resources";
    a_user_that_was_there_is_lost: ForgetsForeignUser, Oin => "final import", "Resources";
}

#[tokio::test]
async fn a_correct_service_passes_in_every_mode_as_often_as_one_likes() {
    for mode in MODES {
        let server = Server::start(None).await;
        let mut options = server.options();
        options.mode = mode;
        options.users = 25;

        for _ in 0..2 {
            let report = run(&options, &Silent).await;
            assert!(report.passed(), "{report}");
        }
        assert_eq!(server.store.lock().unwrap().users.len(), 130, "{mode}");
    }
}

#[tokio::test]
async fn one_mode_takes_over_the_users_of_another() {
    let server = Server::start(None).await;
    let mut options = server.options();

    for mode in MODES {
        options.mode = mode;
        let report = run(&options, &Silent).await;
        assert!(report.passed(), "{report}");
    }
}

#[tokio::test]
async fn a_second_run_creates_nobody() {
    let server = Server::start(None).await;
    let options = server.options();
    let first = run(&options, &Silent).await;

    let second = run(&options, &Silent).await;

    let assigned = |report: &Report| {
        report
            .steps
            .iter()
            .find(|step| step.name == "assign")
            .map(|step| step.requests)
    };
    // Existence check and create; existence check, read, PUT and activation.
    assert_eq!(assigned(&first), Some(2 * 10));
    assert_eq!(assigned(&second), Some(4 * 10));
}

#[tokio::test]
async fn without_roles_and_with_a_patch_answered_by_204_everything_passes_too() {
    let server = Server::start(None).await;
    server.store.lock().unwrap().is_terse = true;
    let mut options = server.options();
    options.roles.clear();
    options.mode = Mode::OinPatch;

    let report = run(&options, &Silent).await;

    assert!(report.passed(), "{report}");
    assert!(
        report.steps.iter().all(|step| step.name != "roles"),
        "{report}"
    );
}

#[tokio::test]
async fn an_expected_access_state_is_asked_for() {
    let server = Server::start(None).await;
    let mut options = server.options();
    options.expect_access = Some(Access::Active);
    assert!(run(&options, &Silent).await.passed());

    options.expect_access = Some(Access::HeldDomainUnverified);
    let report = run(&options, &Silent).await;

    assert!(
        report
            .failures
            .iter()
            .all(|failure| failure.field.ends_with(":state")),
        "{report}"
    );
    assert!(!report.passed());
}

#[tokio::test]
async fn a_run_can_be_spawned() {
    let server = Server::start(None).await;
    let options = server.options();

    let report = tokio::spawn(async move { run(&options, &Silent).await })
        .await
        .unwrap();

    assert!(report.passed(), "{report}");
}
