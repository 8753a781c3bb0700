//! In which view a committed transaction was ordered.

use std::sync::{PoisonError, RwLock};

use synod_types::{Seqno, TxId, View};

/// The views of the latest committed transactions.
#[derive(Debug, Default)]
pub struct Views(RwLock<Vec<TxId>>);

impl Views {
    /// Notes that `txid` and all before it are committed. Told of every block, in order, and before the
    /// snapshot that holds it is published.
    pub fn committed(&self, txid: TxId) {
        let mut last = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Blocks of one view follow each other: the last of each view is enough.
        if let Some(end) = last.last_mut().filter(|end| end.view == txid.view) {
            end.seqno = txid.seqno;
            return;
        }
        if last.len() == VIEWS_MAX {
            last.remove(0);
        }
        last.push(txid);
    }

    /// The id of committed transaction `seqno`, which is a recent one.
    pub fn txid(&self, seqno: Seqno) -> TxId {
        let last = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let view = last.iter().find(|end| seqno <= end.seqno).map_or(View(0), |end| end.view);
        TxId::new(view, seqno)
    }

    /// The last committed transaction.
    pub fn last(&self) -> TxId {
        self.0.read().unwrap_or_else(PoisonError::into_inner).last().copied().unwrap_or_default()
    }
}

/// How many views are kept: a snapshot is never more than a few blocks behind.
const VIEWS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transaction_has_the_view_in_which_it_was_ordered() {
        let views = Views::default();
        for txid in ["1.1", "2.3", "2.5", "4.6"] {
            views.committed(txid.parse().unwrap());
        }
        for (seqno, expected) in [(1, "1.1"), (2, "2.2"), (5, "2.5"), (6, "4.6")] {
            assert_eq!(views.txid(Seqno(seqno)).to_string(), expected);
        }
        assert_eq!(views.last().to_string(), "4.6");
    }
}
