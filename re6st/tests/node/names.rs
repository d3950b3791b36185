//! A node answers what others are called, as the registry calls the network.

use std::net::{Ipv6Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use crate::lab::{Lab, connected, eventually};

fn question(name: &str, what: RecordType) -> Vec<u8> {
    let mut question = Message::new(7, MessageType::Query, OpCode::Query);
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), what));
    question.to_vec().unwrap()
}

async fn ask(at: SocketAddr, name: &str, what: RecordType) -> Message {
    let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(b"no question", at).await.unwrap();
    socket.send_to(&question(name, what), at).await.unwrap();
    let mut answer = [0; 1500];
    let (length, _) = socket.recv_from(&mut answer).await.unwrap();
    Message::from_vec(&answer[..length]).unwrap()
}

async fn ask_by_connection(at: SocketAddr, names: &[&str], what: RecordType) -> Vec<Message> {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let mut answers = Vec::new();
    for name in names {
        let question = question(name, what);
        let length = u16::try_from(question.len()).unwrap();
        stream.write_u16(length).await.unwrap();
        stream.write_all(&question).await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await.unwrap();
        answers.push(Message::from_vec(&answer).unwrap());
    }
    answers
}

fn told(answer: &Message) -> String {
    let records = answer.answers.iter();
    let texts: Vec<_> = records.map(|record| record.data.to_string()).collect();
    texts.join(" ")
}

#[tokio::test]
async fn a_node_answers_for_all_of_its_network() {
    let lab = Lab::open();
    let _registry = lab.serve();
    let node = lab.start("COMP-2", lab.source("COMP-2"), &lab.machine());
    let first = lab.start("COMP-1", lab.source("COMP-1"), &lab.machine());
    connected(&node).await;
    connected(&first).await;

    let env = node.names_env().unwrap();
    let (server, domains) = env.split_once('\n').unwrap();
    assert_eq!(
        domains,
        "DOMAINS=\"~cloud.example ~a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa\"\n"
    );
    let server = server.trim_start_matches("SERVER=").trim_matches('"');
    let at: SocketAddr = server.parse().unwrap();

    let of_first = ask(at, "comp-1.cloud.example.", RecordType::AAAA).await;
    let prefix = first.status().unwrap().prefix.unwrap();
    let address = first.status().unwrap().address.unwrap();
    assert_eq!(told(&of_first), address.to_string());
    let partition = ask(at, "slappart7.COMP-1.cloud.example.", RecordType::AAAA).await;
    let seventh = Ipv6Addr::from(u128::from(prefix.network()) + 9);
    assert_eq!(told(&partition), seventh.to_string());

    let back = Name::from(seventh).to_ascii();
    let answers = ask_by_connection(at, &[&back, &back], RecordType::PTR).await;
    for answer in answers {
        assert_eq!(told(&answer), "slappart7.comp-1.cloud.example.");
    }
    let nobody = ask(at, "comp-9.cloud.example.", RecordType::AAAA).await;
    assert_eq!(nobody.metadata.response_code, ResponseCode::NXDomain);
    let other = ask(at, "www.example.org.", RecordType::AAAA).await;
    assert_eq!(other.metadata.response_code, ResponseCode::Refused);

    let third = lab.start("COMP-3", lab.source("COMP-3"), &lab.machine());
    connected(&third).await;
    let address = third.status().unwrap().address.unwrap().to_string();
    for _ in 0..100 {
        let answer = ask(at, "comp-3.cloud.example.", RecordType::AAAA).await;
        if told(&answer) == address {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("who joined later has no name");
}

#[tokio::test]
async fn a_port_that_is_taken_keeps_the_node_from_nothing_else() {
    let lab = Lab::open();
    let _registry = lab.serve();
    let taken = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let at = taken.local_addr().unwrap();
    let _first = lab.start("COMP-1", lab.source("COMP-1"), &lab.machine());
    let node = lab.start_at(at, "COMP-2", lab.source("COMP-2"), &lab.machine());
    connected(&node).await;
    assert_eq!(node.names_env(), None, "nobody is sent there");
    drop(taken);
    eventually("it answers once the port is free", || {
        node.names_env().ok_or(())
    })
    .await;
}
