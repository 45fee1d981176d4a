//! The attributes that this service stores, as static tables: what RFC 7643, section 2.2 calls
//! their characteristics. Reading, filtering, patching and discovery all follow these tables.

mod group;
mod user;

pub(crate) use group::GROUP_SCHEMA;
pub use user::{ACCESS_SCHEMA, CORE_SCHEMA, ENTERPRISE_SCHEMA};

/// The core schema of a user.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of a group.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of a user.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Our extension that says whether a user really has access, and why not (U-10).
pub const ACCESS: &str = "urn:rollcall:scim:schemas:extension:access:1.0:User";
/// The schema of a schema.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// The schema of a resource type.
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The schema of the service provider configuration.
pub const SERVICE_PROVIDER_CONFIG: &str =
    "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
/// The message that lists resources.
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The message of a PATCH request.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// The message of an error.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// The message of a `/.search` request.
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// The message of a bulk request.
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The message of a bulk response.
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";

/// What the standards define, and what therefore is never an administrator's own extension.
const REGISTERED: [&str; 13] = [
    USER,
    GROUP,
    ENTERPRISE,
    ACCESS,
    SCHEMA,
    RESOURCE_TYPE,
    SERVICE_PROVIDER_CONFIG,
    LIST_RESPONSE,
    PATCH_OP,
    ERROR,
    SEARCH_REQUEST,
    BULK_REQUEST,
    BULK_RESPONSE,
];

/// The registered spelling of a URN that is sent in any letter case (S-7643-2.1-02); `None` for
/// one that is not ours and not the standard's.
#[must_use]
pub fn registered(urn: &str) -> Option<&'static str> {
    REGISTERED
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(urn))
}

/// Whether `name` is a registered URN or an attribute under one.
pub(crate) fn is_registered_prefix(name: &str) -> bool {
    REGISTERED.into_iter().any(|urn| {
        name.split_at_checked(urn.len())
            .is_some_and(|(start, rest)| {
                start.eq_ignore_ascii_case(urn) && (rest.is_empty() || rest.starts_with(':'))
            })
    })
}

/// The data type of an attribute (RFC 7643, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A number with a fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// A moment, with its zone.
    DateTime,
    /// Octets in base64.
    Binary,
    /// A URI.
    Reference,
    /// Sub-attributes.
    Complex,
}

impl Kind {
    /// The name in the standard's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Decimal => "decimal",
            Self::Integer => "integer",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may set an attribute, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutability {
    /// The server alone.
    ReadOnly,
    /// The client, at any time.
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client, and it is never told again.
    WriteOnly,
}

impl Mutability {
    /// The name in the standard's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "readOnly",
            Self::ReadWrite => "readWrite",
            Self::Immutable => "immutable",
            Self::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is part of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// In each.
    Always,
    /// In none.
    Never,
    /// Unless it is excluded.
    Default,
    /// When it is asked for.
    Request,
}

impl Returned {
    /// The name in the standard's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Default => "default",
            Self::Request => "request",
        }
    }
}

/// Among which resources a value occurs once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Uniqueness {
    /// It may repeat.
    None,
    /// Within the account.
    Server,
    /// Everywhere.
    Global,
}

impl Uniqueness {
    /// The name in the standard's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Server => "server",
            Self::Global => "global",
        }
    }
}

/// One attribute or sub-attribute with its characteristics (RFC 7643, sections 2.2 and 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The name in its registered spelling.
    pub name: &'static str,
    /// The data type.
    pub kind: Kind,
    /// Whether it holds any number of values.
    pub multi_valued: bool,
    /// Whether a resource has to have it.
    pub required: bool,
    /// Whether letter case counts when values are compared.
    pub case_exact: bool,
    /// Who may set it.
    pub mutability: Mutability,
    /// When it is returned.
    pub returned: Returned,
    /// Among what its value is unique.
    pub uniqueness: Uniqueness,
    /// Suggested values; others are stored too (S-7643-7-12).
    pub canonical_values: &'static [&'static str],
    /// What a reference may point at.
    pub reference_types: &'static [&'static str],
    /// One sentence for the reader of `/Schemas`.
    pub description: &'static str,
    /// The parts of a complex attribute.
    pub sub_attributes: &'static [Attribute],
}

impl Attribute {
    /// The sub-attribute of that name, in any letter case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        lookup(self.sub_attributes, name)
    }

    /// Whether a client's value is ignored: the server sets the attribute.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.mutability == Mutability::ReadOnly
    }

    /// Whether nobody may learn the value, not even by a filter (S-7643-7-05).
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.mutability == Mutability::WriteOnly || self.returned == Returned::Never
    }

    /// An attribute without stated characteristics (S-7643-2.2-01).
    const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            multi_valued: false,
            required: false,
            case_exact: false,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical_values: &[],
            reference_types: &[],
            description,
            sub_attributes: &[],
        }
    }

    const fn string(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::String, description)
    }

    const fn boolean(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Boolean, description)
    }

    const fn date_time(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::DateTime, description)
    }

    /// References compare with exact case (erratum 6001).
    const fn reference(
        name: &'static str,
        reference_types: &'static [&'static str],
        description: &'static str,
    ) -> Self {
        let mut attribute = Self::new(name, Kind::Reference, description).exact();
        attribute.reference_types = reference_types;
        attribute
    }

    const fn complex(
        name: &'static str,
        sub_attributes: &'static [Attribute],
        description: &'static str,
    ) -> Self {
        let mut attribute = Self::new(name, Kind::Complex, description);
        attribute.sub_attributes = sub_attributes;
        attribute
    }

    const fn many(mut self) -> Self {
        self.multi_valued = true;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    const fn read_only(mut self) -> Self {
        self.mutability = Mutability::ReadOnly;
        self
    }

    const fn write_only(mut self) -> Self {
        self.mutability = Mutability::WriteOnly;
        self.returned = Returned::Never;
        self
    }

    const fn always(mut self) -> Self {
        self.returned = Returned::Always;
        self
    }

    const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    const fn suggest(mut self, canonical_values: &'static [&'static str]) -> Self {
        self.canonical_values = canonical_values;
        self
    }
}

/// The attributes under one URN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The URN in its registered spelling.
    pub urn: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// One sentence for the reader of `/Schemas`.
    pub description: &'static str,
    /// The attributes.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute of that name, in any letter case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        lookup(self.attributes, name)
    }

    /// The attributes that `/Schemas` shows: all but those that are taken and dropped.
    pub fn published(&self) -> impl Iterator<Item = &'static Attribute> {
        self.attributes.iter().filter(|one| !one.is_secret())
    }
}

/// The schemas of a user, the core one first.
pub static USER_SCHEMAS: [&Schema; 3] = [&CORE_SCHEMA, &ENTERPRISE_SCHEMA, &ACCESS_SCHEMA];

/// The schema of a user that has this URN, in any letter case.
#[must_use]
pub fn find(urn: &str) -> Option<&'static Schema> {
    USER_SCHEMAS
        .into_iter()
        .find(|schema| schema.urn.eq_ignore_ascii_case(urn))
}

fn lookup(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // rule: S-7643-2.1-01, S-7643-2.1-02
    fn names_and_urns_are_found_in_any_letter_case() {
        let schema = find("URN:IETF:params:scim:schemas:core:2.0:user").unwrap();
        assert_eq!(schema.urn, USER);
        assert_eq!(schema.attribute("USERNAME").unwrap().name, "userName");
        let emails = schema.attribute("Emails").unwrap();
        assert_eq!(emails.sub("VALUE").unwrap().name, "value");
        assert!(emails.sub("values").is_none());
        assert_eq!(registered(&GROUP.to_uppercase()), Some(GROUP));
        assert_eq!(registered("urn:example:User"), None);
    }

    #[test] // rule: S-7643-2.2-01
    fn an_attribute_without_stated_characteristics_has_those_of_rfc_7643_section_2_2() {
        let title = CORE_SCHEMA.attribute("title").unwrap();
        assert_eq!(title.kind, Kind::String);
        assert!(!title.multi_valued && !title.required && !title.case_exact);
        assert_eq!(title.mutability, Mutability::ReadWrite);
        assert_eq!(title.returned, Returned::Default);
        assert_eq!(title.uniqueness, Uniqueness::None);
    }

    #[test]
    fn the_tables_hold_the_characteristics_that_rules_depend_on() {
        let core = |path: &str| {
            let (name, sub) = path.split_once('.').unwrap_or((path, ""));
            let attribute = CORE_SCHEMA.attribute(name).unwrap();
            *attribute.sub(sub).unwrap_or(attribute)
        };
        for exact in ["id", "externalId", "schemas", "profileUrl", "roles.value"] {
            assert!(core(exact).case_exact, "{exact}");
        }
        for folded in [
            "userName",
            "emails.value",
            "entitlements.value",
            "roles.type",
        ] {
            assert!(!core(folded).case_exact, "{folded}");
        }
        for read_only in ["id", "meta", "groups"] {
            assert!(core(read_only).is_read_only(), "{read_only}");
        }
        for unique in ["id", "userName"] {
            assert_eq!(core(unique).uniqueness, Uniqueness::Server, "{unique}");
        }
        assert!(core("password").is_secret());
        assert!(ACCESS_SCHEMA.attributes.iter().all(Attribute::is_read_only));
        assert!(CORE_SCHEMA.published().all(|one| one.name != "password"));
    }
}
