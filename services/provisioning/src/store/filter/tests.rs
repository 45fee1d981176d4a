//! What is offered as a table, and a property: SQL and memory select the same users.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};
use rollcall_scim::{Error, ErrorKind, Filter, MultiValue, User as Attributes};
use rollcall_store::Store;
use rollcall_types::{AccountId, ConnectionId, OsEntropy, Timestamp, UserId, fold};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::compile;
use crate::account::{Account, PricingModel, Stored};
use crate::store::user::{Slice, count, list};
use crate::store::{Migrator, Origin, account, user};
use crate::user::{self as rules, Moment, User};

#[test]
fn what_is_not_offered_is_refused_never_ignored() {
    for good in [
        "userName eq \"a\"",
        "externalId eq \"a\" and active eq true",
        "emails.value eq \"a@b.example\"",
        "emails eq \"a@b.example\"",
        "emails[type eq \"work\" and value eq \"a@b.example\"]",
        "emails[type eq \"work\"].value eq \"a@b.example\"",
        "id eq \"x\"",
    ] {
        let filter = Filter::parse(good).unwrap();
        assert!(compile(Some(&filter)).is_ok(), "{good}");
    }
    for bad in OUTSIDE {
        let filter = Filter::parse(bad).unwrap();
        let error = compile(Some(&filter)).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidFilter, "{bad}");
    }
}

/// Good SCIM that this release does not offer.
const OUTSIDE: [&str; 16] = [
    "userName sw \"a\"",
    "userName ne \"a\"",
    "userName eq \"a\" or userName eq \"b\"",
    "(userName eq \"a\" or active eq true)",
    "not (userName eq \"a\")",
    "title eq \"a\"",
    "name.familyName eq \"a\"",
    "emails[type eq \"work\"]",
    "emails[primary eq true]",
    "emails[value eq \"a\" and primary eq true]",
    "emails[value eq \"a\" and value eq \"a\"]",
    "emails[value co \"a\" and type eq \"work\"]",
    "emails.type eq \"work\"",
    "externalId eq null",
    "meta.created gt \"2026-11-24T09:00:00Z\"",
    "userName pr",
];

/// No SCIM at all.
const MALFORMED: [&str; 5] = [
    "userName eq",
    "userName eq alice",
    "userName == \"a\"",
    "active eq \"maybe\"",
    "shoeSize eq \"a\"",
];

/// Texts that are easily confused: by case, by what SQL or LIKE make of them, by Unicode.
const TEXTS: [&str; 24] = [
    "alice@acme.example",
    "Alice@ACME.example",
    "ALICE@acme.example ",
    "alice",
    "alic_",
    "al%",
    "%",
    "_",
    "o'hara",
    "o''hara",
    "' OR '1'='1",
    "\"",
    "\\",
    "\\\"",
    "$1",
    "",
    "Straße",
    "STRASSE",
    "e\u{301}",
    "É",
    "ﬁn",
    "FIN",
    "al\u{200b}ice",
    "\u{1f600}",
];

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        1 => "[aAbB%_' ]{1,2}",
    ]
}

fn any_emails() -> impl Strategy<Value = Vec<MultiValue>> {
    const TYPES: [&str; 5] = ["work", "Work", "home", "o'%", ""];
    let email = (
        any_text(),
        prop::option::of(prop::sample::select(&TYPES[..])),
    );
    let emails = prop::collection::vec(email, 0..4);
    (emails, any::<Index>(), any::<bool>()).prop_map(|(emails, primary, has_primary)| {
        let primary = (has_primary && !emails.is_empty()).then(|| primary.index(emails.len()));
        let email = |(at, (value, type_)): (usize, (String, Option<&str>))| MultiValue {
            type_: type_.map(str::to_owned),
            primary: (primary == Some(at)).then_some(true),
            ..MultiValue::new(value)
        };
        emails.into_iter().enumerate().map(email).collect()
    })
}

fn any_attributes() -> impl Strategy<Value = Attributes> {
    (
        any_text(),
        prop::option::of(any_text()),
        prop::option::of(any::<bool>()),
        any_emails(),
    )
        .prop_map(|(user_name, external_id, active, emails)| Attributes {
            user_name,
            external_id,
            active,
            emails,
            ..Attributes::default()
        })
}

/// The users of an account, some of them changed since they were created.
fn any_users() -> impl Strategy<Value = Vec<(Attributes, Option<Attributes>)>> {
    let user = (any_attributes(), prop::option::of(any_attributes()));
    prop::collection::vec(user, 1..8).prop_map(|mut users| {
        // What is unique in an account.
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        users.retain(|(first, then)| {
            let mut forms = [Some(first), then.as_ref()].into_iter().flatten();
            forms.all(|form| {
                let id_is_free = form.external_id.clone().is_none_or(|id| ids.insert(id));
                names.insert(fold::fold(&form.user_name)) && id_is_free
            })
        });
        users
    })
}

/// What a term compares with, found among the users or made up.
#[derive(Clone, Debug)]
enum Wanted {
    Of(Index, Case),
    Text(String),
}

#[derive(Clone, Copy, Debug)]
enum Case {
    AsIs,
    Upper,
    Lower,
}

fn any_wanted() -> impl Strategy<Value = Wanted> {
    let case = prop::sample::select(vec![Case::AsIs, Case::Upper, Case::Lower]);
    prop_oneof![
        3 => (any::<Index>(), case).prop_map(|(index, case)| Wanted::Of(index, case)),
        1 => any_text().prop_map(Wanted::Text),
    ]
}

impl Wanted {
    /// The literal: one of `values`, if there are any.
    fn literal(&self, values: &[String]) -> Value {
        let text = match self {
            Self::Of(index, case) if !values.is_empty() => {
                let text = index.get(values);
                match case {
                    Case::AsIs => text.clone(),
                    Case::Upper => text.to_uppercase(),
                    Case::Lower => text.to_lowercase(),
                }
            }
            Self::Of(..) => "nobody".to_owned(),
            Self::Text(text) => text.clone(),
        };
        Value::from(text)
    }
}

/// One comparison; `{v}` and `{t}` stand for the literals.
#[derive(Clone, Debug)]
struct Term {
    form: &'static str,
    value: Wanted,
    type_: Wanted,
}

fn any_term() -> impl Strategy<Value = Term> {
    let forms = prop::sample::select(vec![
        "userName eq {v}",
        "USERNAME Eq {v}",
        "urn:ietf:params:scim:schemas:core:2.0:User:userName eq {v}",
        "(userName eq {v})",
        "externalId eq {v}",
        "id eq {v}",
        "active eq true",
        "active eq false",
        "active eq \"True\"",
        "emails eq {v}",
        "emails.value eq {v}",
        "emails[value eq {v}]",
        "emails[type eq {t}].value eq {v}",
        "emails[type eq {t} and value eq {v}]",
        "emails[value eq {v} and type eq {t}]",
    ]);
    (forms, any_wanted(), any_wanted()).prop_map(|(form, value, type_)| Term { form, value, type_ })
}

impl Term {
    fn text(&self, users: &[User]) -> String {
        let values = |of: &dyn Fn(&User) -> Vec<String>| users.iter().flat_map(of).collect();
        let emails = |of: fn(&MultiValue) -> Option<String>| {
            values(&|user: &User| user.attributes.emails.iter().filter_map(of).collect())
        };
        let found: Vec<String> = match self.form {
            form if form.starts_with("id ") => values(&|user| vec![user.id.to_string()]),
            form if form.starts_with("externalId") => {
                values(&|user| user.attributes.external_id.iter().cloned().collect())
            }
            form if form.starts_with("emails") => emails(|email| Some(email.value.clone())),
            _ => values(&|user| vec![user.attributes.user_name.clone()]),
        };
        let types: Vec<String> = emails(|email| email.type_.clone());
        let type_ = self.type_.literal(&types).to_string();
        let value = self.value.literal(&found).to_string();
        // A literal may itself read `{v}`, so each place is filled once.
        let (before, after) = self.form.split_once("{v}").unwrap_or((self.form, ""));
        let place = |text: &str| text.replacen("{t}", &type_, 1);
        let value = if before.len() < self.form.len() {
            value
        } else {
            String::new()
        };
        format!("{}{value}{}", place(before), place(after))
    }
}

/// Terms joined by `and`.
fn any_filter() -> impl Strategy<Value = Vec<Term>> {
    prop::collection::vec(any_term(), 1..4)
}

fn joined(terms: &[Term], users: &[User]) -> Vec<String> {
    terms.iter().map(|term| term.text(users)).collect()
}

fn time() -> Timestamp {
    Timestamp::parse("2026-11-24T09:00:00Z").unwrap()
}

/// A database with accounts in it: a new one for each case, so that every account but one is
/// somebody else's.
struct World {
    runtime: tokio::runtime::Runtime,
    store: Store,
    accounts: AtomicU32,
    _folder: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users.db");
        let store = runtime.block_on(Store::open::<Migrator>(&path.into(), &OsEntropy));
        Self {
            runtime,
            store: store.unwrap(),
            accounts: AtomicU32::new(0),
            _folder: folder,
        }
    }

    /// Stores the users in an account of their own; the account, and the users as they are then.
    async fn fill(&self, forms: Vec<(Attributes, Option<Attributes>)>) -> (AccountId, Vec<User>) {
        let number = self.accounts.fetch_add(1, Ordering::Relaxed);
        let id = AccountId::parse(&format!("account-{number}")).unwrap();
        let made = self.store.write(move |tx| {
            Box::pin(async move {
                let origin = Origin::system(time());
                account::save(tx, &id, None, &stored(), &origin).await?;
                let moment = Moment {
                    connection: ConnectionId::from_uuid(Uuid::from_u128(7)),
                    now: time(),
                    verified: true,
                };
                let mut users = Vec::new();
                for (number, (first, then)) in (0x0193_u128 << 112..).zip(forms) {
                    let user_id = UserId::from_uuid(Uuid::from_u128(number));
                    let mut user = rules::create(&id, user_id, first, &moment);
                    user::insert(tx, &user, &origin).await?;
                    if let Some(then) = then
                        && let Some(after) = rules::patch(&user, then, &moment).unwrap()
                    {
                        user::update(tx, &user, &after, &origin).await?;
                        user = after;
                    }
                    users.push(user);
                }
                Ok::<_, rollcall_store::Error>((id, users))
            })
        });
        made.await.unwrap()
    }

    /// The ids that SQL selects: as one list, which pages and the total have to agree with.
    async fn select(&self, account: &AccountId, filter: &Filter) -> Result<Vec<UserId>, Error> {
        let condition = compile(Some(filter))?;
        let db = self.store.reader();
        let page = async |slice, limit| {
            let rows = list(db, account, &condition, slice, limit).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        };
        let all = page(Slice::Skip(0), 1000).await;
        let total = count::count(db, account, &condition).await.unwrap().users;
        assert_eq!(usize::try_from(total).unwrap(), all.len(), "the total");
        if let Some((first, rest)) = all.split_first() {
            assert_eq!(page(Slice::Skip(1), 1000).await, rest, "by number");
            let after = Slice::After(first.to_uuid());
            assert_eq!(page(after, 1000).await, rest, "after the first");
            assert_eq!(page(Slice::Skip(0), 1).await, [*first], "one only");
        }
        Ok(all)
    }
}

fn stored() -> Stored {
    Stored {
        account: Account {
            display_name: "Acme".to_owned(),
            subscriptions: Vec::new(),
            pricing_model: PricingModel::PermissionSetSeats,
            sso_enabled: true,
            seats: Vec::new(),
        },
        version: 1,
        created: time(),
        updated: time(),
    }
}

/// The resource as SCIM shows it, as far as the offered filters look.
fn resource(user: &User) -> Map<String, Value> {
    let mut resource = user.attributes.to_document();
    resource.insert("id".to_owned(), user.id.to_string().into());
    if let Some(id) = &user.attributes.external_id {
        resource.insert("externalId".to_owned(), id.as_str().into());
    }
    resource
}

/// A case as a person reads it.
fn described(users: &[User], filter: &str) -> String {
    let users = users
        .iter()
        .map(|user| Value::from(resource(user)).to_string());
    format!(
        "\nfilter: {filter}\nusers:\n{}",
        users.collect::<Vec<_>>().join("\n")
    )
}

/// The same cases in each run, but for those of a soak.
fn config() -> ProptestConfig {
    let is_soak = std::env::var_os("ROLLCALL_SOAK").is_some();
    ProptestConfig {
        cases: if is_soak { 20_000 } else { 160 },
        rng_seed: if is_soak {
            RngSeed::Random
        } else {
            RngSeed::Fixed(7644)
        },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test] // rule: S-7644-3.4.2.2-18 (part)
fn soak_sql_selects_exactly_the_users_that_match() {
    let world = World::start();
    let filters = prop::collection::vec(any_filter(), 1..8);
    let (asked, met) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(config());
    let run = runner.run(&(any_users(), filters), |(users, filters)| {
        world.runtime.block_on(async {
            let (account, users) = world.fill(users).await;
            for terms in filters {
                let text = joined(&terms, &users).join(" and ");
                let filter = Filter::parse(&text).unwrap();
                let matching = users.iter().filter(|user| filter.matches(&resource(user)));
                let matching: Vec<UserId> = matching.map(|user| user.id).collect();

                let selected = world.select(&account, &filter).await.unwrap();

                prop_assert_eq!(&selected, &matching, "{}", described(&users, &text));
                asked.set(asked.get() + 1);
                met.set(met.get() + u32::from(!matching.is_empty()));
            }
            Ok(())
        })
    });
    if let Err(error) = run {
        panic!("{error}");
    }
    let (asked, met) = (asked.get(), met.get());
    assert!(
        met * 4 > asked,
        "only {met} of {asked} filters select anybody"
    );
}

#[test]
fn one_term_outside_of_what_is_offered_refuses_the_whole_filter() {
    let world = World::start();
    let outside = prop_oneof![
        3 => prop::sample::select(&OUTSIDE[..]),
        1 => prop::sample::select(&MALFORMED[..]),
    ];
    let mut runner = TestRunner::new(config());
    let cases = (any_users(), any_filter(), outside, any::<Index>());
    let run = runner.run(&cases, |(users, terms, outside, at)| {
        world.runtime.block_on(async {
            let (account, users) = world.fill(users).await;
            let mut terms = joined(&terms, &users);
            terms.insert(at.index(terms.len() + 1), outside.to_owned());
            let text = terms.join(" and ");

            let refused = match Filter::parse(&text) {
                Ok(filter) => world.select(&account, &filter).await.err(),
                Err(error) => Some(error),
            };

            let kind = refused.map(|error| error.kind);
            prop_assert_eq!(kind, Some(ErrorKind::InvalidFilter), "{}", text);
            Ok(())
        })
    });
    if let Err(error) = run {
        panic!("{error}");
    }
}
