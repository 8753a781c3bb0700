//! One node against peers that a byte string scripts: shared by the property test and the fuzz target.
//!
//! The script's bytes choose, step by step, what happens: a peer sends any bytes, a well-formed
//! message with fields chosen near and far from what is right, or a message of ours with bytes
//! changed; or a peer answers as it should, so that the node becomes candidate and leader; or the
//! node's own side acts: time passes, a disk syncs, a block is proposed. The node must refuse or go
//! on. That it never panics is the property; the log it tells must stay one log besides.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use synod_consensus::{Config, Consensus, Effect, EntryKind, LogRecord, Restored, Role};
use synod_types::{LogIndex, NodeId, Seqno, Time, Untrusted, View};

/// What a script made happen, to show that scripts reach far.
#[derive(Debug, Default)]
pub struct Reached {
    /// Messages that took effect, by role.
    pub admitted: BTreeMap<&'static str, u64>,
    /// Refusals, by name.
    pub refused: BTreeMap<String, u64>,
    pub truncations: u64,
    pub commits: u64,
    pub ledger_reads: u64,
}

/// Plays `script` against a fresh node of three.
pub fn play(script: &[u8]) -> Reached {
    let mut stage = Stage::new(Script { bytes: script });
    while !stage.script.bytes.is_empty() {
        stage.act();
        stage.carry_out();
    }
    stage.reached
}

struct Stage<'a> {
    script: Script<'a>,
    node: Consensus,
    now: Time,
    /// The node's log as its effects tell it.
    log: Vec<LogRecord>,
    committed: usize,
    /// Appends that are not synced yet.
    unsynced: VecDeque<u64>,
    /// What the node sent, latest last.
    sent: VecDeque<(NodeId, Bytes)>,
    wanted: Vec<(LogIndex, LogIndex)>,
    reached: Reached,
}

impl<'a> Stage<'a> {
    fn new(mut script: Script<'a>) -> Self {
        let mut config = Config::new(NodeId(1), [NodeId(1), NodeId(2), NodeId(3)], u64::from(script.byte()));
        if script.byte().is_multiple_of(2) {
            config.retained_bytes_max = 0;
        }
        let genesis = record(1, 1, 1, 1, b"genesis");
        let restored = Restored::new(&genesis).expect("it is a genesis block");
        let node = Consensus::new(&config, restored, Time(0)).expect("the configuration is sound");
        let (unsynced, sent, wanted) = Default::default();
        Self {
            script,
            node,
            now: Time(0),
            log: vec![genesis],
            committed: 1,
            unsynced,
            sent,
            wanted,
            reached: Reached::default(),
        }
    }

    fn act(&mut self) {
        match self.script.byte() % 16 {
            0 => {
                let size = usize::from(self.script.byte());
                let bytes = self.script.take(size);
                self.deliver(bytes);
            }
            1..=5 => {
                let bytes = self.message();
                self.deliver(bytes);
            }
            6 => self.changed_message(),
            7..=9 => self.right_answer(),
            10 => {
                let ticks = u64::from(self.script.byte() % 128);
                self.now = self.now.after(Duration::from_millis(10 * ticks));
                self.node.handle_timeout(self.now);
            }
            11 | 12 => {
                if let Some(number) = self.unsynced.pop_front() {
                    self.node.persisted(number);
                }
            }
            13 => self.propose(),
            14 => self.ask(),
            _ => self.read_ledger(),
        }
    }

    fn deliver(&mut self, bytes: Vec<u8>) {
        let from = match self.script.byte() % 32 {
            0 => NodeId(u64::from(self.script.byte() % 5)),
            1 => NodeId(u64::MAX),
            other => NodeId(2 + u64::from(other % 2)),
        };
        self.deliver_from(from, bytes);
    }

    fn deliver_from(&mut self, from: NodeId, bytes: Vec<u8>) {
        let role = match self.node.role() {
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        };
        match self.node.admit(from, Untrusted::new(bytes.into())) {
            Err(refused) => {
                let name = format!("{refused:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
                *self.reached.refused.entry(name).or_default() += 1;
            }
            Ok(admitted) => {
                let entries = admitted.entries();
                let follows = entries.records.first().is_none_or(|first| first.index == entries.after.next());
                assert!(follows && entries.after.0 as usize <= self.log.len(), "new entries follow our log");
                self.node.step(admitted).expect("stepped at once");
                *self.reached.admitted.entry(role).or_default() += 1;
            }
        }
    }

    /// A well-formed message, its fields chosen by the script. The numbers of kinds and the order of
    /// fields are the format's (see its vectors), written anew so that the fuzzer needs no codec.
    fn message(&mut self) -> Vec<u8> {
        let kind = 1 + self.script.byte() % 11;
        let mut out = vec![1, kind];
        if kind != 9 {
            let view = self.view();
            put(&mut out, view);
        }
        match kind {
            1 => self.append_fields(&mut out),
            2 => self.put_indexes(&mut out, 2),
            3 => {
                self.put_indexes(&mut out, 2);
                let hint_view = self.view();
                put(&mut out, hint_view);
                self.put_indexes(&mut out, 1);
            }
            4 => {
                self.put_index_and_view(&mut out);
                self.put_index_and_view(&mut out);
                out.push(self.script.byte() % 4);
            }
            5 => {
                self.put_index_and_view(&mut out);
                out.push(self.script.byte() % 4);
                out.push(self.script.byte() % 3);
            }
            6 | 7 => {
                self.put_indexes(&mut out, 1);
                let some = self.script.byte() % 2;
                out.push(some);
                if some == 1 {
                    self.put_read(&mut out);
                }
            }
            9 => self.put_read(&mut out),
            10 => {
                self.put_indexes(&mut out, 1);
                self.put_read(&mut out);
            }
            _ => {}
        }
        out
    }

    fn append_fields(&mut self, out: &mut Vec<u8>) {
        // Half of all appends follow an entry that we hold.
        let after = if self.script.byte().is_multiple_of(2) {
            let held = usize::from(self.script.byte()) % self.log.len();
            let held = &self.log[self.log.len() - 1 - held];
            put(out, held.index.0);
            put(out, held.view.0);
            Some(held.clone())
        } else {
            self.put_index_and_view(out);
            None
        };
        self.put_indexes(out, 1);
        let count = self.script.byte() % 4;
        out.extend(u32::from(count).to_le_bytes());
        let mut seqno = after.map_or(1, |after| after.first_seqno.0 + u64::from(after.count));
        for _ in 0..count {
            let kind = [0, 0, 0, 1, 1, 2][usize::from(self.script.byte() % 6)];
            out.push(kind);
            let view = self.view();
            put(out, view);
            if kind == 0 {
                let seqno_is_wrong = self.script.byte().is_multiple_of(8);
                put(out, if seqno_is_wrong { self.script.number() } else { seqno });
                let count = u32::from(self.script.byte() % 4);
                seqno += u64::from(count);
                let count = if self.script.byte().is_multiple_of(16) { u32::MAX } else { count };
                out.extend(count.to_le_bytes());
                let size = usize::from(self.script.byte() % 8);
                out.extend((size as u32).to_le_bytes());
                out.extend(self.script.take(size));
            }
        }
    }

    /// A message that we sent, or one to us, with some bytes changed or cut.
    fn changed_message(&mut self) {
        let mut bytes = match self.sent.len() {
            0 => self.message(),
            count => self.sent[usize::from(self.script.byte()) % count].1.to_vec(),
        };
        for _ in 0..self.script.byte() % 4 {
            let (place, value) = (usize::from(self.script.byte()), self.script.byte());
            let size = bytes.len();
            if let Some(byte) = bytes.get_mut(place % size.max(1)) {
                *byte = value;
            }
        }
        if self.script.byte().is_multiple_of(4) {
            bytes.truncate(usize::from(self.script.byte()) % (bytes.len() + 1));
        }
        self.deliver(bytes);
    }

    /// A peer answers something that we sent as it should.
    fn right_answer(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let chosen = usize::from(self.script.byte()) % self.sent.len();
        let (from, bytes) = self.sent.remove(chosen).expect("chosen among them");
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let mut out = vec![1];
        match bytes[1] {
            1 => {
                let entries = u32::from_le_bytes(bytes[34..38].try_into().expect("four bytes"));
                out.push(2);
                put(&mut out, number(2));
                put(&mut out, number(10) + u64::from(entries));
                put(&mut out, number(26));
            }
            4 => {
                out.push(5);
                put(&mut out, number(2));
                put(&mut out, 0);
                put(&mut out, 0);
                out.extend([bytes[42].min(1), 1]);
            }
            6 => {
                out.push(7);
                out.extend(&bytes[2..]);
            }
            _ => return,
        }
        self.deliver_from(from, out);
    }

    fn propose(&mut self) {
        if let Ok(place) = self.node.place() {
            let count = u32::from(self.script.byte() % 4);
            let block = record(place.index.0, place.view.0, place.first_seqno.0, count, b"ours");
            self.node.propose(&block).expect("sealed for its place");
        }
    }

    fn ask(&mut self) {
        let to = NodeId(u64::from(self.script.byte() % 5));
        match self.script.byte() % 8 {
            0 => self.node.unreachable(to),
            1 => drop(self.node.transfer_leadership(to)),
            _ => drop(self.node.read_index(to.0)),
        }
    }

    fn read_ledger(&mut self) {
        let Some((from, to)) = self.wanted.pop() else { return };
        self.reached.ledger_reads += 1;
        let mut records = self.log.get(from.0 as usize - 1..to.0 as usize).unwrap_or_default().to_vec();
        records.truncate(usize::from(self.script.byte() % 8));
        if self.script.byte().is_multiple_of(4)
            && let Some(first) = records.first_mut()
        {
            first.view.0 ^= 1;
        }
        drop(self.node.records_read(from, &records));
    }

    fn carry_out(&mut self) {
        let due = self.node.poll_timeout().expect("there is always a next timeout");
        assert!(due > self.now || self.now == Time(0), "the next timeout lies ahead");
        while let Some(effect) = self.node.poll_effect() {
            match effect {
                Effect::Send { to, bytes } => {
                    self.sent.push_back((to, bytes));
                    if self.sent.len() > 16 {
                        self.sent.pop_front();
                    }
                }
                Effect::Truncated { from } => {
                    self.reached.truncations += 1;
                    assert!(from.0 as usize > self.committed, "a committed entry is truncated");
                    self.log.truncate(from.0 as usize - 1);
                }
                Effect::Append(append) => {
                    for record in append.records {
                        assert_eq!(record.index.0 as usize, self.log.len() + 1, "appended without a gap");
                        self.log.push(record);
                    }
                    self.unsynced.push_back(append.number);
                }
                Effect::Committed { records } => {
                    let told = self.committed..self.committed + records.len();
                    assert_eq!(self.log.get(told.clone()), Some(&records[..]), "what is committed was appended");
                    self.committed = told.end;
                    self.reached.commits += 1;
                }
                Effect::NeedRecords { from, to } => self.wanted.push((from, to)),
                Effect::RoleChanged { .. } | Effect::ReadReady { .. } => {}
            }
        }
    }

    fn put_indexes(&mut self, out: &mut Vec<u8>, count: usize) {
        for _ in 0..count {
            let index = self.index();
            put(out, index);
        }
    }

    fn put_index_and_view(&mut self, out: &mut Vec<u8>) {
        self.put_indexes(out, 1);
        let view = self.view();
        put(out, view);
    }

    fn put_read(&mut self, out: &mut Vec<u8>) {
        put(out, u64::from(self.script.byte() % 4));
        let number = self.script.number();
        put(out, number);
        put(out, u64::from(self.script.byte()));
    }

    /// An index near the ends of the log and of what is committed, or far from anything.
    fn index(&mut self) -> u64 {
        let (last, committed) = (self.log.len() as u64, self.committed as u64);
        match self.script.byte() % 16 {
            0 => 0,
            1 => 1,
            2 | 3 => last,
            4 => last + 1,
            5 => last.saturating_sub(1),
            6 => committed,
            7 => committed + 1,
            8 => committed.saturating_sub(1),
            9 => last + u64::from(self.script.byte()),
            10..=13 => last.saturating_sub(u64::from(self.script.byte() % 8)),
            _ => self.script.number(),
        }
    }

    /// A view near ours, or far from anything.
    fn view(&mut self) -> u64 {
        let view = self.node.view().0;
        match self.script.byte() % 16 {
            0..=7 => view,
            8..=10 => view + 1,
            11 => view - 1,
            12 => 1,
            13 => view + u64::from(self.script.byte()),
            _ => self.script.number(),
        }
    }
}

/// Bytes from which choices are read; zeros after the end.
struct Script<'a> {
    bytes: &'a [u8],
}

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn take(&mut self, size: usize) -> Vec<u8> {
        let (taken, rest) = self.bytes.split_at(size.min(self.bytes.len()));
        self.bytes = rest;
        let mut taken = taken.to_vec();
        taken.resize(size, 0);
        taken
    }

    /// A number at which arithmetic breaks, or any.
    fn number(&mut self) -> u64 {
        match self.byte() % 12 {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - 1,
            3 => 1 << 62,
            4 => (1 << 62) + 1,
            5 => 1 << 63,
            6 => (1 << 62) - 1,
            7 => 1 << 32,
            8 => (1 << 32) + u64::from(self.byte()),
            9 => u64::from(u32::MAX),
            _ => u64::from_le_bytes(self.take(8).try_into().expect("eight bytes")),
        }
    }
}

fn put(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_le_bytes());
}

fn record(index: u64, view: u64, first_seqno: u64, count: u32, payload: &'static [u8]) -> LogRecord {
    LogRecord {
        index: LogIndex(index),
        view: View(view),
        kind: EntryKind::Block,
        first_seqno: Seqno(first_seqno),
        count,
        payload: Bytes::from_static(payload),
    }
}
