//! Accounts: what the product says of its customers, and who may use Okta provisioning (A-01,
//!

use rollcall_types::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Config;

/// The product's part of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The name for people.
    pub display_name: String,
    /// The plan keys subscribed to.
    pub subscriptions: Vec<String>,
    /// How seats are sold.
    pub pricing_model: PricingModel,
    /// Whether single sign-on is on.
    pub sso_enabled: bool,
    /// What is purchased.
    pub seats: Vec<Seats>,
}

/// How seats are sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PricingModel {
    /// A permission set can carry a paid seat.
    PermissionSetSeats,
    /// Seats are given to users directly.
    SeatsBased,
}

/// The purchased number of one seat type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seats {
    /// The product's key.
    pub seat_type: String,
    /// How many.
    pub purchased: i64,
}

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The product's part.
    #[serde(flatten)]
    pub account: Account,
    /// Rises by one a change.
    pub version: i64,
    /// When it was first put.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
}

/// What an account may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// A subscription that includes Okta provisioning.
    EligibleSubscription,
    /// Single sign-on.
    SingleSignOn,
}

impl Prerequisite {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EligibleSubscription => "ELIGIBLE_SUBSCRIPTION",
            Self::SingleSignOn => "SINGLE_SIGN_ON",
        }
    }
}

impl Account {
    /// Every violation of the account's own rules, as field and reason.
    #[must_use]
    pub fn violations(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut refuse = |field: &str, why: &str| found.push((field.to_owned(), why.to_owned()));
        let length = self.display_name.chars().count();
        if !(1..=200).contains(&length) {
            refuse("account.display_name", "must have 1 to 200 characters");
        }
        if rollcall_types::fold::has_control(&self.display_name) {
            refuse("account.display_name", "must not hold control characters");
        }
        if self.subscriptions.len() > 100 {
            refuse("account.subscriptions", "at most 100");
        }
        if self.subscriptions.iter().any(|key| !is_key(key)) {
            refuse(
                "account.subscriptions",
                "a plan key has 1 to 128 visible characters",
            );
        }
        if self.seats.len() > 100 {
            refuse("account.seats", "at most 100 seat types");
        }
        if self.seats.iter().any(|seats| !is_key(&seats.seat_type)) {
            refuse(
                "account.seats.seat_type",
                "a seat type has 1 to 128 visible characters",
            );
        }
        if self.seats.iter().any(|seats| seats.purchased < 0) {
            refuse("account.seats.purchased", "must not be negative");
        }
        let mut types: Vec<&str> = self.seats.iter().map(|s| s.seat_type.as_str()).collect();
        types.sort_unstable();
        if types.windows(2).any(|pair| pair.first() == pair.last()) {
            refuse("account.seats.seat_type", "each seat type once only");
        }
        found
    }

    /// Every prerequisite of Okta provisioning that the account lacks.
    #[must_use]
    pub fn missing(&self, config: &Config) -> Vec<Prerequisite> {
        let eligible = |key: &String| {
            config
                .eligible_subscriptions
                .iter()
                .any(|rule| match rule.strip_prefix('*') {
                    Some(end) => key.ends_with(end),
                    None => key == rule,
                })
        };
        let mut missing = Vec::new();
        if !self.subscriptions.iter().any(eligible) {
            missing.push(Prerequisite::EligibleSubscription);
        }
        if !self.sso_enabled {
            missing.push(Prerequisite::SingleSignOn);
        }
        missing
    }
}

fn is_key(text: &str) -> bool {
    (1..=128).contains(&text.chars().count())
        && text.chars().all(|c| !c.is_control() && !c.is_whitespace())
}

/// The state after `PutAccount`; `None` if nothing changes.
#[must_use]
pub fn put(stored: Option<&Stored>, account: Account, now: Timestamp) -> Option<Stored> {
    match stored {
        Some(stored) if stored.account == account => None,
        Some(stored) => Some(Stored {
            account,
            version: stored.version + 1,
            created: stored.created,
            updated: now,
        }),
        None => Some(Stored {
            account,
            version: 1,
            created: now,
            updated: now,
        }),
    }
}

/// The names of the product's fields that differ, for the feed.
#[must_use]
pub fn changed_paths(before: Option<&Account>, after: &Account) -> Vec<&'static str> {
    let Some(before) = before else {
        return Vec::new();
    };
    [
        ("display_name", before.display_name != after.display_name),
        ("subscriptions", before.subscriptions != after.subscriptions),
        ("pricing_model", before.pricing_model != after.pricing_model),
        ("sso_enabled", before.sso_enabled != after.sso_enabled),
        ("seats", before.seats != after.seats),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// An account with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id.
    pub id: AccountId,
    /// The rest.
    pub stored: Stored,
}

#[cfg(test)]
mod tests {
    use rollcall_types::{Clock, SystemClock};

    use super::*;

    fn acme() -> Account {
        Account {
            display_name: "Acme".to_owned(),
            subscriptions: vec!["sales-enterprise".to_owned()],
            pricing_model: PricingModel::PermissionSetSeats,
            sso_enabled: true,
            seats: vec![Seats {
                seat_type: "sales".to_owned(),
                purchased: 5,
            }],
        }
    }

    #[test] // rule: A-01
    fn putting_the_same_account_again_changes_nothing() {
        let now = SystemClock.now();
        let first = put(None, acme(), now).unwrap();
        assert_eq!(put(Some(&first), acme(), now), None);

        let renamed = Account {
            display_name: "Acme Corp".to_owned(),
            ..acme()
        };
        let later = now.plus(std::time::Duration::from_secs(1));
        let second = put(Some(&first), renamed.clone(), later).unwrap();
        assert_eq!(
            (second.version, second.created, second.updated),
            (2, now, later)
        );
        assert_eq!(
            changed_paths(Some(&first.account), &renamed),
            ["display_name"]
        );
    }

    #[test] // rule: A-02 (part)
    fn every_missing_prerequisite_is_named_at_once() {
        let config = Config::default();
        assert_eq!(acme().missing(&config), []);
        let poor = Account {
            subscriptions: vec!["sales-starter".into()],
            sso_enabled: false,
            ..acme()
        };
        assert_eq!(
            poor.missing(&config),
            [
                Prerequisite::EligibleSubscription,
                Prerequisite::SingleSignOn
            ]
        );
    }

    #[test] // rule: A-01
    fn every_broken_field_is_named_at_once() {
        let bad = Account {
            display_name: String::new(),
            seats: vec![
                Seats {
                    seat_type: "a".into(),
                    purchased: -1,
                },
                Seats {
                    seat_type: "a".into(),
                    purchased: 1,
                },
            ],
            ..acme()
        };
        let fields: Vec<String> = bad
            .violations()
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(
            fields,
            [
                "account.display_name",
                "account.seats.purchased",
                "account.seats.seat_type"
            ]
        );
        assert!(acme().violations().is_empty());
    }
}
