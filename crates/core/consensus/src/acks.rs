//! Acknowledgements that tell a leader nothing new are not sent.
//!
//! The engine answers every append. With one block under way at a time a commit is told by an append of its own
//! (`announce_commit`), and its answer only repeats the acknowledgement that led to the commit: a quarter of all
//! messages. Such an answer is left out, once; the same append again is answered, so that a leader that
//! asks because an acknowledgement was lost learns of it. Of several acknowledgements that one sync releases,
//! the last says all.

use raft::eraftpb::{Message, MessageType};
use synod_types::NodeId;

/// What this follower acknowledged last.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    last: Option<Ack>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ack {
    to: u64,
    term: u64,
    index: u64,
}

impl Acks {
    /// Whether `append` only tells that what was acknowledged last is committed; then its answer need not be sent.
    /// True at most once for each acknowledgement, and never of a leader of the past, whom the answer tells of `term`.
    pub fn is_announcement(&mut self, term: u64, append: &Message) -> bool {
        let acknowledged = Ack { to: append.from, term: append.term, index: append.index };
        let is_known = self.last == Some(acknowledged) && append.commit >= append.index && append.term == term;
        let is_announcement = append.msg_type == MessageType::MsgAppend && append.entries.is_empty() && is_known;
        if is_announcement {
            self.last = None;
        }
        is_announcement
    }

    /// `message` is sent.
    pub fn sent(&mut self, message: &Message) {
        if let Some(ack) = ack(message) {
            self.last = Some(ack);
        }
    }

    /// What was sent to `node` may be lost.
    pub fn unreachable(&mut self, node: NodeId) {
        self.last.take_if(|last| last.to == node.0);
    }
}

/// The acknowledgement that `message` is, if it is one.
fn ack(message: &Message) -> Option<Ack> {
    let is_ack = message.msg_type == MessageType::MsgAppendResponse && !message.reject;
    is_ack.then_some(Ack { to: message.to, term: message.term, index: message.index })
}

/// Takes the answer to an announcement, which was just stepped, out of `messages`.
pub(crate) fn drop_answer(messages: &mut Vec<Message>) {
    messages.pop_if(|message| ack(message).is_some());
}

/// Drops the acknowledgements of `messages` that a later one among them includes.
pub(crate) fn drop_included(messages: &mut Vec<Message>) {
    let mut last: Option<Ack> = None;
    let mut kept: Vec<_> = std::mem::take(messages).into_iter().rev().collect();
    kept.retain(|message| {
        let Some(ack) = ack(message) else { return true };
        let is_included =
            last.is_some_and(|last| (last.to, last.term) == (ack.to, ack.term) && last.index >= ack.index);
        if !is_included {
            last = Some(ack);
        }
        !is_included
    });
    kept.reverse();
    *messages = kept;
}

#[cfg(test)]
mod tests {
    use raft::eraftpb::Entry;

    use super::*;

    fn acknowledgement(to: u64, term: u64, index: u64) -> Message {
        Message { msg_type: MessageType::MsgAppendResponse, to, term, index, ..Message::default() }
    }

    fn append(from: u64, term: u64, index: u64, commit: u64) -> Message {
        Message { msg_type: MessageType::MsgAppend, from, term, index, commit, ..Message::default() }
    }

    #[test]
    fn only_the_first_empty_append_that_commits_what_was_acknowledged_needs_no_answer() {
        let sent = || {
            let mut acks = Acks::default();
            acks.sent(&acknowledgement(1, 2, 9));
            acks
        };
        let mut acks = sent();
        assert!(acks.is_announcement(2, &append(1, 2, 9, 9)));
        assert!(!acks.is_announcement(2, &append(1, 2, 9, 9)), "it asks again");
        let with_entries = Message { entries: vec![Entry::default()].into(), ..append(1, 2, 9, 9) };
        for other in [append(3, 2, 9, 9), append(1, 3, 9, 9), append(1, 2, 8, 9), append(1, 2, 9, 8), with_entries] {
            assert!(!sent().is_announcement(2, &other), "{other:?}");
        }
        assert!(!sent().is_announcement(3, &append(1, 2, 9, 9)), "its leader is one of the past");
        let mut acks = sent();
        acks.unreachable(NodeId(3));
        acks.sent(&Message { reject: true, ..acknowledgement(1, 2, 4) });
        assert!(acks.is_announcement(2, &append(1, 2, 9, 9)));
        let mut acks = sent();
        acks.unreachable(NodeId(1));
        assert!(!acks.is_announcement(2, &append(1, 2, 9, 9)), "the acknowledgement may be lost");
    }

    #[test]
    fn of_acknowledgements_that_go_together_the_last_is_sent() {
        let refusal = Message { reject: true, ..acknowledgement(1, 2, 8) };
        let mut messages =
            vec![acknowledgement(1, 2, 8), refusal.clone(), acknowledgement(1, 2, 9), acknowledgement(1, 2, 9)];
        drop_included(&mut messages);
        assert_eq!(messages, [refusal, acknowledgement(1, 2, 9)]);
        let different = [acknowledgement(1, 2, 9), acknowledgement(3, 4, 5)];
        let mut messages = different.to_vec();
        drop_included(&mut messages);
        assert_eq!(messages, different);
    }
}
