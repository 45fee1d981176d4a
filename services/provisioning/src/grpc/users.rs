//! `UserService`.

use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::user_service_server::UserService;
use rollcall_scim::Filter;
use rollcall_store::feed::PAGE_BYTES;
use rollcall_store::page::{self, Page};
use rollcall_types::{AccountId, UserId};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::accounts::cut;
use super::{Api, account_id, caller, encode, page as parse_page};
use crate::error::Error;
use crate::store;
use crate::store::user::{Key, Row, Slice};

/// How many users of a list are read at a time, since all of a page may be large.
const CHUNK: u64 = 128;

/// Which user a call asks for.
enum Wanted {
    Id(String),
    Key(Key),
}

impl Api {
    /// The users of a page and what follows them, up to as much text as a page takes.
    async fn read_page(
        &self,
        account: &AccountId,
        filter: &str,
        page: &Page,
    ) -> Result<Vec<Row>, Error> {
        let filter = Some(filter).filter(|text| !text.is_empty());
        let filter = filter.map(Filter::parse).transpose()?;
        let condition = store::user::compile(filter.as_ref())?;
        let reader = self.0.store.reader();
        let mut after = page.after.parse().unwrap_or(Uuid::nil());
        let mut found: Vec<Row> = Vec::new();
        let mut bytes = 0;
        loop {
            let wanted = (page.size + 1).saturating_sub(found.len() as u64);
            let limit = wanted.min(CHUNK);
            let slice = Slice::After(after);
            let rows = store::user::list(reader, account, &condition, slice, limit).await?;
            let is_last = limit == wanted || (rows.len() as u64) < limit;
            bytes += rows.iter().map(text_of).sum::<usize>();
            found.extend(rows);
            match found.last() {
                Some(last) if !is_last && bytes < PAGE_BYTES => after = last.id.to_uuid(),
                _ => return Ok(found),
            }
        }
    }

    async fn find(&self, account: &AccountId, wanted: &Wanted) -> Result<Option<Row>, Error> {
        let reader = self.0.store.reader();
        match wanted {
            Wanted::Id(text) => match text.parse::<UserId>() {
                Ok(id) => Ok(store::user::find(reader, account, id).await?),
                Err(_) => Ok(None),
            },
            Wanted::Key(key) => {
                let mut found = store::user::find_by(reader, account, key).await?;
                if found.len() > 1 {
                    return Err(Error::EmailAmbiguous(
                        found.iter().map(|row| row.id).collect(),
                    ));
                }
                Ok(found.pop())
            }
        }
    }
}

/// How much text a user is.
fn text_of(row: &Row) -> usize {
    let beside = [&row.external_id, &row.roles].into_iter().flatten();
    row.document.len() + beside.map(String::len).sum::<usize>()
}

#[tonic::async_trait]
impl UserService for Api {
    async fn check_access(
        &self,
        request: Request<pb::CheckAccessRequest>,
    ) -> Result<Response<pb::CheckAccessResponse>, Status> {
        use pb::check_access_request::User as By;
        let caller = caller(&request)?;
        let request = request.into_inner();
        let account = account_id(&caller, &request.account_id)?;
        let wanted = match request.user {
            Some(By::UserId(id)) => Wanted::Id(id),
            Some(By::UserName(name)) => Wanted::Key(Key::UserName(name)),
            Some(By::Email(email)) => Wanted::Key(Key::Email(email)),
            Some(By::ExternalId(id)) => Wanted::Key(Key::ExternalId(id)),
            None => return Err(Error::field("user", "name a user").into()),
        };
        let Some(row) = self.find(&account, &wanted).await? else {
            return Ok(Response::new(pb::CheckAccessResponse {
                access: Some(encode::no_such_user()),
                user_id: String::new(),
                managed: false,
            }));
        };
        let user = row.decode(&account).map_err(Error::from)?;
        Ok(Response::new(pb::CheckAccessResponse {
            access: Some(encode::access(&user.access())),
            user_id: user.id.to_string(),
            managed: user.connection.is_some(),
        }))
    }

    async fn get_user(
        &self,
        request: Request<pb::GetUserRequest>,
    ) -> Result<Response<pb::GetUserResponse>, Status> {
        use pb::get_user_request::User as By;
        let caller = caller(&request)?;
        let request = request.into_inner();
        let account = account_id(&caller, &request.account_id)?;
        let (wanted, text) = match request.user {
            Some(By::UserId(id)) => (Wanted::Id(id.clone()), id),
            Some(By::UserName(name)) => (Wanted::Key(Key::UserName(name.clone())), name),
            Some(By::Email(email)) => (Wanted::Key(Key::Email(email.clone())), email),
            Some(By::ExternalId(id)) => (Wanted::Key(Key::ExternalId(id.clone())), id),
            None => return Err(Error::field("user", "name a user").into()),
        };
        let found = self.find(&account, &wanted).await?;
        let row = found.ok_or_else(|| Error::not_found("user", text))?;
        let user = row.decode(&account).map_err(Error::from)?;
        Ok(Response::new(pb::GetUserResponse {
            user: Some(encode::user(&user)),
        }))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let account = account_id(&caller, &request.account_id)?;
        let list = format!("users {account} {}", request.filter);
        let page = parse_page(request.page_size, &request.page_token, &list)?;
        let mut found = self.read_page(&account, &request.filter, &page).await?;
        let next = cut(&mut found, page.size, text_of, |row| {
            page::token(&row.id.to_string(), &list)
        });
        let users = found
            .into_iter()
            .map(|row| Ok(encode::user(&row.decode(&account)?)));
        let users: Result<Vec<pb::User>, rollcall_store::Error> = users.collect();
        Ok(Response::new(pb::ListUsersResponse {
            users: users.map_err(Error::from)?,
            next_page_token: next,
        }))
    }
}
