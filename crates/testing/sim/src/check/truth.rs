//! What the cluster has decided, pieced together from what each node does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_types::boundary::LogRecord;
use synod_types::{Digest, LogIndex, NodeId, Seqno, TxId, View};

use super::{Checked, violated};
use crate::disk::Disk;

/// Leaders, entries and commits so far.
#[derive(Debug)]
pub struct Truth {
    quorum: usize,
    leaders: BTreeMap<View, NodeId>,
    entries: BTreeMap<(LogIndex, View), LogRecord>,
    /// The committed entries, from index 1 on.
    committed: Vec<LogRecord>,
    states: BTreeMap<Seqno, (NodeId, Digest)>,
    /// What calls drew from.
    seeds: BTreeSet<[u8; 32]>,
    committed_by_successors: u64,
}

impl Truth {
    /// Before anything happened: only the genesis block is committed.
    pub fn new(genesis: &LogRecord, quorum: usize) -> Self {
        Self {
            quorum,
            leaders: BTreeMap::new(),
            entries: BTreeMap::from([((genesis.index, genesis.view), genesis.clone())]),
            committed: vec![genesis.clone()],
            states: BTreeMap::new(),
            seeds: BTreeSet::new(),
            committed_by_successors: 0,
        }
    }

    /// A node says that it leads `view`.
    ///
    /// # Errors
    /// If another leads it, or the node's log lacks what is committed. `last_appended` is the end of its log.
    pub fn leads(&mut self, node: NodeId, view: View) -> Checked<bool> {
        match self.leaders.insert(view, node) {
            Some(other) if other != node => {
                violated("a view has at most one leader", format!("nodes {other} and {node} both lead view {view}"))
            }
            known => Ok(known.is_none()),
        }
    }

    /// A node files an entry.
    ///
    /// # Errors
    /// If another node filed something else under the same index and view.
    pub fn filed(&mut self, node: NodeId, record: &LogRecord) -> Checked {
        let known = self.entries.entry((record.index, record.view)).or_insert_with(|| record.clone());
        if known == record {
            return Ok(());
        }
        let seen = format!("node {node} files other bytes for entry {} of view {}", record.index, record.view);
        violated("an index and a view name one entry", seen)
    }

    /// The payloads of the last few blocks of the log that any node filed.
    pub fn last_payloads(&self, count: usize) -> impl Iterator<Item = &Bytes> {
        let records = self.entries.values().rev().take(count);
        records.map(|record| &record.payload).filter(|payload| !payload.is_empty())
    }

    /// The only node of a cluster has crashed: what it had not synced nobody has seen, so it may do otherwise now.
    pub fn forget_unseen(&mut self, disk: &Disk) {
        self.entries.retain(|(index, view), _| disk.durable_at(*index).is_some_and(|record| record.view == *view));
    }

    /// A node cuts its log off at `from`.
    ///
    /// # Errors
    /// If that entry is committed and in this node's log.
    pub fn truncated(&self, node: NodeId, from: LogIndex, disk: &Disk) -> Checked {
        let Some(committed) = self.committed_at(from) else { return Ok(()) };
        if disk.durable_at(from).is_some_and(|own| own.view == committed.view) {
            return violated(
                "what is committed stays",
                format!("node {node} cuts off entry {from}, which is committed"),
            );
        }
        Ok(())
    }

    /// A node says that everything up to `seqno` is committed, having said so up to entry `before`; returns
    /// the entry that ends with it.
    ///
    /// # Errors
    /// If its own disk does not hold it, no quorum of `disks` does, or another entry is committed there.
    pub fn commits<'d>(
        &mut self,
        node: NodeId,
        before: LogIndex,
        upto: Seqno,
        disks: impl Fn() -> Box<dyn Iterator<Item = (NodeId, &'d Disk)> + 'd>,
    ) -> Checked<LogIndex> {
        let (_, own) = disks().find(|(id, _)| *id == node).expect("a node that acts has a disk");
        let mut index = before;
        loop {
            index = index.next();
            let Some(record) = own.durable_at(index) else {
                let seen = format!("node {node} commits seqno {upto} though its disk ends before entry {index}");
                return violated("a node commits only what it has synced", seen);
            };
            self.check_commit(node, record, &disks)?;
            match last_seqno(record).cmp(&upto) {
                std::cmp::Ordering::Equal if record.count > 0 => return Ok(index),
                std::cmp::Ordering::Greater => {
                    let seen = format!("node {node} commits up to seqno {upto}, within entry {index}");
                    return violated("blocks commit as a whole", seen);
                }
                _ => {}
            }
        }
    }

    fn check_commit<'d>(
        &mut self,
        node: NodeId,
        record: &LogRecord,
        disks: &impl Fn() -> Box<dyn Iterator<Item = (NodeId, &'d Disk)> + 'd>,
    ) -> Checked {
        if let Some(committed) = self.committed_at(record.index) {
            if committed == record {
                return Ok(());
            }
            let seen = format!(
                "node {node} commits entry {} of view {}, where that of view {} is committed",
                record.index, record.view, committed.view
            );
            return violated("all nodes commit the same entries", seen);
        }
        // An acknowledgement may be under way from a disk that was put back meanwhile.
        let holders = disks().filter(|(_, disk)| disk.has_held(record.index, record.view));
        let holders: Vec<_> = holders.map(|(id, _)| id.0).collect();
        if holders.len() < self.quorum {
            let seen = format!("node {node} commits entry {}, which only the disks of {holders:?} hold", record.index);
            return violated("what is committed lies on a quorum's disks", seen);
        }
        let is_succeeded = self.leaders.last_key_value().is_some_and(|(view, _)| *view > record.view);
        self.committed_by_successors += u64::from(is_succeeded && record.count > 0);
        self.committed.push(record.clone());
        Ok(())
    }

    /// A leader gives the calls of a block something to draw from.
    ///
    /// # Errors
    /// If another block was given the same.
    pub fn draws(&mut self, node: NodeId, seed: [u8; 32]) -> Checked {
        if self.seeds.insert(seed) {
            return Ok(());
        }
        violated("no two blocks draw from the same randomness", format!("node {node} gives it a second time"))
    }

    /// A node's state at `seqno`, once it is committed there.
    ///
    /// # Errors
    /// If another node had another state there.
    pub fn state(&mut self, node: NodeId, seqno: Seqno, digest: Digest) -> Checked {
        let (other, known) = *self.states.entry(seqno).or_insert((node, digest));
        if known == digest {
            return Ok(());
        }
        violated("states are equal at a seqno", format!("nodes {other} and {node} differ at seqno {seqno}"))
    }

    /// The digest of the state at `seqno`, if some node committed up to there.
    pub fn state_at(&self, seqno: Seqno) -> Option<Digest> {
        self.states.get(&seqno).map(|(_, digest)| *digest)
    }

    /// The committed entries, from index 1 on.
    pub fn committed(&self) -> &[LogRecord] {
        &self.committed
    }

    /// The committed entry at `index`.
    pub fn committed_at(&self, index: LogIndex) -> Option<&LogRecord> {
        self.committed.get(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    /// The last committed transaction.
    pub fn last(&self) -> TxId {
        let last = self.committed.iter().rev().find(|record| record.count > 0);
        last.map(|record| TxId::new(record.view, last_seqno(record))).expect("genesis is a transaction")
    }

    /// The view in which the committed transaction `seqno` was ordered.
    pub fn view_of(&self, seqno: Seqno) -> Option<View> {
        // Entries are ordered by their last seqno; entries without transactions repeat the one before.
        let place = self.committed.partition_point(|record| last_seqno(record) < seqno);
        self.committed.get(place).filter(|record| record.first_seqno <= seqno).map(|record| record.view)
    }

    /// A node vouches for a transaction.
    ///
    /// # Errors
    /// If no node has committed it.
    pub fn must_be_committed(&self, node: NodeId, txid: TxId) -> Checked {
        if self.view_of(txid.seqno) == Some(txid.view) {
            return Ok(());
        }
        violated("nodes vouch for what is committed only", format!("node {node} vouches for {txid}, which is not"))
    }

    /// How many views had a leader.
    pub fn views_led(&self) -> usize {
        self.leaders.len()
    }

    /// How many blocks committed only after a later view had a leader.
    pub const fn committed_by_successors(&self) -> u64 {
        self.committed_by_successors
    }
}

/// The last transaction up to and including this entry.
pub fn last_seqno(record: &LogRecord) -> Seqno {
    Seqno(record.first_seqno.0 - 1 + u64::from(record.count))
}
