//! Asking the configured resolvers through hickory, one resolver object a vantage (section 3,
//! step 4): no shared cache, no cache at all, no hosts file, no search list.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use crate::config::Resolver;
use crate::lookup::{Dns, Heard, TxtAnswer, Unavailable};

/// How long one question may take. The resolver's own time-out is for one try, of which it makes
/// two.
const DEADLINE: Duration = Duration::from_secs(2);
const TRY: Duration = Duration::from_secs(1);

/// The configured resolvers.
#[derive(Debug)]
pub(crate) struct Vantages(Vec<Vantage>);

struct Vantage {
    address: String,
    /// Why there is none: then every check answers `CHECKER_UNAVAILABLE`, and the rest of the
    /// service works.
    resolver: Result<TokioResolver, Unavailable>,
}

impl std::fmt::Debug for Vantage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)
    }
}

impl Vantages {
    /// One vantage for each of `resolvers`, or the system's resolvers as the only one.
    pub(crate) fn new(resolvers: &[Resolver]) -> Self {
        if resolvers.len() < 2 {
            tracing::warn!(
                vantages = 1,
                "domains are verified through one resolver only; configure several"
            );
        }
        if resolvers.is_empty() {
            let builder = TokioResolver::builder_tokio().map_err(|error| unavailable(&error));
            return Self(vec![Vantage {
                address: "system".to_owned(),
                resolver: builder.and_then(build),
            }]);
        }
        Self(resolvers.iter().map(vantage).collect())
    }
}

fn unavailable(error: &NetError) -> Unavailable {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a resolver can't be used"
    );
    Unavailable(error.to_string())
}

fn vantage(resolver: &Resolver) -> Vantage {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = resolver.port;
    tcp.port = resolver.port;
    let server = NameServerConfig::new(resolver.address, true, vec![udp, tcp]);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let provider = TokioRuntimeProvider::default();
    let builder = TokioResolver::builder_with_config(config, provider);
    Vantage {
        address: SocketAddr::new(resolver.address, resolver.port).to_string(),
        resolver: build(builder),
    }
}

fn build(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, Unavailable> {
    let options: &mut ResolverOpts = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.validate = false;
    options.case_randomization = true;
    // The CNAME records tell an alias from a name without records.
    options.preserve_intermediates = true;
    options.attempts = 1;
    options.timeout = TRY;
    builder.build().map_err(|error| unavailable(&error))
}

#[async_trait::async_trait]
impl Dns for Vantages {
    async fn txt(&self, owner: &str) -> Result<Vec<Heard>, Unavailable> {
        let asked = self.0.iter().map(|vantage| async move {
            let resolver = vantage.resolver.as_ref().map_err(Clone::clone)?;
            Ok(Heard {
                vantage: vantage.address.clone(),
                answer: ask(resolver, owner).await,
            })
        });
        join_all(asked).await.into_iter().collect()
    }
}

async fn ask(resolver: &TokioResolver, owner: &str) -> TxtAnswer {
    let Ok(mut name) = Name::from_ascii(owner) else {
        return TxtAnswer::ServFail;
    };
    // Without the final dot the search list would be tried.
    name.set_fqdn(true);
    let question = resolver.lookup(name.clone(), RecordType::TXT);
    match tokio::time::timeout(DEADLINE, question).await {
        Ok(Ok(lookup)) => own_records(&name, lookup.answers()),
        Ok(Err(error)) => without_records(error),
        Err(_) => TxtAnswer::Timeout,
    }
}

/// What `answers` say of `name` itself: an alias may not lend control (section 2).
///
/// Resolvers follow CNAME and DNAME records, and answer with what stands at the end of the chain.
/// Whoever controls that end does not control the domain: it may be a hosting provider's customer,
/// or whoever registers the name that a forgotten record still points at. So only a TXT record
/// whose owner is the name that was asked counts. Section 2 lets some explicit aliases count too;
/// to tell those from wildcards takes further questions, and until they are asked none counts.
fn own_records(name: &Name, answers: &[Record]) -> TxtAnswer {
    // Names are equal whatever their case.
    let own = || answers.iter().filter(|record| record.name == *name);
    let texts = own().filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    });
    let texts: Vec<Vec<u8>> = texts.collect();
    if !texts.is_empty() {
        return TxtAnswer::Records(texts);
    }
    let target = own().find_map(|record| match &record.data {
        RData::CNAME(target) => Some(as_text(target)),
        _ => None,
    });
    match target {
        Some(target) => TxtAnswer::Alias { target },
        None => TxtAnswer::NoData,
    }
}

/// In lower case, without the final dot.
fn as_text(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.trim_end_matches('.').to_owned()
}

fn without_records(error: NetError) -> TxtAnswer {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => TxtAnswer::NxDomain {
                zone: none.soa.map(|soa| as_text(&soa.name)),
            },
            ResponseCode::NoError => TxtAnswer::NoData,
            _ => TxtAnswer::ServFail,
        },
        NetError::Dns(_) => TxtAnswer::ServFail,
        _ => TxtAnswer::Timeout,
    }
}

#[cfg(test)]
mod tests;
