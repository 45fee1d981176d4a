//! The loopback DNS server of `rollcall dev`: authoritative for `example.`, from a zone file that
//! may be edited and is read again each second. It is verification's only vantage, so that the
//! whole domain story can be played without internet. Other names are forwarded to the system's
//! resolvers, so that a developer can also verify a domain that is really theirs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hickory_server::Server;
use hickory_server::proto::rr::{LowerName, Name, RecordSet, RrKey};
use hickory_server::proto::serialize::txt::Parser;
use hickory_server::resolver::config::{NameServerConfig, ResolveHosts, ResolverOpts};
use hickory_server::resolver::system_conf;
use hickory_server::store::forwarder::{ForwardConfig, ForwardZoneHandler};
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneHandler, ZoneType};
use tokio::net::{TcpListener, UdpSocket};
use tokio_util::sync::CancellationToken;

use crate::cli::Error;

/// The port that is tried first.
const PORT: u16 = 5353;
/// How long a forwarded question may take. Less than verification waits for one try, so that it
/// hears SERVFAIL of a resolver that is silent, and tries again.
const FORWARD: Duration = Duration::from_millis(800);
/// What the file holds on the first start. The SOA's last number bounds how long a resolver may
/// remember that a record is absent: 1 s.
const FIRST: &str = "\
; The zone example. of `rollcall dev`. Edit it: it is read again each second.
; Names that do not end in example. are asked of this machine's own resolvers.
$ORIGIN example.
$TTL 1
@ IN SOA ns.example. admin.example. ( 1 3600 600 86400 1 )
@ IN NS ns.example.
ns IN A 127.0.0.1
; acme.example. IN TXT \"...\"
";

/// A running server.
#[derive(Debug)]
pub struct Zone {
    /// Where it answers, over UDP and TCP.
    pub address: SocketAddr,
    /// The file.
    pub file: PathBuf,
}

/// Starts the server on 5353, or any free port if that is taken.
///
/// The system's resolvers are those of its configuration at this moment. Without one that can be
/// used, other names are refused, and `example.` is served all the same.
///
/// # Errors
/// When no port is to be had, or the zone file can't be written.
pub async fn serve(folder: &Path, stop: CancellationToken) -> Result<Zone, Error> {
    let resolvers = match system_conf::read_system_conf() {
        Ok((config, _)) => config.name_servers().to_vec(),
        Err(error) => {
            tracing::warn!(%error, "this machine names no DNS resolver: only example. is answered");
            Vec::new()
        }
    };
    start(folder, resolvers, stop).await
}

async fn start(
    folder: &Path,
    resolvers: Vec<NameServerConfig>,
    stop: CancellationToken,
) -> Result<Zone, Error> {
    let file = folder.join("example.zone");
    if !file.exists() {
        std::fs::write(&file, FIRST).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let records = parse(&text).map_err(|why| {
        format!(
            "the zone file {}: {why}. Correct it, or remove it",
            file.display()
        )
    })?;
    let origin = Name::from_ascii("example.")?;
    let handler =
        InMemoryZoneHandler::new(origin.clone(), records, ZoneType::Primary, AxfrPolicy::Deny)?;
    let handler: Arc<InMemoryZoneHandler> = Arc::new(handler);
    let mut catalog = Catalog::new();
    catalog.upsert(LowerName::from(origin), vec![handler.clone()]);
    if let Some(others) = forward(resolvers) {
        catalog.upsert(LowerName::from(Name::root()), vec![others]);
    }
    let (udp, tcp) = bind().await?;
    let address = udp.local_addr()?;
    let mut server = Server::new(catalog);
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(5), 4096);
    tokio::spawn({
        let (file, stop) = (file.clone(), stop.clone());
        async move {
            let follow = follow(&handler, &file, text);
            tokio::select! {
                () = stop.cancelled() => {}
                () = follow => {}
            }
            drop(server.shutdown_gracefully().await);
        }
    });
    Ok(Zone { address, file })
}

/// Asks `resolvers` for every name that is not ours; `None` without one that can be used. Nothing
/// is remembered: whoever corrects a record wants the next look to see it.
fn forward(resolvers: Vec<NameServerConfig>) -> Option<Arc<dyn ZoneHandler>> {
    if resolvers.is_empty() {
        return None;
    }
    let mut options = ResolverOpts::default();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = FORWARD;
    options.attempts = 0;
    // Search lists are left out: a name that is asked for here is meant as it is.
    let config = ForwardConfig {
        name_servers: resolvers,
        options: Some(options),
    };
    match ForwardZoneHandler::builder_tokio(config).build() {
        Ok(handler) => Some(Arc::new(handler)),
        Err(why) => {
            tracing::warn!(
                why,
                "the resolvers of this machine can't be used: only example. is answered"
            );
            None
        }
    }
}

/// The same number for UDP and TCP.
async fn bind() -> Result<(UdpSocket, TcpListener), Error> {
    for port in [PORT, 0, 0, 0, 0, 0, 0, 0, 0] {
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let Ok(udp) = UdpSocket::bind(at).await else {
            continue;
        };
        if let Ok(tcp) = TcpListener::bind(udp.local_addr()?).await {
            return Ok((udp, tcp));
        }
    }
    Err("no port of 127.0.0.1 is free for the DNS server".into())
}

type Records = BTreeMap<RrKey, RecordSet>;

/// The records of a zone file, or what is wrong with which line.
fn parse(text: &str) -> Result<Records, String> {
    parse_all(text).map_err(|why| {
        let lines: Vec<&str> = text.lines().collect();
        let reads = |count: &usize| {
            let first = lines.iter().take(*count);
            let first: String = first.flat_map(|line| [*line, "\n"]).collect();
            parse_all(&first).is_ok()
        };
        let good = (0..lines.len()).rev().find(reads).unwrap_or(0);
        let line = lines.get(good).unwrap_or(&"").trim();
        format!("line {}, {line:.100?}: {why}", good + 1)
    })
}

fn parse_all(text: &str) -> Result<Records, String> {
    let origin = Name::from_ascii("example.").map_err(|error| error.to_string())?;
    let parser = Parser::new(text.to_owned(), None, Some(origin));
    parser
        .parse()
        .map(|(_, records)| records)
        .map_err(|error| error.to_string())
}

/// What the zone file was at the last look.
struct Seen {
    /// Its text; `None` while it is gone.
    text: Option<String>,
    /// Whether the zone that is served is an older one.
    is_stale: bool,
}

/// What a look at the zone file brings.
#[derive(Debug)]
enum News {
    Nothing,
    /// Other records, and whether that ends a trouble.
    Zone(Records, bool),
    /// The old zone stays; why, told once.
    Trouble(String),
}

impl Seen {
    fn look(&mut self, text: Option<&str>) -> News {
        if text == self.text.as_deref() {
            return News::Nothing;
        }
        self.text = text.map(str::to_owned);
        let was_stale = self.is_stale;
        self.is_stale = true;
        match text.map(parse) {
            Some(Ok(records)) => {
                self.is_stale = false;
                News::Zone(records, was_stale)
            }
            Some(Err(why)) => News::Trouble(why),
            None => News::Trouble("it is gone: put it back".to_owned()),
        }
    }
}

/// Reads the file each second; a text that is no zone is told once and changes nothing.
async fn follow(handler: &InMemoryZoneHandler, file: &Path, known: String) {
    let mut seen = Seen {
        text: Some(known),
        is_stale: false,
    };
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let text = match tokio::fs::read_to_string(file).await {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => continue,
        };
        match seen.look(text.as_deref()) {
            News::Nothing => {}
            News::Zone(records, ends_trouble) => {
                let sets = records.into_iter().map(|(key, set)| (key, Arc::new(set)));
                *handler.records_mut().await = sets.collect();
                if ends_trouble {
                    tracing::warn!(file = %file.display(), "the zone file is read again");
                }
            }
            News::Trouble(why) => tracing::warn!(
                file = %file.display(),
                why,
                "the zone file can't be read; the zone as it was is served on"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
