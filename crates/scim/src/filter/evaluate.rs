//! A filter over one resource in memory.

use std::cmp::Ordering;

use rollcall_types::fold::fold;
use serde_json::{Map, Value};

use super::{Filter, Literal, Operator};
use crate::attribute::AttrRef;
use crate::schema::Attribute;
use crate::value;

/// Whether `resource` satisfies `filter`.
pub(super) fn resource(filter: &Filter, resource: &Map<String, Value>) -> bool {
    holds(filter, &Scope::Resource(resource))
}

/// Whether one element satisfies `filter`, which stood in brackets.
pub(super) fn element(filter: &Filter, element: &Map<String, Value>) -> bool {
    holds(filter, &Scope::Element(element))
}

enum Scope<'r> {
    Resource(&'r Map<String, Value>),
    Element(&'r Map<String, Value>),
}

impl<'r> Scope<'r> {
    /// The values that `path` selects; an element without the sub-attribute gives `None`.
    fn values(&self, path: &AttrRef) -> Vec<Option<&'r Value>> {
        let resource = match self {
            Self::Element(element) => return vec![element.get(path.leaf().name)],
            Self::Resource(resource) => resource,
        };
        let part = |value: &'r Value| match path.sub {
            Some(sub) => value.get(sub.name),
            None => Some(value),
        };
        match path.value_in(resource) {
            Some(Value::Array(elements)) => elements.iter().map(part).collect(),
            Some(value) => vec![part(value)],
            None => Vec::new(),
        }
    }
}

fn holds(filter: &Filter, scope: &Scope<'_>) -> bool {
    match filter {
        Filter::And(all) => all.iter().all(|one| holds(one, scope)),
        Filter::Or(any) => any.iter().any(|one| holds(one, scope)),
        Filter::Not(inner) => !holds(inner, scope),
        Filter::Present { path } => scope.values(path).into_iter().flatten().any(is_present),
        Filter::Compare { path, op, value } => {
            let values = scope.values(path);
            if values.is_empty() {
                return *op == Operator::Ne; // S-7644-3.4.2.2-12
            }
            let mut values = values.into_iter();
            values.any(|one| compares(path.leaf(), one, *op, value))
        }
        Filter::ValuePath { path, filter } => match scope {
            Scope::Element(_) => false,
            Scope::Resource(resource) => match path.value_in(resource) {
                Some(Value::Array(elements)) => elements
                    .iter()
                    .filter_map(Value::as_object)
                    .any(|one| element(filter, one)),
                _ => false,
            },
        },
    }
}

/// S-7644-3.4.2.2-05
fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(is_present),
        Value::Object(members) => members.values().any(is_present),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

fn compares(leaf: &Attribute, value: Option<&Value>, op: Operator, literal: &Literal) -> bool {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return op == Operator::Ne;
    };
    if op == Operator::Ne {
        return !compares(leaf, Some(value), Operator::Eq, literal);
    }
    match (value, literal) {
        (Value::String(text), Literal::String(literal)) => {
            text_compares(text, op, literal, leaf.case_exact)
        }
        (Value::Bool(value), Literal::Bool(literal)) => ordered(value.cmp(literal), op),
        (Value::Number(value), Literal::Number(literal)) => {
            let order = match (value.as_i64(), literal.as_i64()) {
                (Some(value), Some(literal)) => Some(value.cmp(&literal)),
                _ => value.as_f64().partial_cmp(&literal.as_f64()),
            };
            order.is_some_and(|order| ordered(order, op))
        }
        (Value::String(text), Literal::DateTime(literal)) => {
            value::date_time(text).is_some_and(|time| ordered(time.cmp(literal), op))
        }
        _ => false,
    }
}

fn text_compares(text: &str, op: Operator, literal: &str, case_exact: bool) -> bool {
    if case_exact {
        return text_matches(text, op, literal);
    }
    if op == Operator::Eq && text.is_ascii() && literal.is_ascii() {
        return text.eq_ignore_ascii_case(literal);
    }
    text_matches(&fold(text), op, &fold(literal))
}

fn text_matches(text: &str, op: Operator, literal: &str) -> bool {
    match op {
        Operator::Co => text.contains(literal),
        Operator::Sw => text.starts_with(literal),
        Operator::Ew => text.ends_with(literal),
        _ => ordered(text.cmp(literal), op),
    }
}

fn ordered(order: Ordering, op: Operator) -> bool {
    match op {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
        Operator::Co | Operator::Sw | Operator::Ew => false,
    }
}
