//! Exactly once: which requests were done, and as which transaction.
//!
//! Every write carries a request id. A retry, perhaps through another node after the leader was
//! lost, finds its id here and is answered with what the first attempt led to. The table is built
//! from the ledger alone, so each node's is the same at the same point. An id is kept until it is
//! older than [`WINDOW`]; a client that retries later than that may be done twice, which is why
//! clients give up well before.
//!
//! Ids age by the blocks' times, but only by differences that one clock has measured: see [`ageing`].

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use synod_ledger::Tip;
use synod_types::limits::RETRY_TIME_MAX;
use synod_types::{ActorId, RequestId, Seqno};

use crate::event::ClientRequest;
use crate::inbox::PATIENCE;
use crate::request_digest::RequestDigest;

/// How old a request id grows before it is forgotten. A client sends a write for the last time
/// [`RETRY_TIME_MAX`] after the first; that copy may wait [`PATIENCE`] at a follower and as long again
/// at the leader, so it is ordered at most 50 s after the first one was. The rest is for clocks.
pub const WINDOW: Duration = Duration::from_secs(60);

/// The most by which ids age from one block to the next: twice this fits into [`WINDOW`] beside the retries, so a
/// leader's clock may be set forward twice within it, however far. Where blocks are further apart ids age slower
/// than time passes, and few are kept, since few are made.
const AGEING_STEP_MAX: Duration = Duration::from_secs(5);

const _: () = assert!(
    WINDOW.as_secs() >= RETRY_TIME_MAX.as_secs() + 2 * PATIENCE.as_secs() + 2 * AGEING_STEP_MAX.as_secs(),
    "an id is kept for longer than its request is retried"
);

/// By how much request ids age from the entry that left `before` to the next one, which left `after`.
///
/// Not at all where a view begins: the time of its first block differs from that of the block before by as much as
/// two leaders' clocks do, and that must not make ids old. Within a view one clock has measured both times. So ids
/// never age faster than time passes, but for a clock that is set forward, for which see [`AGEING_STEP_MAX`].
pub fn ageing(before: &Tip, after: &Tip) -> Duration {
    if after.open_view == before.open_view {
        after.time.since(before.time).min(AGEING_STEP_MAX)
    } else {
        Duration::ZERO
    }
}

/// Which request: ids of different actors do not meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestKey {
    actor: u32,
    id: RequestId,
}

/// What is known of a request that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its last transaction.
    pub seqno: Seqno,
    /// What it asked for: under the same id only that is the same request.
    pub asked: RequestDigest,
}

/// The requests done within the window, up to the tip of the log.
#[derive(Default)]
pub struct RequestTable {
    /// Actors are few; a number for each keeps a key at 20 bytes.
    actors: HashMap<ActorId, u32>,
    done: HashMap<RequestKey, Known>,
    /// What to forget, oldest block first, each with the age of the log at which it was made.
    blocks: VecDeque<(Duration, Vec<RequestKey>)>,
}

impl RequestTable {
    /// The key of a request.
    pub fn key(&mut self, actor: ActorId, id: RequestId) -> RequestKey {
        let next = u32::try_from(self.actors.len()).expect("actors are listed in the ledger, far below 2^32");
        RequestKey { actor: *self.actors.entry(actor).or_insert(next), id }
    }

    /// What is known of the request, if it was done.
    pub fn find(&self, key: RequestKey) -> Option<Known> {
        self.done.get(&key).copied()
    }

    /// The last transaction of `request`, whose key this is, if just that was done.
    pub fn done(&self, key: RequestKey, request: &ClientRequest) -> Option<Seqno> {
        let known = self.find(key)?;
        (known.asked == RequestDigest::of(request)).then_some(known.seqno)
    }

    /// Notes the requests of the next block, which stands at `age`.
    pub fn push(&mut self, age: Duration, requests: impl IntoIterator<Item = (RequestKey, Known)>) {
        let requests: Vec<_> = requests.into_iter().collect();
        self.done.extend(requests.iter().copied());
        self.blocks.push_back((age, requests.into_iter().map(|(key, _)| key).collect()));
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

    /// Forgets what was done before the window that ends at `age`, which is where a committed block stands:
    /// what is forgotten can no longer be taken back.
    pub fn forget(&mut self, age: Duration) {
        while let Some((done_at, _)) = self.blocks.front() {
            if age.saturating_sub(*done_at) <= WINDOW {
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

    const fn known(seqno: u64) -> Known {
        Known { seqno: Seqno(seqno), asked: RequestDigest(7) }
    }

    fn key(table: &mut RequestTable, actor: u8, id: u8) -> RequestKey {
        table.key(ActorId([actor; 32]), RequestId([id; 16]))
    }

    #[test]
    fn a_request_is_found_until_its_window_has_passed() {
        let mut table = RequestTable::default();
        let first = key(&mut table, 1, 1);
        table.push(Duration::ZERO, [(first, known(2))]);
        table.forget(WINDOW);
        assert_eq!(table.find(first), Some(known(2)));
        table.forget(WINDOW + Duration::from_micros(1));
        assert_eq!(table.find(first), None);
    }

    #[test]
    fn a_truncated_block_takes_its_requests_with_it_and_no_others() {
        let mut table = RequestTable::default();
        let (kept, lost) = (key(&mut table, 1, 1), key(&mut table, 1, 2));
        table.push(Duration::ZERO, [(kept, known(2))]);
        table.push(Duration::from_secs(1), [(lost, known(3))]);
        table.pop();
        assert_eq!((table.find(kept), table.find(lost)), (Some(known(2)), None));
    }

    #[test]
    fn two_actors_may_use_the_same_id() {
        let mut table = RequestTable::default();
        let (one, other) = (key(&mut table, 1, 1), key(&mut table, 2, 1));
        table.push(Duration::ZERO, [(one, known(2))]);
        assert_eq!(table.find(other), None);
        assert_eq!(key(&mut table, 1, 1), one);
    }
}
