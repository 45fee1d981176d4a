//! What memory holds: the inputs of every resolution, and how changes are applied to them.

use std::collections::{HashMap, HashSet};

use rollcall_store::Error;
use rollcall_store::feed::{Change, Op};
use rollcall_types::{AccountId, ConnectionId, UserId};
use sea_orm::ConnectionTrait;

use crate::catalogue;
use crate::input::{Applied, At};
use crate::management::Switch;
use crate::permission_set::Content;
use crate::resolve::{Management, Resolution, Set, Sets, UserInput, resolve};
use crate::store::change::Kind;
use crate::store::{self, input};

/// One account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its permission sets.
    pub(crate) sets: Sets,
    /// Its switch.
    pub(crate) management: Management,
    /// Its users.
    pub(crate) users: HashMap<UserId, UserInput>,
}

/// Every account, the catalogue, and up to where.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// The accounts.
    pub(crate) accounts: HashMap<AccountId, Account>,
    /// The keys of the catalogue.
    pub(crate) keys: HashSet<String>,
    /// Up to where.
    pub(crate) place: At,
}

impl State {
    /// Reads everything from the tables.
    ///
    /// What is committed meanwhile may be in or not: it comes again as a change after `place`.
    ///
    /// # Errors
    /// What the database says.
    pub(crate) async fn load(db: &impl ConnectionTrait) -> Result<Self, Error> {
        let mut state = Self {
            place: place(db).await?,
            ..Self::default()
        };
        for (account, switch) in store::management::all(db).await? {
            state.account(&account).set_switch(&switch);
        }
        for set in store::permission_set::all(db).await? {
            state
                .account(&set.account)
                .sets
                .insert(set.id, set.content.into());
        }
        for (account, connection) in store::connection::all(db).await? {
            state.account(&account).management.installed = Some(connection);
        }
        for (account, id, user) in store::user::all(db).await? {
            state.account(&account).users.insert(id, user);
        }
        state.keys = keys(&store::catalogue::load(db).await?.groups);
        Ok(state)
    }

    /// Applies changes in the order of the feed.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a change that can't be read.
    pub(crate) fn apply(&mut self, changes: &[Change]) -> Result<(), Error> {
        changes.iter().try_for_each(|change| self.apply_one(change))
    }

    fn apply_one(&mut self, change: &Change) -> Result<(), Error> {
        let Some(kind) = Kind::of(change.kind) else {
            return Ok(());
        };
        let deleted = change.op == Op::Deleted;
        match kind {
            Kind::PermissionSet => {
                let id = id(change)?;
                let sets = &mut self.account(&change.account).sets;
                if deleted {
                    sets.remove(id);
                } else {
                    sets.insert(id, json::<Content>(change)?.into());
                }
            }
            Kind::Management => {
                self.account(&change.account)
                    .set_switch(&json::<Switch>(change)?);
            }
            Kind::Catalogue => self.keys = keys(&store::catalogue::parse(&change.after)?),
            Kind::User => {
                let id = id(change)?;
                let users = &mut self.account(&change.account).users;
                if deleted {
                    users.remove(&id);
                } else {
                    users.insert(id, json(change)?);
                }
            }
            Kind::Connection => {
                let id: ConnectionId = id(change)?;
                let installed = &mut self.account(&change.account).management.installed;
                if !deleted {
                    *installed = Some(id);
                } else if *installed == Some(id) {
                    *installed = None;
                }
            }
        }
        Ok(())
    }

    fn account(&mut self, id: &AccountId) -> &mut Account {
        self.accounts.entry(id.clone()).or_default()
    }

    /// A user, and what it may do; `None` if the account has no such user.
    pub(crate) fn resolve(
        &self,
        account: &AccountId,
        user: UserId,
        minimal: &[String],
    ) -> Option<(&UserInput, Resolution)> {
        let account = self.accounts.get(account)?;
        let user = account.users.get(&user)?;
        Some((
            user,
            resolve(user, &account.sets, &account.management, minimal),
        ))
    }

    /// Where two states differ, in what they hold and in what users may do; empty if nowhere.
    pub(crate) fn differences(&self, other: &Self, minimal: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        if self.keys != other.keys {
            found.push("the catalogue's keys".to_owned());
        }
        let none = Account::default();
        let ids: HashSet<&AccountId> = self.accounts.keys().chain(other.accounts.keys()).collect();
        for id in ids {
            let [one, two] = [self, other].map(|s| s.accounts.get(id).unwrap_or(&none));
            if one.sets != two.sets || one.management != two.management {
                found.push(format!("sets or management of {id}"));
            }
            let users: HashSet<&UserId> = one.users.keys().chain(two.users.keys()).collect();
            for user in users {
                let [a, b] = [self, other].map(|state| state.resolve(id, *user, minimal));
                if a != b {
                    found.push(format!("user {user} of {id}"));
                }
            }
        }
        found
    }
}

impl Account {
    fn set_switch(&mut self, switch: &Switch) {
        self.management.enabled = switch.enabled;
        self.management.connection = Some(switch.connection);
    }
}

impl From<Content> for Set {
    fn from(content: Content) -> Self {
        Self {
            name: content.name,
            keys: content.permission_keys,
        }
    }
}

/// How far the tables are. Provisioning's place is read first: what is read after it holds at
/// least as much.
pub(crate) async fn place(db: &impl ConnectionTrait) -> Result<At, Error> {
    let followed = rollcall_store::follow::load(db, input::SOURCE).await?;
    let position = rollcall_store::feed::now(db).await?;
    Ok(At {
        position,
        applied: Applied::of(&followed.cursor),
        through: followed.through,
    })
}

fn keys(groups: &[catalogue::Group]) -> HashSet<String> {
    catalogue::keys(groups)
        .into_keys()
        .map(str::to_owned)
        .collect()
}

fn id<T: std::str::FromStr>(change: &Change) -> Result<T, Error> {
    change
        .resource
        .parse()
        .map_err(|_| Error::Corrupt("resource id"))
}

fn json<T: serde::de::DeserializeOwned>(change: &Change) -> Result<T, Error> {
    serde_json::from_str(&change.after).map_err(|_| Error::Corrupt("change"))
}
