//! Messages that wait for the disk.
//!
//! A follower's messages speak of what it remembers, so they leave only when everything that they
//! may speak of is synced: the engine's `Ready`s up to the one they came with.

use std::collections::VecDeque;

use raft::eraftpb::Message;

/// Messages held back, in order.
#[derive(Debug, Default)]
pub(crate) struct SyncGate {
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    /// Whether this one waits for a sync of its own, not only for those before it.
    syncs: bool,
    messages: Vec<Message>,
}

impl SyncGate {
    /// Whether nothing waits for a sync.
    pub fn is_open(&self) -> bool {
        self.held.is_empty()
    }

    /// Holds `messages` back until everything up to `number` is synced.
    pub fn hold(&mut self, number: u64, syncs: bool, messages: Vec<Message>) {
        debug_assert!(syncs || !self.is_open(), "what needs no sync waits only behind what does");
        self.held.push_back(Held { number, syncs, messages });
    }

    /// Everything up to `number` is synced: the last `Ready` that is now persisted, and the
    /// messages that may go. `None` if that was known, or if nothing of that number waits for a sync.
    pub fn synced(&mut self, number: u64) -> Option<(u64, Vec<Message>)> {
        self.held.iter().find(|held| held.syncs && held.number == number)?;
        let mut released = None;
        while let Some(held) = self.held.front()
            && (held.number <= number || (released.is_some() && !held.syncs))
        {
            let held = self.held.pop_front().expect("front is some");
            let (last, messages) = released.get_or_insert((0, Vec::new()));
            *last = held.number;
            messages.extend(held.messages);
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(node: u64) -> Vec<Message> {
        vec![Message { to: node, ..Message::default() }]
    }

    fn released(gate: &mut SyncGate, number: u64) -> Option<(u64, Vec<u64>)> {
        gate.synced(number).map(|(last, messages)| (last, messages.iter().map(|m| m.to).collect()))
    }

    #[test]
    fn messages_leave_in_order_and_only_when_all_before_them_is_synced() {
        let mut gate = SyncGate::default();
        gate.hold(1, true, to(1));
        gate.hold(2, false, to(2));
        gate.hold(3, true, to(3));
        gate.hold(4, false, to(4));
        for never_asked_for in [0, 2, 4, 5, u64::MAX] {
            assert_eq!(released(&mut gate, never_asked_for), None);
        }
        assert_eq!(released(&mut gate, 1), Some((2, vec![1, 2])));
        assert_eq!(released(&mut gate, 1), None);
        assert!(!gate.is_open());
        assert_eq!(released(&mut gate, 3), Some((4, vec![3, 4])));
        assert!(gate.is_open());
    }
}
