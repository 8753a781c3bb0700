//! In which view a committed transaction was ordered.

use std::sync::{PoisonError, RwLock};

use synod_types::{Seqno, TxId};

/// The last of certain committed transactions of each view that had one, for so many views.
#[derive(Debug)]
pub struct Views {
    known: RwLock<Known>,
    views_max: usize,
}

#[derive(Debug, Default)]
struct Known {
    last: Vec<TxId>,
    /// The end of the last view that was forgotten: nothing is known up to there.
    forgotten: Seqno,
}

impl Views {
    /// Knows nothing yet, and never more than `views_max` views.
    pub const fn new(views_max: usize) -> Self {
        Self { known: RwLock::new(Known { last: Vec::new(), forgotten: Seqno(0) }), views_max }
    }

    /// Notes that `txid` is committed, and all before it. Told in order.
    pub fn committed(&self, txid: TxId) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Blocks of one view follow each other: the last of each view is enough.
        if let Some(end) = known.last.last_mut().filter(|end| end.view == txid.view) {
            end.seqno = txid.seqno;
            return;
        }
        if known.last.len() == self.views_max {
            known.forgotten = known.last.remove(0).seqno;
        }
        known.last.push(txid);
    }

    /// The id of committed transaction `seqno`; none if it is not known yet, or not any more.
    pub fn txid(&self, seqno: Seqno) -> Option<TxId> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let place = known.last.partition_point(|end| end.seqno < seqno);
        known.last.get(place).filter(|_| seqno > known.forgotten).map(|end| TxId::new(end.view, seqno))
    }

    /// The last transaction that was noted.
    pub fn last(&self) -> TxId {
        self.known.read().unwrap_or_else(PoisonError::into_inner).last.last().copied().unwrap_or_default()
    }
}

/// How many views are kept of all transactions: a snapshot is never more than a few blocks behind.
pub const VIEWS_MAX: usize = 16;

/// How many views are kept of governance transactions, which are named however long ago they were: one a day for more
/// than a century, in a MiB.
pub const GOVERNED_VIEWS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use synod_types::View;

    use super::*;

    #[test]
    fn each_transaction_has_the_view_in_which_it_was_ordered() {
        let views = Views::new(4);
        assert_eq!((views.txid(Seqno(0)), views.txid(Seqno(1)), views.last()), (None, None, TxId::default()));
        for txid in ["1.1", "2.3", "2.5", "4.6"] {
            views.committed(txid.parse().unwrap());
        }
        for (seqno, expected) in [(1, Some("1.1")), (2, Some("2.2")), (5, Some("2.5")), (6, Some("4.6")), (7, None)] {
            assert_eq!(views.txid(Seqno(seqno)).map(|txid| txid.to_string()).as_deref(), expected);
        }
        assert_eq!(views.last().to_string(), "4.6");
    }

    #[test]
    fn the_oldest_views_are_forgotten_and_no_transaction_is_taken_for_one_of_a_later_view() {
        let views = Views::new(2);
        for view in 1..=4 {
            views.committed(TxId::new(View(view), Seqno(10 * view)));
        }
        for (seqno, expected) in [(5, None), (20, None), (21, Some(3)), (30, Some(3)), (40, Some(4)), (41, None)] {
            assert_eq!(views.txid(Seqno(seqno)), expected.map(|view| TxId::new(View(view), Seqno(seqno))));
        }
    }
}
