//! How far this node's log is synced: what it may be held to.
//!
//! An acknowledgement is seen by the leader alone, and what a leader counts of its own disk by nobody. So each
//! node tells all others how far it is, a little later: then a roll-back is noticed even if the leader of that
//! time is gone, or was the one rolled back.

use std::collections::VecDeque;
use std::time::Duration;

use synod_types::boundary::Ticket;
use synod_types::{LogIndex, Time, View};

use crate::node::{Engine, Node};
use crate::peer::PeerMessage;

/// How long after a sync the peers are told, at the latest: about a heartbeat, so that it costs nothing under load.
/// What is acknowledged within this time, only the leader has seen.
pub const TELL_AFTER: Duration = Duration::from_millis(100);

/// The end of the synced log: an entry's index and view.
pub type LogEnd = (LogIndex, View);

/// The end of the synced log, and of what is on its way to the disk.
#[derive(Debug)]
pub struct Synced {
    end: LogEnd,
    under_way: VecDeque<(Ticket, LogEnd)>,
    last_ticket: Ticket,
    told: LogEnd,
    tell_at: Option<Time>,
}

impl Synced {
    /// A log that was read back from the disk up to `end`.
    pub const fn new(end: LogEnd) -> Self {
        Self { end, under_way: VecDeque::new(), last_ticket: Ticket(0), told: end, tell_at: None }
    }

    /// The last entry that is synced and not about to be cut off.
    pub const fn end(&self) -> LogEnd {
        self.end
    }

    /// An append is on its way to the disk; with it the log ends at `end`.
    pub fn appended(&mut self, ticket: Ticket, end: LogEnd) {
        self.under_way.push_back((ticket, end));
        self.last_ticket = ticket;
    }

    /// The last append's.
    pub const fn last_ticket(&self) -> Ticket {
        self.last_ticket
    }

    /// Everything after `end` is about to be cut off.
    pub fn cut(&mut self, end: LogEnd) {
        let ends = self.under_way.iter_mut().map(|(_, later)| later).chain([&mut self.end]);
        ends.filter(|later| later.0 > end.0).for_each(|later| *later = end);
    }

    /// The append `ticket` and all before it are on disk. True if the peers are to be told of something new.
    pub fn persisted(&mut self, ticket: Ticket) -> bool {
        while let Some((_, end)) = self.under_way.pop_front_if(|(waiting, _)| *waiting <= ticket) {
            self.end = end;
        }
        self.end != self.told
    }

    /// When the peers are to be told.
    pub const fn tell_at(&self) -> Option<Time> {
        self.tell_at
    }
}

impl Node {
    pub(crate) fn on_persisted(&mut self, now: Time, ticket: Ticket) {
        if self.synced.persisted(ticket) {
            self.synced.tell_at.get_or_insert(now.after(TELL_AFTER));
        }
        let Engine::Running(consensus) = &mut self.engine else { panic!("nothing is appended before the node runs") };
        consensus.persisted(ticket.0);
    }

    /// Tells all peers how far the log is synced, if it is time.
    pub(crate) fn tell_synced_if_due(&mut self, now: Time) {
        if self.synced.tell_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        self.synced.told = self.synced.end;
        // Who has not said yet what it remembers must not take what it hears now for something from before.
        for peer in self.peers().into_iter().filter(|peer| !self.is_late(*peer)).collect::<Vec<_>>() {
            self.send(peer, &self.synced_message());
        }
    }

    /// What a peer is told of this node's disk.
    pub(crate) const fn synced_message(&self) -> PeerMessage {
        let (index, view) = self.synced.end();
        PeerMessage::Synced { view, index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn end(index: u64, view: u64) -> LogEnd {
        (LogIndex(index), View(view))
    }

    #[test]
    fn an_append_counts_when_it_and_all_before_it_are_on_disk() {
        let mut synced = Synced::new(end(5, 2));
        assert!(!synced.persisted(Ticket(0)), "they know");
        synced.appended(Ticket(1), end(7, 2));
        synced.appended(Ticket(2), end(8, 2));
        synced.appended(Ticket(3), end(9, 2));
        assert!(!synced.persisted(Ticket(0)));
        assert!(synced.persisted(Ticket(2)));
        assert_eq!(synced.end(), end(8, 2));
    }

    #[test]
    fn what_is_about_to_be_cut_off_counts_no_more_even_if_it_reaches_the_disk_first() {
        let mut synced = Synced::new(end(5, 2));
        synced.appended(Ticket(1), end(9, 2));
        synced.cut(end(7, 2));
        synced.appended(Ticket(2), end(8, 3));
        assert_eq!(synced.end(), end(5, 2));
        synced.persisted(Ticket(1));
        assert_eq!(synced.end(), end(7, 2));
        synced.cut(end(3, 1));
        assert_eq!(synced.end(), end(3, 1));
        synced.persisted(Ticket(2));
        assert_eq!(synced.end(), end(3, 1), "that append was cut too");
    }
}
