//! What must hold, checked at each effect.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_consensus::{EntryKind, LogRecord, NewEntries};
use synod_types::{Configuration, ConfigurationChange, Decode, LogIndex, NodeId, Seqno, View};

/// What all nodes together have promised.
#[derive(Default)]
pub struct Promises {
    pub leaders: BTreeMap<View, NodeId>,
    pub votes: BTreeMap<(NodeId, View), NodeId>,
    /// The one order: entry i + 1 is at place i.
    pub committed: Vec<LogRecord>,
    /// Who takes part after all that is committed.
    pub configuration: Configuration,
    /// Who took part before each change, with the change's index.
    before: Vec<(LogIndex, Configuration)>,
}

impl Promises {
    pub fn new(voters: u64, genesis: LogRecord) -> Self {
        let configuration = Configuration::of((1..=voters).map(NodeId));
        Self { committed: vec![genesis], configuration, ..Self::default() }
    }

    /// Those one of whose majorities decided on entry `index`: a change applies where it commits, and entries that
    /// were proposed before it was applied may commit under either.
    pub fn deciding(&self, index: LogIndex) -> Vec<&Configuration> {
        let after = self.before.partition_point(|(change, _)| *change < index);
        let all: Vec<_> = self.before.iter().map(|(_, before)| before).chain([&self.configuration]).collect();
        all[after.saturating_sub(1)..=after].to_vec()
    }

    pub fn leads(&mut self, view: View, node: NodeId) {
        let leader = *self.leaders.entry(view).or_insert(node);
        assert_eq!(leader, node, "view {view} has two leaders");
    }

    pub fn votes(&mut self, node: NodeId, view: View, candidate: NodeId) {
        let voted = *self.votes.entry((node, view)).or_insert(candidate);
        assert_eq!(voted, candidate, "{node} votes twice in view {view}");
    }

    pub fn elections(&self) -> usize {
        self.leaders.len()
    }

    pub fn commits(&mut self, record: &LogRecord) {
        let place = record.index.0 as usize - 1;
        if place == self.committed.len() {
            self.committed.push(record.clone());
            if record.kind == EntryKind::Configuration {
                let change = ConfigurationChange::from_bytes(&record.payload).unwrap();
                let next = self.configuration.after(change).expect("only steps commit");
                let before = std::mem::replace(&mut self.configuration, next);
                self.before.push((record.index, before));
            }
        }
        assert_eq!(self.committed.get(place), Some(record), "two nodes are told different entries");
    }
}

/// A node's own copy of its log, kept from effects alone, with a chain over it as the ledger has.
#[derive(Clone)]
pub struct Chain {
    pub records: Vec<LogRecord>,
    /// `chains[i]` is over the first i records.
    chains: Vec<u64>,
    pub committed: u64,
}

impl Chain {
    pub fn new(records: Vec<LogRecord>, committed: LogIndex) -> Self {
        let mut chain = Self { records: Vec::new(), chains: vec![0], committed: committed.0 };
        records.into_iter().for_each(|record| chain.push(record));
        chain
    }

    pub fn push(&mut self, record: LogRecord) {
        assert_eq!(record.index.0, self.records.len() as u64 + 1, "appended without a gap");
        let tip = self.chains[self.records.len()];
        verify(&record, tip);
        self.chains.push(next(tip, &record));
        self.records.push(record);
    }

    pub fn truncate(&mut self, from: LogIndex) {
        assert!(from.0 > self.committed, "entry {from} is committed and truncated");
        assert!(from.0 <= self.records.len() as u64, "entry {from} is truncated and was not there");
        self.records.truncate(from.0 as usize - 1);
        self.chains.truncate(from.0 as usize);
    }

    pub fn commits(&mut self, record: &LogRecord) {
        assert_eq!(record.index.0, self.committed + 1, "committed without a gap");
        assert_eq!(&self.records[record.index.0 as usize - 1], record, "what is committed is what was appended");
        self.committed += 1;
    }

    /// What a node does with an append before it steps it.
    pub fn verify(&self, entries: &NewEntries) {
        if entries.records.is_empty() {
            return;
        }
        let after = entries.after.0;
        assert!((self.committed..=self.records.len() as u64).contains(&after), "entries follow what we have");
        let mut tip = self.chains[after as usize];
        for (record, index) in entries.records.iter().zip(after + 1..) {
            assert_eq!(record.index.0, index);
            let ours = self.records.get(index as usize - 1);
            assert!(ours.is_none_or(|ours| ours.view != record.view), "an entry we hold is not a new one");
            verify(record, tip);
            tip = next(tip, record);
        }
    }

    /// The payload of a block that continues this chain.
    pub fn payload(&self, committed: Seqno, filler: usize) -> Bytes {
        let tip = *self.chains.last().unwrap();
        [&tip.to_le_bytes()[..], &committed.0.to_le_bytes(), &vec![7; filler]].concat().into()
    }

    /// The last seqno told as committed.
    pub fn committed_seqno(&self) -> Seqno {
        let last = &self.records[self.committed as usize - 1];
        Seqno(last.first_seqno.0 + u64::from(last.count) - 1)
    }
}

/// What a block's header says its leader knew to be committed.
pub fn known_committed(record: &LogRecord) -> Option<Seqno> {
    let bytes = record.payload.get(8..16)?;
    Some(Seqno(u64::from_le_bytes(bytes.try_into().unwrap())))
}

fn verify(record: &LogRecord, tip: u64) {
    if record.kind == EntryKind::Block && record.index != LogIndex(1) {
        assert_eq!(record.payload[..8], tip.to_le_bytes(), "entry {} was sealed on another log", record.index);
    }
}

fn next(chain: u64, record: &LogRecord) -> u64 {
    let numbers = [chain, record.index.0, record.view.0, record.first_seqno.0, u64::from(record.count)];
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).chain(record.payload.iter().copied());
    fnv(0xcbf2_9ce4_8422_2325, bytes)
}

/// FNV-1a: no security is needed here, only a digest that is the same tomorrow.
pub fn fnv(start: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
