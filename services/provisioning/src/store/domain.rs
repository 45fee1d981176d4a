//! The projection of verification's domains: which email domains are verified for an account.

use rollcall_store::{Error, Tx};
use rollcall_types::{AccountId, DomainId, DomainName, Timestamp};
use sea_orm::prelude::{DateTimeUtc, Expr};
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult,
};

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "domains")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub domain_id: Uuid,
        pub verified_since: Option<DateTimeUtc>,
        pub version: i64,
        pub generation: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity};

/// A domain as verification's feed tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projected {
    /// The account.
    pub account: AccountId,
    /// Its id there.
    pub id: DomainId,
    /// The name.
    pub name: DomainName,
    /// Since when it is verified, if it is.
    pub verified: Option<Timestamp>,
    /// Its version there.
    pub version: i64,
}

fn write(domain: &Projected, generation: i64) -> ActiveModel {
    ActiveModel {
        account_id: Set(domain.account.to_string()),
        name: Set(domain.name.to_string()),
        domain_id: Set(domain.id.to_uuid()),
        verified_since: Set(domain.verified.map(Timestamp::to_chrono)),
        version: Set(domain.version),
        generation: Set(generation),
    }
}

/// Whether the domain is verified for the account.
///
/// # Errors
/// What the database says.
pub async fn is_verified(
    db: &impl ConnectionTrait,
    account: &AccountId,
    domain: Option<&DomainName>,
) -> Result<bool, Error> {
    let Some(domain) = domain else {
        return Ok(false);
    };
    let query = super::statement(
        db,
        "SELECT 1 AS found FROM domains WHERE account_id = $1 AND name = $2 \
         AND verified_since IS NOT NULL",
        [account.as_str().into(), domain.as_str().into()],
    );
    Ok(db.query_one_raw(query).await?.is_some())
}

/// Stores what the feed said, unless something newer of this generation is there.
///
/// # Errors
/// What the database says.
pub async fn upsert(tx: &Tx, domain: &Projected, generation: i64) -> Result<(), Error> {
    let stored = |column| Expr::col((Entity, column));
    let told = |column: Column| Expr::col(("excluded", column));
    let is_older = stored(Column::Generation)
        .lt(told(Column::Generation))
        .or(stored(Column::Version).lte(told(Column::Version)))
        .or(stored(Column::DomainId).ne(told(Column::DomainId)));
    let mut conflict = OnConflict::columns([Column::AccountId, Column::Name]);
    conflict
        .update_columns([
            Column::DomainId,
            Column::VerifiedSince,
            Column::Version,
            Column::Generation,
        ])
        .action_and_where(is_older);
    Entity::insert(write(domain, generation))
        .on_conflict(conflict)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Drops a domain that is gone there.
///
/// # Errors
/// What the database says.
pub async fn delete(tx: &Tx, account: &AccountId, id: DomainId) -> Result<(), Error> {
    Entity::delete_many()
        .filter(Column::AccountId.eq(account.as_str()))
        .filter(Column::DomainId.eq(id.to_uuid()))
        .exec(tx)
        .await?;
    Ok(())
}

/// Drops what the snapshot of `generation` did not mention.
///
/// # Errors
/// What the database says.
pub async fn drop_older(tx: &Tx, generation: i64) -> Result<(), Error> {
    Entity::delete_many()
        .filter(Column::Generation.lt(generation))
        .exec(tx)
        .await?;
    Ok(())
}

/// A verified domain for which somebody still waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The account.
    pub account: AccountId,
    /// The domain.
    pub name: DomainName,
    /// How many users wait.
    pub users: i64,
    /// Since when it is verified, and they could be released.
    pub since: Timestamp,
}

/// Grouped as the index on held users is ordered.
const WITH_HELD_USERS: &str = "SELECT u.account_id, u.email_domain, COUNT(*) AS users, \
     MAX(d.verified_since) AS since FROM users u \
     JOIN domains d ON d.account_id = u.account_id AND d.name = u.email_domain \
     AND d.verified_since IS NOT NULL WHERE u.admitted = FALSE \
     GROUP BY u.account_id, u.email_domain ORDER BY u.account_id, u.email_domain";

/// Verified domains for which somebody still waits.
///
/// # Errors
/// What the database says.
pub async fn with_held_users(db: &impl ConnectionTrait) -> Result<Vec<Waiting>, Error> {
    let query = super::statement(db, WITH_HELD_USERS, []);
    db.query_all_raw(query).await?.iter().map(waiting).collect()
}

fn waiting(row: &QueryResult) -> Result<Waiting, Error> {
    let account: String = row.try_get("", "account_id")?;
    let name: String = row.try_get("", "email_domain")?;
    Ok(Waiting {
        account: super::account_id(&account)?,
        name: DomainName::parse(&name).map_err(|_| Error::Corrupt("domain"))?,
        users: row.try_get("", "users")?,
        since: Timestamp::new(row.try_get::<DateTimeUtc>("", "since")?),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rollcall_types::{Clock, SystemClock};
    use sea_orm::prelude::Uuid;

    use super::*;
    use crate::store::plan::{acme, open_store, plan};

    fn domain(name: &str, id: u128, version: i64) -> Projected {
        Projected {
            account: acme(),
            id: DomainId::from_uuid(Uuid::from_u128(id)),
            name: DomainName::parse(name).unwrap(),
            // Every other version, so that a refused one is seen.
            verified: (version % 2 == 1).then(|| SystemClock.now()),
            version,
        }
    }

    #[tokio::test]
    async fn only_what_is_newer_or_another_claim_replaces_what_is_stored() {
        let (store, _folder) = open_store().await;
        let verified = store.write(|tx| {
            Box::pin(async move {
                let mut verified = Vec::new();
                for (id, version, generation) in [
                    (1, 5, 1), // new
                    (1, 4, 1), // older: refused
                    (1, 6, 1), // newer
                    (1, 3, 2), // older, of a newer generation
                    (2, 2, 2), // of another claim
                ] {
                    let told = domain("acme.example", id, version);
                    upsert(tx, &told, generation).await?;
                    verified.push(is_verified(tx, &acme(), Some(&told.name)).await?);
                }
                Ok::<_, Error>(verified)
            })
        });

        assert_eq!(verified.await.unwrap(), [true, true, false, true, false]);
    }

    #[tokio::test]
    async fn what_is_gone_and_what_a_snapshot_left_out_is_dropped() {
        let (store, _folder) = open_store().await;
        let dropped = store.write(|tx| {
            Box::pin(async move {
                for (name, id, generation) in [
                    ("old.example", 1, 1),
                    ("gone.example", 2, 2),
                    ("kept.example", 3, 2),
                ] {
                    upsert(tx, &domain(name, id, 1), generation).await?;
                }
                drop_older(tx, 2).await?;
                delete(tx, &acme(), DomainId::from_uuid(Uuid::from_u128(2))).await?;
                Entity::find().all(tx).await.map_err(Error::from)
            })
        });

        let names: BTreeSet<String> = dropped
            .await
            .unwrap()
            .into_iter()
            .map(|row| row.name)
            .collect();
        assert_eq!(names, BTreeSet::from(["kept.example".to_owned()]));
    }

    #[tokio::test]
    async fn who_waits_is_found_among_the_held_alone() {
        let (store, _folder) = open_store().await;
        let query = crate::store::statement(store.reader(), WITH_HELD_USERS, []);

        let plan = plan(&store, query).await;

        assert!(plan.contains("COVERING INDEX users_held"), "{plan}");
        assert!(plan.contains("SEARCH d"), "{plan}");
        assert!(!plan.contains("B-TREE"), "{plan}");
    }
}
