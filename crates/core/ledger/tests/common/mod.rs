//! A small network's keys, and a ledger made with them.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "unwrap belongs to tests")]

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_crypto::{AdminKey, ApplicationKey, NodeKey, ServiceKey, SessionKeys};
use synod_ledger::{
    ActorRecord, AdminRecord, CallRecord, Content, GenesisParts, GenesisPublic, Moment, NodeKeys, RequestRecord,
    Sealed, Sealer, SignerChange, Tip, check_genesis, seal_genesis,
};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::chunk::{FileHeader, append_record, file_name};
use synod_types::{ActorId, AdapterId, Digest, Epoch, LogIndex, NodeId, RequestId, Seqno, Time, View};

pub struct Network {
    pub service: ServiceKey,
    pub keys: SessionKeys,
    pub sealers: Vec<Sealer>,
    pub genesis: Sealed,
}

impl Network {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    pub fn seeded(seed: u8) -> Self {
        Self::with(seed, false)
    }

    /// A network whose administrative part everyone may read.
    pub fn public() -> Self {
        Self::with(1, true)
    }

    fn with(seed: u8, admin_is_public: bool) -> Self {
        let service = ServiceKey::from_seed(&[seed; 32]);
        let keys = session_keys(seed);
        let node_key = |id: u8| NodeKey::from_seed(&[seed.wrapping_add(id); 32]);
        let nodes: BTreeMap<_, _> =
            (1..=3).map(|id| (NodeId(u64::from(id)), node_key(id).verifying_key().clone())).collect();
        let sealers =
            (1..=3).map(|id| Sealer::new(NodeId(u64::from(id)), node_key(id), service.clone(), keys.clone())).collect();
        let content = Content { setup: Some(Bytes::from_static(b"adapters' first writes")), ..Content::default() };
        let admin = AdminRecord {
            write_set: Bytes::from_static(b"governance's first writes"),
            detail: Bytes::from_static(b"genesis document"),
        };
        let parts = GenesisParts { content: &content, admin: &admin, admin_is_public };
        let genesis = seal_genesis(&service, nodes, &keys, [seed; 32], Time(1_000), parts).unwrap();
        Self { service, keys, sealers, genesis }
    }

    pub fn genesis_public(&self) -> GenesisPublic {
        check_genesis(&self.genesis.block).unwrap().0
    }

    pub fn node_keys(&self) -> NodeKeys {
        self.genesis_public().keys
    }

    /// The sealer of node `id`.
    pub fn node(&self, id: usize) -> &Sealer {
        &self.sealers[id - 1]
    }

    /// Node `id` opens the next view on `tip`, after the engine's entry at the election.
    pub fn elect(&self, id: usize, tip: &Tip) -> (Tip, Sealed) {
        let view = View(tip.entry_view.0 + 1);
        let elected = tip.after_engine_entry(tip.index.next(), view).unwrap();
        let sealed = self.node(id).view_start(&elected, moment(&elected, view), [view.0 as u8; 32]);
        (elected, sealed)
    }
}

pub fn session_keys(seed: u8) -> SessionKeys {
    SessionKeys {
        epoch: Epoch(1),
        application: ApplicationKey::new([seed ^ 0x55; 32]),
        admin: AdminKey::new([seed ^ 0xaa; 32]),
    }
}

pub fn moment(tip: &Tip, view: View) -> Moment {
    Moment { view, time: Time(tip.time.0 + 10), committed: Seqno(tip.seqno.0.saturating_sub(2)) }
}

pub fn call(text: &str, claims: Option<Digest>) -> CallRecord {
    CallRecord {
        input: Bytes::from(format!("input {text}")),
        write_set: Some(Bytes::from(format!("writes {text}"))),
        claims,
        reply: Bytes::from(format!("reply {text}")),
    }
}

pub fn request(id: u8, calls: Vec<CallRecord>) -> RequestRecord {
    RequestRecord {
        adapter: AdapterId(0),
        actor: ActorRecord { id: ActorId([id; 32]), kind: 1 },
        request_id: RequestId([id; 16]),
        calls,
    }
}

/// A content with `count` transactions, one a request, and one call that wrote nothing.
pub fn content(count: usize) -> Content {
    let read = CallRecord { write_set: None, ..call("nothing", None) };
    let mut requests: Vec<_> =
        (0..count).map(|i| request(i as u8, vec![call(&format!("transaction {i}"), None)])).collect();
    requests[0].calls.push(read);
    Content { seed: [9; 32], requests, setup: None }
}

/// The records of a ledger with two views, governance, and blocks of several sizes.
pub fn records(network: &Network) -> Vec<LogRecord> {
    let mut records = vec![network.genesis.block.to_record()];
    let mut tip = network.genesis.tip.clone();
    for (leader, sizes) in [(1, &[1, 3][..]), (3, &[2])] {
        let (elected, opening) = network.elect(leader, &tip);
        records.push(engine_record(&elected));
        records.push(opening.block.to_record());
        tip = opening.tip;
        for size in sizes {
            let sealed = network.node(leader).application(&tip, moment(&tip, tip.open_view), &content(*size)).unwrap();
            records.push(sealed.block.to_record());
            tip = sealed.tip;
        }
        let admin =
            AdminRecord { write_set: Bytes::from_static(b"governance"), detail: Bytes::from_static(b"ballots") };
        let sealed = network
            .node(leader)
            .governance(&tip, moment(&tip, tip.open_view), &admin, SignerChange::default())
            .unwrap();
        records.push(sealed.block.to_record());
        tip = sealed.tip;
    }
    records
}

pub fn engine_record(tip: &Tip) -> LogRecord {
    LogRecord {
        index: tip.index,
        view: tip.entry_view,
        kind: EntryKind::Engine,
        first_seqno: tip.seqno.next(),
        count: 0,
        payload: Bytes::new(),
    }
}

/// Chunk files of `per_file` records each.
pub fn files(network: Digest, records: &[LogRecord], per_file: usize) -> Vec<(String, Vec<u8>)> {
    records
        .chunks(per_file)
        .map(|chunk| {
            let first_index: LogIndex = chunk[0].index;
            let mut file = FileHeader { network, first_index }.to_bytes().to_vec();
            chunk.iter().for_each(|record| append_record(record, &mut file));
            (file_name(first_index), file)
        })
        .collect()
}
