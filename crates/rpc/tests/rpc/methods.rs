//! Every method tells who may call it and what a repetition does, as the API's design has it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MethodDescriptor, Value};
use rollcall_rpc::access;
use rollcall_rpc::prost_types::method_options::IdempotencyLevel;

/// The letter of a method in the design's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    /// No side effects.
    R,
    /// Repeating gives the same state and no second event.
    I,
    /// Takes an idempotency key, works once, or makes a new thing each time.
    Other,
}
use Letter::{I, Other, R};

/// A service's methods of one letter.
type Group = (Letter, &'static [&'static str]);

/// The design's tables, methods that are not built yet included.
const DESIGN: &[(&str, &[Group])] = &[
    (
        "provisioning.v1.AccountService",
        &[
            (R, &["GetAccount", "ListAccounts"]),
            (I, &["PutAccount", "UpdateAccountSettings"]),
        ],
    ),
    (
        "provisioning.v1.ConnectionService",
        &[
            (R, &["GetConnection", "PreviewUninstall", "ListTokens"]),
            (
                I,
                &["InstallConnection", "UninstallConnection", "RevokeToken"],
            ),
            (Other, &["CreateToken"]),
        ],
    ),
    (
        "provisioning.v1.BrakeService",
        &[(R, &["ListBrakeEntries"]), (I, &["DecideBrake"])],
    ),
    (
        "provisioning.v1.OAuthService",
        &[
            (I, &["RevokeGrant"]),
            (
                Other,
                &[
                    "BeginAuthorization",
                    "ApproveAuthorization",
                    "ExchangeToken",
                ],
            ),
        ],
    ),
    (
        "provisioning.v1.ConsoleSessionService",
        &[
            (I, &["GetSession", "EndSessions"]),
            (Other, &["CreateSignInTicket", "OpenSession"]),
        ],
    ),
    (
        "provisioning.v1.UserService",
        &[
            (R, &["CheckAccess", "GetUser", "ListUsers"]),
            (I, &["UpdateUser", "DeleteUser", "EraseUser", "ReleaseUser"]),
            (Other, &["CreateUser"]),
        ],
    ),
    (
        "provisioning.v1.GroupService",
        &[
            (R, &["ListGroups", "ListGroupMembers"]),
            (I, &["DeleteGroup"]),
        ],
    ),
    (
        "provisioning.v1.FeedService",
        &[(R, &["Watch"]), (I, &["Acknowledge"])],
    ),
    (
        "provisioning.v1.RequestLogService",
        &[
            (R, &["ListRequests", "GetRequest", "ReplayRequest"]),
            (I, &["AppendRequests"]),
        ],
    ),
    (
        "provisioning.v1.AuditService",
        &[(R, &["ListAuditEntries"])],
    ),
    ("provisioning.v1.StatusService", &[(R, &["GetStatus"])]),
    ("scim.v1.ScimConnectionService", &[(R, &["GetContext"])]),
    (
        "scim.v1.ScimUserService",
        &[
            (R, &["GetUser", "ListUsers"]),
            (I, &["ReplaceUser", "PatchUser", "DeleteUser"]),
            (Other, &["CreateUser"]),
        ],
    ),
    (
        "scim.v1.ScimGroupService",
        &[
            (R, &["GetGroup", "ListGroups"]),
            (I, &["ReplaceGroup", "PatchGroup", "DeleteGroup"]),
            (Other, &["CreateGroup"]),
        ],
    ),
    ("scim.v1.ScimSearchService", &[(R, &["Search"])]),
    (
        "permissions.v1.CatalogueService",
        &[(R, &["GetCatalogue"]), (I, &["PutCatalogue"])],
    ),
    (
        "permissions.v1.PermissionSetService",
        &[
            (R, &["GetPermissionSet", "ListPermissionSets"]),
            (I, &["UpdatePermissionSets", "DeletePermissionSet"]),
            (Other, &["CreatePermissionSet"]),
        ],
    ),
    (
        "permissions.v1.ManagementService",
        &[
            (R, &["GetManagement", "PreviewSync"]),
            (I, &["SetManagement"]),
        ],
    ),
    (
        "permissions.v1.AccessService",
        &[
            (
                R,
                &[
                    "CheckPermission",
                    "CheckPermissions",
                    "GetEffectivePermissions",
                    "ExplainUser",
                    "ListAssignments",
                ],
            ),
            (I, &["SetUserPermissions"]),
        ],
    ),
    (
        "permissions.v1.SeatService",
        &[
            (R, &["GetSeatUsage", "ListSeatEntries"]),
            (I, &["GiveSeat", "TakeSeat"]),
        ],
    ),
    ("permissions.v1.AuditService", &[(R, &["ListAuditEntries"])]),
    ("permissions.v1.StatusService", &[(R, &["GetStatus"])]),
    (
        "verification.v1.DomainService",
        &[
            (R, &["GetDomain", "ListDomains", "GetSharedDomain"]),
            (
                I,
                &[
                    "AddDomain",
                    "VerifyDomain",
                    "RenewChallenge",
                    "SetSharing",
                    "DeleteDomain",
                    "RevokeDomainShare",
                    "SettleDomainClaim",
                ],
            ),
            (Other, &["CreateDomainShare"]),
        ],
    ),
    (
        "verification.v1.FeedService",
        &[(R, &["Watch"]), (I, &["Acknowledge"])],
    ),
    (
        "verification.v1.AuditService",
        &[(R, &["ListAuditEntries"])],
    ),
    ("verification.v1.StatusService", &[(R, &["GetStatus"])]),
];

/// The scopes of the design.
const SCOPES: [&str; 16] = [
    "accounts.read",
    "accounts.write",
    "users.read",
    "users.write",
    "access.check",
    "feed.read",
    "permissions.read",
    "permissions.write",
    "seats.write",
    "domains.read",
    "domains.write",
    "connections.read",
    "connections.write",
    "sessions.create",
    "audit.read",
    "operate",
];

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(rollcall_rpc::DESCRIPTORS).unwrap());

fn methods() -> Vec<MethodDescriptor> {
    let services = POOL.services();
    services
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// The comment above a method in its proto file.
fn comment(method: &MethodDescriptor) -> String {
    let file = method.parent_file();
    let source = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = &source.expect("comments are in the descriptor set").location;
    let found = locations.iter().find(|one| one.path == method.path());
    let comment = found.and_then(|one| one.leading_comments.as_deref());
    comment.unwrap_or_default().trim().to_owned()
}

/// What the option `access` says of a method: the kinds of caller, and the scope.
fn rule(method: &MethodDescriptor) -> Option<(BTreeSet<String>, String)> {
    let access = POOL.get_extension_by_name("rollcall.common.v1.access")?;
    let kinds = POOL.get_enum_by_name("rollcall.common.v1.CallerKind")?;
    let options = method.options();
    if !options.has_extension(&access) {
        return None;
    }
    let rule = options.get_extension(&access);
    let rule = rule.as_message()?;
    let callers = rule.get_field_by_name("callers")?;
    let numbers = callers.as_list()?.iter().filter_map(Value::as_enum_number);
    let names = numbers.map(|number| kinds.get_value(number).unwrap().name().to_owned());
    let scope = rule.get_field_by_name("scope")?.as_str()?.to_owned();
    Some((names.collect(), scope))
}

#[test]
fn every_method_has_the_idempotency_level_of_its_letter() {
    let mut letters = BTreeMap::new();
    for (service, groups) in DESIGN {
        for (letter, names) in *groups {
            for name in *names {
                let path = format!("/rollcall.{service}/{name}");
                assert_eq!(letters.insert(path, *letter), None, "{service} {name}");
            }
        }
    }

    for method in methods() {
        let path = path(&method);
        let letter = letters.get(&path);
        let letter = *letter.unwrap_or_else(|| panic!("{path} is not in the design"));
        let options = method.method_descriptor_proto().options.clone();
        let options = options.unwrap_or_default();
        let expected = match letter {
            R => Some(IdempotencyLevel::NoSideEffects),
            I => Some(IdempotencyLevel::Idempotent),
            Other => None,
        };
        let level = options
            .idempotency_level
            .map(|_| options.idempotency_level());
        assert_eq!(level, expected, "{path} is {letter:?}");
    }
}

#[test] // rule: SEC-SVC-03
fn every_method_says_who_may_call_it_and_the_table_says_the_same() {
    let mut in_proto = Vec::new();
    for method in methods() {
        let path = path(&method);
        let (callers, scope) = rule(&method).unwrap_or_else(|| panic!("{path} lacks access"));
        let may = |kind: &str| callers.contains(&format!("CALLER_KIND_{kind}"));

        assert!(!callers.is_empty(), "{path} may be called by nobody");
        assert!(!may("UNSPECIFIED"), "{path} may be called by nothing");
        assert!(
            !may("PLATFORM") || may("OPERATOR"),
            "{path}: an operator may call every method that a platform may"
        );
        // The gateway is not trusted beyond what it forwards.
        assert_eq!(
            may("GATEWAY"),
            path.starts_with("/rollcall.scim."),
            "{path}"
        );
        if path.starts_with("/rollcall.scim.") {
            assert_eq!(callers.len(), 1, "{path} is the gateway's alone");
        }
        let tokens = may("PLATFORM") || may("OPERATOR");
        assert_eq!(
            SCOPES.contains(&scope.as_str()),
            tokens,
            "{path}: {scope:?}"
        );

        let row = access::find(&path).unwrap_or_else(|| panic!("{path} is not in the table"));
        assert_eq!(row.scope, scope, "{path}");
        let kinds = POOL.get_enum_by_name("rollcall.common.v1.CallerKind");
        let kinds = kinds.unwrap();
        let name = |number: &i32| kinds.get_value(*number).unwrap().name().to_owned();
        let names: BTreeSet<String> = row.callers.iter().map(name).collect();
        assert_eq!(names, callers, "{path}");
        in_proto.push(path);
    }

    in_proto.sort();
    let in_table: Vec<_> = access::methods().iter().map(|row| row.path).collect();
    assert_eq!(in_table, in_proto);
    assert!(access::find("/rollcall.scim.v1.ScimUserService/Nothing").is_none());
}

#[test]
fn every_method_is_described_for_whoever_calls_it() {
    let mut lacking = Vec::new();
    for method in methods() {
        let comment = comment(&method);
        let says = |label: &str| comment.lines().any(|line| line.trim().starts_with(label));
        let verb = comment.split([' ', ',']).next().unwrap_or_default();
        let options = method.method_descriptor_proto().options.clone();
        let level = options.unwrap_or_default().idempotency_level();
        let reads = level == IdempotencyLevel::NoSideEffects;
        for (has, what) in [
            (
                verb.starts_with(char::is_uppercase) && verb.ends_with('s'),
                "a first sentence in the third person",
            ),
            (says("Errors: "), "`Errors:`"),
            (reads || says("Repeat: "), "`Repeat:`"),
            (says("Rules: "), "`Rules:`"),
        ] {
            if !has {
                lacking.push(format!("{} lacks {what}", path(&method)));
            }
        }
    }

    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}
