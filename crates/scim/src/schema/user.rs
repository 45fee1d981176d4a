//! The tables of a user: section 2 of the requirements (RFC 7643, sections 3.1, 4.1, 4.3, 8.7.1).

use super::{ACCESS, Attribute, ENTERPRISE, Kind, Schema, USER};

const PLACES: &[&str] = &["work", "home", "other"];

const TYPE: Attribute = Attribute::string("type", "What the value is for.");
const DISPLAY: Attribute = Attribute::string("display", "The value as a person reads it.");
const PRIMARY: Attribute = Attribute::boolean(
    "primary",
    "Whether this is the preferred value; true for one value at most.",
);

/// The core schema of a user.
pub static CORE_SCHEMA: Schema = Schema {
    urn: USER,
    name: "User",
    description: "A person's account.",
    attributes: CORE_ATTRIBUTES,
};

const CORE_ATTRIBUTES: &[Attribute] = &[
    Attribute::reference("schemas", &["uri"], "The URNs of the schemas in use.")
        .many()
        .required()
        .always(),
    Attribute::string("id", "The identifier that this service issued.")
        .exact()
        .read_only()
        .always()
        .unique(),
    Attribute::string("externalId", "The identifier that the client chose.").exact(),
    Attribute::complex("meta", META, "What the service keeps about the resource.").read_only(),
    Attribute::string(
        "userName",
        "The name that the person signs in with; unique, letter case does not count.",
    )
    .required()
    .unique(),
    Attribute::complex("name", NAME, "The parts of the person's name."),
    Attribute::string("displayName", "The name to show."),
    Attribute::string("nickName", "The casual name."),
    Attribute::reference("profileUrl", &["external"], "The page about the person."),
    Attribute::string("title", "The job title."),
    Attribute::string("userType", "The relation to the organization."),
    Attribute::string(
        "preferredLanguage",
        "The preferred language, such as en-US.",
    ),
    Attribute::string("locale", "The locale for dates and numbers, such as en-US."),
    Attribute::string("timezone", "The time zone, such as Europe/Berlin."),
    Attribute::boolean("active", "Whether the person may use the product."),
    Attribute::string("password", "Accepted and dropped: sign-in is by SSO.")
        .exact()
        .write_only(),
    Attribute::complex("emails", EMAIL, "Email addresses.").many(),
    Attribute::complex("phoneNumbers", PHONE_NUMBER, "Phone numbers.").many(),
    Attribute::complex("ims", IM, "Instant messaging addresses.").many(),
    Attribute::complex("photos", PHOTO, "URLs of photos.").many(),
    Attribute::complex("addresses", ADDRESS, "Postal addresses.").many(),
    Attribute::complex(
        "groups",
        GROUP,
        "The groups that the person is a member of.",
    )
    .many()
    .read_only(),
    Attribute::complex(
        "entitlements",
        ENTITLEMENT,
        "Entitlements; kept without effect.",
    )
    .many(),
    Attribute::complex("roles", ROLE, "Roles; each names a permission set.").many(),
    Attribute::complex("x509Certificates", CERTIFICATE, "X.509 certificates.").many(),
];

pub(super) const META: &[Attribute] = &[
    Attribute::string("resourceType", "The name of the resource type.")
        .exact()
        .read_only(),
    Attribute::date_time("created", "When the resource was created.").read_only(),
    Attribute::date_time("lastModified", "When the resource last changed.").read_only(),
    Attribute::reference("location", &["uri"], "The URL of the resource.").read_only(),
    Attribute::string("version", "The entity tag of the resource.")
        .exact()
        .read_only(),
];

const NAME: &[Attribute] = &[
    Attribute::string("formatted", "The whole name, as it is shown."),
    Attribute::string("familyName", "The family name."),
    Attribute::string("givenName", "The given name."),
    Attribute::string("middleName", "The middle names."),
    Attribute::string("honorificPrefix", "The title before the name, such as Dr."),
    Attribute::string("honorificSuffix", "The suffix after the name, such as III."),
];

const EMAIL: &[Attribute] = &[
    Attribute::string("value", "The address."),
    DISPLAY,
    TYPE.suggest(PLACES),
    PRIMARY,
];

const PHONE_NUMBER: &[Attribute] = &[
    Attribute::string("value", "The number."),
    DISPLAY,
    TYPE.suggest(&["work", "home", "mobile", "fax", "pager", "other"]),
    PRIMARY,
];

const IM: &[Attribute] = &[
    Attribute::string("value", "The address."),
    DISPLAY,
    TYPE.suggest(&["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"]),
    PRIMARY,
];

const PHOTO: &[Attribute] = &[
    Attribute::reference("value", &["external"], "The URL of the photo."),
    DISPLAY,
    TYPE.suggest(&["photo", "thumbnail"]),
    PRIMARY,
];

const ADDRESS: &[Attribute] = &[
    Attribute::string("formatted", "The whole address, as it is shown."),
    Attribute::string("streetAddress", "The street and number."),
    Attribute::string("locality", "The city."),
    Attribute::string("region", "The state or region."),
    Attribute::string("postalCode", "The postal code."),
    Attribute::string("country", "The country, as ISO 3166-1 alpha-2."),
    TYPE.suggest(PLACES),
    PRIMARY,
];

const GROUP: &[Attribute] = &[
    Attribute::string("value", "The id of the group.")
        .exact()
        .read_only(),
    Attribute::reference("$ref", &["Group"], "The URL of the group.").read_only(),
    DISPLAY.read_only(),
    TYPE.suggest(&["direct", "indirect"]).read_only(),
];

const ENTITLEMENT: &[Attribute] = &[
    Attribute::string("value", "The entitlement."),
    DISPLAY,
    TYPE,
    PRIMARY,
];

const ROLE: &[Attribute] = &[
    Attribute::string("value", "The name or id of a permission set.").exact(),
    DISPLAY,
    TYPE,
    PRIMARY,
];

const CERTIFICATE: &[Attribute] = &[
    Attribute::new("value", Kind::Binary, "The DER-encoded certificate.").exact(),
    DISPLAY,
    TYPE,
    PRIMARY,
];

/// The enterprise extension of a user (RFC 7643, section 4.3).
pub static ENTERPRISE_SCHEMA: Schema = Schema {
    urn: ENTERPRISE,
    name: "EnterpriseUser",
    description: "What an organization knows about its member.",
    attributes: &[
        Attribute::string("employeeNumber", "The number that the organization gave."),
        Attribute::string("costCenter", "The cost center."),
        Attribute::string("organization", "The organization."),
        Attribute::string("division", "The division."),
        Attribute::string("department", "The department."),
        Attribute::complex("manager", MANAGER, "The person's manager."),
    ],
};

const MANAGER: &[Attribute] = &[
    Attribute::string(
        "value",
        "The id of the manager, or what the client calls the manager.",
    ),
    // The service's to give: it alone knows whether `value` is one of its users (S-7643-4.3-01).
    Attribute::reference("$ref", &["User"], "The URL of the manager.").read_only(),
    // Okta: sends displayName with the manager, though RFC 7643 has it readOnly.
    Attribute::string("displayName", "The manager's name, as the client sent it."),
];

/// Our extension of a user: the access state (U-10).
pub static ACCESS_SCHEMA: Schema = Schema {
    urn: ACCESS,
    name: "UserAccess",
    description: "Whether the person really has access, since when, and why not.",
    attributes: &[
        Attribute::string("state", "The access state.")
            .suggest(&["ACTIVE", "HELD_DOMAIN_UNVERIFIED", "DEACTIVATED"])
            .read_only(),
        Attribute::date_time("since", "When the state began.").read_only(),
        Attribute::string("cause", "What brought the state about.").read_only(),
        Attribute::string("message", "What to do about it.").read_only(),
    ],
};
