//! Questions about this node and its ledger, and what is read back from disk to answer them.

use std::collections::BTreeMap;

use synod_ledger::{Opened, SealedBlock};
use synod_types::boundary::{LedgerRange, LogRecord, Ticket};
use synod_types::{LogIndex, Seqno, Time, TxId, Untrusted};

use crate::event::{Action, Answer, Query, QueryAnswer, Refusal, TxStatus};
use crate::follower::replies;
use crate::inbox::Waiting;
use crate::node::{Engine, Node};
use crate::requests::RequestKey;

/// What waits for the ledger, or for the engine's word on a read.
#[derive(Debug, Default)]
pub struct Reads {
    last_ticket: u64,
    pending: BTreeMap<Ticket, Purpose>,
    /// Queries that wait for the engine to confirm its leadership, and for that entry to be committed here.
    indexes: BTreeMap<u64, Option<LogIndex>>,
}

/// Why the ledger is read.
#[derive(Debug)]
enum Purpose {
    /// A lagging follower needs entries from here on.
    Peer { from: LogIndex },
    /// A receipt was asked for.
    Receipt { token: u64, txid: TxId },
    /// A request was retried after its block had committed.
    Retry { waiting: Box<Waiting>, key: RequestKey, txid: TxId },
}

/// The most reads that clients may cause at once: each holds a block in memory when it is answered.
const CLIENT_READS_MAX: usize = 256;

/// How many bytes of entries are read at once for a lagging follower: a few messages' worth.
const PEER_READ_BYTES_MAX: usize = 4 << 20;

impl Reads {
    fn begin(&mut self, purpose: Purpose, range: LedgerRange) -> Action {
        self.last_ticket += 1;
        let ticket = Ticket(self.last_ticket);
        self.pending.insert(ticket, purpose);
        Action::ReadLedger { ticket, range }
    }

    fn is_full(&self) -> bool {
        self.pending.len() + self.indexes.len() >= CLIENT_READS_MAX
    }

    /// Takes out the retries that have waited too long.
    pub fn expired(&mut self, now: Time) -> Vec<Waiting> {
        let late = |purpose: &Purpose| matches!(purpose, Purpose::Retry { waiting, .. } if waiting.deadline <= now);
        let expired = self.pending.extract_if(.., |_, purpose| late(purpose));
        expired
            .filter_map(|(_, purpose)| if let Purpose::Retry { waiting, .. } = purpose { Some(*waiting) } else { None })
            .collect()
    }
}

impl Node {
    pub(crate) fn on_query(&mut self, token: u64, query: Query) {
        let result = match query {
            Query::Status => Ok(QueryAnswer::Status(self.status())),
            Query::Transaction(txid) => Ok(QueryAnswer::Transaction(self.transaction_status(txid))),
            Query::Receipt(_) | Query::ReadIndex if self.reads.is_full() => Err(Refusal::TooManyPending),
            Query::Receipt(txid) if self.transaction_status(txid) != TxStatus::Committed => Err(Refusal::NotCommitted),
            Query::Receipt(txid) => {
                let read = self.reads.begin(Purpose::Receipt { token, txid }, LedgerRange::Covering(txid.seqno));
                return self.actions.push_back(read);
            }
            Query::ReadIndex => match self.begin_read_index(token) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
        };
        self.actions.push_back(Action::Answer { token, result });
    }

    fn begin_read_index(&mut self, token: u64) -> Result<(), Refusal> {
        let Engine::Running(consensus) = &mut self.engine else { return Err(Refusal::NoLeader) };
        consensus.read_index(token).map_err(|_| Refusal::TooManyPending)?;
        self.reads.indexes.insert(token, None);
        Ok(())
    }

    /// What became of a transaction id, as far as this node knows.
    fn transaction_status(&self, txid: TxId) -> TxStatus {
        let covering = self.chain.uncommitted().find(|position| position.tip.seqno >= txid.seqno);
        self.history.status(txid, covering.map(|position| position.tip.tx_view))
    }

    /// The engine says that a read may be served once entry `index` is committed here.
    pub(crate) fn on_read_ready(&mut self, token: u64, index: LogIndex) {
        if let Some(wanted) = self.reads.indexes.get_mut(&token) {
            *wanted = Some(index);
        }
        self.answer_read_indexes();
    }

    /// Answers the linearizable reads whose entry is committed.
    pub(crate) fn answer_read_indexes(&mut self) {
        let committed = self.chain.committed().record.index;
        let txid = self.history.committed();
        let ready: Vec<_> =
            self.reads.indexes.extract_if(.., |_, wanted| wanted.is_some_and(|index| index <= committed)).collect();
        for (token, _) in ready {
            self.actions.push_back(Action::Answer { token, result: Ok(QueryAnswer::ReadIndex(txid)) });
        }
    }

    /// The engine lacks entries for a lagging follower.
    pub(crate) fn read_for_peer(&mut self, from: LogIndex, to: LogIndex) {
        let range = LedgerRange::Indexes { from, to, bytes_max: PEER_READ_BYTES_MAX };
        let read = self.reads.begin(Purpose::Peer { from }, range);
        self.actions.push_back(read);
    }

    /// A request whose id is known: it was done as transaction `seqno`, which is committed or in a layer.
    pub(crate) fn answer_again(&mut self, waiting: Waiting, key: RequestKey, seqno: Seqno) {
        if let Some(done) = self.layers.find_mut(key, seqno) {
            return done.waiting.push(waiting);
        }
        let view = self.history.view(seqno).expect("what is neither in a layer nor committed was forgotten");
        if self.reads.is_full() {
            return self.respond(waiting, Err(Refusal::TooManyPending));
        }
        let purpose = Purpose::Retry { waiting: Box::new(waiting), key, txid: TxId::new(view, seqno) };
        let read = self.reads.begin(purpose, LedgerRange::Covering(seqno));
        self.actions.push_back(read);
    }

    pub(crate) fn on_ledger_read(&mut self, ticket: Ticket, records: Result<Vec<Untrusted<LogRecord>>, String>) {
        match self.reads.pending.remove(&ticket) {
            Some(Purpose::Peer { from }) => self.on_peer_records(from, records.unwrap_or_default()),
            Some(Purpose::Receipt { token, txid }) => {
                let covering = self.covering(txid, records);
                let receipt = covering.and_then(|(block, opened)| self.seals.receipt(&block, &opened, txid.seqno));
                let result = receipt.map(QueryAnswer::Receipt).ok_or(Refusal::LedgerUnreadable);
                self.actions.push_back(Action::Answer { token, result });
            }
            Some(Purpose::Retry { waiting, key, txid }) => {
                let content = self.covering(txid, records).and_then(|(_, opened)| opened.content);
                let mut done = content.into_iter().flat_map(|content| content.requests);
                let done = done.find(|done| self.requests.key(done.actor.id, done.request_id) == key);
                let answer = done.map(|done| Answer { txid, replies: replies(&done) }).ok_or(Refusal::LedgerUnreadable);
                self.respond(*waiting, answer);
            }
            // Its client has given up meanwhile.
            None => {}
        }
    }

    /// The block that holds the committed transaction `txid`, checked: the host may have handed over anything.
    fn covering(
        &self,
        txid: TxId,
        records: Result<Vec<Untrusted<LogRecord>>, String>,
    ) -> Option<(SealedBlock, Opened)> {
        let record = records.ok()?.into_iter().next()?;
        record.check(|record| self.seals.covering(&record, txid).ok_or(())).ok()
    }

    /// Hands records for a lagging follower to the engine, as far as they are what was asked for: the follower would
    /// refuse the others, and the engine would send them again and again.
    fn on_peer_records(&mut self, from: LogIndex, records: Vec<Untrusted<LogRecord>>) {
        let Engine::Running(consensus) = &mut self.engine else { return };
        let mut sound = Vec::with_capacity(records.len());
        for (index, record) in (from.0..).map(LogIndex).zip(records) {
            let opens_view = consensus.view_at(LogIndex(index.0 - 1)) != consensus.view_at(index);
            let check = |record: LogRecord| {
                let is_ours = record.index == index && Some(record.view) == consensus.view_at(index);
                if is_ours && self.seals.is_authentic(&record, opens_view) { Ok(record) } else { Err(()) }
            };
            let Ok(record) = record.check(check) else { break };
            sound.push(record);
        }
        // If none is, the engine asks again in its own time. It refuses what it did not ask for.
        let _ = consensus.records_read(from, &sound);
    }
}
