//! What a filter over groups may name (RFC 7643, section 4.2). This release has no groups, and does
//! not publish the schema; but who asks for one by its name or its members is answered: none.

use super::user::META;
use super::{Attribute, GROUP, Schema};

/// The schema of a group.
pub(crate) static GROUP_SCHEMA: Schema = Schema {
    urn: GROUP,
    name: "Group",
    description: "A group of users.",
    attributes: &[
        Attribute::reference("schemas", &["uri"], "The URNs of the schemas in use.").many(),
        Attribute::string("id", "The identifier that this service issued.").exact(),
        Attribute::string("externalId", "The identifier that the client chose.").exact(),
        Attribute::complex("meta", META, "What the service keeps about the resource."),
        Attribute::string("displayName", "The name to show."),
        Attribute::complex("members", MEMBER, "The users in the group.").many(),
    ],
};

const MEMBER: &[Attribute] = &[
    Attribute::string("value", "The id of the member.").exact(),
    Attribute::reference("$ref", &["User"], "The URL of the member."),
    Attribute::string("type", "The resource type of the member."),
];
