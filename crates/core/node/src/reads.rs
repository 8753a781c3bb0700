//! What waits for the ledger, or for its turn to be opened.
//!
//! ```text
//!  waiting  --begin, few at once-->  under way at the host  --came-->  to open, one between other events
//! ```
//! A block of the largest size takes long to open and to prove, and a leader that is not heard meanwhile is
//! unseated. So one is opened, then all actions are drained, then events are handled before the next one.

use std::collections::{BTreeMap, VecDeque};

use synod_types::boundary::{LedgerRange, LogRecord, Ticket};
use synod_types::{AdapterId, LogIndex, Time, TxId, Untrusted};

use crate::event::Action;
use crate::inbox::Waiting;
use crate::requests::RequestKey;

/// All reads of this node that are not answered.
#[derive(Debug, Default)]
pub struct Reads {
    last_ticket: u64,
    /// Reads for lagging followers, by the first entry that each needs.
    for_peers: BTreeMap<Ticket, LogIndex>,
    waiting: VecDeque<ClientRead>,
    /// `None` where the client was told meanwhile that it takes too long.
    under_way: BTreeMap<Ticket, Option<ClientRead>>,
    to_open: VecDeque<Came>,
    /// Whether one was opened since the last action was taken.
    has_opened: bool,
}

/// A read of the block that holds a committed transaction.
#[derive(Debug)]
pub struct ClientRead {
    /// The transaction.
    pub txid: TxId,
    /// What for.
    pub purpose: Purpose,
    /// When to give up.
    pub deadline: Time,
}

/// What a client wants of a block.
#[derive(Debug)]
pub enum Purpose {
    /// A receipt.
    Receipt {
        /// The query's token.
        token: u64,
    },
    /// The answer to a request that was done before.
    Retry {
        /// Who waits.
        waiting: Box<Waiting>,
        /// Which request it was.
        key: RequestKey,
    },
}

/// A record that came back and was not opened.
#[derive(Debug)]
pub struct Came {
    /// What it was read for.
    pub read: ClientRead,
    /// What the host handed over.
    pub records: Result<Vec<Untrusted<LogRecord>>, String>,
    at: Time,
}

/// Whose read came back.
#[derive(Debug)]
pub enum Whose {
    /// A lagging follower's, from this entry on.
    Peer(LogIndex, Result<Vec<Untrusted<LogRecord>>, String>),
    /// A client's: it waits for its turn. Or nobody's.
    Client,
}

/// The most blocks that are read or wait to be opened for clients: two keep the disk busy while one is opened, and
/// together they take at most 128 MiB.
pub const CLIENT_READS_AT_ONCE_MAX: usize = 4;

/// The most reads of clients that wait to begin, but for answers of governance: a second of opening ordinary blocks.
pub const CLIENT_READS_WAITING_MAX: usize = 1_024;

/// How many bytes of entries are read at once for a lagging follower: two messages' worth. The signatures of each are
/// checked before it is sent on, which for the smallest blocks takes as long as a heartbeat may wait.
const PEER_READ_BYTES_MAX: usize = 512 << 10;

impl Reads {
    /// A read for a follower that lags, of entries `from` to `to`.
    pub fn begin_for_peer(&mut self, from: LogIndex, to: LogIndex) -> Action {
        let ticket = self.next_ticket();
        self.for_peers.insert(ticket, from);
        Action::ReadLedger { ticket, range: LedgerRange::Indexes { from, to, bytes_max: PEER_READ_BYTES_MAX } }
    }

    /// Takes in a client's read. One for the answer of governance comes next: it has its room in the inbox.
    ///
    /// # Errors
    /// The read, if too many wait already.
    pub fn ask(&mut self, read: ClientRead) -> Result<(), ClientRead> {
        if let Purpose::Retry { waiting, .. } = &read.purpose
            && waiting.request.adapter == AdapterId::GOVERNANCE
        {
            self.waiting.push_front(read);
            return Ok(());
        }
        if self.waiting.len() >= CLIENT_READS_WAITING_MAX {
            return Err(read);
        }
        self.waiting.push_back(read);
        Ok(())
    }

    /// The next client's read to begin, if one waits and there is room.
    pub fn begin_next(&mut self) -> Option<Action> {
        if self.under_way.len() + self.to_open.len() >= CLIENT_READS_AT_ONCE_MAX {
            return None;
        }
        let read = self.waiting.pop_front()?;
        let range = LedgerRange::Covering(read.txid.seqno);
        let ticket = self.next_ticket();
        self.under_way.insert(ticket, Some(read));
        Some(Action::ReadLedger { ticket, range })
    }

    fn next_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// Takes in what the host read.
    pub fn came(&mut self, at: Time, ticket: Ticket, records: Result<Vec<Untrusted<LogRecord>>, String>) -> Whose {
        if let Some(from) = self.for_peers.remove(&ticket) {
            return Whose::Peer(from, records);
        }
        if let Some(Some(read)) = self.under_way.remove(&ticket) {
            self.to_open.push_back(Came { read, records, at });
        }
        Whose::Client
    }

    /// The next block to open, unless one was opened since all actions were taken.
    pub fn next_to_open(&mut self) -> Option<Came> {
        if self.has_opened {
            return None;
        }
        let came = self.to_open.pop_front()?;
        self.has_opened = true;
        Some(came)
    }

    /// All actions are taken: there is time for another block.
    pub const fn actions_are_taken(&mut self) {
        self.has_opened = false;
    }

    /// Since when a block waits to be opened.
    pub fn opens_at(&self) -> Option<Time> {
        self.to_open.front().map(|came| came.at)
    }

    /// Takes out the clients' reads that have waited too long. Those under way keep their room until the host answers.
    pub fn expired(&mut self, now: Time) -> Vec<Purpose> {
        let late = |read: &ClientRead| read.deadline <= now;
        let mut expired: Vec<_> = take(&mut self.to_open, |came| late(&came.read)).map(|came| came.read).collect();
        expired.extend(self.under_way.values_mut().filter_map(|read| read.take_if(|read| late(read))));
        expired.extend(take(&mut self.waiting, late));
        expired.into_iter().map(|read| read.purpose).collect()
    }

    /// Whether no client waits for a read.
    pub fn is_idle(&self) -> bool {
        let nobody_waits = self.under_way.values().all(Option::is_none);
        self.waiting.is_empty() && nobody_waits && self.to_open.is_empty()
    }
}

/// Takes out of `queue` what `which` says.
fn take<T>(queue: &mut VecDeque<T>, which: impl Fn(&T) -> bool) -> impl Iterator<Item = T> {
    let (taken, kept): (VecDeque<_>, _) = std::mem::take(queue).into_iter().partition(which);
    *queue = kept;
    taken.into_iter()
}

impl Came {
    /// The one record that was asked for, if the host handed over any.
    pub fn into_record(self) -> (ClientRead, Option<Untrusted<LogRecord>>) {
        (self.read, self.records.ok().and_then(|records| records.into_iter().next()))
    }
}

#[cfg(test)]
mod tests {
    use synod_types::Seqno;

    use super::*;
    use crate::inbox::PATIENCE;

    fn read(token: u64) -> ClientRead {
        let deadline = Time(0).after(PATIENCE);
        ClientRead {
            txid: TxId { seqno: Seqno(2 + token), ..TxId::default() },
            purpose: Purpose::Receipt { token },
            deadline,
        }
    }

    fn begin(reads: &mut Reads) -> Vec<Ticket> {
        let ticket =
            |action| if let Action::ReadLedger { ticket, .. } = action { ticket } else { panic!("{action:?}") };
        std::iter::from_fn(|| reads.begin_next()).map(ticket).collect()
    }

    fn opened(reads: &mut Reads) -> Option<u64> {
        let Purpose::Receipt { token } = reads.next_to_open()?.read.purpose else { panic!("a receipt was asked for") };
        Some(token)
    }

    #[test]
    fn few_are_read_at_once_and_the_rest_waits_up_to_a_bound() {
        let mut reads = Reads::default();
        let most = (CLIENT_READS_AT_ONCE_MAX + CLIENT_READS_WAITING_MAX) as u64;
        let mut begun = Vec::new();
        for token in 0..most {
            reads.ask(read(token)).unwrap();
            begun.extend(begin(&mut reads));
        }
        assert_eq!(begun.len(), CLIENT_READS_AT_ONCE_MAX);
        assert!(reads.ask(read(most)).is_err());
        reads.came(Time(1), begun[0], Ok(vec![]));
        assert_eq!(begin(&mut reads), [], "it is not opened yet, and takes its room");
        assert_eq!((opened(&mut reads), begin(&mut reads).len()), (Some(0), 1));
        assert!(reads.ask(read(most)).is_ok());
    }

    #[test]
    fn a_read_for_a_follower_waits_for_no_client() {
        let mut reads = Reads::default();
        (0..9).for_each(|token| reads.ask(read(token)).unwrap());
        begin(&mut reads);
        let Action::ReadLedger { ticket, .. } = reads.begin_for_peer(LogIndex(5), LogIndex(9)) else { panic!() };
        assert!(matches!(reads.came(Time(1), ticket, Ok(vec![])), Whose::Peer(LogIndex(5), Ok(_))));
    }

    #[test]
    fn one_block_is_opened_between_other_events() {
        let mut reads = Reads::default();
        (0..3).for_each(|token| reads.ask(read(token)).unwrap());
        for (at, ticket) in (1..).zip(begin(&mut reads)) {
            reads.came(Time(at), ticket, Ok(vec![]));
        }
        assert_eq!(reads.opens_at(), Some(Time(1)));
        assert_eq!((opened(&mut reads), opened(&mut reads)), (Some(0), None));
        reads.actions_are_taken();
        assert_eq!((opened(&mut reads), opened(&mut reads)), (Some(1), None));
    }

    #[test]
    fn a_read_expires_wherever_it_waits_and_keeps_its_room_until_the_host_answers() {
        let mut reads = Reads::default();
        (0..9).for_each(|token| reads.ask(read(token)).unwrap());
        let begun = begin(&mut reads);
        reads.came(Time(1), begun[0], Ok(vec![]));
        assert!(reads.expired(Time(PATIENCE.as_micros() as u64 - 1)).is_empty());
        assert_eq!(reads.expired(Time(0).after(PATIENCE)).len(), 9);
        assert!(reads.is_idle());
        reads.ask(read(9)).unwrap();
        reads.ask(read(10)).unwrap();
        assert_eq!(begin(&mut reads).len(), 1, "three are still under way");
        reads.came(Time(2), begun[1], Ok(vec![]));
        assert_eq!((opened(&mut reads), begin(&mut reads).len()), (None, 1));
    }
}
