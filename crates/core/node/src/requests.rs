//! Exactly once: which requests were done, and as which transaction.
//!
//! Every write carries a request id. A retry, perhaps through another node after the leader was
//! lost, finds its id here and is answered with what the first attempt led to. The table is built
//! from the ledger alone, so each node's is the same at the same point. An id is kept for
//! [`WINDOW`] of ledger time; a client that retries later than that may be done twice, which is
//! why clients give up well before.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use synod_types::{ActorId, RequestId, Seqno, Time};

/// How long a request id is kept, in ledger time: three times what clients go on retrying.
pub const WINDOW: Duration = Duration::from_secs(60);

/// Which request: ids of different actors do not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    actor: u32,
    id: RequestId,
}

/// The requests done within the window, up to the tip of the log.
#[derive(Debug, Default)]
pub struct RequestTable {
    /// Actors are few; a number for each keeps a key at 20 bytes.
    actors: HashMap<ActorId, u32>,
    /// The last transaction of each request.
    done: HashMap<RequestKey, Seqno>,
    /// What to forget, oldest block first.
    blocks: VecDeque<(Time, Vec<RequestKey>)>,
}

impl RequestTable {
    /// The key of a request.
    pub fn key(&mut self, actor: ActorId, id: RequestId) -> RequestKey {
        let next = u32::try_from(self.actors.len()).expect("actors are listed in the ledger, far below 2^32");
        RequestKey { actor: *self.actors.entry(actor).or_insert(next), id }
    }

    /// The last transaction of the request, if it was done.
    pub fn find(&self, key: RequestKey) -> Option<Seqno> {
        self.done.get(&key).copied()
    }

    /// Notes the requests of the next block, and forgets those whose window has passed.
    pub fn push(&mut self, time: Time, requests: impl IntoIterator<Item = (RequestKey, Seqno)>) {
        let requests: Vec<_> = requests.into_iter().collect();
        self.done.extend(requests.iter().copied());
        self.blocks.push_back((time, requests.into_iter().map(|(key, _)| key).collect()));
    }

    /// Takes back the newest block: it was truncated.
    ///
    /// # Panics
    /// If there is none: only what was pushed is truncated.
    pub fn pop(&mut self) {
        let (_, keys) = self.blocks.pop_back().expect("a truncated block was pushed before");
        for key in keys {
            self.done.remove(&key);
        }
    }

    /// Forgets what was done before the window that ends at `now`, which is a committed block's time:
    /// what is forgotten can no longer be taken back.
    pub fn forget(&mut self, now: Time) {
        while let Some((time, _)) = self.blocks.front() {
            if now.since(*time) <= WINDOW {
                return;
            }
            let (_, keys) = self.blocks.pop_front().expect("the front was just looked at");
            for key in keys {
                self.done.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(table: &mut RequestTable, actor: u8, id: u8) -> RequestKey {
        table.key(ActorId([actor; 32]), RequestId([id; 16]))
    }

    #[test]
    fn a_request_is_found_until_its_window_has_passed() {
        let mut table = RequestTable::default();
        let first = key(&mut table, 1, 1);
        table.push(Time(0), [(first, Seqno(2))]);
        table.forget(Time(0).after(WINDOW));
        assert_eq!(table.find(first), Some(Seqno(2)));
        table.forget(Time(1).after(WINDOW));
        assert_eq!(table.find(first), None);
    }

    #[test]
    fn a_truncated_block_takes_its_requests_with_it_and_no_others() {
        let mut table = RequestTable::default();
        let (kept, lost) = (key(&mut table, 1, 1), key(&mut table, 1, 2));
        table.push(Time(0), [(kept, Seqno(2))]);
        table.push(Time(1), [(lost, Seqno(3))]);
        table.pop();
        assert_eq!((table.find(kept), table.find(lost)), (Some(Seqno(2)), None));
    }

    #[test]
    fn two_actors_may_use_the_same_id() {
        let mut table = RequestTable::default();
        let (one, other) = (key(&mut table, 1, 1), key(&mut table, 2, 1));
        table.push(Time(0), [(one, Seqno(2))]);
        assert_eq!(table.find(other), None);
        assert_eq!(key(&mut table, 1, 1), one);
    }
}
