//! `ConnectionService`.

use rollcall_rpc::convert::time::to_proto;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::connection_service_server::ConnectionService;
use rollcall_store::page;
use rollcall_types::{ConnectionId, Credential, ExposeSecret, TokenId};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::accounts::next_token;
use super::{Api, caller, encode, page as parse_page};
use crate::account;
use crate::connection::{self, Connection, LISTED, LIVE_TOKENS, Token};
use crate::error::Error;
use crate::store;

impl Api {
    async fn installed(&self, entry: &account::Entry) -> Result<Connection, Error> {
        let found = store::connection::installed(self.0.store.reader(), &entry.id).await?;
        found.ok_or_else(|| Error::not_found("connection of account", &entry.id))
    }

    async fn connection(
        &self,
        entry: &account::Entry,
        connection: &Connection,
    ) -> Result<pb::Connection, Error> {
        let reader = self.0.store.reader();
        let (managed, held) = store::connection::counts(reader, &entry.id, connection.id).await?;
        let last = store::token::last_use(reader, &entry.id, connection.id).await?;
        let missing = entry.stored.account.missing(&self.0.config);
        Ok(pb::Connection {
            missing: encode::names(&missing),
            managed_users: Some(managed),
            held_users: Some(held),
            last_request_time: last.map(to_proto),
            ..encode::connection(&entry.id, connection)
        })
    }
}

#[tonic::async_trait]
impl ConnectionService for Api {
    async fn get_connection(
        &self,
        request: Request<pb::GetConnectionRequest>,
    ) -> Result<Response<pb::GetConnectionResponse>, Status> {
        let entry = self
            .account(&caller(&request)?, &request.get_ref().account_id)
            .await?;
        let installed = self.installed(&entry).await?;
        let connection = Some(self.connection(&entry, &installed).await?);
        Ok(Response::new(pb::GetConnectionResponse { connection }))
    }

    async fn install_connection(
        &self,
        request: Request<pb::InstallConnectionRequest>,
    ) -> Result<Response<pb::InstallConnectionResponse>, Status> {
        let origin = self.origin(&request)?;
        let entry = self
            .account(&caller(&request)?, &request.get_ref().account_id)
            .await?;
        let account = entry.id.clone();
        let id = ConnectionId::from_uuid(self.0.deps.ids.next());
        let installed = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(installed) = store::connection::installed(tx, &account).await? {
                        return Ok(installed);
                    }
                    let connection = Connection {
                        id,
                        installed: origin.time,
                        version: 1,
                    };
                    store::connection::insert(tx, &account, &connection, &origin).await?;
                    Ok::<_, Error>(connection)
                })
            })
            .await?;
        let connection = Some(self.connection(&entry, &installed).await?);
        Ok(Response::new(pb::InstallConnectionResponse { connection }))
    }

    async fn create_token(
        &self,
        request: Request<pb::CreateTokenRequest>,
    ) -> Result<Response<pb::CreateTokenResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        if !request.idempotency_key.is_empty() {
            return Err(Error::Unsupported("idempotency keys").into());
        }
        let length = request.label.chars().count();
        if !(1..=100).contains(&length) || rollcall_types::fold::has_control(&request.label) {
            let why = "must have 1 to 100 characters, none of them a control character";
            return Err(Error::field("label", why).into());
        }
        let now = self.now();
        let asked = encode::time("expire_time", request.expire_time.as_ref())?;
        let expires = connection::expiry(asked, now)?;
        let entry = self.account(&caller, &request.account_id).await?;
        let id = TokenId::from_uuid(self.0.deps.ids.next());
        let (credential, secret) = Credential::generate(id, self.0.deps.entropy.as_ref());
        let token = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let account = &entry.id;
                    let installed = store::connection::installed(tx, account).await?;
                    let installed = installed
                        .ok_or_else(|| Error::not_found("connection of account", account))?;
                    let tokens = store::token::list(tx, account, Uuid::nil(), 10_000).await?;
                    let mine = tokens
                        .iter()
                        .filter(|token| token.connection == installed.id);
                    if mine.filter(|token| token.is_live(now)).count() >= LIVE_TOKENS {
                        return Err(Error::LimitReached {
                            limit: LIVE_TOKENS,
                            what: "live tokens of a connection",
                        });
                    }
                    let token = Token {
                        id,
                        connection: installed.id,
                        label: request.label,
                        creator: caller.name.to_string(),
                        created: now,
                        expires,
                        ends: None,
                        last_used: None,
                    };
                    let hash = credential.secret_hash();
                    store::token::insert(tx, account, &token, &hash).await?;
                    Ok(token)
                })
            })
            .await?;
        Ok(Response::new(pb::CreateTokenResponse {
            token: Some(encode::token(&token)),
            secret: secret.expose_secret().to_owned(),
        }))
    }

    async fn list_tokens(
        &self,
        request: Request<pb::ListTokensRequest>,
    ) -> Result<Response<pb::ListTokensResponse>, Status> {
        let entry = self
            .account(&caller(&request)?, &request.get_ref().account_id)
            .await?;
        let request = request.into_inner();
        let list = format!("tokens {}", entry.id);
        let page = parse_page(request.page_size, &request.page_token, &list)?;
        let after = page.after.parse().unwrap_or(Uuid::nil());
        let reader = self.0.store.reader();
        let found = store::token::list(reader, &entry.id, after, page.size + 1).await;
        let mut found = found.map_err(Error::from)?;
        let next = next_token(&mut found, page.size, |token| {
            page::token(&token.id.to_string(), &list)
        });
        let now = self.now();
        found.retain(|token| now < token.end().plus(LISTED));
        Ok(Response::new(pb::ListTokensResponse {
            tokens: found.iter().map(encode::token).collect(),
            next_page_token: next,
        }))
    }

    async fn revoke_token(
        &self,
        request: Request<pb::RevokeTokenRequest>,
    ) -> Result<Response<pb::RevokeTokenResponse>, Status> {
        let entry = self
            .account(&caller(&request)?, &request.get_ref().account_id)
            .await?;
        let request = request.into_inner();
        let id: TokenId = request
            .token_id
            .parse()
            .map_err(|_| Error::not_found("token", &request.token_id))?;
        let at = encode::time("end_time", request.end_time.as_ref())?;
        let now = self.now();
        let token = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let found = store::token::find(tx, &entry.id, id).await?;
                    let mut token = found.ok_or_else(|| Error::not_found("token", id))?;
                    if let Some(end) = token.revoke(at, now)? {
                        store::token::end(tx, &entry.id, id, end).await?;
                        token.ends = Some(end);
                    }
                    Ok::<_, Error>(token)
                })
            })
            .await?;
        self.0.tokens.forget();
        // A write that had begun before may be waiting for its user, its token looked at already:
        // once this is answered, nothing is written with the token (C-03).
        if !token.is_live(now) {
            self.0.store.settle().await.map_err(Error::from)?;
        }
        Ok(Response::new(pb::RevokeTokenResponse {
            token: Some(encode::token(&token)),
        }))
    }
}
