use std::net::Ipv4Addr;
use std::time::Instant;

use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::rdata::{CNAME, SOA, TXT};
use tokio::net::UdpSocket;

use rollcall_types::{OsEntropy, Timestamp};

use super::*;
use crate::challenge::Challenge;
use crate::judge::{Look, judge};

fn soa(zone: &str) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let data = SOA::new(
        name("ns.example."),
        name("admin.example."),
        1,
        60,
        60,
        60,
        60,
    );
    Record::from_rdata(name(zone), 60, RData::SOA(data))
}

fn txt(owner: &str, texts: &[&str]) -> Record {
    let texts = texts.iter().map(|text| (*text).to_owned()).collect();
    let owner = Name::from_ascii(owner).unwrap();
    Record::from_rdata(owner, 60, RData::TXT(TXT::new(texts)))
}

fn cname(owner: &str, target: &str) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

const ATTACKER: &str = "host.attacker.example.";

/// A name server on loopback that answers by owner name. Whoever controls [`ATTACKER`] publishes
/// `value` there.
async fn serve(value: &str) -> Resolver {
    let value = value.to_owned();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
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
                "records.example." => {
                    for texts in [&["v=spf1 ", "-all"][..], &["one"]] {
                        answer.add_answer(txt(&owner, texts));
                    }
                }
                "chain.example." => {
                    answer.add_answer(cname(&owner, "Middle.example."));
                    answer.add_answer(cname("middle.example.", ATTACKER));
                    answer.add_answer(txt(ATTACKER, &[&value]));
                }
                "backwards.example." => {
                    answer.add_answer(txt(ATTACKER, &[&value]));
                    answer.add_answer(cname(&owner, ATTACKER));
                }
                // A server that leaves the rest of the chain to whoever asks.
                "hop.example." => {
                    answer.add_answer(cname(&owner, ATTACKER));
                }
                ATTACKER => {
                    answer.add_answer(txt(&owner, &[&value]));
                }
                // Against RFC 1034, section 3.6.2, and seen all the same.
                "beside.example." => {
                    answer.add_answer(txt("Beside.EXAMPLE.", &["own"]));
                    answer.add_answer(cname(&owner, ATTACKER));
                    answer.add_answer(txt(ATTACKER, &[&value]));
                }
                "stray.example." => {
                    answer.add_answer(txt(ATTACKER, &[&value]));
                }
                _ if owner.ends_with("apex.example.") || owner.ends_with(".wildcard.example.") => {
                    answer.add_answer(cname(&owner, ATTACKER));
                    answer.add_answer(txt(ATTACKER, &[&value]));
                }
                "wildcard.example." => {
                    answer.add_answer(txt(&owner, &["v=spf1 -all"]));
                }
                "nodata.example." => {
                    answer.add_authority(soa("nodata.example."));
                }
                "nxdomain.example." => {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                    answer.add_authority(soa("Example."));
                }
                "servfail.example." => answer.metadata.response_code = ResponseCode::ServFail,
                "refused.example." => answer.metadata.response_code = ResponseCode::Refused,
                _ => continue,
            }
            socket
                .send_to(&answer.to_vec().unwrap(), from)
                .await
                .unwrap();
        }
    });
    Resolver {
        address: Ipv4Addr::LOCALHOST.into(),
        port,
    }
}

#[tokio::test]
async fn hickory_tells_every_kind_of_answer_apart() {
    let server = serve("").await;
    let vantages = Vantages::new(&[server]);
    let nxdomain = TxtAnswer::NxDomain {
        zone: Some("example".to_owned()),
    };
    let records = [b"v=spf1 -all".to_vec(), b"one".to_vec()];
    for (owner, answer) in [
        ("records.example", TxtAnswer::Records(records.to_vec())),
        ("nodata.example", TxtAnswer::NoData),
        ("nxdomain.example", nxdomain),
        ("servfail.example", TxtAnswer::ServFail),
        ("refused.example", TxtAnswer::ServFail),
        ("silent.example", TxtAnswer::Timeout),
    ] {
        let begun = Instant::now();

        let heard = vantages.txt(owner).await.unwrap();

        assert_eq!(heard.len(), 1);
        assert_eq!(heard[0].answer, answer, "{owner}");
        assert_eq!(heard[0].vantage, format!("127.0.0.1:{}", server.port));
        assert!(begun.elapsed() < DEADLINE + TRY, "{owner}");
    }
}

#[tokio::test]
async fn vantages_share_nothing_and_keep_their_order() {
    let (one, other) = (serve("").await, serve("").await);
    let dead = Resolver { port: 9, ..one };
    let vantages = Vantages::new(&[dead, one, other]);

    let heard = vantages.txt("records.example").await.unwrap();

    assert_eq!(heard.len(), 3);
    assert_eq!(heard[0].answer, TxtAnswer::Timeout);
    for (heard, resolver) in heard.iter().zip([dead, one, other]) {
        assert_eq!(heard.vantage, format!("127.0.0.1:{}", resolver.port));
    }
    assert!(matches!(heard[1].answer, TxtAnswer::Records(_)));
    assert_eq!(heard[1].answer, heard[2].answer);
}

#[tokio::test] // rule: D-02
async fn only_a_record_of_the_very_name_counts_not_one_at_the_end_of_an_alias() {
    let vantages = Vantages::new(&[serve("lent").await]);
    let alias = |target: &str| TxtAnswer::Alias {
        target: target.to_owned(),
    };
    let attacker = || alias("host.attacker.example");
    for (owner, answer) in [
        ("apex.example", attacker()),
        ("_rollcall-challenge.wildcard.example", attacker()),
        ("chain.example", alias("middle.example")),
        ("backwards.example", attacker()),
        ("hop.example", attacker()),
        ("stray.example", TxtAnswer::NoData),
        ("beside.example", TxtAnswer::Records(vec![b"own".to_vec()])),
    ] {
        let heard = vantages.txt(owner).await.unwrap();

        assert_eq!(heard[0].answer, answer, "{owner}");
    }
}

#[tokio::test] // rule: D-02, D-04 (part)
async fn whoever_controls_the_target_of_an_alias_does_not_take_the_domain() {
    let now = Timestamp::parse("2026-11-24T09:00:00Z").unwrap();
    let challenge = Challenge::first("rollcall", &OsEntropy, now);
    let vantages = Vantages::new(&[serve(&challenge.value()).await]);
    for name in ["apex.example", "wildcard.example"] {
        let below = format!("_rollcall-challenge.{name}");

        let look = Look {
            name,
            registrable: name,
            at_domain: &vantages.txt(name).await.unwrap(),
            at_challenge: &vantages.txt(&below).await.unwrap(),
        };

        let diagnosis = judge(&challenge, &look).proof.unwrap_err();
        assert_eq!(diagnosis.reason, "CNAME_AT_NAME", "{name}");
        assert_eq!(diagnosis.facts["target"], "host.attacker.example");
    }
}
