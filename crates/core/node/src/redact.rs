//! How what is private prints: kinds and sizes, never content, seeds or names.
//!
//! Written by hand, so that no log, error or failed assertion can show what an enclave keeps private.

use std::fmt;

use synod_types::ByteCount;

use crate::event::{Action, ClientRequest, Governed, QueryAnswer};
use crate::genesis::Genesis;
use crate::government::Government;
use crate::peer::PeerMessage;
use crate::request_digest::RequestDigest;
use crate::requests::{RequestKey, RequestTable};
use crate::start::Config;

/// Types that print as their name alone.
macro_rules! opaque {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("token", &self.token)
            .field("adapter", &self.adapter)
            .field("calls", &ByteCount::of_each(&self.calls))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for QueryAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.debug_tuple("Status").field(status).finish(),
            Self::Transaction(status) => f.debug_tuple("Transaction").field(status).finish(),
            Self::Receipt(receipt) => f.debug_tuple("Receipt").field(&ByteCount::of(receipt)).finish(),
            Self::ReadIndex(txid) => f.debug_tuple("ReadIndex").field(txid).finish(),
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { to, bytes } => {
                f.debug_struct("Send").field("to", to).field("bytes", &ByteCount::of(bytes)).finish()
            }
            Self::Append(append) => f.debug_tuple("Append").field(append).finish(),
            Self::ReadLedger { ticket, range } => {
                f.debug_struct("ReadLedger").field("ticket", ticket).field("range", range).finish()
            }
            Self::Worker(message) => f.debug_tuple("Worker").field(message).finish(),
            Self::Respond(responses) => f.debug_tuple("Respond").field(responses).finish(),
            Self::ProveAnew(requests) => f.debug_tuple("ProveAnew").field(requests).finish(),
            Self::Answer { token, result } => {
                f.debug_struct("Answer").field("token", token).field("result", result).finish()
            }
            Self::ServiceRotated(service) => f.debug_tuple("ServiceRotated").field(service.verifying_key()).finish(),
            Self::Governed(governed) => f.debug_tuple("Governed").field(governed).finish(),
            Self::Circle(nodes) => f.debug_tuple("Circle").field(nodes).finish(),
            Self::Serving(serving) => f.debug_tuple("Serving").field(serving).finish(),
            Self::Committed { txid, .. } => f.debug_tuple("Committed").field(txid).finish(),
            Self::Stop { reason } => f.debug_struct("Stop").field("reason", reason).finish(),
        }
    }
}

impl fmt::Debug for Governed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governed").field("txid", &self.txid).field("events", &self.events.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for PeerMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consensus(bytes) => f.debug_tuple("Consensus").field(&ByteCount::of(bytes)).finish(),
            Self::Forward(requests) => f.debug_tuple("Forward").field(requests).finish(),
            Self::ForwardReply(responses) => f.debug_tuple("ForwardReply").field(responses).finish(),
            Self::Resume => f.write_str("Resume"),
            Self::Remembered { promise, circle } => f.debug_tuple("Remembered").field(promise).field(circle).finish(),
            Self::Removed => f.write_str("Removed"),
            Self::Synced { view, index } => f.debug_struct("Synced").field("view", view).field("index", index).finish(),
        }
    }
}

// What these hold names actors, or requests by ids that may be hashes of what is asked for.
opaque! { RequestDigest RequestKey RequestTable Government }

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("id", &self.id).field("times", &self.times).finish_non_exhaustive()
    }
}

impl fmt::Debug for Genesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Genesis")
            .field("actors", &self.constitution.actors.len())
            .field("nodes", &self.constitution.nodes.len())
            .field("adapters", &self.constitution.adapters.len())
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_crypto::x509::{Validity, actor_certificate};
    use synod_crypto::{ActorKey, NodeKey, ServiceKey, SessionKeys};
    use synod_governance::Role;
    use synod_types::{ActorId, AdapterId, Epoch, NodeId, RequestId, Time, TxId, Untrusted};
    use synod_worker::Reply;

    use super::*;
    use crate::event::{Answer, Event, Proof, Response};

    /// 32 bytes that are looked for as text, as numbers and in hexadecimal.
    const MARKER: &str = "the-planted-marker-of-this-test!";

    fn check(value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        for found in [&MARKER[..8], "116, 104, 101", "746865"] {
            assert!(!text.contains(found), "{text}");
        }
    }

    #[test]
    fn events_actions_and_messages_print_no_content() {
        let content = || Bytes::from_static(MARKER.as_bytes());
        let marker = *MARKER.as_bytes().first_chunk::<32>().unwrap();
        let request = ClientRequest {
            token: 1,
            actor: ActorId(marker),
            proof: Proof::default(),
            request_id: RequestId(*marker.first_chunk().unwrap()),
            adapter: AdapterId(0),
            calls: vec![content()],
        };
        let response = Response {
            token: 1,
            result: Ok(Answer { txid: TxId::default(), replies: vec![Reply::text(200, MARKER)] }),
        };
        let mut table = RequestTable::default();
        check(&table.key(request.actor, request.request_id));
        check(&table);
        check(&Event::Requests(vec![request.clone()]));
        check(&Event::PeerMessage { from: NodeId(1), bytes: Untrusted::new(content()) });
        check(&Action::Send { to: NodeId(1), bytes: content() });
        check(&Action::Respond(vec![response.clone()]));
        check(&Action::Answer { token: 1, result: Ok(QueryAnswer::Receipt(content())) });
        check(&PeerMessage::Consensus(content()));
        check(&PeerMessage::Forward(vec![request]));
        check(&PeerMessage::ForwardReply(vec![response]));
    }

    #[test]
    fn what_a_network_begins_with_and_a_node_is_told_print_no_name_setting_or_seed() {
        let key = ActorKey::generate();
        let validity = Validity { from: Time(0), until: Time(4_000_000_000_000_000) };
        let organisation = || (MARKER.to_owned(), actor_certificate(&key, MARKER, validity));
        let node_key = NodeKey::generate();
        let (name, certificate) = organisation();
        let mut genesis = Genesis::new(MARKER, Time(1)).unwrap();
        genesis.add_actor(Role::Member, &name, &certificate).unwrap();
        let owner = certificate.actor_id();
        genesis.add_node(NodeId(1), MARKER, owner, node_key.verifying_key(), "127.0.0.1:7001").unwrap();
        genesis.add_adapter("log", MARKER).unwrap();
        check(&genesis);
        check(&Config {
            id: NodeId(1),
            node_key,
            service_key: ServiceKey::generate(),
            session_keys: SessionKeys::generate(Epoch(1)),
            seed: *MARKER.as_bytes().first_chunk().unwrap(),
            times: None,
        });
    }
}
