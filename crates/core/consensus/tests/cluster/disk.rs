//! A disk that loses what was not synced, or keeps part of it.

use std::collections::VecDeque;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use synod_consensus::{Append, LogRecord, Vote};

/// What a node's disk holds after a sync, and what is on its way there.
pub struct Disk {
    pub records: Vec<LogRecord>,
    pub vote: Option<Vote>,
    pending: VecDeque<Append>,
}

impl Disk {
    pub fn new(genesis: LogRecord) -> Self {
        Self { records: vec![genesis], vote: None, pending: VecDeque::new() }
    }

    pub fn write(&mut self, append: Append) {
        self.pending.push_back(append);
    }

    /// Everything up to append `number` is safe.
    pub fn sync(&mut self, number: u64) {
        while self.pending.front().is_some_and(|append| append.number <= number) {
            let append = self.pending.pop_front().unwrap();
            self.apply(append);
        }
    }

    /// A crash: of the writes that were not synced any prefix may have reached the disk, the last of
    /// them in part, its vote or its records first.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let kept = rng.next_u32() as usize % (self.pending.len() + 1);
        let torn = self.pending.get(kept).cloned();
        for append in self.pending.drain(..).take(kept).collect::<Vec<_>>() {
            self.apply(append);
        }
        let Some(mut torn) = torn else { return };
        if rng.next_u32().is_multiple_of(2) {
            torn.vote = None;
        }
        torn.records.truncate(rng.next_u32() as usize % (torn.records.len() + 1));
        if torn.records.is_empty() && rng.next_u32().is_multiple_of(2) {
            torn.truncate_from = None;
        }
        self.apply(torn);
    }

    /// Whether `record` is here to stay.
    pub fn holds(&self, record: &LogRecord) -> bool {
        self.records.get(record.index.0 as usize - 1) == Some(record)
    }

    fn apply(&mut self, append: Append) {
        if let Some(from) = append.truncate_from {
            self.records.truncate(from.0 as usize - 1);
        }
        for record in append.records {
            assert_eq!(record.index.0, self.records.len() as u64 + 1, "records are written without gaps");
            self.records.push(record);
        }
        self.vote = append.vote.or(self.vote);
    }
}
