//! Filters (RFC 7644, section 3.4.2.2, with errata 4690, 7319 and 7322).
//!
//! Parsed and resolved once; SQL is compiled from the tree elsewhere, and [`Filter::matches`] is
//! what that SQL has to agree with.

mod evaluate;
mod parser;

use std::fmt;

use rollcall_types::Timestamp;
use serde_json::{Map, Number, Value};

use crate::attribute::AttrRef;
use crate::error::Error;

pub(crate) use parser::{malformed_path, path};

/// Bytes of one filter or path.
pub const MAX_BYTES: usize = 8 * 1024;
/// Parentheses and brackets within each other.
pub const MAX_DEPTH: usize = 16;
/// Comparisons in one filter.
pub const MAX_TERMS: usize = 64;

/// A filter over users whose attributes exist and whose literals fit them.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Each of at least two.
    And(Vec<Filter>),
    /// Any of at least two.
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
    /// Some value compares with the literal. For [`Operator::Ne`] an unassigned one does too.
    Compare {
        /// What is compared; never complex, `emails eq` has become `emails.value eq`.
        path: AttrRef,
        /// How.
        op: Operator,
        /// With what; never null, `eq null` has become "not present".
        value: Literal,
    },
    /// Some value is assigned and not empty.
    Present {
        /// What is looked for; may be complex.
        path: AttrRef,
    },
    /// One element of a multi-valued attribute satisfies the whole inner filter.
    ValuePath {
        /// The attribute, without sub-attribute.
        path: AttrRef,
        /// Over the element: its paths name the same attribute, with a sub-attribute each. It
        /// holds no further [`Filter::ValuePath`].
        filter: Box<Filter>,
    },
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal, or unassigned.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Operator {
    const ALL: [Self; 9] = [
        Self::Eq,
        Self::Ne,
        Self::Co,
        Self::Sw,
        Self::Ew,
        Self::Gt,
        Self::Ge,
        Self::Lt,
        Self::Le,
    ];

    /// The word in a filter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Co => "co",
            Self::Sw => "sw",
            Self::Ew => "ew",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// Whether it looks inside text.
    #[must_use]
    pub fn is_substring(self) -> bool {
        matches!(self, Self::Co | Self::Sw | Self::Ew)
    }

    /// Whether it asks for an order.
    #[must_use]
    pub fn is_order(self) -> bool {
        matches!(self, Self::Gt | Self::Ge | Self::Lt | Self::Le)
    }
}

/// What a value is compared with, of the type of its attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// For strings, references and binary values; as it was sent, to be folded unless the
    /// attribute is `case_exact`.
    String(String),
    /// For booleans.
    Bool(bool),
    /// For integers and decimals.
    Number(Number),
    /// For moments; compared by instant.
    DateTime(Timestamp),
}

impl Filter {
    /// Parses a filter over users.
    ///
    /// # Errors
    /// [`InvalidFilter`](crate::ErrorKind::InvalidFilter) for a malformed filter, an attribute
    /// that users don't have, a literal or operator that does not fit its attribute, or a limit
    /// passed ([`MAX_BYTES`], [`MAX_DEPTH`], [`MAX_TERMS`]);
    /// [`Sensitive`](crate::ErrorKind::Sensitive) when it names a password.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parser::filter(text, parser::Of::User)
    }

    /// Judges a filter over groups, of which there are none to select from.
    ///
    /// # Errors
    /// As [`Filter::parse`].
    pub fn check_of_groups(text: &str) -> Result<(), Error> {
        parser::filter(text, parser::Of::Group).map(drop)
    }

    /// Whether a full canonical resource (with id, externalId, roles and meta) satisfies it.
    #[must_use]
    pub fn matches(&self, resource: &Map<String, Value>) -> bool {
        evaluate::resource(self, resource)
    }

    /// Whether one element of a multi-valued attribute satisfies the inside of a value path.
    pub(crate) fn matches_element(&self, element: &Map<String, Value>) -> bool {
        evaluate::element(self, element)
    }

    /// The comparisons in it.
    pub(crate) fn terms(&self) -> usize {
        match self {
            Self::And(all) | Self::Or(all) => all.iter().map(Self::terms).sum(),
            Self::Not(inner) | Self::ValuePath { filter: inner, .. } => inner.terms(),
            Self::Compare { .. } | Self::Present { .. } => 1,
        }
    }

    /// Writes the filter; inside brackets, names are those of sub-attributes.
    fn write(&self, f: &mut fmt::Formatter<'_>, inside: bool) -> fmt::Result {
        match self {
            Self::And(all) => {
                let grouped = |one: &Self| matches!(one, Self::And(_) | Self::Or(_));
                write_all(f, all, " and ", grouped, inside)
            }
            Self::Or(all) => {
                let grouped = |one: &Self| matches!(one, Self::Or(_));
                write_all(f, all, " or ", grouped, inside)
            }
            Self::Not(filter) => {
                f.write_str("not (")?;
                filter.write(f, inside)?;
                f.write_str(")")
            }
            Self::Compare { path, op, value } => {
                write_name(f, path, inside)?;
                write!(f, " {} {value}", op.as_str())
            }
            Self::Present { path } => {
                write_name(f, path, inside)?;
                f.write_str(" pr")
            }
            Self::ValuePath { path, filter } => {
                write!(f, "{path}[")?;
                filter.write(f, true)?;
                f.write_str("]")
            }
        }
    }
}

fn write_all(
    f: &mut fmt::Formatter<'_>,
    filters: &[Filter],
    word: &str,
    grouped: impl Fn(&Filter) -> bool,
    inside: bool,
) -> fmt::Result {
    for (number, filter) in filters.iter().enumerate() {
        if number > 0 {
            f.write_str(word)?;
        }
        if grouped(filter) {
            f.write_str("(")?;
            filter.write(f, inside)?;
            f.write_str(")")?;
        } else {
            filter.write(f, inside)?;
        }
    }
    Ok(())
}

fn write_name(f: &mut fmt::Formatter<'_>, path: &AttrRef, inside: bool) -> fmt::Result {
    match path.sub {
        Some(sub) if inside => f.write_str(sub.name),
        _ => write!(f, "{path}"),
    }
}

/// The filter in one canonical spelling, which parses to the same filter.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::DateTime(time) => write!(f, "\"{time}\""),
        }
    }
}

#[cfg(test)]
mod tests;
