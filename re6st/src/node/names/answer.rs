//! Questions of DNS and their answers, as datagrams. Pure.
//!
//! It is the authority for one network and nothing else: it asks nobody, and refuses what is not its own.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use super::zone::{Found, TTL, Zone};

/// The longest datagram that passes everywhere.
const PAYLOAD: u16 = 1232;

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered, if only that there is nothing.
    Answered,
    /// It is nothing that is answered here.
    Refused,
}

/// How the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Datagram,
    Stream,
}

/// Returns the answer to a question; nothing to what is none.
pub(super) fn answer(
    zone: Option<&Zone>,
    question: &[u8],
    transport: Transport,
) -> Option<(Vec<u8>, Outcome)> {
    let question = Message::from_vec(question).ok()?;
    if question.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.add_queries(question.queries.iter().cloned());
    if let Some(edns) = &question.edns {
        let mut own = Edns::new();
        own.set_max_payload(PAYLOAD);
        own.set_dnssec_ok(edns.flags().dnssec_ok);
        reply.set_edns(own);
    }
    let code = fill(&mut reply, zone, &question);
    reply.metadata.response_code = code;
    let outcome = if matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
        Outcome::Answered
    } else {
        Outcome::Refused
    };
    let bytes = reply.to_vec().ok()?;
    let room = usize::from(question.max_payload().min(PAYLOAD));
    if transport == Transport::Datagram && bytes.len() > room {
        return Some((reply.truncate().to_vec().ok()?, outcome));
    }
    Some((bytes, outcome))
}

/// Puts the answer into a reply; returns whether there is one.
fn fill(reply: &mut Message, zone: Option<&Zone>, question: &Message) -> ResponseCode {
    if question.version() > 0 {
        return ResponseCode::BADVERS;
    }
    if question.metadata.op_code != OpCode::Query {
        return ResponseCode::NotImp;
    }
    let [query] = question.queries.as_slice() else {
        return ResponseCode::FormErr;
    };
    let Some(zone) = zone else {
        // The node has not joined a network yet.
        return ResponseCode::ServFail;
    };
    let is_internet = matches!(query.query_class(), DNSClass::IN | DNSClass::ANY);
    let is_transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    if !is_internet || is_transfer {
        return ResponseCode::Refused;
    }
    let (apex, records, code) = match zone.find(query.name()) {
        Found::Elsewhere => return ResponseCode::Refused,
        Found::Nothing(apex) => (apex, Vec::new(), ResponseCode::NXDomain),
        Found::Records(apex, records) => (apex, records, ResponseCode::NoError),
    };
    reply.metadata.authoritative = true;
    let records = records
        .into_iter()
        .filter(|record| is_asked_for(query, record));
    let record = |data| Record::from_rdata(query.name().clone(), TTL, data);
    reply.add_answers(records.map(record));
    if reply.answers.is_empty() {
        let authority = RData::SOA(zone.authority());
        reply.add_authority(Record::from_rdata(apex, TTL, authority));
    }
    code
}

fn is_asked_for(query: &Query, record: &RData) -> bool {
    [RecordType::ANY, record.record_type()].contains(&query.query_type())
}

#[cfg(test)]
mod tests;
