//! How much one request may compare, so that its cost is bounded by what is counted here and not
//! by the product of what was sent and what is stored (SEC-IN-02).

use serde_json::{Map, Value};

use super::MAX_COMPARISONS;
use crate::error::{Error, ErrorKind};
use crate::filter::{Filter, Literal};

/// Bytes of text that count as one comparison more: to fold a text costs by its length.
const BYTES: usize = 64;

/// What is left of [`MAX_COMPARISONS`].
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(MAX_COMPARISONS)
    }

    /// Takes `comparisons` before they are made.
    pub(super) fn charge(&mut self, comparisons: usize) -> Result<(), Error> {
        match self.0.checked_sub(comparisons) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "the operations compare more than {MAX_COMPARISONS} values; send fewer of \
                     them in one request"
                ),
            )),
        }
    }

    /// Takes what it costs to ask each element whether it satisfies `filter`.
    pub(super) fn charge_filter(
        &mut self,
        filter: &Filter,
        elements: &[Map<String, Value>],
    ) -> Result<(), Error> {
        let texts: usize = elements.iter().map(weight).sum();
        let asked = filter.terms().saturating_mul(texts.saturating_add(1));
        self.charge(asked.saturating_add(literals(filter).saturating_mul(elements.len())))
    }
}

/// What it costs to fold the texts of an element once.
pub(super) fn weight(element: &Map<String, Value>) -> usize {
    let bytes: usize = element
        .values()
        .filter_map(Value::as_str)
        .map(str::len)
        .sum();
    1 + bytes / BYTES
}

/// What it costs to fold the literals of a filter once.
fn literals(filter: &Filter) -> usize {
    match filter {
        Filter::And(all) | Filter::Or(all) => all.iter().map(literals).sum(),
        Filter::Not(inner) | Filter::ValuePath { filter: inner, .. } => literals(inner),
        Filter::Compare {
            value: Literal::String(text),
            ..
        } => text.len() / BYTES,
        Filter::Compare { .. } | Filter::Present { .. } => 0,
    }
}
