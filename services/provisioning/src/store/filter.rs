//! Filters as SQL. Values are bound, never pasted (S-7644-3.4.2.2-18).
//!
//! This release offers `eq`, joined by `and`, on the attributes that have a column; anything else
//! is refused, never ignored.

use rollcall_scim::{AttrRef, Error, ErrorKind, Filter, Literal, Operator};
use rollcall_types::{UserId, fold};
use sea_orm::Value;

/// What a list is narrowed by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, PartialEq)]
enum Term {
    /// A column equals a text.
    Text(&'static str, String),
    /// `active` was sent and is this.
    Active(bool),
    /// The id is this one; `None` for a text that is no id.
    Id(Option<UserId>),
    /// Some email has this value, and this type if one is given; both folded.
    Email {
        value: String,
        type_: Option<String>,
    },
}

/// The condition of a filter; of none, everything.
pub(super) fn compile(filter: Option<&Filter>) -> Result<Condition, Error> {
    let mut terms = Vec::new();
    if let Some(filter) = filter {
        add(filter, &mut terms)?;
    }
    Ok(Condition { terms })
}

fn add(filter: &Filter, terms: &mut Vec<Term>) -> Result<(), Error> {
    match filter {
        Filter::And(all) => all.iter().try_for_each(|one| add(one, terms)),
        Filter::Compare {
            path,
            op: Operator::Eq,
            value,
        } => {
            terms.push(compare(path, value).ok_or_else(|| refused(filter))?);
            Ok(())
        }
        Filter::ValuePath {
            path,
            filter: inner,
        } if path.name() == "emails" => {
            terms.push(email(inner).ok_or_else(|| refused(filter))?);
            Ok(())
        }
        _ => Err(refused(filter)),
    }
}

fn compare(path: &AttrRef, value: &Literal) -> Option<Term> {
    match (path.name().as_str(), value) {
        ("userName", Literal::String(text)) => {
            Some(Term::Text("user_name_folded", fold::fold(text)))
        }
        ("externalId", Literal::String(text)) => Some(Term::Text("external_id", text.clone())),
        ("id", Literal::String(text)) => Some(Term::Id(text.parse().ok())),
        ("active", Literal::Bool(active)) => Some(Term::Active(*active)),
        ("emails.value", Literal::String(text)) => Some(Term::Email {
            value: fold::fold(text),
            type_: None,
        }),
        _ => None,
    }
}

/// `type eq .. and value eq ..`, in either order.
fn email(inner: &Filter) -> Option<Term> {
    let Filter::And(parts) = inner else {
        return match inner {
            Filter::Compare {
                path,
                op: Operator::Eq,
                value,
            } => compare(path, value),
            _ => None,
        };
    };
    let (mut found, mut type_) = (None, None);
    for part in parts {
        let Filter::Compare {
            path,
            op: Operator::Eq,
            value: Literal::String(text),
        } = part
        else {
            return None;
        };
        let slot = match path.name().as_str() {
            "emails.value" => &mut found,
            "emails.type" => &mut type_,
            _ => return None,
        };
        if slot.replace(fold::fold(text)).is_some() {
            return None;
        }
    }
    Some(Term::Email {
        value: found?,
        type_,
    })
}

fn refused(filter: &Filter) -> Error {
    Error::new(
        ErrorKind::InvalidFilter,
        format!(
            "the filter {:.100} is not offered: use eq, joined by and, on userName, externalId, \
             id, active, emails.value or emails[type eq \"work\"].value",
            filter.to_string()
        ),
    )
}

impl Condition {
    /// Whether nothing is narrowed.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The condition for the table `users u`, beginning with ` AND`; its values are appended, and
    /// `$1` is the account.
    pub(super) fn sql(&self, values: &mut Vec<Value>) -> String {
        let mut sql = String::new();
        let mut bind = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        for term in &self.terms {
            let part = match term {
                Term::Text(column, text) => format!("u.{column} = {}", bind(text.as_str().into())),
                Term::Active(active) => format!("u.active_sent = {}", bind((*active).into())),
                Term::Id(Some(id)) => format!("u.user_id = {}", bind(id.to_uuid().into())),
                Term::Id(None) => "1 = 0".to_owned(),
                Term::Email { value, type_ } => {
                    let value = bind(value.as_str().into());
                    let type_ = type_.as_deref().map(|text| bind(text.into()));
                    let of = |column: &str| match &type_ {
                        Some(type_) => format!(" AND {column} = {type_}"),
                        None => String::new(),
                    };
                    format!(
                        "((u.email_folded = {value}{}) OR u.user_id IN (SELECT e.user_id FROM \
                         user_emails e WHERE e.account_id = $1 AND e.value_folded = {value}{}))",
                        of("u.email_type_folded"),
                        of("e.type_folded")
                    )
                }
            };
            sql.push_str(" AND ");
            sql.push_str(&part);
        }
        sql
    }
}

#[cfg(test)]
mod tests;
