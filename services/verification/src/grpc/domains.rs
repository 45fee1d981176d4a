//! `DomainService`.

use futures::FutureExt;
use rollcall_rpc::Failure;
use rollcall_rpc::pb::verification::v1 as pb;
use rollcall_rpc::pb::verification::v1::domain_service_server::DomainService;
use rollcall_store::page::{self, Page};
use rollcall_types::{AccountId, DomainId, DomainName};
use tonic::{Request, Response, Status};

use super::{Api, account, author, caller, convert, domain_id};
use crate::challenge::Challenge;
use crate::claim::Claim;
use crate::domain;
use crate::error::Error;
use crate::state::State;
use crate::store::claim::{self, Author, Lease};

/// The most domains of an account.
const MAX_DOMAINS: u32 = 100;
/// The most of them that are not verified.
const MAX_UNVERIFIED: u32 = 20;

#[tonic::async_trait]
impl DomainService for Api {
    async fn add_domain(
        &self,
        request: Request<pb::AddDomainRequest>,
    ) -> Result<Response<pb::AddDomainResponse>, Status> {
        let caller = caller(&request)?;
        let author = author(&caller, &request);
        let request = request.into_inner();
        let id = &request.account_id;
        let account = account(&caller, id, "account", id)?;
        let input = domain::normalise(&request.name, self.config.policy());
        let input = input.map_err(|why| Failure::from(Error::from(why)))?;

        let claim = self.add(account, input.name, author).await;
        let mut domain = convert::domain(&claim.map_err(Failure::from)?);
        if input.took_email_domain {
            "TOOK_EMAIL_DOMAIN".clone_into(&mut domain.note);
        }
        Ok(Response::new(pb::AddDomainResponse {
            domain: Some(domain),
        }))
    }

    async fn get_domain(
        &self,
        request: Request<pb::GetDomainRequest>,
    ) -> Result<Response<pb::GetDomainResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let account = account(&caller, &request.account_id, "domain", &request.domain_id)?;
        let id = domain_id(&request.domain_id)?;

        let claim = self.find(&account, id).await.map_err(Failure::from)?;
        Ok(Response::new(pb::GetDomainResponse {
            domain: Some(convert::domain(&claim)),
        }))
    }

    async fn list_domains(
        &self,
        request: Request<pb::ListDomainsRequest>,
    ) -> Result<Response<pb::ListDomainsResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = &request.account_id;
        let account = account(&caller, id, "account", id)?;

        let list = self.list(&account, request.page_size, &request.page_token);
        let (claims, next_page_token) = list.await.map_err(Failure::from)?;
        Ok(Response::new(pb::ListDomainsResponse {
            domains: claims.iter().map(convert::domain).collect(),
            next_page_token,
        }))
    }

    async fn verify_domain(
        &self,
        request: Request<pb::VerifyDomainRequest>,
    ) -> Result<Response<pb::VerifyDomainResponse>, Status> {
        let caller = caller(&request)?;
        let author = author(&caller, &request);
        let request = request.into_inner();
        let account = account(&caller, &request.account_id, "domain", &request.domain_id)?;
        let id = domain_id(&request.domain_id)?;

        let claim = self.verify(&account, id, author).await?;
        Ok(Response::new(pb::VerifyDomainResponse {
            check: claim.last_check.as_ref().map(convert::check),
            domain: Some(convert::domain(&claim)),
        }))
    }

    async fn renew_challenge(
        &self,
        request: Request<pb::RenewChallengeRequest>,
    ) -> Result<Response<pb::RenewChallengeResponse>, Status> {
        let caller = caller(&request)?;
        let author = author(&caller, &request);
        let request = request.into_inner();
        let account = account(&caller, &request.account_id, "domain", &request.domain_id)?;
        let id = domain_id(&request.domain_id)?;

        let claim = self.renew(account, id, request.etag, author).await;
        Ok(Response::new(pb::RenewChallengeResponse {
            domain: Some(convert::domain(&claim.map_err(Failure::from)?)),
        }))
    }
}

impl Api {
    async fn find(&self, account: &AccountId, id: DomainId) -> Result<Claim, Error> {
        let row = claim::find(self.store.reader(), account, id).await?;
        row.map(|row| row.claim)
            .ok_or_else(|| Error::UnknownDomain(id.to_string()))
    }

    async fn add(
        &self,
        account: AccountId,
        name: DomainName,
        author: Author,
    ) -> Result<Claim, Error> {
        let now = self.clock.now();
        let id = DomainId::from_uuid(self.ids.next());
        let challenge = Challenge::first(&self.config.slug, &*self.entropy, now);
        let claim = Claim::new(account, id, name, challenge, now);
        let write = self.store.write(move |tx| {
            async move {
                if let Some(row) = claim::find_name(tx, &claim.account, &claim.name).await? {
                    return Ok(row.claim);
                }
                let (all, unverified) = claim::count(tx, &claim.account).await?;
                for (count, what, limit) in [
                    (all, "domains", MAX_DOMAINS),
                    (unverified, "unverified domains", MAX_UNVERIFIED),
                ] {
                    if count >= i64::from(limit) {
                        return Err(Error::LimitReached { what, limit });
                    }
                }
                claim::insert(tx, &claim, &author).await?;
                Ok(claim)
            }
            .boxed()
        });
        write.await
    }

    async fn list(
        &self,
        account: &AccountId,
        size: i32,
        token: &str,
    ) -> Result<(Vec<Claim>, String), Error> {
        let name = format!("{account} domains");
        let page = Page::parse(size, token, &name)?;
        let after = match page.after.as_str() {
            "" => None,
            text => Some(DomainId::parse(text).map_err(|_| page::PageError::Token)?),
        };
        let mut rows = claim::list(self.store.reader(), account, after, page.size + 1).await?;
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let last = rows.last().filter(|_| more);
        let next = last.map(|row| page::token(&row.claim.id.to_string(), &name));
        let claims = rows.into_iter().map(|row| row.claim).collect();
        Ok((claims, next.unwrap_or_default()))
    }

    /// Checks now, or joins the check that runs.
    async fn verify(
        &self,
        account: &AccountId,
        id: DomainId,
        author: Author,
    ) -> Result<Claim, Failure> {
        let found = self.find(account, id).await?;
        if matches!(found.state, State::Verified { .. }) {
            return Ok(found);
        }
        let running = self.checker.joined(account, id);
        if self.config.rate_limits && running.is_none() {
            self.limiter.admit(account, id, self.clock.now())?;
        }
        let pressed = self.press(account.clone(), id, author.clone()).await?;
        match pressed.state {
            State::Expired => return Err(Error::TokenExpired(id.to_string()).into()),
            State::Verified { .. } => return Ok(pressed),
            State::Pending { .. } | State::Failed { .. } => {}
        }
        let check = running.unwrap_or_else(|| self.checker.check_now(account, id, author));
        check.await?;
        // A check that was joined may have ended before the press opened a new 48 h.
        Ok(self.find(account, id).await?)
    }

    /// Notes that a person asks for a check, and opens a new 48 h on a failed domain.
    async fn press(
        &self,
        account: AccountId,
        id: DomainId,
        author: Author,
    ) -> Result<Claim, Error> {
        let now = self.clock.now();
        let longest = self.config.max_check_interval;
        let write = self.store.write(move |tx| {
            async move {
                let row = claim::find(tx, &account, id).await?;
                let before = row.ok_or_else(|| Error::UnknownDomain(id.to_string()))?;
                let before = before.claim;
                let aged = before.aged(now);
                let after = if aged.is_open() {
                    aged.pressed(now, longest)
                } else {
                    aged
                };
                claim::replace(tx, &before, after, Lease::Keep, &author, now).await
            }
            .boxed()
        });
        write.await
    }

    async fn renew(
        &self,
        account: AccountId,
        id: DomainId,
        etag: String,
        author: Author,
    ) -> Result<Claim, Error> {
        if etag.is_empty() {
            return Err(Error::Field {
                field: "etag",
                why: "say which value is to be renewed: the etag of the domain",
            });
        }
        let now = self.clock.now();
        let (slug, entropy) = (self.config.slug.clone(), self.entropy.clone());
        let write = self.store.write(move |tx| {
            async move {
                let row = claim::find(tx, &account, id).await?;
                let before = row.ok_or_else(|| Error::UnknownDomain(id.to_string()))?;
                let before = before.claim;
                if !rollcall_types::etag::matches(&etag, &before.etag()) {
                    let etag = before.etag();
                    return Err(Error::VersionMismatch { etag });
                }
                let challenge = before.challenge.next(&slug, &*entropy, now);
                let after = before.renewed(challenge, now);
                let after = after.ok_or(Error::RenewVerified)?;
                claim::replace(tx, &before, after, Lease::Revoke, &author, now).await
            }
            .boxed()
        });
        write.await
    }
}
