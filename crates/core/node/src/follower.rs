//! What every node does with the log: checks entries before it acknowledges them, files them,
//! follows truncations, and applies what commits.

use bytes::Bytes;
use synod_consensus::{Admitted, Append};
use synod_ledger::{Content, RequestRecord};
use synod_types::boundary::{self, EntryKind, LogRecord, Ticket};
use synod_types::{Decode, LogIndex, NodeId, Seqno, Time, TxId, Untrusted};
use synod_worker::{Reply, ToWorker};

use crate::chain::{Position, Readable};
use crate::event::{Action, Answer, Refusal};
use crate::inbox::Waiting;
use crate::layers::Done;
use crate::node::{Engine, Node};
use crate::request_digest::RequestDigest;
use crate::requests::Known;

impl Node {
    /// Lets a peer's message to the engine only after the entries that it adds have been checked
    /// against our own chain: nothing is acknowledged that does not verify.
    pub(crate) fn on_consensus_message(&mut self, now: Time, from: NodeId, bytes: Untrusted<Bytes>) {
        let Engine::Running(consensus) = &self.engine else { return };
        let is_known = !self.has_other_key(from);
        let is_stranger = self.is_stranger(from);
        let admitted = if is_stranger {
            consensus.admit_stranger(from, bytes, is_known, self.committed_by_blocks())
        } else {
            consensus.admit(from, bytes)
        };
        let Ok(admitted) = admitted else { return };
        if is_known && consensus.configuration().contains(from) {
            self.heard.insert(from, now);
        }
        if admitted.view().is_some_and(|view| self.unheeded.said(now, from, view)) {
            return;
        }
        if is_stranger && admitted.speaks_as_leader() && !self.hears_strangers(now) {
            return;
        }
        if !self.check_new_entries(now, from, &admitted) {
            return;
        }
        if is_stranger && !admitted.entries().records.is_empty() {
            self.strangers.brought_a_block();
        }
        if is_known {
            self.memory.note(from, admitted.promise());
        }
        let Engine::Running(consensus) = &mut self.engine else { unreachable!("the engine runs, as just seen") };
        consensus.step(admitted).expect("nothing happened since it was admitted");
        self.work_off_effects(now);
    }

    /// Checks the entries that a message would add, one after the other, on the chain where they join it.
    fn check_new_entries(&mut self, now: Time, from: NodeId, admitted: &Admitted) -> bool {
        let entries = admitted.entries();
        let Some(view) = admitted.view().filter(|_| !entries.records.is_empty()) else { return true };
        let Some(mut parent) = self.chain.at(entries.after).cloned() else { return false };
        for record in &entries.records {
            let position = match self.chain.checked(record.index, record.view) {
                // The same entry may come again before the engine has appended it; it is the same only with the
                // same content before it.
                Some(known) if known.is(record, &parent.tip) => known.clone(),
                _ => {
                    let Ok(position) = self.seals.check(record, &parent) else {
                        self.unheeded.refuse(now, from, view, record.index);
                        return false;
                    };
                    if self.unheeded.refuses_time(now, from, view, position.tip.time) {
                        return false;
                    }
                    position
                }
            };
            self.chain.note_checked(position.clone());
            parent = position;
        }
        true
    }

    /// Newer entries replaced ours: the layers above them go, and those who waited for them wait for the next block.
    pub(crate) fn on_truncated(&mut self, from: LogIndex) {
        let mut lost = Vec::new();
        let mut truncated = false;
        while let Some(layer) = self.layers.pop_from(from) {
            truncated = true;
            self.requests.pop();
            let done = layer.requests.into_iter().flat_map(|done| done.waiting);
            let readers = layer.readers.into_iter().map(|(waiting, _)| waiting);
            lost.splice(0..0, done.chain(readers));
        }
        self.chain.truncate(from);
        self.government.truncate(from);
        self.synced.cut(self.chain.end());
        if truncated {
            let to = self.layers.last_mut().map_or(self.history.committed().seqno, |layer| layer.upto.seqno);
            self.actions.push_back(Action::Worker(ToWorker::Truncate { to }));
        }
        // Another node may hold the block still, and lead with it.
        self.inbox.put_back(lost.into_iter().map(Waiting::into_doubt));
    }

    /// Files entries and the vote.
    pub(crate) fn on_append(&mut self, append: Append) {
        for record in &append.records {
            if self.chain.checked(record.index, record.view).is_none() {
                // Only the engine's own entries were not seen before: those of views, and changes that this node asked for.
                assert!(record.kind != EntryKind::Block, "block {} was appended unchecked", record.index);
                let parent = self.chain.last();
                let position = self.seals.check(record, parent).expect("an engine entry of our own follows the log");
                self.chain.note_checked(position);
            }
            self.chain.append_checked(record.index, record.view);
        }
        let vote = self.vote_record(&append);
        self.actions.push_back(Action::Append(boundary::Append {
            ticket: Ticket(append.number),
            truncate_from: append.truncate_from,
            records: append.records,
            vote,
        }));
    }

    /// The vote record, if it must be on disk before the rest of `append` is.
    fn vote_record(&mut self, append: &Append) -> Option<Bytes> {
        self.kept.vote = append.vote.unwrap_or(self.kept.vote);
        self.kept.appended(&append.records);
        self.kept.synced = self.synced.end();
        self.synced.appended(Ticket(append.number), self.chain.end());
        if let (Some(latecomers), Some(vote)) = (&mut self.latecomers, append.vote) {
            latecomers.spoke_in(vote.view);
        }
        let is_due = append.vote.is_some()
            || append.truncate_from.is_some()
            || append.records.iter().any(|record| record.kind != EntryKind::Block);
        is_due.then(|| self.seals.seal_vote(&self.kept))
    }

    /// An entry is committed: its transactions are final, and those who waited for it are answered.
    pub(crate) fn on_committed(&mut self, record: &LogRecord) {
        let position = self.chain.commit_next();
        let expected = (position.record.index, position.record.view);
        assert_eq!((record.index, record.view), expected, "entries commit in order");
        match position.record.kind {
            EntryKind::Block => self.kept.committed(position.record.index),
            EntryKind::Configuration => self.on_changed(&position.record),
            EntryKind::Engine => {}
        }
        if position.record.count > 0 {
            self.commit_block(&position);
        }
        self.answer_read_indexes();
    }

    pub(crate) fn commit_block(&mut self, position: &Position) {
        let upto = TxId::new(position.tip.tx_view, position.tip.seqno);
        let layer = self.layers.commit(position.record.index);
        if layer.is_none() {
            let Readable { content, apply } = readable(position);
            self.note_requests(position, content);
            self.actions.push_back(Action::Worker(ToWorker::Apply(apply.clone())));
        }
        self.history.commit(upto.view, position.record.first_seqno, upto.seqno);
        self.requests.forget(position.age);
        self.actions.push_back(Action::Worker(ToWorker::Commit { upto: upto.seqno }));
        self.actions.push_back(Action::Committed { txid: upto, time: position.tip.time });
        self.commit_governed(position);
        if let Some(layer) = layer {
            for done in layer.requests {
                for waiting in done.waiting {
                    self.respond(waiting, done.answer.clone());
                }
            }
            for (waiting, result) in layer.readers {
                self.respond(waiting, result);
            }
        }
    }

    /// Notes the requests of a block that another node ordered.
    fn note_requests(&mut self, position: &Position, content: &Content) {
        let noted: Vec<_> = ended(position, content)
            .map(|(request, last)| {
                let key = self.requests.key(request.actor.id, request.request_id);
                (key, Known { seqno: last.seqno, asked: RequestDigest::of_record(request) })
            })
            .collect();
        self.requests.push(position.age, noted);
    }

    /// The same for a block that becomes a layer: whoever retries one of its requests waits for it to commit.
    pub(crate) fn note_inherited(&mut self, position: &Position, content: &Content) -> Vec<Done> {
        self.note_requests(position, content);
        ended(position, content)
            .map(|(request, txid)| Done {
                key: self.requests.key(request.actor.id, request.request_id),
                answer: answer_of(request, txid),
                waiting: Vec::new(),
            })
            .collect()
    }
}

/// The requests of a block, each with its last transaction.
fn ended<'a>(position: &Position, content: &'a Content) -> impl Iterator<Item = (&'a RequestRecord, TxId)> {
    let view = position.record.view;
    content.requests.iter().scan(position.record.first_seqno, move |next, request| {
        *next = next.plus(request.calls.iter().filter(|call| call.write_set.is_some()).count() as u64);
        Some((request, TxId::new(view, Seqno(next.0 - 1))))
    })
}

/// What a block of another node holds.
pub(crate) fn readable(position: &Position) -> &Readable {
    position
        .content
        .as_deref()
        .expect("what this node sealed is a layer, and other blocks were opened as they were checked")
}

/// The answer to a request that the ledger holds, which ended as `txid`.
pub(crate) fn answer_of(request: &RequestRecord, txid: TxId) -> Result<Answer, Refusal> {
    let replies = request.calls.iter().map(|call| Reply::from_bytes(&call.reply)).collect::<Result<_, _>>();
    Ok(Answer { txid, replies: replies.map_err(|_| Refusal::LedgerUnreadable)? })
}
