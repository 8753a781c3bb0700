//! What the engine has ready becomes effects.
//!
//! Runs after each call, so that between calls the engine holds nothing back and the log in
//! memory is all of the log. Source: `raw_node.rs` of the engine, asynchronous variant: entries
//! are readable from storage at once (`advance_append_async`) and count as this node's own only
//! after the sync (`on_persist_ready`).

use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use raft::{Ready, StateRole};
use synod_types::boundary::EntryKind;
use synod_types::{LogIndex, NodeId, View};

use crate::consensus::{Consensus, node};
use crate::effect::{Append, Effect, Role, Vote};
use crate::format::PeerMessage;
use crate::translate::{context_bytes, from_engine, read_context};

impl Consensus {
    /// Carries out all that the engine has ready.
    pub(crate) fn settle(&mut self) {
        self.redraw_election_timeout();
        if let Some(question) = self.reads.open() {
            self.raw.read_index(context_bytes(Some(question)).to_vec());
        }
        self.announce_commit();
        while self.raw.has_ready() {
            let ready = self.raw.ready();
            self.carry_out(ready);
            self.announce_commit();
        }
        for (from, to) in self.raw.mut_store().log.take_wanted() {
            self.effects.push_back(Effect::NeedRecords { from: LogIndex(from), to: LogIndex(to) });
        }
        self.stamp += 1;
    }

    /// Followers learn of a commit from the next append. When no block is on its way that would
    /// carry one, they are told at once; otherwise the engine would send, and they would answer, two
    /// messages a block more. Heartbeats tell them at the latest.
    fn announce_commit(&mut self) {
        let raft = &mut self.raw.raft;
        let committed = raft.raft_log.committed;
        let all = committed == raft.raft_log.last_index();
        if raft.state == StateRole::Leader && all && committed > self.announced {
            self.announced = committed;
            raft.bcast_append();
        }
    }

    fn carry_out(&mut self, mut ready: Ready) {
        let leads = self.raw.raft.state == StateRole::Leader;
        if !leads {
            self.tell_role();
        }
        let (told_vote, number) = (self.told_vote, ready.number());
        let syncs = self.append(&mut ready);
        if self.told_vote != told_vote {
            self.vote_under_way = Some(number);
        }
        if leads {
            self.tell_role();
        }
        let mut at_once = ready.take_messages();
        let (seen, after_sync) = ready.take_persisted_messages().into_iter().partition::<Vec<_>, _>(needs_no_sync);
        let committed = ready.take_committed_entries();
        let read_states = ready.take_read_states();
        self.raw.advance_append_async(ready);

        let after_sync = if self.vote_under_way.is_some() {
            // Only the sole voter leads before its vote is synced. After a crash it would lead the same view once more,
            // with other entries: nobody may have seen these.
            [std::mem::take(&mut at_once), after_sync].concat()
        } else {
            after_sync
        };
        self.send(&at_once);
        self.send(&seen);
        if syncs || !self.gate.is_open() {
            self.gate.hold(number, syncs, after_sync);
        } else {
            self.raw.on_persist_ready(number);
            self.vote_under_way = None;
            self.send_synced(&after_sync);
        }
        if let (Some(first), Some(last)) = (committed.first(), committed.last()) {
            self.commit(first.index, last.index);
        }
        for read in read_states {
            self.tell_read(read.index, &read.request_ctx);
        }
    }

    /// Appends the entries and the vote that `ready` brings; returns whether there are any.
    fn append(&mut self, ready: &mut Ready) -> bool {
        let vote = ready.hs().map(|state| Vote { view: View(state.term), voted_for: node(state.vote) });
        let vote = vote.filter(|vote| *vote != self.told_vote);
        let entries = ready.take_entries();
        let syncs = vote.is_some() || !entries.is_empty();
        assert_eq!(syncs, ready.must_sync(), "the engine and we agree on what must be synced");
        if !syncs {
            return false;
        }
        self.told_vote = vote.unwrap_or(self.told_vote);
        let range = entries.first().map(|first| (first.index, first.index + entries.len() as u64 - 1));
        let log = &mut self.raw.mut_store().log;
        let truncate_from = log.append(entries).map(LogIndex);
        let records = range.map_or_else(Vec::new, |(from, to)| log.records(from, to));
        if let Some(from) = truncate_from {
            self.effects.push_back(Effect::Truncated { from });
        }
        self.effects.push_back(Effect::Append(Append { number: ready.number(), truncate_from, records, vote }));
        true
    }

    fn tell_role(&mut self) {
        let told = (self.role(), self.view(), self.leader());
        if told == self.told_role {
            return;
        }
        self.told_role = told;
        let (role, view, leader) = told;
        if role != Role::Leader {
            self.raw.mut_store().log.forget_fetched();
        }
        self.effects.push_back(Effect::RoleChanged { role, view, leader });
    }

    fn commit(&mut self, first: u64, last: u64) {
        let records = self.raw.store().log.records(first, last);
        let changes: Vec<_> =
            records.iter().filter(|record| record.kind == EntryKind::Configuration).cloned().collect();
        self.effects.push_back(Effect::Committed { records });
        for record in changes {
            self.apply_change(&record);
        }
        self.raw.advance_apply_to(last);
        self.raw.mut_store().log.release(last);
    }

    fn tell_read(&mut self, index: u64, context: &[u8]) {
        let Some(read) = read_context(context) else { return };
        let contexts = self.reads.answered(read).into_iter();
        self.effects.extend(contexts.map(|context| Effect::ReadReady { context, index: LogIndex(index) }));
        if let Some(question) = self.reads.open() {
            self.raw.read_index(context_bytes(Some(question)).to_vec());
        }
    }

    /// Sends messages whose memory is synced.
    pub(crate) fn send_synced(&mut self, messages: &[Message]) {
        let asks = |message: &&Message| message.msg_type == MessageType::MsgRequestVote;
        if let Some(message) = messages.iter().find(asks) {
            self.asked = Some(View(message.term));
        }
        self.send(messages);
    }

    /// Sends `messages`. Appends to several followers at one place are one encoding, shared.
    fn send(&mut self, messages: &[Message]) {
        let mut shared: Option<(&Message, Bytes)> = None;
        for message in messages {
            self.acks.sent(message);
            let bytes = match &shared {
                Some((other, bytes)) if same_append(other, message) => bytes.clone(),
                _ => {
                    let Some(bytes) = from_engine(message).as_ref().map(PeerMessage::to_bytes) else { continue };
                    if message.msg_type == MessageType::MsgAppend {
                        shared = Some((message, bytes.clone()));
                    }
                    bytes
                }
            };
            self.effects.push_back(Effect::Send { to: NodeId(message.to), bytes });
        }
    }

    /// Sends what was read from the ledger to the followers that wait for it.
    ///
    /// The engine would do so in `on_entries_fetched`, once for each time that it asked; a follower
    /// that lags is asked for again with every proposal, so we go by where each follower is.
    pub(crate) fn send_fetched(&mut self) {
        for follower in self.configuration.members().collect::<Vec<_>>() {
            while follower != self.id && self.waits_for_fetched(follower) {
                let next = |this: &Self| this.raw.raft.prs().get(follower.0).map(|progress| progress.next_idx);
                let before = next(self);
                self.raw.raft.send_append(follower.0);
                // A follower that is being probed gets one message and then answers.
                if next(self) == before {
                    break;
                }
            }
        }
    }

    fn waits_for_fetched(&self, follower: NodeId) -> bool {
        let log = &self.raw.store().log;
        self.raw.raft.prs().get(follower.0).is_some_and(|progress| {
            !progress.is_paused() && log.slot(progress.next_idx).is_none() && log.holds(progress.next_idx)
        })
    }
}

/// Whether a follower's message may overtake its disk: the answer to a heartbeat.
///
/// It says that this node has reached no higher view than the leader's. A vote in a higher view
/// was synced before it was sent, so no crash can make the answer wrong afterwards; and the entries
/// that this node holds are not in it. So a slow sync neither unseats a leader (CheckQuorum) nor
/// delays reads (ReadIndex).
fn needs_no_sync(message: &Message) -> bool {
    message.msg_type == MessageType::MsgHeartbeatResponse
}

/// Whether two appends of one leader carry the same bytes: within a view its log only grows, so
/// the same place and length mean the same entries.
fn same_append(a: &Message, b: &Message) -> bool {
    let place = |m: &Message| (m.msg_type, m.term, m.index, m.log_term, m.commit, m.entries.len());
    a.msg_type == MessageType::MsgAppend && place(a) == place(b)
}
