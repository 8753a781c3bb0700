//! What the cluster has decided, pieced together from what each node does.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use synod_crypto::VerifyingKey;
use synod_governance::Tables;
use synod_kv::State;
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::{Configuration, ConfigurationChange, Decode, Digest, LogIndex, NodeId, Seqno, TxId, View};

use super::{Checked, violated};
use crate::consortium::Consortium;
use crate::disk::Disk;
use crate::governor::READABLE;

/// Leaders, entries and commits so far.
#[derive(Debug)]
pub struct Truth {
    /// From which committed entry on who takes part.
    configurations: Vec<(LogIndex, Configuration)>,
    /// The governance tables, as far as any node has told, the transaction that they are of, and all digests so far.
    tables: State,
    governed: BTreeMap<Seqno, (NodeId, Digest)>,
    /// The keys that the service took, by the transaction that decided so.
    rotated: BTreeMap<Seqno, (NodeId, VerifyingKey)>,
    last_listed: NodeId,
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
    pub fn new(consortium: &Consortium) -> Self {
        let genesis = &consortium.genesis;
        let first = Configuration::of(consortium.nodes.iter().copied());
        Self {
            configurations: vec![(genesis.index, first)],
            tables: consortium.tables.clone(),
            governed: BTreeMap::new(),
            rotated: BTreeMap::new(),
            last_listed: NodeId(consortium.nodes.len() as u64),
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
        records.filter(|record| record.kind == EntryKind::Block).map(|record| &record.payload)
    }

    /// The first node of a network of one has crashed: what no disk has nobody has seen, so it may do otherwise now.
    pub fn forget_unseen<'d, D: Iterator<Item = &'d Disk>>(&mut self, disks: impl Fn() -> D) {
        let is_held = |index, view| disks().any(|disk| disk.has_held(index, view));
        self.entries.retain(|(index, view), _| is_held(*index, *view));
    }

    /// A node tells the tables after a governance transaction.
    ///
    /// # Errors
    /// If another node told others.
    pub fn governed(&mut self, node: NodeId, seqno: Seqno, state: &State) -> Checked {
        let digest = state.digest();
        let (other, known) = *self.governed.entry(seqno).or_insert((node, digest));
        if known != digest {
            let seen = format!("nodes {other} and {node} differ after seqno {seqno}");
            return violated("governance tables are equal at a seqno", seen);
        }
        if self.governed.last_key_value().is_some_and(|(last, _)| *last == seqno) {
            self.tables = state.clone();
            self.last_listed =
                self.listed().last().copied().map_or(self.last_listed, |last| last.max(self.last_listed));
        }
        Ok(())
    }

    /// A node tells the key that the service has after a transaction.
    ///
    /// # Errors
    /// If another node told another.
    pub fn rotated(&mut self, node: NodeId, seqno: Seqno, key: &VerifyingKey) -> Checked {
        let (other, known) = self.rotated.entry(seqno).or_insert_with(|| (node, key.clone()));
        if known == key {
            return Ok(());
        }
        violated("the service has one key at a seqno", format!("nodes {other} and {node} differ after seqno {seqno}"))
    }

    /// Each key that the service took, with the first transaction that it signs.
    pub fn rotations(&self) -> impl Iterator<Item = (Seqno, VerifyingKey)> + Clone {
        self.rotated.iter().map(|(seqno, (_, key))| (seqno.next(), key.clone()))
    }

    /// The governance tables, as far as any node has told.
    pub const fn tables(&self) -> &State {
        &self.tables
    }

    /// The transaction that they are of.
    pub fn tables_at(&self) -> Seqno {
        self.governed.last_key_value().map_or(Seqno(1), |(seqno, _)| *seqno)
    }

    /// What a node told of the tables after `seqno`.
    pub fn tables_digest(&self, seqno: Seqno) -> Option<Digest> {
        self.governed.get(&seqno).map(|(_, digest)| *digest)
    }

    /// The last slot that was ever listed.
    pub const fn last_listed(&self) -> NodeId {
        self.last_listed
    }

    /// Who is listed, as far as any node has told.
    pub fn listed(&self) -> BTreeSet<NodeId> {
        Tables::new(&self.tables).nodes().expect(READABLE).into_keys().collect()
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
        let holders: BTreeSet<_> = holders.map(|(id, _)| id).collect();
        // A leader may learn of a change and of what follows it at once, and counts by the configuration before.
        let is_quorum = |(_, configuration): &(LogIndex, Configuration)| {
            configuration.voters.intersection(&holders).count() > configuration.voters.len() / 2
        };
        if !self.configurations.iter().rev().take(2).any(is_quorum) {
            let seen = format!("node {node} commits entry {}, which only the disks of {holders:?} hold", record.index);
            return violated("what is committed lies on a quorum's disks", seen);
        }
        if record.kind == EntryKind::Configuration {
            let change = ConfigurationChange::from_bytes(&record.payload).ok();
            let (_, last) = self.configurations.last().expect("there is the first");
            let Some(next) = change.and_then(|change| last.after(change)) else {
                return violated("who takes part changes by steps", format!("entry {} does not", record.index));
            };
            self.configurations.push((record.index, next));
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

    /// How often who takes part has changed.
    pub const fn changes(&self) -> usize {
        self.configurations.len() - 1
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
