//! Query parameters (RFC 7644, section 3.4.2).

use http::{StatusCode, Uri};
use rollcall_scim::{Error, ErrorKind, ListQuery};

use super::error::Problem;
use crate::auth;

/// The parameters of a request, decoded, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of `uri`.
    ///
    /// # Errors
    /// 400 `invalidValue` for what is no list of parameters.
    pub(crate) fn parse(uri: &Uri) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(uri)
            .map(|axum::extract::Query(pairs)| Self(pairs))
            .map_err(|_| invalid("the query of the URL can't be read; encode it"))
    }

    fn holds(&self, wanted: &str) -> bool {
        let mut names = self.0.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    }

    /// Whether a token was sent where none may be (SEC-TOK-07).
    pub(crate) fn holds_credential(&self) -> bool {
        self.holds("access_token") || self.0.iter().any(|(_, value)| auth::has_form(value))
    }

    /// Refuses to leave out part of a resource: this release can't.
    fn refuse_projection(&self) -> Result<(), Problem> {
        self.refuse(&["attributes", "excludedAttributes"])
    }

    /// Refuses what selects from many resources, or part of one, in a request about a single one.
    ///
    /// # Errors
    /// 400 `invalidValue`.
    pub(crate) fn single(&self) -> Result<(), Problem> {
        self.refuse_projection()?;
        let of_lists = [
            "filter",
            "sortBy",
            "sortOrder",
            "startIndex",
            "count",
            "cursor",
        ];
        match of_lists.iter().find(|name| self.holds(name)) {
            Some(name) => Err(invalid(format!(
                "{name} selects from a list, and this request is about one resource; leave it out"
            ))),
            None => Ok(()),
        }
    }

    /// Which page of which resources.
    ///
    /// # Errors
    /// 400 `invalidValue` or `invalidFilter`.
    pub(crate) fn list(&self) -> Result<ListQuery, Problem> {
        self.refuse_projection()?;
        self.refuse(&["sortBy", "sortOrder", "cursor"])?;
        let pairs = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(ListQuery::parse(pairs)?)
    }

    /// Refuses a filter over what is the same for everybody (S-7644-4-02).
    ///
    /// # Errors
    /// 403.
    pub(crate) fn refuse_filter(&self) -> Result<(), Problem> {
        if self.holds("filter") {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "this endpoint takes no filter; leave it out",
            ));
        }
        Ok(())
    }

    fn refuse(&self, names: &[&str]) -> Result<(), Problem> {
        match names.iter().find(|name| self.holds(name)) {
            Some(name) => Err(invalid(format!(
                "{name} is not offered in this release; leave it out"
            ))),
            None => Ok(()),
        }
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::from(Error::new(ErrorKind::InvalidValue, detail))
}
