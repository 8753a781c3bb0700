//! Questions about this node and its ledger, and what is read back from disk to answer them.

use synod_ledger::{Opened, SealedBlock};
use synod_types::boundary::{LogRecord, Ticket};
use synod_types::{LogIndex, Seqno, Time, TxId, Untrusted};

use crate::event::{Action, Query, QueryAnswer, Refusal, TxStatus};
use crate::follower::answer_of;
use crate::governing;
use crate::inbox::{PATIENCE, Waiting};
use crate::indexes::Asker;
use crate::node::{Engine, Node};
use crate::reads::{Came, ClientRead, Purpose, Whose};
use crate::requests::RequestKey;

impl Node {
    pub(crate) fn on_query(&mut self, now: Time, token: u64, query: Query) {
        let result = match query {
            Query::Status => Ok(QueryAnswer::Status(self.status())),
            // Until its peers have confirmed it, the host alone says what this node takes for committed.
            Query::Transaction(_) | Query::Receipt(_) if self.removed && !self.is_running() => {
                Err(Refusal::NodeRemoved)
            }
            Query::Transaction(_) | Query::Receipt(_) if !self.is_running() => Err(Refusal::Starting),
            Query::Transaction(txid) => Ok(QueryAnswer::Transaction(self.transaction_status(txid))),
            Query::Receipt(txid) if self.transaction_status(txid) != TxStatus::Committed => Err(Refusal::NotCommitted),
            Query::Receipt(txid) => {
                let read = ClientRead { txid, purpose: Purpose::Receipt { token }, deadline: now.after(PATIENCE) };
                return self.read_for_client(read);
            }
            Query::ReadIndex => match self.begin_read_index(now, token) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
        };
        self.actions.push_back(Action::Answer { token, result });
    }

    fn begin_read_index(&mut self, now: Time, token: u64) -> Result<(), Refusal> {
        if self.removed {
            return Err(Refusal::NodeRemoved);
        }
        let Engine::Running(consensus) = &mut self.engine else { return Err(Refusal::Starting) };
        let question = self.indexes.ask(now.after(PATIENCE), Asker::Query { token })?;
        if consensus.read_index(question).is_err() {
            self.indexes.forget(question);
            return Err(Refusal::TooManyPending);
        }
        Ok(())
    }

    const fn is_running(&self) -> bool {
        matches!(self.engine, Engine::Running(_))
    }

    /// What became of a transaction id, as far as this node knows.
    fn transaction_status(&self, txid: TxId) -> TxStatus {
        let covering = self.chain.uncommitted().find(|position| position.tip.seqno >= txid.seqno);
        self.history.status(txid, covering.map(|position| position.tip.tx_view))
    }

    /// The engine says that a read may be served once entry `index` is committed here.
    pub(crate) fn on_read_ready(&mut self, question: u64, index: LogIndex) {
        self.indexes.ready(question, index);
        self.answer_read_indexes();
    }

    /// Answers those who waited for the engine's word and whose entry is committed.
    pub(crate) fn answer_read_indexes(&mut self) {
        let committed = self.chain.committed().record.index;
        let txid = self.history.committed();
        for asker in self.indexes.take(committed) {
            match asker {
                Asker::Query { token } => {
                    self.actions.push_back(Action::Answer { token, result: Ok(QueryAnswer::ReadIndex(txid)) });
                }
                Asker::Refused(refused) => self.respond(refused.waiting, refused.result),
            }
        }
    }

    /// The engine lacks entries for a lagging follower.
    pub(crate) fn read_for_peer(&mut self, from: LogIndex, to: LogIndex) {
        let read = self.reads.begin_for_peer(from, to);
        self.actions.push_back(read);
    }

    /// A request whose id is known: it was done as transaction `seqno`, which is committed or in a layer.
    pub(crate) fn answer_again(&mut self, waiting: Waiting, key: RequestKey, seqno: Seqno) {
        if let Some(done) = self.layers.find_mut(key, seqno) {
            return done.waiting.push(waiting);
        }
        let view = self.history.view(seqno).expect("what is neither in a layer nor committed was forgotten");
        let deadline = waiting.deadline;
        // It was done: a refusal to look it up must not say that nothing was.
        let purpose = Purpose::Retry { waiting: Box::new(waiting.into_doubt()), key };
        self.read_for_client(ClientRead { txid: TxId::new(view, seqno), purpose, deadline });
    }

    fn read_for_client(&mut self, read: ClientRead) {
        match self.reads.ask(read) {
            Ok(()) => self.actions.extend(self.reads.begin_next()),
            Err(refused) => self.refuse_read(refused.purpose, Refusal::TooManyPending),
        }
    }

    fn refuse_read(&mut self, purpose: Purpose, refusal: Refusal) {
        match purpose {
            Purpose::Receipt { token } => self.actions.push_back(Action::Answer { token, result: Err(refusal) }),
            Purpose::Retry { waiting, .. } => self.respond(*waiting, Err(refusal)),
        }
    }

    /// Tells those whose reads wait longer than allowed at `now` that they wait in vain.
    pub(crate) fn expire_reads(&mut self, now: Time, refusal: Refusal) {
        for purpose in self.reads.expired(now) {
            self.refuse_read(purpose, refusal);
        }
        for (question, asker) in self.indexes.expired(now) {
            if let Engine::Running(consensus) = &mut self.engine {
                consensus.forget_read(question);
            }
            match asker {
                Asker::Query { token } => self.actions.push_back(Action::Answer { token, result: Err(refusal) }),
                Asker::Refused(refused) => self.respond(refused.waiting, Err(refusal)),
            }
        }
    }

    pub(crate) fn on_ledger_read(
        &mut self,
        now: Time,
        ticket: Ticket,
        records: Result<Vec<Untrusted<LogRecord>>, String>,
    ) {
        if let Whose::Peer(from, records) = self.reads.came(now, ticket, records) {
            self.on_peer_records(from, records.unwrap_or_default());
        }
        self.actions.extend(self.reads.begin_next());
    }

    /// Opens one block that was read for a client, if it is time for one, and answers from it.
    pub(crate) fn open_next_read(&mut self) {
        let Some(came) = self.reads.next_to_open() else { return };
        self.answer_from(came);
        self.actions.extend(self.reads.begin_next());
    }

    fn answer_from(&mut self, came: Came) {
        let (ClientRead { txid, purpose, .. }, record) = came.into_record();
        let covering = record.and_then(|record| self.covering(txid, record));
        match purpose {
            Purpose::Receipt { token } => {
                let receipt = covering.and_then(|(block, opened)| self.seals.receipt(&block, &opened, txid.seqno));
                let result = receipt.map(QueryAnswer::Receipt).ok_or(Refusal::LedgerUnreadable);
                self.actions.push_back(Action::Answer { token, result });
            }
            Purpose::Retry { waiting, key } => {
                let content = covering.and_then(|(_, opened)| match opened.admin {
                    Some(admin) => governing::content(&admin).ok(),
                    None => opened.content,
                });
                let mut done = content.into_iter().flat_map(|content| content.requests);
                let done = done.find(|done| self.requests.key(done.actor.id, done.request_id) == key);
                let answer = done.ok_or(Refusal::LedgerUnreadable).and_then(|done| answer_of(&done, txid));
                self.respond(*waiting, answer);
            }
        }
    }

    /// The block that holds the committed transaction `txid`, checked: the host may have handed over anything.
    fn covering(&self, txid: TxId, record: Untrusted<LogRecord>) -> Option<(SealedBlock, Opened)> {
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
                let change = consensus.change_at(index);
                if is_ours && self.seals.is_authentic(&record, opens_view, change) { Ok(record) } else { Err(()) }
            };
            let Ok(record) = record.check(check) else { break };
            sound.push(record);
        }
        // If none is, the engine asks again in its own time. It refuses what it did not ask for.
        let _ = consensus.records_read(from, &sound);
    }
}
