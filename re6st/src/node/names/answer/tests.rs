//! What is said to whom.

use hickory_proto::rr::Name;
use proptest::prelude::*;

use super::*;
use crate::node::policy::tests::{document, peer};

fn zone() -> Zone {
    Zone::new(&document(2, vec![peer(1, None)])).unwrap()
}

fn question(name: &str, what: RecordType) -> Message {
    let mut question = Message::new(0x1234, MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name).unwrap(), what));
    question
}

fn ask(question: &Message) -> (Message, Outcome) {
    let bytes = question.to_vec().unwrap();
    let (bytes, outcome) = answer(Some(&zone()), &bytes, Transport::Datagram).unwrap();
    (Message::from_vec(&bytes).unwrap(), outcome)
}

fn code(question: &Message) -> ResponseCode {
    ask(question).0.metadata.response_code
}

#[test]
fn an_answer_is_authoritative_and_short_lived() {
    let question = question("Comp-1.SLAPBOX.internal.", RecordType::AAAA);
    let (reply, outcome) = ask(&question);
    assert_eq!(outcome, Outcome::Answered);
    assert_eq!(reply.metadata.id, 0x1234);
    assert_eq!(reply.metadata.message_type, MessageType::Response);
    assert!(reply.metadata.authoritative && reply.metadata.recursion_desired);
    assert!(!reply.metadata.recursion_available);
    assert!(reply.queries[0].name().eq_case(question.queries[0].name()));
    let [record] = reply.answers.as_slice() else {
        panic!("{reply:?}");
    };
    assert_eq!((record.ttl, reply.authorities.len()), (60, 0));
    assert_eq!(record.data.to_string(), "fd12:3456:789a:1::1");
    assert!(
        reply.edns.is_none(),
        "who does not ask for it does not get it"
    );
}

#[test]
fn nothing_and_nobody_are_told_with_who_says_so() {
    let nothing = question("comp-1.slapbox.internal.", RecordType::A);
    let nobody = question("comp-9.slapbox.internal.", RecordType::AAAA);
    for (question, code) in [
        (nothing, ResponseCode::NoError),
        (nobody, ResponseCode::NXDomain),
    ] {
        let (reply, outcome) = ask(&question);
        assert_eq!(
            (reply.metadata.response_code, outcome),
            (code, Outcome::Answered)
        );
        assert!(reply.metadata.authoritative && reply.answers.is_empty());
        let authority = &reply.authorities[0];
        assert_eq!(authority.name.to_ascii(), "slapbox.internal.");
        assert_eq!(authority.record_type(), RecordType::SOA);
    }
    let (all, _) = ask(&question("slapbox.internal.", RecordType::ANY));
    assert_eq!(all.answers.len(), 2);
    let (servers, _) = ask(&question("slapbox.internal.", RecordType::NS));
    assert_eq!(
        servers.answers[0].data.to_string(),
        "comp-2.slapbox.internal."
    );
}

#[test]
fn what_is_not_ours_is_refused() {
    let own = "comp-1.slapbox.internal.";
    let refused = ResponseCode::Refused;
    assert_eq!(code(&question("example.org.", RecordType::AAAA)), refused);
    assert_eq!(code(&question(own, RecordType::AXFR)), refused);
    let mut chaos = question(own, RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(code(&chaos), refused);
    let mut update = question(own, RecordType::AAAA);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(code(&update), ResponseCode::NotImp);
    let mut two = question(own, RecordType::AAAA);
    two.add_query(two.queries[0].clone());
    assert_eq!(code(&two), ResponseCode::FormErr);
    let bytes = question(own, RecordType::AAAA).to_vec().unwrap();
    let (early, outcome) = answer(None, &bytes, Transport::Datagram).unwrap();
    let early = Message::from_vec(&early).unwrap();
    assert_eq!(early.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(outcome, Outcome::Refused);
}

#[test]
fn extensions_are_answered_in_kind() {
    let mut extended = question("comp-1.slapbox.internal.", RecordType::AAAA);
    let mut edns = Edns::new();
    edns.set_max_payload(4096).set_dnssec_ok(true);
    extended.set_edns(edns.clone());
    let (reply, _) = ask(&extended);
    let said = reply.edns.unwrap();
    assert_eq!((said.version(), said.max_payload()), (0, 1232));
    assert!(said.flags().dnssec_ok);
    edns.set_version(1);
    extended.set_edns(edns);
    // The number means another thing in other places, which is how it is read.
    assert_eq!(code(&extended).high(), ResponseCode::BADVERS.high());
    assert_eq!(code(&extended).low(), ResponseCode::BADVERS.low());
}

#[test]
fn what_is_no_question_is_not_answered() {
    let zone = zone();
    let silent = |bytes: &[u8]| answer(Some(&zone), bytes, Transport::Datagram).is_none();
    let whole = question("comp-1.slapbox.internal.", RecordType::AAAA);
    let bytes = whole.to_vec().unwrap();
    for length in 0..bytes.len() {
        assert!(silent(&bytes[..length]), "{length}");
    }
    let mut reply = whole;
    reply.metadata.message_type = MessageType::Response;
    assert!(
        silent(&reply.to_vec().unwrap()),
        "two servers would talk for ever"
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_with_its_number_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Some((reply, _)) = answer(Some(&zone()), &bytes, Transport::Datagram) {
            prop_assert_eq!(&reply[..2], &bytes[..2]);
            prop_assert!(reply.len() <= usize::from(PAYLOAD));
        }
    }

    #[test]
    fn a_question_that_was_damaged_does_no_harm(at in 0_usize..70, with: u8, more in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut extended = question("slappart7.comp-1.slapbox.internal.", RecordType::AAAA);
        extended.set_edns(Edns::new());
        let mut bytes = extended.to_vec().unwrap();
        bytes.extend(more);
        let at = at % bytes.len();
        bytes[at] = with;
        if let Some((reply, _)) = answer(Some(&zone()), &bytes, Transport::Datagram) {
            prop_assert_eq!(&reply[..2], &bytes[..2]);
        }
    }

    #[test]
    fn any_name_gets_an_answer_that_is_understood(labels in prop::collection::vec("[a-zA-Z0-9-]{1,40}", 0..5), apex in 0_usize..3, what: u16) {
        let apex = ["slapbox.internal.", "a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa.", "org."][apex];
        let apex = Name::from_ascii(apex).unwrap();
        let name = labels.iter().fold(apex, |name, label| name.prepend_label(label.as_str()).unwrap_or(name));
        let asked = question(&name.to_ascii(), RecordType::from(what));
        if let Some((reply, _)) = answer(Some(&zone()), &asked.to_vec().unwrap(), Transport::Datagram) {
            prop_assert!(reply.len() <= 512, "{}", reply.len());
            let reply = Message::from_vec(&reply).unwrap();
            prop_assert_eq!(reply.queries, asked.queries);
        }
    }
}
