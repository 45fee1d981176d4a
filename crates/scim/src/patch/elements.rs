//! One operation on the elements of a multi-valued attribute.

use rollcall_types::fold::fold;
use serde_json::{Map, Value};

use super::Op;
use super::budget::{Budget, weight};
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
        budget: &mut Budget,
        op: Op,
        filter: Option<&Filter>,
        value: Option<Value>,
    ) -> Result<(), Error> {
        if let Some(filter) = filter {
            budget.charge_filter(filter, &self.all)?;
        }
        match (op, value) {
            (Op::Remove, value) => self.remove(reader, budget, filter, value),
            (Op::Add, Some(value)) => self.set(reader, budget, false, filter, value),
            (Op::Replace, Some(value)) => self.set(reader, budget, true, filter, value),
            (Op::Add | Op::Replace, None) => Err(Error::value("a value is missing; send one")),
        }
    }

    fn remove(
        &mut self,
        reader: &mut Reader,
        budget: &mut Budget,
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
                budget.charge(pairs(&listed, &self.all))?;
                let attribute = self.path.attribute;
                let listed: Vec<Known> = listed.iter().map(|one| known(attribute, one)).collect();
                self.all.retain(|element| {
                    let element = known(attribute, element);
                    !listed.iter().any(|one| one.names(&element))
                });
            }
            _ => self.all.retain(|element| !selected(element)),
        }
        Ok(())
    }

    fn set(
        &mut self,
        reader: &mut Reader,
        budget: &mut Budget,
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
                    self.append(budget, sent)?;
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
    fn append(&mut self, budget: &mut Budget, sent: Vec<Element>) -> Result<(), Error> {
        budget.charge(pairs(&sent, &self.all))?;
        budget.charge(sent.len().saturating_mul(sent.len()))?;
        let attribute = self.path.attribute;
        // Kept beside the elements; what tells one from another does not change below.
        let mut stored: Vec<Known> = self.all.iter().map(|one| known(attribute, one)).collect();
        for element in sent {
            let claims = is_primary(&element);
            let sent = known(attribute, &element);
            let pairs = || self.all.iter().zip(&stored);
            let whole = pairs().position(|(one, known)| sent.names(known) && holds(&element, one));
            let index = match whole.or_else(|| stored.iter().position(|one| sent.names(one))) {
                None => {
                    stored.push(sent);
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
        Ok(())
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

/// Whether `stored`, the element that `sent` names, says all that `sent` says, so that adding it
/// changes nothing.
fn holds(sent: &Element, stored: &Element) -> bool {
    let key = |name: &str| name == "value" || name == "type";
    let mut others = sent.iter().filter(|(name, _)| !key(name));
    others.all(|(name, value)| stored.get(name) == Some(value))
}

/// What an element is told from others by, folded once: its value and type, or all of it where
/// the attribute has no `value`.
#[derive(PartialEq)]
enum Known {
    Whole(Element),
    Key {
        value: Option<Value>,
        type_: Option<Value>,
    },
}

impl Known {
    /// Whether `stored` is the element that this one, which was sent, names: the same value, and
    /// the same type if one was sent.
    fn names(&self, stored: &Self) -> bool {
        match (self, stored) {
            (
                Self::Key { value, type_: None },
                Self::Key {
                    value: stored_value,
                    ..
                },
            ) => value == stored_value,
            (sent, stored) => sent == stored,
        }
    }
}

fn known(attribute: &Attribute, element: &Element) -> Known {
    let part = |name: &str| match (attribute.sub(name), element.get(name)) {
        // S-7643-7-10
        (Some(sub), Some(Value::String(text))) if !sub.case_exact => {
            Some(Value::String(fold(text)))
        }
        (_, value) => value.cloned(),
    };
    if attribute.sub("value").is_none() {
        return Known::Whole(element.clone());
    }
    Known::Key {
        value: part("value"),
        type_: part("type"),
    }
}

/// What it costs to fold each element once, and to compare each that was sent with each stored.
fn pairs(sent: &[Element], stored: &[Element]) -> usize {
    let fold: usize = sent.iter().chain(stored).map(weight).sum();
    fold.saturating_add(sent.len().saturating_mul(stored.len()))
}

fn is_primary(element: &Element) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
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
