use std::time::Instant;

use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::net::{DnsError, NetError};
use hickory_server::proto::op::{Message, OpCode, ResponseCode};
use hickory_server::proto::rr::rdata::{SOA, TXT};
use hickory_server::proto::rr::{RData, Record, RecordType};
use hickory_server::resolver::TokioResolver;
use hickory_server::resolver::config::{ConnectionConfig, ResolverConfig};
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

use super::*;

/// What a question for a TXT record came to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Texts(Vec<String>),
    None(ResponseCode),
    Failed(ResponseCode),
    Other(String),
}

/// Dev's server on a folder of its own, with `resolvers` in the place of the system's.
struct Dev {
    zone: Zone,
    _folder: TempDir,
    _stop: DropGuard,
}

impl Dev {
    async fn start(resolvers: Vec<NameServerConfig>) -> Self {
        let folder = TempDir::new().unwrap();
        let stop = CancellationToken::new();
        let zone = start(folder.path(), resolvers, stop.clone()).await.unwrap();
        Self {
            zone,
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    /// Asks as verification does.
    async fn txt(&self, name: &str) -> Answer {
        let server = server(self.zone.address);
        let config = ResolverConfig::from_name_servers(vec![server]);
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        let options = builder.options_mut();
        options.case_randomization = true;
        options.attempts = 1;
        options.timeout = Duration::from_secs(1);
        let resolver = builder.build().unwrap();
        let name = Name::from_ascii(name).unwrap();
        match resolver.lookup(name, RecordType::TXT).await {
            Ok(found) => {
                let texts = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::TXT(txt) => Some(String::from_utf8(txt.txt_data.concat()).unwrap()),
                        _ => None,
                    });
                Answer::Texts(texts.collect())
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Answer::None(none.response_code),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => Answer::Failed(code),
            Err(other) => Answer::Other(other.to_string()),
        }
    }
}

fn server(at: SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = at.port();
    tcp.port = at.port();
    NameServerConfig::new(at.ip(), true, vec![udp, tcp])
}

/// A resolver of the system, on loopback; `missing.test.` and everything below `silent.test.` are
/// what they are called.
async fn resolver() -> NameServerConfig {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let asked = Message::from_vec(&buffer[..length]).unwrap();
            let query = asked.queries[0].clone();
            let owner = query.name().to_ascii().to_ascii_lowercase();
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            answer.add_query(query.clone());
            answer.metadata.recursion_available = true;
            match owner.as_str() {
                "silent.test." => continue,
                "missing.test." => {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                    answer.add_authority(soa());
                }
                "bare.test." => {
                    answer.add_authority(soa());
                }
                "broken.test." => answer.metadata.response_code = ResponseCode::ServFail,
                _ => {
                    let txt = RData::TXT(TXT::new(vec![format!("{owner} "), "forwarded".into()]));
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, txt));
                }
            }
            let bytes = answer.to_vec().unwrap();
            socket.send_to(&bytes, from).await.unwrap();
        }
    });
    server(address)
}

fn soa() -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let (ns, admin) = (name("ns.test."), name("admin.test."));
    let data = SOA::new(ns, admin, 1, 60, 60, 60, 60);
    Record::from_rdata(name("test."), 60, RData::SOA(data))
}

#[tokio::test]
async fn names_outside_example_are_answered_as_the_systems_resolver_answers_them() {
    let dev = Dev::start(vec![resolver().await]).await;

    for (name, answer) in [
        (
            "real.test.",
            Answer::Texts(vec!["real.test. forwarded".into()]),
        ),
        (
            "example.com.",
            Answer::Texts(vec!["example.com. forwarded".into()]),
        ),
        ("missing.test.", Answer::None(ResponseCode::NXDomain)),
        ("bare.test.", Answer::None(ResponseCode::NoError)),
        ("broken.test.", Answer::Failed(ResponseCode::ServFail)),
    ] {
        assert_eq!(dev.txt(name).await, answer, "{name}");
    }
}

#[tokio::test]
async fn names_in_example_never_leave_the_machine() {
    let dev = Dev::start(vec![resolver().await]).await;

    for name in ["example.", "unknown.example.", "a.b.example."] {
        let answer = dev.txt(name).await;

        assert!(matches!(answer, Answer::None(_)), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_resolver_that_is_silent_becomes_servfail_before_verification_gives_up() {
    let dev = Dev::start(vec![resolver().await]).await;
    let begun = Instant::now();

    let answer = dev.txt("silent.test.").await;

    assert_eq!(answer, Answer::Failed(ResponseCode::ServFail));
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_second_resolver_answers_when_the_first_does_not() {
    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let first = server(closed.local_addr().unwrap());
    let dev = Dev::start(vec![first, resolver().await]).await;

    let answer = dev.txt("real.test.").await;

    assert_eq!(answer, Answer::Texts(vec!["real.test. forwarded".into()]));
}

#[tokio::test]
async fn without_a_resolver_example_is_served_and_other_names_are_refused() {
    let dev = Dev::start(Vec::new()).await;

    let (own, other) = (
        dev.txt("unknown.example.").await,
        dev.txt("real.test.").await,
    );

    assert_eq!(own, Answer::None(ResponseCode::NXDomain));
    assert_eq!(other, Answer::Failed(ResponseCode::Refused));
}

#[test]
fn what_is_wrong_with_the_zone_file_is_told_once_with_its_line_and_when_it_is_over() {
    let mut seen = Seen {
        text: Some(FIRST.to_owned()),
        is_stale: false,
    };
    let file = |more: &str| format!("{FIRST}{more}");
    let lines = FIRST.lines().count();
    let trouble = |news| match news {
        News::Trouble(why) => why,
        other => panic!("{other:?}"),
    };

    assert!(matches!(seen.look(Some(&file(""))), News::Nothing));
    let good = "a.example. IN TXT \"x\"\n";
    assert!(matches!(seen.look(Some(&file(good))), News::Zone(_, false)));
    // Two lines became one.
    let joined = format!("{good}b IN A 127.0.0.1c.example. IN TXT \"y\"\n{good}");
    let why = trouble(seen.look(Some(&file(&joined))));
    let place = format!("line {}, \"b IN A 127.0.0.1c.example.", lines + 2);
    assert!(why.starts_with(&place), "{why}");
    assert!(matches!(seen.look(Some(&file(&joined))), News::Nothing));
    assert!(trouble(seen.look(None)).contains("gone"));
    assert!(matches!(seen.look(None), News::Nothing));
    assert!(matches!(seen.look(Some(&file(good))), News::Zone(_, true)));
    assert!(matches!(seen.look(Some(&file(""))), News::Zone(_, false)));
}
