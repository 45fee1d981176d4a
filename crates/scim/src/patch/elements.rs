//! One operation on the elements of a multi-valued attribute.

use rollcall_types::fold::fold;
use serde_json::{Map, Value};

use super::Op;
use crate::attribute::AttrRef;
use crate::canonical::{self, Member, Reader, check_primary, takes_text};
use crate::error::{Error, ErrorKind};
use crate::filter::{Filter, Literal, Operator};
use crate::json::{is_unassigned, type_name};
use crate::schema::Attribute;

/// The sub-attributes of one element.
type Element = Map<String, Value>;

/// The elements of an attribute during one operation.
pub(super) struct Elements {
    path: AttrRef,
    all: Vec<Element>,
    /// The elements that the operation made primary.
    claims: Vec<usize>,
}

impl Elements {
    pub(super) fn new(path: AttrRef, stored: Option<Value>) -> Self {
        let elements = match stored {
            Some(Value::Array(elements)) => elements,
            _ => Vec::new(),
        };
        let object = |element| match element {
            Value::Object(element) => Some(element),
            _ => None,
        };
        Self {
            path,
            all: elements.into_iter().filter_map(object).collect(),
            claims: Vec::new(),
        }
    }

    /// The elements afterwards: the new primary one is the only one (S-7644-3.5.2-13).
    pub(super) fn finish(mut self) -> Result<Vec<Value>, Error> {
        if !self.claims.is_empty() {
            let others = self.all.iter_mut().enumerate();
            for (_, other) in others.filter(|(index, _)| !self.claims.contains(index)) {
                if is_primary(other) {
                    other.insert("primary".to_owned(), Value::Bool(false));
                }
            }
        }
        let elements = self.all.into_iter();
        let elements: Vec<Value> = elements
            .filter(|element| !element.is_empty())
            .map(Value::Object)
            .collect();
        check_primary(&elements, self.path.attribute.name)?; // S-7644-3.5.2-14
        Ok(elements)
    }

    pub(super) fn edit(
        &mut self,
        reader: &mut Reader,
        op: Op,
        filter: Option<&Filter>,
        value: Option<Value>,
    ) -> Result<(), Error> {
        match (op, value) {
            (Op::Remove, value) => self.remove(reader, filter, value),
            (Op::Add, Some(value)) => self.set(reader, false, filter, value),
            (Op::Replace, Some(value)) => self.set(reader, true, filter, value),
            (Op::Add | Op::Replace, None) => Err(Error::value("a value is missing; send one")),
        }
    }

    fn remove(
        &mut self,
        reader: &mut Reader,
        filter: Option<&Filter>,
        value: Option<Value>,
    ) -> Result<(), Error> {
        let selected = |element: &Element| match filter {
            Some(filter) => filter.matches_element(element),
            None => true,
        };
        if let Some(sub) = self.path.sub {
            for element in self.all.iter_mut().filter(|one| selected(one)) {
                element.shift_remove(sub.name);
            }
            return Ok(());
        }
        match value.filter(|value| !value.is_null()) {
            // Entra: removes the listed values, and must not empty the attribute with it.
            Some(value) if filter.is_none() => {
                let listed = self.read(reader, value)?;
                let attribute = self.path.attribute;
                self.all
                    .retain(|element| !listed.iter().any(|one| is_same(attribute, one, element)));
            }
            _ => self.all.retain(|element| !selected(element)),
        }
        Ok(())
    }

    fn set(
        &mut self,
        reader: &mut Reader,
        replace: bool,
        filter: Option<&Filter>,
        value: Value,
    ) -> Result<(), Error> {
        match (filter, self.path.sub) {
            (None, None) => {
                let sent = self.read(reader, value)?;
                if replace {
                    self.all = sent;
                } else {
                    self.append(sent);
                }
                Ok(())
            }
            (filter, Some(sub)) => {
                let at = self.path.name();
                let value = reader.attribute(sub, value, &at)?;
                self.merge_into(reader, filter, vec![(sub, value)])
            }
            (Some(filter), None) => self.set_selected(reader, replace, filter, value),
        }
    }

    /// Sets whole elements that a filter selects (S-7644-3.5.2.1-07, S-7644-3.5.2.3-05).
    fn set_selected(
        &mut self,
        reader: &mut Reader,
        replace: bool,
        filter: &Filter,
        value: Value,
    ) -> Result<(), Error> {
        let value = match value {
            Value::Array(mut one) if one.len() == 1 => one.pop().unwrap_or(Value::Null),
            value => value,
        };
        if is_unassigned(&value) {
            if replace {
                let before = self.all.len();
                self.all.retain(|one| !filter.matches_element(one));
                if before == self.all.len() {
                    return Err(self.no_target());
                }
            }
            return Ok(());
        }
        let members = self.members(reader, value)?;
        if !replace {
            return self.merge_into(reader, Some(filter), members);
        }
        let element = canonical::assigned(members);
        let mut found = false;
        for (index, one) in self.all.iter_mut().enumerate() {
            if filter.matches_element(one) {
                found = true;
                one.clone_from(&element);
                if is_primary(&element) {
                    self.claims.push(index);
                }
            }
        }
        if found { Ok(()) } else { Err(self.no_target()) }
    }

    /// Sets sub-attributes of the selected elements. Where there are none, one is made from what
    /// the filter says it has to be (S-7644-3.5.2.1-06, S-7644-3.5.2.3-06).
    fn merge_into(
        &mut self,
        reader: &mut Reader,
        filter: Option<&Filter>,
        members: Vec<Member>,
    ) -> Result<(), Error> {
        let primary =
            |(sub, value): &Member| sub.name == "primary" && *value == Some(Value::Bool(true));
        let claims = members.iter().any(primary);
        let mut found = false;
        for (index, element) in self.all.iter_mut().enumerate() {
            if filter.is_none_or(|filter| filter.matches_element(element)) {
                found = true;
                canonical::merge(element, members.clone());
                if claims {
                    self.claims.push(index);
                }
            }
        }
        if found {
            return Ok(());
        }
        let mut element = Map::new();
        if let Some(filter) = filter {
            let mut terms = Map::new();
            if !collect_terms(filter, &mut terms) {
                return Err(self.no_target());
            }
            element = canonical::assigned(self.members(reader, Value::Object(terms))?);
        }
        if members.iter().all(|(_, value)| value.is_none()) {
            // Clearing a part of an element that is not there leaves nothing to do.
            return Ok(());
        }
        canonical::merge(&mut element, members);
        if is_primary(&element) {
            self.claims.push(self.all.len());
        }
        self.all.push(element);
        Ok(())
    }

    /// Adds elements; one that is there already only gains what it lacked (S-7644-3.5.2.1-04, -05).
    fn append(&mut self, sent: Vec<Element>) {
        let attribute = self.path.attribute;
        for element in sent {
            let claims = is_primary(&element);
            let position = |test: fn(&Attribute, &Element, &Element) -> bool| {
                let mut stored = self.all.iter();
                stored.position(|one| test(attribute, &element, one))
            };
            let index = match position(holds).or_else(|| position(is_same)) {
                None => {
                    self.all.push(element);
                    self.all.len() - 1
                }
                Some(index) => {
                    if let Some(stored) = self.all.get_mut(index) {
                        let key = |name: &str| name == "value" || name == "type";
                        stored.extend(element.into_iter().filter(|(name, _)| !key(name)));
                    }
                    index
                }
            };
            if claims && !self.claims.contains(&index) {
                self.claims.push(index);
            }
        }
    }

    /// The elements that a value holds; one alone may stand without its array.
    fn read(&self, reader: &mut Reader, value: Value) -> Result<Vec<Element>, Error> {
        let attribute = self.path.attribute;
        let value = match value {
            one @ Value::Object(_) => Value::Array(vec![one]),
            value => value,
        };
        let elements = reader.elements(attribute, value, attribute.name)?;
        Ok(Self::new(self.path, Some(Value::Array(elements))).all)
    }

    fn members(&self, reader: &mut Reader, value: Value) -> Result<Vec<Member>, Error> {
        let attribute = self.path.attribute;
        let at = attribute.name;
        let object = match value {
            Value::Object(object) => object,
            Value::String(text) if takes_text(attribute) => {
                [("value".to_owned(), Value::String(text))]
                    .into_iter()
                    .collect()
            }
            other => {
                let sent = type_name(&other);
                return Err(Error::value(format!("{at} is {sent}; send an object")));
            }
        };
        reader.members(attribute.sub_attributes, object, &format!("{at}."))
    }

    fn no_target(&self) -> Error {
        let name = self.path.attribute.name;
        Error::new(
            ErrorKind::NoTarget,
            format!(
                "no element of {name} satisfies the filter in the path; correct it, or add the \
                 element first"
            ),
        )
    }
}

/// Whether `stored` says all that `sent` says, so that adding it changes nothing.
fn holds(attribute: &Attribute, sent: &Element, stored: &Element) -> bool {
    let key = |name: &str| name == "value" || name == "type";
    let mut others = sent.iter().filter(|(name, _)| !key(name));
    is_same(attribute, sent, stored) && others.all(|(name, value)| stored.get(name) == Some(value))
}

/// Whether `stored` is the element that `sent` names: the same value, and the same type if one was
/// sent; for attributes without `value`, the same in all.
fn is_same(attribute: &Attribute, sent: &Element, stored: &Element) -> bool {
    let agree = |name: &str| match (attribute.sub(name), sent.get(name), stored.get(name)) {
        (Some(sub), Some(Value::String(sent)), Some(Value::String(stored))) => {
            same_text(sub, sent, stored)
        }
        (_, sent, stored) => sent == stored,
    };
    if attribute.sub("value").is_none() {
        return sent == stored;
    }
    agree("value") && (!sent.contains_key("type") || agree("type"))
}

fn is_primary(element: &Element) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// S-7643-7-10
fn same_text(attribute: &Attribute, one: &str, other: &str) -> bool {
    if attribute.case_exact {
        return one == other;
    }
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    fold(one) == fold(other)
}

/// What an element has to be, if the filter is and-joined `eq` terms; else false.
fn collect_terms(filter: &Filter, terms: &mut Element) -> bool {
    match filter {
        Filter::And(all) => all.iter().all(|one| collect_terms(one, terms)),
        Filter::Compare {
            path,
            op: Operator::Eq,
            value,
        } => {
            let value = match value {
                Literal::String(text) => Value::String(text.clone()),
                Literal::Bool(value) => Value::Bool(*value),
                Literal::Number(number) => Value::Number(number.clone()),
                Literal::DateTime(time) => Value::String(time.to_rfc3339()),
            };
            let before = terms.insert(path.leaf().name.to_owned(), value.clone());
            before.is_none_or(|before| before == value)
        }
        _ => false,
    }
}
