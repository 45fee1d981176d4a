//! From what clients send to the one form that is stored: names in their registered spelling,
//! values of the type that the schema says, nothing unassigned and nothing readOnly.

use serde_json::{Map, Value};

use rollcall_types::{EmailAddress, fold};

use crate::error::{Error, quote};
use crate::json::{find, is_unassigned, type_name};
use crate::schema::{self, Attribute, CORE_SCHEMA, Kind, Schema};
use crate::value;

/// Elements of one multi-valued attribute.
pub(crate) const MAX_ELEMENTS: usize = 200;
/// Bytes of all objects under unknown extension URNs, as JSON.
pub(crate) const MAX_EXTENSION_BYTES: usize = 64 * 1024;
/// Names that one [`Dropped`] lists.
const MAX_NAMES: usize = 100;

/// What was sent and not stored, or not stored as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Attributes that no schema defines (S-7643-3-05), each once and at most 100.
    pub unknown: Vec<String>,
    /// Boolean attributes that came as text (S-7643-2.3-02), each once and at most 100.
    pub lenient: Vec<String>,
}

impl Dropped {
    pub(crate) fn note_unknown(&mut self, name: &str) {
        note(&mut self.unknown, name);
    }
}

fn note(names: &mut Vec<String>, name: &str) {
    let name: String = name.chars().take(100).collect();
    if names.len() < MAX_NAMES && !names.contains(&name) {
        names.push(name);
    }
}

/// A sub-attribute or attribute that was sent, with its canonical value; `None` is unassigned.
pub(crate) type Member = (&'static Attribute, Option<Value>);

/// Reads values by the schema and remembers what it left out.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) dropped: Dropped,
}

impl Reader {
    /// The canonical attributes of a whole user, its extensions among them.
    ///
    /// `roles` alone may be an empty array: it says that the client sent none (S-7644-3.5.1-05).
    pub(crate) fn user(&mut self, object: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        let mut user = Map::new();
        let mut core = Map::new();
        for (key, value) in object {
            if !key.contains(':') {
                core.insert(key, value);
            } else if let Some(schema) = schema::find(&key) {
                self.extension(schema, value, &mut user)?;
            } else if schema::registered(&key).is_some() {
                self.dropped.note_unknown(&key);
            } else if !is_unassigned(&value) {
                match unknown_extension(value) {
                    Ok(Some(kept)) => {
                        user.insert(key, kept);
                    }
                    Ok(None) => {}
                    Err(_) => self.dropped.note_unknown(&key),
                }
            }
        }
        check_extension_size(&user)?;
        for (attribute, value) in self.members(CORE_SCHEMA.attributes, core, "")? {
            match value {
                Some(value) => user.insert(attribute.name.to_owned(), value),
                None if attribute.name == "roles" => {
                    user.insert(attribute.name.to_owned(), Value::Array(Vec::new()))
                }
                None => None,
            };
        }
        if !user.contains_key("userName") {
            return Err(Error::value("userName is required; send one"));
        }
        Ok(user)
    }

    fn extension(
        &mut self,
        schema: &'static Schema,
        value: Value,
        user: &mut Map<String, Value>,
    ) -> Result<(), Error> {
        if schema.urn == schema::USER {
            self.dropped.note_unknown(schema.urn);
            return Ok(());
        }
        if schema.attributes.iter().all(Attribute::is_read_only) || is_unassigned(&value) {
            return Ok(());
        }
        let object = object(value, schema.urn)?;
        let prefix = format!("{}:", schema.urn);
        let assigned = assigned(self.members(schema.attributes, object, &prefix)?);
        if !assigned.is_empty() {
            user.insert(schema.urn.to_owned(), Value::Object(assigned));
        }
        Ok(())
    }

    /// What `object` says of `attributes`: without what is unknown (noted), readOnly or secret.
    pub(crate) fn members(
        &mut self,
        attributes: &'static [Attribute],
        object: Map<String, Value>,
        prefix: &str,
    ) -> Result<Vec<Member>, Error> {
        let mut members = Vec::new();
        for (key, value) in object {
            let mut defined = attributes.iter();
            match defined.find(|one| one.name.eq_ignore_ascii_case(&key)) {
                None => self.dropped.note_unknown(&format!("{prefix}{key}")),
                // The URNs follow from what the user holds; they are checked where they are sent.
                Some(attribute) if attribute.name == "schemas" => {}
                Some(attribute) if attribute.is_read_only() || attribute.is_secret() => {}
                Some(attribute) => {
                    let at = format!("{prefix}{}", attribute.name);
                    members.push((attribute, self.attribute(attribute, value, &at)?));
                }
            }
        }
        Ok(members)
    }

    /// The canonical value of `attribute`, which a `detail` calls `at`; `None` is unassigned.
    pub(crate) fn attribute(
        &mut self,
        attribute: &'static Attribute,
        value: Value,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        if attribute.multi_valued {
            let elements = self.elements(attribute, value, at)?;
            return Ok((!elements.is_empty()).then_some(Value::Array(elements)));
        }
        self.single(attribute, value, at)
    }

    /// The canonical elements of a multi-valued attribute: the empty ones dropped, exact
    /// duplicates folded (S-7643-2.4-02).
    pub(crate) fn elements(
        &mut self,
        attribute: &'static Attribute,
        value: Value,
        at: &str,
    ) -> Result<Vec<Value>, Error> {
        let sent = match value {
            unassigned if is_unassigned(&unassigned) => Vec::new(),
            Value::Array(sent) => sent,
            // Okta: roles mapped from one text arrive as that text, or as one object.
            one @ (Value::String(_) | Value::Object(_)) if takes_text(attribute) => vec![one],
            other => {
                return Err(Error::value(format!(
                    "{at} is {}; send an array",
                    type_name(&other)
                )));
            }
        };
        if sent.len() > MAX_ELEMENTS {
            return Err(Error::value(format!(
                "{at} has {} elements; send at most {MAX_ELEMENTS}",
                sent.len()
            )));
        }
        let mut elements = Vec::with_capacity(sent.len());
        for element in sent {
            if let Some(element) = self.single(attribute, element, at)?
                && !elements.contains(&element)
            {
                elements.push(element);
            }
        }
        check_primary(&elements, at)?;
        Ok(elements)
    }

    /// The canonical form of one value: of a single-valued attribute, or of one element.
    pub(crate) fn single(
        &mut self,
        attribute: &'static Attribute,
        value: Value,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        if is_unassigned(&value) && !(attribute.kind == Kind::Boolean && value.is_string()) {
            if attribute.name == "userName" {
                return Err(Error::value("userName is empty; send one"));
            }
            return Ok(None);
        }
        let wrong = |value: &Value| {
            let kind = attribute.kind.as_str();
            Error::value(format!("{at} is {}; send a {kind}", type_name(value)))
        };
        match (attribute.kind, value) {
            (Kind::Complex, value) => self.complex(attribute, value, at),
            (Kind::Boolean, Value::Bool(value)) => Ok(Some(Value::Bool(value))),
            (Kind::Boolean, Value::String(text)) => {
                // S-7643-2.3-02. Entra: sends "True" and "False".
                let value = boolean(&text).ok_or_else(|| {
                    Error::value(format!("{at} is {}; send true or false", quote(&text)))
                })?;
                note(&mut self.dropped.lenient, at);
                Ok(Some(Value::Bool(value)))
            }
            (Kind::Decimal, value @ Value::Number(_)) => Ok(Some(value)),
            (Kind::Integer, value) if value.is_i64() || value.is_u64() => Ok(Some(value)),
            // S-7643-2.3-06. Okta: one sample shows a number.
            (Kind::String, Value::Number(number)) if attribute.name == "externalId" => {
                Ok(Some(Value::String(number.to_string())))
            }
            (kind, Value::String(text)) => text_value(kind, text, at).map(Some),
            (_, value) => Err(wrong(&value)),
        }
    }

    fn complex(
        &mut self,
        attribute: &'static Attribute,
        value: Value,
        at: &str,
    ) -> Result<Option<Value>, Error> {
        let value = match value {
            // S-7643-2.3-06
            Value::String(text) if takes_text(attribute) => serde_json::json!({ "value": text }),
            value => value,
        };
        let prefix = format!("{at}.");
        let members = self.members(attribute.sub_attributes, object(value, at)?, &prefix)?;
        let assigned = assigned(members);
        let hollow = attribute.multi_valued && lacks_value(attribute, &assigned);
        Ok((!assigned.is_empty() && !hollow).then_some(Value::Object(assigned)))
    }
}

/// Whether the attribute may come as bare text in place of objects (S-7643-2.3-06).
pub(crate) fn takes_text(attribute: &Attribute) -> bool {
    matches!(attribute.name, "roles" | "entitlements" | "manager")
}

/// Whether an element has no `value` though its attribute defines one (S-7643-2.5-03).
pub(crate) fn lacks_value(attribute: &Attribute, element: &Map<String, Value>) -> bool {
    attribute.sub("value").is_some() && !element.contains_key("value")
}

/// S-7643-2.4-01
pub(crate) fn check_primary(elements: &[Value], at: &str) -> Result<(), Error> {
    if elements.iter().filter(|one| is_primary(one)).count() > 1 {
        return Err(Error::value(format!(
            "{at} has several elements with primary true; mark one at most"
        )));
    }
    Ok(())
}

pub(crate) fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// The truth that a text tells, in any letter case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        return Some(true);
    }
    text.eq_ignore_ascii_case("false").then_some(false)
}

/// The object under an unknown URN, without its unassigned members; the value itself when it is
/// no object.
pub(crate) fn unknown_extension(value: Value) -> Result<Option<Value>, Value> {
    let Value::Object(mut object) = value else {
        return Err(value);
    };
    object.retain(|_, member| !is_unassigned(member));
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

/// S-7643-3-05
pub(crate) fn check_extension_size(user: &Map<String, Value>) -> Result<(), Error> {
    let size: usize = user
        .iter()
        .filter(|(key, _)| key.contains(':') && schema::find(key).is_none())
        .map(|(key, value)| key.len() + value.to_string().len())
        .sum();
    if size > MAX_EXTENSION_BYTES {
        return Err(Error::value(format!(
            "the attributes under schemas of your own take {size} bytes; \
             send at most {MAX_EXTENSION_BYTES}"
        )));
    }
    Ok(())
}

/// Checks the `schemas` of a request for a user (S-7643-3-01, -02, -06).
pub(crate) fn check_schemas(object: &Map<String, Value>) -> Result<(), Error> {
    let urns = match find(object, "schemas") {
        Some(Value::Array(urns)) if !urns.is_empty() => urns,
        _ => {
            return Err(Error::syntax(format!(
                "schemas is missing; send an array that has {}",
                quote(schema::USER)
            )));
        }
    };
    let mut is_user = false;
    for urn in urns {
        let Value::String(urn) = urn else {
            return Err(Error::syntax(
                "schemas has an element that is no string; send URNs only",
            ));
        };
        match (schema::find(urn), schema::registered(urn)) {
            (Some(schema), _) => is_user |= schema.urn == schema::USER,
            (None, Some(other)) => {
                return Err(Error::syntax(format!(
                    "schemas has {}, which is no schema of a user; remove it",
                    quote(other)
                )));
            }
            (None, None) => {}
        }
    }
    if is_user {
        return Ok(());
    }
    Err(Error::syntax(format!(
        "schemas lacks {}; add it",
        quote(schema::USER)
    )))
}

pub(crate) fn object(value: Value, at: &str) -> Result<Map<String, Value>, Error> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(Error::value(format!(
            "{at:.100} is {}; send an object",
            type_name(&other)
        ))),
    }
}

pub(crate) fn assigned(members: Vec<Member>) -> Map<String, Value> {
    members
        .into_iter()
        .filter_map(|(attribute, value)| Some((attribute.name.to_owned(), value?)))
        .collect()
}

/// Sets what is assigned and removes what is not; everything else stays (S-7644-3.5.2.1-03).
pub(crate) fn merge(object: &mut Map<String, Value>, members: Vec<Member>) {
    for (attribute, value) in members {
        match value {
            Some(value) => {
                object.insert(attribute.name.to_owned(), value);
            }
            None => {
                object.shift_remove(attribute.name);
            }
        }
    }
}

fn text_value(kind: Kind, text: String, at: &str) -> Result<Value, Error> {
    let refuse = |must: &str| Err(Error::value(format!("{at} is {}; {must}", quote(&text))));
    match kind {
        Kind::DateTime => match value::date_time(&text) {
            Some(time) => return Ok(Value::String(time.to_rfc3339())),
            None => return refuse("send a dateTime with its zone, such as 2026-11-24T09:10:11Z"),
        },
        Kind::Binary if !value::is_base64(&text) => return refuse("send base64"),
        Kind::Reference if !value::is_uri_reference(&text) => return refuse("send a URI"),
        Kind::String if at == "userName" && fold::has_control(&text) => {
            return refuse("remove its control characters");
        }
        Kind::String if at == "emails.value" && EmailAddress::parse(&text).is_err() => {
            return refuse("send an email address such as alice@example.com");
        }
        Kind::String | Kind::Binary | Kind::Reference => {}
        Kind::Boolean | Kind::Decimal | Kind::Integer | Kind::Complex => {
            return refuse(&format!("send a value of type {}", kind.as_str()));
        }
    }
    Ok(Value::String(text))
}
