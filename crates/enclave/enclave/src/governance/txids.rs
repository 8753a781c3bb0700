//! In which view a governance transaction was ordered, however long ago.

use std::sync::{PoisonError, RwLock};

use synod_types::{Seqno, TxId};

/// The last governance transaction of each view that had one.
#[derive(Debug, Default)]
pub struct Txids(RwLock<Vec<TxId>>);

impl Txids {
    /// Notes a committed governance transaction; told of each, in order.
    pub fn committed(&self, txid: TxId) {
        let mut last = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = last.last_mut().filter(|end| end.view == txid.view) {
            end.seqno = txid.seqno;
            return;
        }
        if last.len() == VIEWS_MAX {
            last.remove(0);
        }
        last.push(txid);
    }

    /// The id of governance transaction `seqno`; `None` if it is not known (any more).
    pub fn find(&self, seqno: Seqno) -> Option<TxId> {
        let last = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let place = last.partition_point(|end| end.seqno < seqno);
        // Of what came before the oldest view that is known, nothing is known.
        let is_known = place > 0 || last.len() < VIEWS_MAX;
        last.get(place).filter(|_| is_known).map(|end| TxId::new(end.view, seqno))
    }
}

/// How many views are kept in which members governed: one a day for more than a century, in a MiB.
const VIEWS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use synod_types::View;

    use super::*;

    #[test]
    fn a_governance_transaction_is_named_by_the_view_in_which_it_was_ordered() {
        let txids = Txids::default();
        for txid in ["1.1", "2.3", "2.5", "4.9"] {
            txids.committed(txid.parse().unwrap());
        }
        for (seqno, expected) in [(1, Some("1.1")), (3, Some("2.3")), (5, Some("2.5")), (9, Some("4.9")), (10, None)] {
            assert_eq!(txids.find(Seqno(seqno)).map(|txid| txid.to_string()).as_deref(), expected);
        }
        for view in 5..VIEWS_MAX as u64 + 5 {
            txids.committed(TxId::new(View(view), Seqno(10 * view)));
        }
        assert_eq!(txids.find(Seqno(9)), None, "its view was forgotten");
        assert_eq!(txids.find(Seqno(60)), Some(TxId::new(View(6), Seqno(60))));
    }
}
