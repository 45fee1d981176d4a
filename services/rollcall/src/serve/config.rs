//! The configuration tree: built-in defaults, then a TOML file, then the environment.
//!
//! A key `a.b` is `ROLLCALL_A__B` there. Secrets are files, named by the tree; a database URL may
//! stand in it for play, and is shown nowhere.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use figment::Figment;
use figment::providers::{Env, Format, Toml};
use rollcall_rpc::caller::CallerKind;
use rollcall_rpc::{Backend, Caller, Callers};
use rollcall_runtime::telemetry;
use rollcall_store::Database;
use rollcall_types::credential::SecretHash;
use rollcall_types::{AccountId, SecretString};
use serde::Deserialize;
use tonic::transport::Endpoint;

use super::secret;
use crate::cli::Error;
use crate::public_url::PublicUrl;

/// What holds where nothing is said.
const DEFAULTS: &str = include_str!("defaults.toml");
/// What variables of the tree begin with.
const PREFIX: &str = "ROLLCALL_";

/// The whole tree.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) gateway: Gateway,
    pub(crate) grpc: Listen,
    pub(crate) admin: Listen,
    product: Product,
    pub(crate) provisioning: Provisioning,
    pub(crate) permissions: Permissions,
    pub(crate) verification: Verification,
    #[serde(default)]
    peers: BTreeMap<String, Peer>,
    #[serde(default)]
    callers: Vec<CallerEntry>,
    #[serde(default)]
    secrets: Secrets,
    tls: Tls,
    pub(crate) log: Log,
    pub(crate) shutdown: Shutdown,
}

/// Where something is served.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listen {
    pub(crate) listen: SocketAddr,
}

/// The SCIM gateway.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    pub(crate) listen: SocketAddr,
    /// The URL under which Okta reaches it, without /scim/v2.
    public_url: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    /// The product's word in the value of a domain's TXT record.
    slug: String,
}

/// Accounts, connections and users.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provisioning {
    #[serde(default)]
    pub(crate) database: DatabaseEntry,
    eligible_subscriptions: Vec<String>,
}

/// Permission sets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Permissions {
    #[serde(default)]
    pub(crate) database: DatabaseEntry,
    minimal_keys: Vec<String>,
    max_permission_sets: usize,
}

/// Email domains.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verification {
    #[serde(default)]
    pub(crate) database: DatabaseEntry,
    resolvers: Vec<Resolver>,
    allow_special_use: bool,
    require_known_tld: bool,
    allow_private_suffix: bool,
    /// Seconds.
    max_check_interval: Option<u64>,
}

/// A vantage.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolver {
    address: IpAddr,
    port: u16,
    validate: Validate,
}

/// Whether answers are to be signed; nothing else than `off` is built yet.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Validate {
    Off,
}

/// A service's database: as those reach it who run, and as its owner does.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseEntry {
    url: Option<Hidden>,
    url_file: Option<PathBuf>,
    owner_url: Option<Hidden>,
    owner_url_file: Option<PathBuf>,
}

/// Text that may hold a password.
#[derive(Deserialize)]
#[serde(transparent)]
struct Hidden(String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A service in another process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    url: String,
    token_file: PathBuf,
}

/// Who may call the gRPC services of this process.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallerEntry {
    name: String,
    kind: Kind,
    token_sha256: String,
    #[serde(default)]
    scopes: Vec<String>,
    /// All, if not said.
    accounts: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Gateway,
    Console,
    Service,
    Platform,
    Operator,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    token_key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    /// Whether a proxy in front ends TLS.
    terminated_upstream: bool,
}

/// What is logged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) filter: String,
    pub(crate) format: telemetry::Format,
}

/// How the process ends, in seconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shutdown {
    delay: u64,
    drain: u64,
}

impl Shutdown {
    /// How long listeners stay open once it says that it is not ready any more.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_secs(self.delay)
    }

    /// How long what is under way may take to end.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }
}

/// The tree before it is given a type: each value knows where it comes from.
pub(crate) fn layers(file: Option<&Path>) -> Result<Figment, Error> {
    let mut tree = Figment::from(Toml::string(DEFAULTS));
    if let Some(file) = file {
        if !file.is_file() {
            return Err(format!("there is no configuration file {}", file.display()).into());
        }
        tree = tree.merge(Toml::file_exact(file));
    }
    // Every key of the tree is in a section; other variables of the program are not of the tree.
    let of_tree = |key: &figment::value::UncasedStr| key.as_str().contains("__");
    let variables = Env::prefixed(PREFIX).filter(of_tree);
    Ok(tree.merge(variables.map(|key| key.as_str().replace("__", ".").into())))
}

/// Reads the tree.
///
/// # Errors
/// One line that names the key and where it stands.
pub(crate) fn load(file: Option<&Path>) -> Result<Config, Error> {
    layers(file)?.extract().map_err(|error| unreadable(&error))
}

/// The first thing that is wrong, without the value, which may be a secret.
pub(crate) fn unreadable(error: &figment::Error) -> Error {
    let key = error.path.join(".");
    let place = error.metadata.as_ref().map_or_else(String::new, |from| {
        let source = from.source.as_ref().map(ToString::to_string);
        let variable = || format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        format!(" ({})", source.unwrap_or_else(variable))
    });
    let what = match &error.kind {
        figment::error::Kind::UnknownField(name, known) => {
            format!("there is no {name:?}; it may be {}", known.join(", "))
        }
        figment::error::Kind::MissingField(name) => format!("{name:?} is missing"),
        figment::error::Kind::InvalidType(_, wanted) => format!("it has to be {wanted}"),
        figment::error::Kind::UnknownVariant(_, known) => {
            format!("it has to be one of {}", known.join(", "))
        }
        _ => "it can't be read".to_owned(),
    };
    format!("configuration key {key}{place}: {what}").into()
}

impl Config {
    /// What must hold wherever it is not a developer's machine (SEC-SEC-03).
    pub(crate) fn check_transport(&self) -> Result<(), Error> {
        if self.tls.terminated_upstream {
            return Ok(());
        }
        let why = "serve speaks plain HTTP and gRPC: put what ends TLS in front of it, and say so \
                   with tls.terminated_upstream = true";
        Err(why.into())
    }

    pub(crate) fn gateway(&self) -> Result<rollcall_gateway::Config, Error> {
        let url = self.gateway.public_url.as_deref().ok_or(
            "gateway.public_url is missing: the URL under which Okta reaches the gateway, such as \
             https://scim.example.com",
        )?;
        let url = PublicUrl::from_str(url).map_err(|why| format!("gateway.public_url: {why}"))?;
        Ok(rollcall_gateway::Config::new(url.to_string()))
    }

    pub(crate) fn provisioning(&self) -> rollcall_provisioning::Config {
        rollcall_provisioning::Config {
            eligible_subscriptions: self.provisioning.eligible_subscriptions.clone(),
        }
    }

    pub(crate) fn permissions(&self) -> rollcall_permissions::Config {
        rollcall_permissions::Config {
            minimal_keys: self.permissions.minimal_keys.clone(),
            max_permission_sets: self.permissions.max_permission_sets,
            ..rollcall_permissions::Config::default()
        }
    }

    pub(crate) fn verification(&self) -> rollcall_verification::Config {
        let own = &self.verification;
        let resolvers = own.resolvers.iter().map(|resolver| {
            let Validate::Off = resolver.validate;
            rollcall_verification::Resolver {
                address: resolver.address,
                port: resolver.port,
            }
        });
        rollcall_verification::Config {
            slug: self.product.slug.clone(),
            resolvers: resolvers.collect(),
            allow_special_use: own.allow_special_use,
            require_known_tld: own.require_known_tld,
            allow_private_suffix: own.allow_private_suffix,
            max_check_interval: own.max_check_interval.map(Duration::from_secs),
            rate_limits: true,
        }
    }

    /// The key that seals change tokens, as [`secret::key`] reads it; services that need it share it.
    pub(crate) fn token_key(&self) -> Result<secret::Keys, Error> {
        let file = self.secrets.token_key.as_deref().ok_or(
            "secrets.token_key is missing: the file of the key that seals change tokens, the same \
             for provisioning and permissions; `rollcall secret key` makes one",
        )?;
        secret::keys(file)
    }

    /// A service in another process, if the tree names it; nothing is connected yet.
    pub(crate) fn peer(&self, role: &str) -> Result<Option<Backend>, Error> {
        let Some(peer) = self.peers.get(role) else {
            return Ok(None);
        };
        let endpoint = Endpoint::from_shared(peer.url.clone())
            .map_err(|_| format!("peers.{role}.url is no URL, such as http://{role}:9090"))?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(ALIVE)
            .keep_alive_while_idle(true);
        let token = secret::text(&peer.token_file)?;
        Ok(Some(Backend::peer(endpoint.connect_lazy(), &token)))
    }

    /// The peers that the tree names, with their URLs.
    pub(crate) fn peers(&self) -> impl Iterator<Item = (&str, &str)> {
        let peers = self.peers.iter();
        peers.map(|(role, peer)| (role.as_str(), peer.url.as_str()))
    }

    pub(crate) fn callers(&self) -> Result<Callers, Error> {
        let mut callers = Callers::default();
        for entry in &self.callers {
            let wrong = |what: &str| format!("[[callers]] {}: {what}", entry.name);
            let hash = read_hash(&entry.token_sha256).ok_or_else(|| {
                wrong(
                    "token_sha256 has to be 64 hexadecimal digits; `rollcall secret token` \
                       makes a token and prints them",
                )
            })?;
            let accounts = entry.accounts.as_ref().map(|accounts| {
                let accounts = accounts.iter().map(|id| AccountId::parse(id));
                accounts.collect::<Result<Vec<_>, _>>()
            });
            let accounts = accounts
                .transpose()
                .map_err(|error| wrong(&error.to_string()))?;
            callers.add_hash(
                hash,
                Caller {
                    name: entry.name.as_str().into(),
                    kind: entry.kind.into(),
                    scopes: entry.scopes.clone().into(),
                    accounts: accounts.map(Into::into),
                },
            );
        }
        Ok(callers)
    }
}

/// How long a connection to a peer may take, and how often a silent one is tried.
const CONNECT: Duration = Duration::from_secs(2);
const ALIVE: Duration = Duration::from_secs(10);

impl From<Kind> for CallerKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Gateway => Self::Gateway,
            Kind::Console => Self::Console,
            Kind::Service => Self::Service,
            Kind::Platform => Self::Platform,
            Kind::Operator => Self::Operator,
        }
    }
}

fn read_hash(text: &str) -> Option<SecretHash> {
    let digits = text.as_bytes().chunks_exact(2);
    let bytes = digits.map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    SecretHash::from_bytes(&bytes).filter(|_| text.len() == 64)
}

impl DatabaseEntry {
    /// The database as the service reaches it, which never changes its schema if it is one of
    /// PostgreSQL.
    pub(crate) fn running(&self, name: &str) -> Result<Database, Error> {
        let database = read_url(name, self.url.as_ref(), self.url_file.as_deref(), "url")?;
        let database = database.ok_or_else(|| {
            format!(
                "{name}.database.url is missing: write one like \
                 postgres://rollcall@localhost/rollcall, or name a file that holds it with url_file"
            )
        })?;
        Ok(match database {
            Database::Postgres(database) => Database::Postgres(database.as_found()),
            file @ Database::File(_) => file,
        })
    }

    /// The database as its owner reaches it, and who is to use it if that is somebody else.
    pub(crate) fn owned(&self, name: &str) -> Result<(Database, Option<String>), Error> {
        let file = self.owner_url_file.as_deref();
        let owned = read_url(name, self.owner_url.as_ref(), file, "owner_url")?;
        let running = read_url(name, self.url.as_ref(), self.url_file.as_deref(), "url")?;
        let user = |database: &Option<Database>| match database {
            Some(Database::Postgres(database)) => database.user(),
            _ => None,
        };
        // Whoever is the owner too keeps every right.
        let owner = user(&owned);
        let user = user(&running).filter(|user| owner.as_ref().is_some_and(|it| it != user));
        let database = owned.or(running).ok_or_else(|| {
            format!("{name}.database has neither owner_url nor url: say where the database is")
        })?;
        Ok((database, user))
    }
}

/// A database by its URL, from the tree or a file.
fn read_url(
    name: &str,
    text: Option<&Hidden>,
    file: Option<&Path>,
    key: &str,
) -> Result<Option<Database>, Error> {
    let url = match (text, file) {
        (Some(_), Some(_)) => {
            return Err(format!("{name}.database has {key} and {key}_file: take one").into());
        }
        (Some(Hidden(url)), None) => url.clone(),
        (None, Some(file)) => secret::text(file)?,
        (None, None) => return Ok(None),
    };
    let database = Database::from_url(&SecretString::from(url), name);
    database
        .map(Some)
        .map_err(|why| format!("{name}.database.{key}: {why}").into())
}

#[cfg(test)]
mod tests {
    use figment::value::{Dict, Value};

    use super::*;

    fn keys(prefix: &str, value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Dict(_, values) => {
                for (name, value) in values {
                    keys(&format!("{prefix}.{name}"), value, into);
                }
            }
            _ => into.push(prefix.to_owned()),
        }
    }

    fn all(tree: &Figment) -> Vec<String> {
        let mut found = Vec::new();
        for (name, value) in tree.extract::<Dict>().unwrap() {
            keys(&name, &value, &mut found);
        }
        found
    }

    #[test]
    fn the_example_names_every_key_that_has_a_default_and_none_that_is_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let file = root.join("deploy/config.example.toml");

        load(Some(&file)).unwrap();

        let example = all(&Figment::from(Toml::file(&file)));
        for key in all(&Figment::from(Toml::string(DEFAULTS))) {
            assert!(example.contains(&key), "{key}");
        }
    }

    #[test]
    fn a_hash_is_64_hexadecimal_digits() {
        assert!(read_hash(&"0a".repeat(32)).is_some());
        for text in [
            "",
            "0a",
            &"0a".repeat(31),
            &"0g".repeat(32),
            &"0a".repeat(33),
        ] {
            assert!(read_hash(text).is_none(), "{text}");
        }
    }
}
