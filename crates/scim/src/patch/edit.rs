//! One operation after the other on the tree of a user.

use serde_json::{Map, Value};

use super::budget::Budget;
use super::elements::Elements;
use super::{Op, Operation, Patched, extension};
use crate::attribute::AttrRef;
use crate::canonical::{self, MAX_ELEMENTS, Reader, takes_text};
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::json::is_unassigned;
use crate::path::Path;
use crate::schema::{self, Attribute, Kind, Schema};
use crate::user::User;

/// The user while it is worked on. After an error it is of no use: all or nothing.
pub(super) struct Editor {
    tree: Map<String, Value>,
    reader: Reader,
    roles_touched: bool,
    budget: Budget,
}

/// Where the name of an attribute stood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// In `path`: what can't be done is an error.
    InPath,
    /// As a key of the value: what the service owns or does not know is passed over.
    InValue,
}

impl Editor {
    pub(super) fn new(user: &User) -> Self {
        Self {
            tree: user.to_tree(),
            reader: Reader::default(),
            roles_touched: false,
            budget: Budget::new(),
        }
    }

    /// The end result, which has to satisfy the schema as a whole (S-7644-3.5.2-12).
    pub(super) fn finish(mut self) -> Result<Patched, Error> {
        let tree = self.reader.user(self.tree)?;
        Ok(Patched {
            user: User::from_tree(tree)?,
            roles_touched: self.roles_touched,
            dropped: self.reader.dropped,
        })
    }

    pub(super) fn operate(&mut self, operation: &Operation) -> Result<(), Error> {
        let Operation { op, path, value } = operation;
        let path = match path {
            Some(text) => Path::parse(text)?,
            None if *op == Op::Remove => {
                return Err(Error::new(
                    ErrorKind::NoTarget,
                    "remove needs a path; name the attribute to remove",
                ));
            }
            None => Path::Resource,
        };
        if *op != Op::Remove && value.is_none() {
            let detail = format!("{} needs a value; send one", op.as_str());
            return Err(Error::value(detail));
        }
        self.at(*op, path, value.clone(), Named::InPath)
    }

    fn at(&mut self, op: Op, path: Path, value: Option<Value>, named: Named) -> Result<(), Error> {
        match path {
            Path::Resource => self.whole(op, value),
            Path::Schema(schema) => self.schema(op, schema, value, named),
            Path::Extension(path) => {
                extension::edit(&mut self.tree, &mut self.budget, op, &path, value)
            }
            Path::Attribute { attribute, filter } => {
                if Self::is_editable(op, &attribute, named)? {
                    self.attribute(op, attribute, filter.as_ref(), value)?;
                }
                Ok(())
            }
        }
    }

    /// Each key of the value as if it were the path (S-7644-3.5.2-15).
    fn whole(&mut self, op: Op, value: Option<Value>) -> Result<(), Error> {
        let Some(value) = value.filter(|_| op != Op::Remove) else {
            return Err(Error::new(
                ErrorKind::NoTarget,
                "the path of remove names no attribute; name the one to remove",
            ));
        };
        for (key, value) in canonical::object(value, "the value")? {
            self.member(op, &key, "", value)?;
        }
        Ok(())
    }

    /// One key of a value; `prefix` is the URN that the value stood under, with a colon.
    fn member(&mut self, op: Op, key: &str, prefix: &str, value: Value) -> Result<(), Error> {
        if key.eq_ignore_ascii_case("schemas") {
            return Ok(()); // S-7644-3.5.2-09
        }
        let qualified = key.contains(':') || prefix.is_empty();
        let text = if qualified {
            key.to_owned()
        } else {
            format!("{prefix}{key}")
        };
        match Path::parse(&text) {
            Ok(path) => self.at(op, path, Some(value), Named::InValue),
            Err(error) if error.kind == ErrorKind::InvalidPath => {
                self.reader.dropped.note_unknown(&text);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A known extension as a whole (S-7644-3.5.2-09).
    fn schema(
        &mut self,
        op: Op,
        schema: &'static Schema,
        value: Option<Value>,
        named: Named,
    ) -> Result<(), Error> {
        if schema.attributes.iter().all(Attribute::is_read_only) {
            return match named {
                Named::InPath => Err(read_only(schema.urn)),
                Named::InValue => Ok(()),
            };
        }
        match value.filter(|value| op != Op::Remove && !is_unassigned(value)) {
            None => {
                self.tree.shift_remove(schema.urn);
            }
            Some(value) => {
                let prefix = format!("{}:", schema.urn);
                for (key, value) in canonical::object(value, schema.urn)? {
                    self.member(op, &key, &prefix, value)?;
                }
            }
        }
        Ok(())
    }

    /// Whether there is something to do: an error or nothing for what clients can't set.
    fn is_editable(op: Op, attribute: &AttrRef, named: Named) -> Result<bool, Error> {
        if attribute.attribute.is_secret() {
            return Ok(false); // S-7643-4.1.1-06
        }
        if attribute.is_read_only() {
            return match named {
                Named::InPath => Err(read_only(&attribute.name())), // S-7644-3.5.2-10
                Named::InValue => Ok(false),                        // S-7643-7-03
            };
        }
        if op == Op::Remove && attribute.leaf().required {
            return Err(Error::new(
                ErrorKind::Mutability,
                format!("{attribute} is required and can't be removed; replace it instead"),
            ));
        }
        // The URNs follow from what the user holds.
        Ok(attribute.attribute.name != "schemas")
    }

    fn attribute(
        &mut self,
        op: Op,
        path: AttrRef,
        filter: Option<&Filter>,
        value: Option<Value>,
    ) -> Result<(), Error> {
        if path.schema == schema::USER {
            let mut tree = std::mem::take(&mut self.tree);
            self.edit(&mut tree, op, path, filter, value)?;
            self.tree = tree;
            return Ok(());
        }
        let mut extension = match self.tree.shift_remove(path.schema) {
            Some(Value::Object(extension)) => extension,
            _ => Map::new(),
        };
        self.edit(&mut extension, op, path, filter, value)?;
        if !extension.is_empty() {
            let extension = Value::Object(extension);
            self.tree.insert(path.schema.to_owned(), extension);
        }
        Ok(())
    }

    /// Changes the attribute within `container`, the core attributes or an extension.
    fn edit(
        &mut self,
        container: &mut Map<String, Value>,
        op: Op,
        path: AttrRef,
        filter: Option<&Filter>,
        value: Option<Value>,
    ) -> Result<(), Error> {
        let name = path.attribute.name;
        if path.attribute.multi_valued {
            let is_roles = name == "roles";
            self.roles_touched |= is_roles;
            let stored = container.get(name).is_some();
            let mut elements = Elements::new(path, container.shift_remove(name));
            elements.edit(&mut self.reader, &mut self.budget, op, filter, value)?;
            let elements = elements.finish()?;
            if elements.len() > MAX_ELEMENTS {
                return Err(Error::value(format!(
                    "{name} would have {} elements; remove some, {MAX_ELEMENTS} may stay",
                    elements.len()
                )));
            }
            // No roles is something to say, of a user whose client manages them.
            if !elements.is_empty() || (is_roles && (stored || op == Op::Replace)) {
                container.insert(name.to_owned(), Value::Array(elements));
            }
            return Ok(());
        }
        let current = container.shift_remove(name);
        let next = self.single(current, op, path, value)?;
        if let Some(next) = next {
            container.insert(name.to_owned(), next);
        }
        Ok(())
    }

    /// What becomes of a single-valued attribute.
    fn single(
        &mut self,
        current: Option<Value>,
        op: Op,
        path: AttrRef,
        value: Option<Value>,
    ) -> Result<Option<Value>, Error> {
        let value = value.filter(|_| op != Op::Remove).unwrap_or(Value::Null);
        let removed = op == Op::Remove;
        if path.attribute.kind != Kind::Complex {
            if removed {
                return Ok(None);
            }
            return self.reader.single(path.attribute, value, &path.name());
        }
        let mut parts = match current {
            Some(Value::Object(parts)) => parts,
            _ => Map::new(),
        };
        let members = match path.sub {
            Some(sub) if removed => vec![(sub, None)],
            Some(sub) => vec![(sub, self.reader.attribute(sub, value, &path.name())?)],
            None if is_unassigned(&value) => return Ok(None),
            None => match value {
                // S-7643-2.3-06. Another manager has another name.
                Value::String(text) if takes_text(path.attribute) => {
                    if parts.get("value").and_then(Value::as_str) != Some(&text) {
                        parts.clear();
                    }
                    let object = serde_json::json!({ "value": text });
                    let object = canonical::object(object, &path.name())?;
                    self.parts(path, object)?
                }
                value => {
                    let object = canonical::object(value, &path.name())?;
                    self.parts(path, object)?
                }
            },
        };
        canonical::merge(&mut parts, members);
        Ok((!parts.is_empty()).then_some(Value::Object(parts)))
    }

    fn parts(
        &mut self,
        path: AttrRef,
        object: Map<String, Value>,
    ) -> Result<Vec<canonical::Member>, Error> {
        let prefix = format!("{path}.");
        let subs = path.attribute.sub_attributes;
        self.reader.members(subs, object, &prefix)
    }
}

fn read_only(name: &str) -> Error {
    Error::new(
        ErrorKind::Mutability,
        format!("{name} is readOnly; remove the operation"),
    )
}
