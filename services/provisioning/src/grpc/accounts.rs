//! `AccountService`.

use rollcall_rpc::Failure;
use rollcall_rpc::pb::provisioning::v1 as pb;
use rollcall_rpc::pb::provisioning::v1::account_service_server::AccountService;
use rollcall_store::feed::PAGE_BYTES;
use rollcall_store::page;
use tonic::{Request, Response, Status};

use super::{Api, account_id, caller, encode, page as parse_page};
use crate::account::{self, Account, PricingModel, Seats};
use crate::error::Error;
use crate::store;

#[tonic::async_trait]
impl AccountService for Api {
    async fn put_account(
        &self,
        request: Request<pb::PutAccountRequest>,
    ) -> Result<Response<pb::PutAccountResponse>, Status> {
        let origin = self.origin(&request)?;
        let caller = caller(&request)?;
        let message = request.into_inner().account;
        let message = message.ok_or_else(|| Error::field("account", "is required"))?;
        let id = account_id(&caller, &message.account_id)?;
        let account = decode(message)?;
        let (entry, change) = self
            .0
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let before = store::account::find(tx, &id)
                        .await?
                        .map(|entry| entry.stored);
                    let Some(after) = account::put(before.as_ref(), account, origin.time) else {
                        let stored = before.ok_or_else(|| Error::not_found("account", &id))?;
                        return Ok((account::Entry { id, stored }, None));
                    };
                    let change =
                        store::account::save(tx, &id, before.as_ref(), &after, &origin).await?;
                    Ok::<_, Error>((account::Entry { id, stored: after }, Some(change)))
                })
            })
            .await?;
        Ok(Response::new(pb::PutAccountResponse {
            account: Some(encode::account(&entry, &self.0.config)),
            change_token: change.map(|change| self.token(change)).unwrap_or_default(),
        }))
    }

    async fn get_account(
        &self,
        request: Request<pb::GetAccountRequest>,
    ) -> Result<Response<pb::GetAccountResponse>, Status> {
        let caller = caller(&request)?;
        let entry = self.account(&caller, &request.get_ref().account_id).await?;
        let account = Some(encode::account(&entry, &self.0.config));
        Ok(Response::new(pb::GetAccountResponse { account }))
    }

    async fn list_accounts(
        &self,
        request: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let list = format!("accounts {}", caller.name);
        let page = parse_page(request.page_size, &request.page_token, &list)?;
        let only = caller.accounts.as_deref();
        let found =
            store::account::list(self.0.store.reader(), only, &page.after, page.size + 1).await;
        let mut found = found.map_err(|error| Failure::from(Error::from(error)))?;
        let next = cut(&mut found, page.size, text_of, |entry| {
            page::token(entry.id.as_str(), &list)
        });
        Ok(Response::new(pb::ListAccountsResponse {
            accounts: found
                .iter()
                .map(|entry| encode::account(entry, &self.0.config))
                .collect(),
            next_page_token: next,
        }))
    }
}

/// How much text an account is.
fn text_of(entry: &account::Entry) -> usize {
    let account = &entry.stored.account;
    let subscriptions = account.subscriptions.iter().map(String::len);
    let seats = account.seats.iter().map(|seats| seats.seat_type.len());
    account.display_name.len() + subscriptions.chain(seats).sum::<usize>()
}

/// Cuts the row that was read beyond the page, and makes the token for the next one.
pub(super) fn next_token<T>(rows: &mut Vec<T>, size: u64, token: impl Fn(&T) -> String) -> String {
    cut(rows, size, |_| 0, token)
}

/// As [`next_token`] of rows that may be large: the page ends with [`PAGE_BYTES`] of text too.
pub(super) fn cut<T>(
    rows: &mut Vec<T>,
    size: u64,
    text_of: impl Fn(&T) -> usize,
    token: impl Fn(&T) -> String,
) -> String {
    let mut bytes = 0;
    let full = rows.iter().position(|row| {
        bytes += text_of(row);
        bytes >= PAGE_BYTES
    });
    // Whether anything follows the row that filled the page is for the next page to say.
    let by_text = full.map(|at| at + 1);
    let by_count = usize::try_from(size).ok().filter(|size| rows.len() > *size);
    let Some(count) = by_text.into_iter().chain(by_count).min() else {
        return String::new();
    };
    rows.truncate(count);
    rows.last().map(token).unwrap_or_default()
}

fn decode(message: pb::Account) -> Result<Account, Error> {
    let pricing_model = match message.pricing_model() {
        pb::PricingModel::PermissionSetSeats => Some(PricingModel::PermissionSetSeats),
        pb::PricingModel::SeatsBased => Some(PricingModel::SeatsBased),
        pb::PricingModel::Unspecified => None,
    };
    let account = Account {
        display_name: message.display_name,
        subscriptions: message.subscriptions,
        pricing_model: pricing_model.unwrap_or(PricingModel::PermissionSetSeats),
        sso_enabled: message.sso_enabled,
        seats: message
            .seats
            .into_iter()
            .map(|seats| Seats {
                seat_type: seats.seat_type,
                purchased: seats.purchased,
            })
            .collect(),
    };
    let mut violations = account.violations();
    if pricing_model.is_none() {
        violations.push(("account.pricing_model".to_owned(), "is required".to_owned()));
    }
    if violations.is_empty() {
        Ok(account)
    } else {
        Err(Error::InvalidField(violations))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_its_size_or_with_its_text_and_only_the_last_without_a_token() {
        let half = PAGE_BYTES / 2;
        for (rows, size, left, token) in [
            (vec![1, 1, 1], 3, 3, ""),
            (vec![1, 1, 1, 1], 3, 3, "next"),
            (vec![1], 1, 1, ""),
            (vec![half, half, half], 3, 2, "next"),
            (vec![half - 1, half, half], 3, 3, "next"),
            (vec![half - 1, half], 3, 2, ""),
            (vec![2 * PAGE_BYTES, 1], 3, 1, "next"),
            (vec![1, half, half, half], 2, 2, "next"),
            (vec![], 3, 0, ""),
        ] {
            let mut page = rows.clone();
            let next = cut(&mut page, size, |row| *row, |_| "next".to_owned());
            assert_eq!(
                (page.len(), next.as_str()),
                (left, token),
                "{rows:?} {size}"
            );
        }
    }
}
