//! Connections.

use rollcall_store::feed::{self, NewChange, Op};
use rollcall_store::{ChangeId, Error, Position, Tx};
use rollcall_types::{AccountId, ConnectionId, Timestamp};
use sea_orm::prelude::{Expr, Uuid};
use sea_orm::sea_query::ExprTrait;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use serde::{Deserialize, Serialize};

use super::{Origin, kind, record};
use crate::connection::Connection;

#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "what sea-orm generates"
)]
mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "connections")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub account_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub connection_id: Uuid,
        pub state: String,
        pub installed: DateTimeUtc,
        pub version: i64,
        pub change_seq: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use row::{ActiveModel, Column, Entity, Model};

/// The state of an installed connection.
const CONNECTED: &str = "CONNECTED";

/// What the feed keeps of a connection.
#[derive(Debug, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// When it was installed.
    pub installed: Timestamp,
}

fn read(row: &Model) -> Connection {
    Connection {
        id: ConnectionId::from_uuid(row.connection_id),
        installed: Timestamp::new(row.installed),
        version: row.version,
    }
}

fn write(account: &AccountId, connection: &Connection, change: ChangeId) -> ActiveModel {
    ActiveModel {
        account_id: Set(account.to_string()),
        connection_id: Set(connection.id.to_uuid()),
        state: Set(CONNECTED.to_owned()),
        installed: Set(connection.installed.to_chrono()),
        version: Set(connection.version),
        change_seq: Set(change.seq),
    }
}

/// The installed connection of the account.
///
/// # Errors
/// What the database says.
pub async fn installed(
    db: &impl ConnectionTrait,
    account: &AccountId,
) -> Result<Option<Connection>, Error> {
    let row = of(account)
        .filter(Column::State.eq(CONNECTED))
        .one(db)
        .await?;
    Ok(row.as_ref().map(read))
}

/// Stores a new connection and its change; which change it is.
///
/// # Errors
/// What the database says; a unique violation when one is installed already.
pub async fn insert(
    tx: &Tx,
    account: &AccountId,
    connection: &Connection,
    origin: &Origin,
) -> Result<ChangeId, Error> {
    let change = NewChange {
        account,
        kind: kind::CONNECTION,
        resource: &connection.id.to_string(),
        op: Op::Upserted,
        version: connection.version,
        delta: 0,
        time: origin.time,
        actor: &origin.actor,
        request: origin.request,
        changed_paths: "",
        before: "",
        after: &record::to_text(&ConnectionRecord {
            installed: connection.installed,
        })?,
    };
    let change = feed::append(tx, change).await?;
    Entity::insert(write(account, connection, change))
        .exec_without_returning(tx)
        .await?;
    Ok(change)
}

/// The connections of a snapshot, each with its account.
pub(super) async fn snapshot(
    db: &impl ConnectionTrait,
    only: Option<&AccountId>,
    after: (&str, Uuid),
    position: &Position,
) -> Result<Vec<(AccountId, Connection)>, Error> {
    let rows = snapshot_page(only, after, position).all(db).await?;
    rows.iter()
        .map(|row| Ok((super::account_id(&row.account_id)?, read(row))))
        .collect()
}

/// How many users the connection manages, and how many of them are held.
///
/// # Errors
/// What the database says.
pub async fn counts(
    db: &impl ConnectionTrait,
    account: &AccountId,
    connection: ConnectionId,
) -> Result<(i64, i64), Error> {
    let query = super::statement(
        db,
        "SELECT COUNT(*) AS managed, \
         COALESCE(SUM(CASE WHEN active AND NOT admitted THEN 1 ELSE 0 END), 0) AS held \
         FROM users WHERE account_id = $1 AND connection_id = $2",
        [account.as_str().into(), connection.to_uuid().into()],
    );
    let row = db
        .query_one_raw(query)
        .await?
        .ok_or(Error::Corrupt("count"))?;
    Ok((row.try_get("", "managed")?, row.try_get("", "held")?))
}

fn of(account: &AccountId) -> Select<Entity> {
    Entity::find().filter(Column::AccountId.eq(account.as_str()))
}

fn snapshot_page(
    only: Option<&AccountId>,
    (account, id): (&str, Uuid),
    position: &Position,
) -> Select<Entity> {
    let rest = if let Some(only) = only {
        of(only).filter(Column::ConnectionId.gt(id))
    } else {
        let key = [Column::AccountId, Column::ConnectionId].map(Expr::col);
        let after = Expr::tuple([Expr::val(account), Expr::val(id)]);
        Entity::find().filter(Expr::tuple(key).gt(after))
    };
    rest.filter(feed::is_committed_by(position, "connections.change_seq"))
        .order_by_asc(Column::AccountId)
        .order_by_asc(Column::ConnectionId)
        .limit(feed::PAGE)
}

#[cfg(test)]
mod tests {
    use sea_orm::{DbBackend, QueryTrait};

    use super::*;
    use crate::store::plan::{acme, open_store, plan};

    #[tokio::test]
    async fn a_snapshot_walks_the_key() {
        let (store, _folder) = open_store().await;
        let nobody = ("", Uuid::nil());

        for (only, index) in [
            (None, "((account_id,connection_id)>(?,?))"),
            (Some(&acme()), "(account_id=? AND connection_id>?)"),
        ] {
            let query =
                snapshot_page(only, nobody, &Position::Sequence(9)).build(DbBackend::Sqlite);
            let plan = plan(&store, query).await;
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("B-TREE"), "{plan}");
        }
    }
}
