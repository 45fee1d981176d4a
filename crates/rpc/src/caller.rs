//! Who calls: named tokens with a kind and scopes, and the layer that admits or refuses.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderMap;
use rollcall_types::credential::{SecretHash, hash};
use rollcall_types::{AccountId, Actor, ActorKind};

use crate::access::Method;
use crate::failure::{Failure, Reason};
pub use crate::pb::common::v1::CallerKind;

/// The scope that lets an operator call what a platform may.
pub const OPERATE: &str = "operate";

/// An authenticated caller, found in the extensions of each request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// What it is.
    pub kind: CallerKind,
    /// Its scopes.
    pub scopes: Arc<[String]>,
    /// The accounts that it may see; `None` means all.
    pub accounts: Option<Arc<[AccountId]>>,
}

impl Caller {
    /// Whether the caller may see the account.
    #[must_use]
    pub fn sees(&self, account: &AccountId) -> bool {
        self.accounts
            .as_ref()
            .is_none_or(|accounts| accounts.contains(account))
    }

    /// The caller as the actor of a change.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let kind = match self.kind {
            CallerKind::Operator => ActorKind::Operator,
            CallerKind::Platform => ActorKind::Platform,
            _ => ActorKind::System,
        };
        Actor {
            kind,
            id: self.name.to_string(),
        }
    }

    fn may(&self, method: &Method) -> Result<(), Failure> {
        let kinds = [self.kind].into_iter().chain(
            // Who has the scope `operate` may call every method that a platform may.
            (self.kind == CallerKind::Operator).then_some(CallerKind::Platform),
        );
        if !kinds
            .into_iter()
            .any(|kind| method.callers.contains(&kind.into()))
        {
            return Err(Failure::new(
                Reason::CallerNotAllowed,
                format!("a caller of this kind may not call {}", method.path),
            )
            .with("method", method.path));
        }
        let scope = match self.kind {
            CallerKind::Operator => OPERATE,
            CallerKind::Platform => method.scope,
            _ => return Ok(()),
        };
        if self.scopes.iter().any(|own| own == scope) {
            return Ok(());
        }
        Err(Failure::new(
            Reason::ScopeMissing,
            format!(
                "{} needs the scope {scope:?}: ask the operator for it",
                method.path
            ),
        )
        .with("scope", scope)
        .with("method", method.path))
    }
}

/// The callers that a server knows, by the hash of their token.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    by_hash: HashMap<[u8; 32], Caller>,
}

impl Callers {
    /// Adds a caller that presents `token`.
    pub fn add(&mut self, token: &str, caller: Caller) {
        self.add_hash(hash(token.as_bytes()), caller);
    }

    /// Adds a caller by the SHA-256 of its token.
    pub fn add_hash(&mut self, hash: SecretHash, caller: Caller) {
        if let Ok(key) = <[u8; 32]>::try_from(hash.as_bytes()) {
            self.by_hash.insert(key, caller);
        }
    }

    /// Admits a call of `method` by the bearer token in its headers.
    ///
    /// The look-up is by the hash of what was presented, so how long it takes tells nothing of
    /// the tokens that exist.
    ///
    /// # Errors
    /// `CREDENTIAL_MISSING`, `CREDENTIAL_INVALID`, `CALLER_NOT_ALLOWED`, `SCOPE_MISSING`.
    pub fn admit(&self, method: &Method, headers: &HeaderMap) -> Result<Caller, Failure> {
        let Some(value) = headers.get(http::header::AUTHORIZATION) else {
            return Err(Failure::new(
                Reason::CredentialMissing,
                "send the metadata \"authorization: Bearer <token>\"",
            ));
        };
        let token = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let caller = token
            .and_then(|token| <[u8; 32]>::try_from(hash(token.as_bytes()).as_bytes()).ok())
            .and_then(|key| self.by_hash.get(&key))
            .ok_or_else(|| {
                Failure::new(Reason::CredentialInvalid, "the bearer token is not valid")
            })?;
        caller.may(method)?;
        Ok(caller.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access;

    fn caller(kind: CallerKind, scopes: &[&str]) -> Caller {
        Caller {
            name: "billing".into(),
            kind,
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            accounts: None,
        }
    }

    fn admit(caller: Caller, path: &str) -> Result<Caller, Reason> {
        let mut callers = Callers::default();
        callers.add("t0ken", caller);
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer t0ken".parse().unwrap());
        callers
            .admit(access::find(path).unwrap(), &headers)
            .map_err(|f| f.reason())
    }

    const GET_USER: &str = "/rollcall.provisioning.v1.UserService/GetUser";
    const SCIM_GET: &str = "/rollcall.scim.v1.ScimUserService/GetUser";

    #[test] // rule: SEC-SVC-03
    fn a_call_needs_the_right_kind_and_scope() {
        use CallerKind::{Gateway, Operator, Platform, Service};
        assert!(admit(caller(Platform, &["users.read"]), GET_USER).is_ok());
        assert!(admit(caller(Operator, &["operate"]), GET_USER).is_ok());
        assert!(admit(caller(Gateway, &[]), SCIM_GET).is_ok());

        let refused = |kind, scopes: &[&str], path| admit(caller(kind, scopes), path).unwrap_err();
        assert_eq!(
            refused(Platform, &["accounts.read"], GET_USER),
            Reason::ScopeMissing
        );
        assert_eq!(refused(Operator, &[], GET_USER), Reason::ScopeMissing);
        assert_eq!(refused(Gateway, &[], GET_USER), Reason::CallerNotAllowed);
        assert_eq!(refused(Service, &[], SCIM_GET), Reason::CallerNotAllowed);
        assert_eq!(
            refused(Operator, &["operate"], SCIM_GET),
            Reason::CallerNotAllowed
        );
    }

    #[test]
    fn missing_and_unknown_tokens_are_told_apart_from_nothing_else() {
        let method = access::find(GET_USER).unwrap();
        let callers = Callers::default();
        let mut headers = HeaderMap::new();
        let reason = |headers: &HeaderMap| callers.admit(method, headers).unwrap_err().reason();
        assert_eq!(reason(&headers), Reason::CredentialMissing);
        for value in ["Bearer x", "Basic eDp5", "x"] {
            headers.insert("authorization", value.parse().unwrap());
            assert_eq!(reason(&headers), Reason::CredentialInvalid, "{value}");
        }
    }
}
