use std::net::Ipv4Addr;
use std::time::Instant;

use hickory_resolver::proto::op::{Message, OpCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{SOA, TXT};
use tokio::net::UdpSocket;

use super::*;

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

/// A name server on loopback that answers by owner name.
async fn serve() -> Resolver {
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
                    for texts in [vec!["v=spf1 ", "-all"], vec!["one"]] {
                        let texts = texts.into_iter().map(str::to_owned).collect();
                        let txt = RData::TXT(TXT::new(texts));
                        answer.add_answer(Record::from_rdata(query.name().clone(), 60, txt));
                    }
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
    let server = serve().await;
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
    let (one, other) = (serve().await, serve().await);
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
