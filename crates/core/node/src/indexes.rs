//! Who waits for the engine's word that a leader leads: linearizable reads, and what this leader refuses.

use std::collections::BTreeMap;

use synod_types::{LogIndex, Time};

use crate::event::Refusal;
use crate::refused::RefusedRequest;

/// All who wait.
#[derive(Debug, Default)]
pub struct Indexes {
    /// By the number under which the engine is asked.
    waiting: BTreeMap<u64, Waits>,
    last_question: u64,
    /// How many of those are clients.
    queries: usize,
}

/// Somebody who waits for the engine's word that this node, or the leader that it follows, leads.
#[derive(Debug)]
struct Waits {
    asker: Asker,
    deadline: Time,
    /// The entry that must be committed here, once the engine has said.
    wanted: Option<LogIndex>,
}

/// Who that is.
#[derive(Debug)]
pub enum Asker {
    /// A client that reads what is committed by then.
    Query {
        /// The query's token.
        token: u64,
    },
    /// A request that this leader refused: see [`crate::refused`].
    Refused(Box<RefusedRequest>),
}

impl Asker {
    /// The entry that must be committed besides what the engine says.
    fn judged_at(&self) -> LogIndex {
        match self {
            Self::Query { .. } => LogIndex(0),
            Self::Refused(refused) => refused.judged_at,
        }
    }
}

/// The most linearizable reads that wait at once: each round trip to the leader answers all that came before it.
const READ_INDEXES_MAX: usize = 1_024;

impl Indexes {
    /// Takes in somebody who waits for the engine's word, until `deadline`; returns under which number it is asked for.
    ///
    /// # Errors
    /// If too many clients wait already.
    pub fn ask(&mut self, deadline: Time, asker: Asker) -> Result<u64, Refusal> {
        if matches!(asker, Asker::Query { .. }) {
            if self.queries >= READ_INDEXES_MAX {
                return Err(Refusal::TooManyPending);
            }
            self.queries += 1;
        }
        self.last_question += 1;
        self.waiting.insert(self.last_question, Waits { asker, deadline, wanted: None });
        Ok(self.last_question)
    }

    /// The engine is not asked after all.
    pub fn forget(&mut self, question: u64) -> Option<Asker> {
        self.waiting.remove(&question).map(|read| self.out(read))
    }

    /// The engine's word. Nobody waits for one that comes too late.
    pub fn ready(&mut self, question: u64, index: LogIndex) {
        if let Some(read) = self.waiting.get_mut(&question) {
            read.wanted = Some(index.max(read.asker.judged_at()));
        }
    }

    /// Takes out those who may be answered once `committed` is.
    pub fn take(&mut self, committed: LogIndex) -> Vec<Asker> {
        let is_ready = |read: &Waits| read.wanted.is_some_and(|index| index <= committed);
        self.take_askers(is_ready).into_iter().map(|(_, asker)| asker).collect()
    }

    /// Takes out those who have waited too long, with the numbers under which the engine was asked.
    pub fn expired(&mut self, now: Time) -> Vec<(u64, Asker)> {
        self.take_askers(|read| read.deadline <= now)
    }

    /// Takes out the requests that this leader has refused and not told so, with the numbers under which the engine was
    /// asked.
    pub fn take_refused(&mut self) -> Vec<(u64, Asker)> {
        if self.waiting.len() == self.queries {
            return Vec::new();
        }
        self.take_askers(|read| matches!(read.asker, Asker::Refused(_)))
    }

    fn take_askers(&mut self, which: impl Fn(&Waits) -> bool) -> Vec<(u64, Asker)> {
        let taken: Vec<_> = self.waiting.extract_if(.., |_, read| which(read)).collect();
        taken.into_iter().map(|(question, read)| (question, self.out(read))).collect()
    }

    fn out(&mut self, read: Waits) -> Asker {
        self.queries -= usize::from(matches!(read.asker, Asker::Query { .. }));
        read.asker
    }

    /// Whether nobody waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(askers: impl IntoIterator<Item = Asker>) -> Vec<u64> {
        let token = |asker| if let Asker::Query { token } = asker { token } else { panic!("a client asked") };
        askers.into_iter().map(token).collect()
    }

    #[test]
    fn a_linearizable_read_expires_and_its_late_word_is_dropped() {
        let mut reads = Indexes::default();
        let first = reads.ask(Time(1), Asker::Query { token: 7 }).unwrap();
        let second = reads.ask(Time(2), Asker::Query { token: 8 }).unwrap();
        let expired = reads.expired(Time(1));
        assert_eq!((expired[0].0, tokens(expired.into_iter().map(|(_, asker)| asker))), (first, vec![7]));
        reads.ready(first, LogIndex(3));
        reads.ready(second, LogIndex(4));
        assert_eq!(tokens(reads.take(LogIndex(3))), [0; 0]);
        assert_eq!(tokens(reads.take(LogIndex(4))), [8]);
        assert!(reads.is_idle());
    }

    #[test]
    fn clients_that_wait_to_read_are_bounded() {
        let mut reads = Indexes::default();
        let ask = |reads: &mut Indexes| reads.ask(Time(1), Asker::Query { token: 7 });
        let questions: Vec<_> = (0..READ_INDEXES_MAX).map(|_| ask(&mut reads).unwrap()).collect();
        assert_eq!(ask(&mut reads), Err(Refusal::TooManyPending));
        assert!(reads.forget(questions[0]).is_some());
        assert!(ask(&mut reads).is_ok());
        assert!(reads.take_refused().is_empty());
    }
}
