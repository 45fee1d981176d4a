//! A real authoritative server that signs its zone (Knot DNS), and a real resolver that validates
//! what it says (Unbound), on addresses of loopback that no other test has.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(60);
/// The zone that is served.
pub(crate) const ZONE: &str = "acme.example";
const PORT: u16 = 5300;

/// Both servers; they end when this is dropped.
pub(crate) struct Servers {
    folder: TempDir,
    /// Where the resolver answers.
    pub(crate) resolver: SocketAddr,
    _knot: Child,
    _unbound: Child,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("rollcall-dns")
            .tempdir()
            .unwrap();
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        // Of this process alone, beside those of its cluster.
        let ip = Ipv4Addr::new(127, 1 + high % 120, middle, low);
        let (authority, resolver) = (at(ip, 0), at(ip, 1));
        write(&folder, "knot.conf", &knot(folder.path(), authority));
        write(&folder, &format!("{ZONE}.zone"), &zone());
        let authoritative = run("knotd", &["-c", "knot.conf"], folder.path());
        until_answers(authority).await;
        let anchor = anchor(folder.path()).await;
        write(
            &folder,
            "unbound.conf",
            &unbound(folder.path(), authority, resolver, &anchor),
        );
        let validating = run("unbound", &["-d", "-c", "unbound.conf"], folder.path());
        until_answers(resolver).await;
        Self {
            folder,
            resolver,
            _knot: authoritative,
            _unbound: validating,
        }
    }

    /// Publishes a TXT record at the zone's own name.
    pub(crate) async fn publish(&self, value: &str) {
        let text = format!("\"{value}\"");
        for command in [
            vec!["zone-begin", ZONE],
            vec!["zone-set", ZONE, "@", "1", "TXT", &text],
            vec!["zone-commit", ZONE],
        ] {
            control(self.folder.path(), &command).await;
        }
    }

    /// Whether the resolver says that what the zone says is authentic (RFC 4035, section 3.2.3).
    pub(crate) async fn validates(&self) -> bool {
        let answer = ask(self.resolver).await.unwrap();
        answer[3] & 0x20 != 0
    }
}

fn at(ip: Ipv4Addr, offset: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(ip), PORT + offset)
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).unwrap();
}

fn knot(folder: &Path, at: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "server:\n    rundir: \"{folder}\"\n    listen: {}@{}\n\
         database:\n    storage: \"{folder}\"\n\
         control:\n    listen: \"{folder}/knot.sock\"\n\
         log:\n  - target: stderr\n    any: warning\n\
         policy:\n  - id: signed\n    algorithm: ecdsap256sha256\n    single-type-signing: on\n\
         template:\n  - id: default\n    storage: \"{folder}\"\n    file: \"%s.zone\"\n    \
         zonefile-sync: -1\n    zonefile-load: difference\n    journal-content: changes\n    \
         dnssec-signing: on\n    dnssec-policy: signed\n\
         zone:\n  - domain: {ZONE}\n",
        at.ip(),
        at.port()
    )
}

fn zone() -> String {
    format!(
        "$ORIGIN {ZONE}.\n$TTL 1\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"
    )
}

fn unbound(folder: &Path, authority: SocketAddr, at: SocketAddr, anchor: &str) -> String {
    format!(
        "server:\n  interface: {}\n  port: {}\n  access-control: 127.0.0.0/8 allow\n  chroot: \"\"\n  \
         username: \"\"\n  directory: \"{}\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: \"\"\n  \
         do-daemonize: no\n  do-not-query-localhost: no\n  module-config: \"validator iterator\"\n  \
         trust-anchor: \"{anchor}\"\n  cache-max-ttl: 1\n  cache-max-negative-ttl: 1\n\
         remote-control:\n  control-enable: no\n\
         stub-zone:\n  name: \"{ZONE}\"\n  stub-addr: {}@{}\n",
        at.ip(),
        at.port(),
        folder.display(),
        authority.ip(),
        authority.port()
    )
}

/// The DS record of the zone's key, as whoever trusts it knows it.
async fn anchor(folder: &Path) -> String {
    let mut keys = command("keymgr", folder);
    let told = keys
        .args(["-c", "knot.conf", ZONE, "ds"])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    // One for each digest: SHA-256 is the one of type 2.
    let record = text
        .lines()
        .find(|line| line.contains(" DS ") && line.contains(" 13 2 "));
    record.unwrap_or_else(|| panic!("{text}")).to_owned()
}

async fn control(folder: &Path, args: &[&str]) {
    let mut control = command("knotc", folder);
    let ran = control
        .arg("-s")
        .arg(folder.join("knot.sock"))
        .args(args)
        .output();
    let ran = ran.await.unwrap();
    assert!(ran.status.success(), "{args:?}: {ran:?}");
}

fn run(name: &str, args: &[&str], folder: &Path) -> Child {
    let mut server = command(name, folder);
    server
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    server.spawn().unwrap()
}

/// A program of Debian's packages, which keeps servers off the PATH of users.
fn command(name: &str, folder: &Path) -> Command {
    let debian = PathBuf::from("/usr/sbin").join(name);
    let program = if debian.is_file() {
        debian
    } else {
        PathBuf::from(name)
    };
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

async fn until_answers(at: SocketAddr) {
    let begun = Instant::now();
    // NOERROR: whatever is asked, the zone is there.
    while ask(at).await.is_none_or(|answer| answer[3] & 0x0f != 0) {
        assert!(begun.elapsed() < START, "{at} does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a server answers to a question for the zone's SOA record: the header at least.
async fn ask(at: SocketAddr) -> Option<Vec<u8>> {
    // Recursion is wanted, and to be told whether the answer is authentic (RFC 6840, section 5.7).
    let mut question = vec![0x12, 0x34, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ZONE.split('.') {
        question.push(u8::try_from(label.len()).unwrap());
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 6, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(at).await.ok()?;
    socket.send(&question).await.ok()?;
    let mut answer = vec![0; 4096];
    let heard = tokio::time::timeout(Duration::from_secs(2), socket.recv(&mut answer));
    let length = heard.await.ok()?.ok()?;
    answer.truncate(length);
    (answer.len() >= 12).then_some(answer)
}
