//! Reads that wait for a leader's confirmation, many to one question.
//!
//! A read may be served from an index that the leader knew committed at some time after the read
//! was asked for, if a majority confirmed since then that it leads (ReadIndex, dissertation 6.4).
//! Reads that come while one question is open share the next one.

use synod_types::NodeId;

use crate::format::ReadContext;

/// The reads of this node.
#[derive(Debug)]
pub(crate) struct Reads {
    node: NodeId,
    incarnation: u64,
    last_number: u64,
    /// The reads behind the open question.
    asked: Vec<u64>,
    /// Ticks until the open question is put again, in case it or its answer was lost.
    retry_in: u64,
    retry_ticks: u64,
    waiting: Vec<u64>,
}

impl Reads {
    pub fn new(node: NodeId, incarnation: u64, retry_ticks: usize) -> Self {
        let retry_ticks = retry_ticks as u64;
        Self { node, incarnation, last_number: 0, asked: vec![], retry_in: 0, retry_ticks, waiting: vec![] }
    }

    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Adds a read; false if there are too many.
    pub fn add(&mut self, context: u64) -> bool {
        let room = self.asked.len() + self.waiting.len() < READS_MAX;
        if room {
            self.waiting.push(context);
        }
        room
    }

    /// Drops a read. The question that it waits behind is put no more once nobody is left behind it.
    pub fn forget(&mut self, context: u64) {
        self.asked.retain(|asked| *asked != context);
        self.waiting.retain(|waiting| *waiting != context);
    }

    /// The question to put now, if none is open and some read waits.
    pub fn open(&mut self) -> Option<ReadContext> {
        if !self.asked.is_empty() || self.waiting.is_empty() {
            return None;
        }
        self.asked = std::mem::take(&mut self.waiting);
        self.last_number += 1;
        self.retry_in = self.retry_ticks;
        Some(self.question())
    }

    /// Time passes; returns the open question if it is to be put again.
    pub fn passed(&mut self, ticks: u64) -> Option<ReadContext> {
        if self.asked.is_empty() {
            return None;
        }
        self.retry_in = self.retry_in.saturating_sub(ticks);
        if self.retry_in > 0 {
            return None;
        }
        self.retry_in = self.retry_ticks;
        Some(self.question())
    }

    /// Ticks until [`Reads::passed`] has something to say.
    pub fn next_retry(&self) -> Option<u64> {
        (!self.asked.is_empty()).then_some(self.retry_in)
    }

    /// The reads that an answer releases; none if it answers an older question.
    pub fn answered(&mut self, read: ReadContext) -> Vec<u64> {
        if read == self.question() { std::mem::take(&mut self.asked) } else { Vec::new() }
    }

    fn question(&self) -> ReadContext {
        ReadContext { node: self.node, incarnation: self.incarnation, number: self.last_number }
    }
}

/// The most reads that wait at once: the requests of a full second at the best rate seen.
const READS_MAX: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_come_while_a_question_is_open_share_the_next_one() {
        let mut reads = Reads::new(NodeId(1), 7, 10);
        assert!(reads.add(1));
        let first = reads.open().unwrap();
        assert!(reads.add(2) && reads.add(3));
        assert_eq!(reads.open(), None);
        assert_eq!(reads.answered(first), [1]);
        assert_eq!(reads.answered(first), [0; 0], "an answer counts once");
        let second = reads.open().unwrap();
        assert_eq!(reads.answered(second), [2, 3]);
    }

    #[test]
    fn a_forgotten_read_is_not_told_and_gives_its_room_back() {
        let mut reads = Reads::new(NodeId(1), 7, 10);
        (0..READS_MAX as u64).for_each(|context| assert!(reads.add(context)));
        assert!(!reads.add(u64::MAX));
        reads.forget(0);
        assert!(reads.add(u64::MAX));
        reads.waiting.truncate(2);
        let first = reads.open().unwrap();
        reads.add(9);
        reads.forget(1);
        assert_eq!(reads.answered(first), [2]);
        let second = reads.open().unwrap();
        reads.forget(9);
        assert_eq!((reads.next_retry(), reads.answered(second)), (None, vec![]));
    }

    #[test]
    fn an_open_question_is_put_again_until_it_is_answered() {
        let mut reads = Reads::new(NodeId(1), 7, 10);
        assert_eq!((reads.passed(100), reads.next_retry()), (None, None));
        reads.add(1);
        let question = reads.open().unwrap();
        assert_eq!((reads.passed(9), reads.next_retry()), (None, Some(1)));
        assert_eq!(reads.passed(1), Some(question));
        assert_eq!(reads.answered(question), [1]);
        assert_eq!(reads.passed(100), None);
    }
}
