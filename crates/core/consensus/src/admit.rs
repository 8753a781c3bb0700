//! The checks between a peer's bytes and the engine.
//!
//! The engine trusts its peers: on many messages that no correct peer sends it panics
//! (`commit_to`, `maybe_append`, `become_leader`, arithmetic on indexes), and on others it spends
//! time in proportion to the log (`find_conflict_by_term`). Each such message is refused here, by
//! name. Messages that correct peers may send late or twice are let through or dropped silently.

use bytes::Bytes;
use raft::StateRole;
use raft::eraftpb::{Entry, Message, MessageType};
use synod_types::boundary::LogRecord;
use synod_types::ids::NUMBER_MAX;
use synod_types::limits::PEER_MESSAGE_BYTES_MAX;
use synod_types::{Configuration, LogIndex, NodeId, Untrusted, View};

use crate::format::{Ask, PeerMessage, ReadContext, WireEntry};
use crate::log::{Log, Slot};
use crate::misbehaviour::PeerMisbehaved;
use crate::promise::Promise;
use crate::translate::{engine_entry, to_engine};

/// A peer's message that the engine may see. Hand it to `step` in the same event.
#[derive(Debug)]
pub struct Admitted {
    pub(crate) message: Option<Message>,
    pub(crate) stamp: u64,
    entries: NewEntries,
    promise: Promise,
}

/// The entries that stepping a message would add to the log.
///
/// The caller verifies them before `step`, which is before this node can acknowledge them: headers
/// against its own chain as it stands at `after`, which may lie below its tip if the leader
/// replaces entries. Entries that the log holds already, identically, are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEntries {
    /// The entry that they follow; our log and the leader's agree up to here.
    pub after: LogIndex,
    /// Contiguous; empty for any message that adds nothing.
    pub records: Vec<LogRecord>,
}

impl Admitted {
    /// What to verify before `step`.
    pub fn entries(&self) -> &NewEntries {
        &self.entries
    }

    /// The sender's view, or the one that it asks for; `None` if the message has no meaning here and now.
    pub fn view(&self) -> Option<View> {
        self.message.as_ref().map(|message| View(message.term))
    }

    /// Whether the sender says that it leads, or asks to.
    pub fn speaks_as_leader(&self) -> bool {
        self.message.as_ref().is_some_and(|message| {
            matches!(
                message.msg_type,
                MessageType::MsgAppend
                    | MessageType::MsgHeartbeat
                    | MessageType::MsgTimeoutNow
                    | MessageType::MsgRequestVote
                    | MessageType::MsgRequestPreVote
            )
        })
    }

    /// What the message binds its sender to, if anything.
    ///
    /// Of an acknowledgement to an older leader nothing is said but its view: other entries may stand there by now.
    pub fn promise(&self) -> Promise {
        self.promise
    }
}

/// What a message is checked against.
pub(crate) struct Standing<'a> {
    pub id: NodeId,
    /// What the network began with, and what applies now.
    pub start: &'a Configuration,
    pub configuration: &'a Configuration,
    pub role: StateRole,
    pub view: View,
    pub leader: Option<NodeId>,
    pub committed: u64,
    /// The last view in which requests for votes really left this node.
    pub asked: Option<View>,
    pub incarnation: u64,
    /// Whether this leader has room for another read.
    pub takes_reads: bool,
    pub log: &'a Log,
    pub stamp: u64,
    /// Whether what the sender grants, acknowledges and asks of a leader counts, if it has a part.
    pub counts: bool,
    /// Of a stranger, up to which entry it is believed that the log is committed; `None` for all others.
    pub believed: Option<u64>,
}

/// Whether a message goes on to the engine.
enum Verdict {
    Pass(PeerMessage, NewEntries),
    /// A correct peer may send it; it has no meaning here and now.
    Drop,
}

impl Standing<'_> {
    /// Decodes and checks `bytes` from `from`.
    pub fn admit(&self, from: NodeId, bytes: Untrusted<Bytes>) -> Result<Admitted, PeerMisbehaved> {
        if from == self.id || from == NodeId(0) {
            return Err(PeerMisbehaved::NotAPeer { from });
        }
        if bytes.size() > PEER_MESSAGE_BYTES_MAX {
            return Err(PeerMisbehaved::MessageTooLarge { size: bytes.size() });
        }
        let message = bytes.check(|bytes| PeerMessage::from_bytes(&bytes))?;
        self.check_view(&message)?;
        let promise = self.promise(&message);
        // A leader or a candidate may have joined since, where our log does not reach yet: whoever the channel lets
        // through is heard. Those whom we would count or answer have a part as we know it, or are late.
        if is_for_members(&message) && !(self.counts && self.configuration.contains(from)) {
            return Ok(Admitted { message: None, stamp: self.stamp, entries: NewEntries::default(), promise });
        }
        let (message, entries) = match self.check(from, message)? {
            Verdict::Pass(message, entries) => (Some(to_engine(from, self.id, message)), entries),
            Verdict::Drop => (None, NewEntries::default()),
        };
        Ok(Admitted { message, stamp: self.stamp, entries, promise })
    }

    /// What an honest sender had on disk before it sent `message`. A leader and a candidate have synced their view;
    /// only a question whether a vote would be granted, its answer, and the answer to a heartbeat may go before.
    fn promise(&self, message: &PeerMessage) -> Promise {
        match *message {
            PeerMessage::Appended { view, index, .. } if self.leads(view) => match self.log.view(index.0) {
                Some(entry_view) => Promise::acknowledged(view, index, View(entry_view)),
                None => Promise::seen_in(view),
            },
            PeerMessage::Vote { view, ask: Ask::Will | Ask::HandOver, granted: true, .. } => Promise::voted(view),
            PeerMessage::Append { view, .. }
            | PeerMessage::Appended { view, .. }
            | PeerMessage::Refused { view, .. }
            | PeerMessage::Heartbeat { view, .. }
            | PeerMessage::TakeOver { view }
            | PeerMessage::Vote { view, ask: Ask::Will | Ask::HandOver, .. }
            | PeerMessage::AskVote { view, ask: Ask::Will | Ask::HandOver, .. } => Promise::seen_in(view),
            PeerMessage::AskVote { .. }
            | PeerMessage::Vote { .. }
            | PeerMessage::HeartbeatSeen { .. }
            | PeerMessage::AskRead { .. }
            | PeerMessage::Read { .. } => Promise::default(),
        }
    }

    fn leads(&self, view: View) -> bool {
        self.role == StateRole::Leader && view == self.view
    }

    /// The engine takes view 0 for a local message and adds to views without a check.
    fn check_view(&self, message: &PeerMessage) -> Result<(), PeerMisbehaved> {
        let Some(view) = message.view() else { return Ok(()) };
        if view.0 == 0 || view.0 > NUMBER_MAX {
            return Err(PeerMisbehaved::NumberOutOfRange { what: "view", found: view.0 });
        }
        if view.0 > self.view.0.saturating_add(VIEW_JUMP_MAX) {
            return Err(PeerMisbehaved::ViewJump { found: view, ours: self.view });
        }
        Ok(())
    }

    fn check(&self, from: NodeId, message: PeerMessage) -> Result<Verdict, PeerMisbehaved> {
        match message {
            PeerMessage::Append { view, after, after_view, commit, entries } => {
                self.check_append(from, view, (after, after_view), commit, entries)
            }
            PeerMessage::Appended { view, index, commit } => {
                in_range(&[("index", index), ("commit", commit)])?;
                self.check_ack(view, index)?;
                pass(message)
            }
            PeerMessage::Refused { view, after, hint, hint_view, commit } => {
                in_range(&[("index", after), ("hint", hint), ("commit", commit)])?;
                let hint = self.check_refusal(view, after, (hint, hint_view))?;
                pass(PeerMessage::Refused { view, after, hint, hint_view, commit })
            }
            PeerMessage::AskVote { view, ask, last, last_view, commit, commit_view } => {
                in_range(&[("last index", last), ("commit", commit)])?;
                if last_view >= view {
                    return Err(PeerMisbehaved::CandidateAheadOfItself { view, last: last_view });
                }
                let known = self.believe(commit);
                let (commit, commit_view) = if known == commit { (commit, commit_view) } else { Default::default() };
                pass(PeerMessage::AskVote { view, ask, last, last_view, commit, commit_view })
            }
            PeerMessage::Vote { view, ask, granted, commit, .. } => {
                in_range(&[("commit", commit)])?;
                self.check_vote(view, ask, granted)?;
                pass(message)
            }
            PeerMessage::Heartbeat { view, commit, read } => {
                in_range(&[("commit", commit)])?;
                self.check_leader(from, view)?;
                // `commit_to` panics beyond the end of the log.
                if view >= self.view && commit.0 > self.log.last() {
                    return Err(PeerMisbehaved::CommitBeyondLog { commit, last: LogIndex(self.log.last()) });
                }
                pass(PeerMessage::Heartbeat { view, commit: self.believe(commit), read })
            }
            PeerMessage::HeartbeatSeen { commit, .. } => {
                in_range(&[("commit", commit)])?;
                pass(message)
            }
            PeerMessage::TakeOver { view } => {
                self.check_leader(from, view)?;
                // Only the leader that we follow hands over, and we know it by its appends.
                let is_followed = view == self.view && self.leader == Some(from) && self.believed.is_none();
                if is_followed { pass(message) } else { Ok(Verdict::Drop) }
            }
            PeerMessage::AskRead { read } => {
                names(read, from)?;
                // A follower would pass it on under its asker's name.
                if self.role == StateRole::Leader && self.takes_reads { pass(message) } else { Ok(Verdict::Drop) }
            }
            PeerMessage::Read { view, index, read } => {
                in_range(&[("index", index)])?;
                names(read, self.id)?;
                let ours = read.incarnation == self.incarnation && view == self.view && self.leader == Some(from);
                if ours && self.believed.is_none() { pass(message) } else { Ok(Verdict::Drop) }
            }
        }
    }

    /// How far the log is committed, if the sender says that it is up to `commit`.
    fn believe(&self, commit: LogIndex) -> LogIndex {
        self.believed.map_or(commit, |believed| commit.min(LogIndex(believed.max(self.committed))))
    }

    /// A view has one leader.
    fn check_leader(&self, from: NodeId, view: View) -> Result<(), PeerMisbehaved> {
        match self.leader {
            Some(leader) if view == self.view && leader != from => Err(PeerMisbehaved::SecondLeader { view, leader }),
            _ => Ok(()),
        }
    }

    fn check_append(
        &self,
        from: NodeId,
        view: View,
        (after, after_view): (LogIndex, View),
        commit: LogIndex,
        entries: Vec<WireEntry>,
    ) -> Result<Verdict, PeerMisbehaved> {
        in_range(&[("index", after), ("commit", commit)])?;
        self.check_leader(from, view)?;
        let commit = self.believe(commit);
        let without_entries = PeerMessage::Append { view, after, after_view, commit, entries: Vec::new() };
        // A leader of the past gets its answer whatever its entries are, and so does one that
        // sends what we have committed: the engine answers both before it looks at entries.
        if view < self.view || after.0 < self.committed {
            return pass(without_entries);
        }
        self.check_views(view, (after, after_view), &entries)?;
        // The leader's log holds all that we know committed, and views never fall along a log.
        // Without this the engine would count down from `after` through the whole log.
        let committed_view = self.log.view(self.committed).expect("what is committed is in the log");
        let contradicts = self.log.view(after.0).is_some_and(|ours| ours != after_view.0) && after.0 == self.committed;
        if after_view.0 < committed_view || contradicts {
            let (found, committed) = (after_view, View(committed_view));
            return Err(PeerMisbehaved::ConflictsWithCommitted { index: after, found, committed });
        }
        if self.log.view(after.0) != Some(after_view.0) {
            // The engine refuses it and says where our logs may agree.
            return pass(without_entries);
        }
        let entries = if self.believed.is_some() { up_to_last_block(entries) } else { entries };
        let records = self.new_records(after, &entries)?;
        if self.believed.is_some() && self.replaces_with_older(&records) {
            return Ok(Verdict::Drop);
        }
        let new_after = LogIndex(after.0 + (entries.len() - records.len()) as u64);
        let message = PeerMessage::Append { view, after, after_view, commit, entries };
        Ok(Verdict::Pass(message, NewEntries { after: new_after, records }))
    }

    /// Whether `records` would replace entries of ours without being of a later view. What a leader of a later view has
    /// signed tells that nothing is committed that it lacks; signatures of an earlier one may just be shown again.
    fn replaces_with_older(&self, records: &[LogRecord]) -> bool {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return false };
        first.index.0 <= self.log.last() && last.view.0 <= self.log.last_view()
    }

    /// Views never fall along a log, and none is above the view of the leader that sends them.
    fn check_views(
        &self,
        message: View,
        (mut index, mut after): (LogIndex, View),
        entries: &[WireEntry],
    ) -> Result<(), PeerMisbehaved> {
        for found in std::iter::once(after).chain(entries.iter().map(WireEntry::view)) {
            if found < after || found > message || found.0 == 0 {
                return Err(PeerMisbehaved::ViewsOutOfOrder { index, found, after, message });
            }
            (index, after) = (index.next(), found);
        }
        Ok(())
    }

    /// The records among `entries` that our log does not hold, the seqnos of which must continue it.
    fn new_records(&self, after: LogIndex, entries: &[WireEntry]) -> Result<Vec<LogRecord>, PeerMisbehaved> {
        let held = entries.iter().zip(after.0 + 1..).take_while(|(e, i)| self.log.view(*i) == Some(e.view().0));
        let mut count = 0;
        for (entry, index) in held {
            self.check_same(entry, index)?;
            count += 1;
        }
        let first = after.0 + 1 + count as u64;
        let mut next_seqno = self.log.next_seqno_after(first - 1).expect("entries from the committed one on are held");
        let mut configuration = None;
        let mut records = Vec::with_capacity(entries.len() - count);
        for (entry, index) in entries[count..].iter().zip(first..) {
            if let WireEntry::Configuration { change, .. } = entry {
                let now = match configuration.take() {
                    Some(now) => now,
                    None => self.configuration_at(first - 1),
                };
                let next = now.after(*change);
                configuration = Some(next.ok_or(PeerMisbehaved::NotAStep { index: LogIndex(index), change: *change })?);
            }
            if let WireEntry::Block { first_seqno, .. } = entry
                && first_seqno.0 != next_seqno
            {
                let (found, expected) = (*first_seqno, synod_types::Seqno(next_seqno));
                return Err(PeerMisbehaved::SeqnoGap { index: LogIndex(index), found, expected });
            }
            let slot = Slot::of(engine_entry(index, entry.clone()), next_seqno);
            next_seqno = slot.next_seqno();
            records.push(slot.record());
        }
        Ok(records)
    }

    /// An entry with the index and view of one of ours is that one (Log Matching, dissertation 3.3).
    fn check_same(&self, entry: &WireEntry, index: u64) -> Result<(), PeerMisbehaved> {
        let ours = self.log.slot(index).expect("entries after the committed one are held");
        let theirs = engine_entry(index, entry.clone());
        let kinds = [&ours.entry, &theirs].map(Entry::get_entry_type);
        if kinds[0] == kinds[1] && ours.entry.context == theirs.context && ours.entry.data == theirs.data {
            Ok(())
        } else {
            Err(PeerMisbehaved::EntryDiffers { index: LogIndex(index), view: entry.view() })
        }
    }

    fn configuration_at(&self, index: u64) -> Configuration {
        self.log.configuration_at(self.start, index).expect("each change was checked before it was appended")
    }

    /// A follower acknowledges what we sent in this view.
    fn check_ack(&self, view: View, index: LogIndex) -> Result<(), PeerMisbehaved> {
        let last = LogIndex(self.log.last());
        if self.leads(view) && index > last { Err(PeerMisbehaved::AckBeyondLog { index, last }) } else { Ok(()) }
    }

    /// Returns the hint as the engine would come to it by counting down: the last entry of our log
    /// up to the follower's hint that can agree with the follower's.
    fn check_refusal(
        &self,
        view: View,
        after: LogIndex,
        (hint, hint_view): (LogIndex, View),
    ) -> Result<LogIndex, PeerMisbehaved> {
        if !self.leads(view) {
            return Ok(hint);
        }
        self.check_ack(view, after)?;
        if after.0 <= 1 || hint.0 == 0 || hint_view.0 == 0 {
            return Err(PeerMisbehaved::GenesisRefused { index: after.min(hint) });
        }
        if hint > after {
            return Err(PeerMisbehaved::HintBeyondRefusal { index: after, hint });
        }
        Ok(LogIndex(self.log.last_up_to_view(hint.0, hint_view.0)))
    }

    /// A vote makes a leader only if the request for it left this node, which it does after all
    /// before it was synced: `become_leader` panics otherwise.
    fn check_vote(&self, view: View, ask: Ask, granted: bool) -> Result<(), PeerMisbehaved> {
        let not_asked = match ask {
            Ask::Would => view.0 > self.view.0 + 1,
            Ask::Will | Ask::HandOver => {
                view > self.view || (view == self.view && self.role == StateRole::Candidate && self.asked != Some(view))
            }
        };
        if granted && not_asked { Err(PeerMisbehaved::VoteNotAskedFor { view, ours: self.view }) } else { Ok(()) }
    }
}

/// Without the entries at the end that nobody has signed: a block signs all before it.
fn up_to_last_block(mut entries: Vec<WireEntry>) -> Vec<WireEntry> {
    let signed = entries.iter().rposition(|entry| matches!(entry, WireEntry::Block { .. }));
    entries.truncate(signed.map_or(0, |last| last + 1));
    entries
}

/// Whether a message is an answer or a request that only who takes part may send.
const fn is_for_members(message: &PeerMessage) -> bool {
    match message {
        PeerMessage::Appended { .. }
        | PeerMessage::Refused { .. }
        | PeerMessage::Vote { .. }
        | PeerMessage::HeartbeatSeen { .. }
        | PeerMessage::AskRead { .. } => true,
        PeerMessage::Append { .. }
        | PeerMessage::AskVote { .. }
        | PeerMessage::Heartbeat { .. }
        | PeerMessage::TakeOver { .. }
        | PeerMessage::Read { .. } => false,
    }
}

fn pass(message: PeerMessage) -> Result<Verdict, PeerMisbehaved> {
    Ok(Verdict::Pass(message, NewEntries::default()))
}

fn in_range(numbers: &[(&'static str, LogIndex)]) -> Result<(), PeerMisbehaved> {
    match numbers.iter().find(|(_, number)| number.0 > NUMBER_MAX) {
        Some((what, found)) => Err(PeerMisbehaved::NumberOutOfRange { what, found: found.0 }),
        None => Ok(()),
    }
}

fn names(read: ReadContext, expected: NodeId) -> Result<(), PeerMisbehaved> {
    if read.node == expected { Ok(()) } else { Err(PeerMisbehaved::ForeignReadContext { found: read.node, expected }) }
}

/// How far a view may be above ours: thirteen years of ten elections a second while we were away.
const VIEW_JUMP_MAX: u64 = 1 << 32;
