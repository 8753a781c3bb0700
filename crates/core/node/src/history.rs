//! In which view each committed transaction was ordered.

use synod_types::{Seqno, TxId, View};

use crate::event::TxStatus;

/// The views of the committed transactions, as runs: a view spans many transactions, so this stays
/// small for the life of a network.
#[derive(Debug, Default)]
pub struct History {
    /// From this seqno on, committed transactions are of this view, up to the next run.
    runs: Vec<(Seqno, View)>,
    committed: TxId,
}

impl History {
    /// Notes that a block of `view` that begins at `first` and ends at `last` is committed.
    ///
    /// # Panics
    /// If it does not follow what was noted before.
    pub fn commit(&mut self, view: View, first: Seqno, last: Seqno) {
        assert!(first == self.committed.seqno.next() && view >= self.committed.view, "blocks commit in order");
        if self.runs.last().is_none_or(|(_, of)| *of != view) {
            self.runs.push((first, view));
        }
        self.committed = TxId::new(view, last);
    }

    /// The last committed transaction.
    pub const fn committed(&self) -> TxId {
        self.committed
    }

    /// The view of the committed transaction `seqno`; `None` if it is not committed.
    pub fn view(&self, seqno: Seqno) -> Option<View> {
        if seqno > self.committed.seqno {
            return None;
        }
        let after = self.runs.partition_point(|(first, _)| *first <= seqno);
        after.checked_sub(1).map(|run| self.runs[run].1)
    }

    /// What became of `id`, when the log's uncommitted part holds `uncommitted` at that seqno, if anything.
    pub fn status(&self, id: TxId, uncommitted: Option<View>) -> TxStatus {
        match self.view(id.seqno) {
            Some(view) if view == id.view => TxStatus::Committed,
            Some(_) => TxStatus::Invalid,
            None if uncommitted == Some(id.view) => TxStatus::Pending,
            // A later view has committed before that seqno, so nothing of this view will commit there.
            None if id.view < self.committed.view => TxStatus::Invalid,
            None => TxStatus::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        history.commit(View(1), Seqno(1), Seqno(1));
        history.commit(View(2), Seqno(2), Seqno(10));
        history.commit(View(2), Seqno(11), Seqno(11));
        history.commit(View(5), Seqno(12), Seqno(20));
        history
    }

    #[test]
    fn a_transaction_is_committed_in_exactly_the_view_of_its_block() {
        let history = history();
        for (id, expected) in [
            ("1.1", TxStatus::Committed),
            ("2.11", TxStatus::Committed),
            ("2.12", TxStatus::Invalid),
            ("5.12", TxStatus::Committed),
            ("5.11", TxStatus::Invalid),
            ("4.21", TxStatus::Invalid),
            ("5.21", TxStatus::Pending),
            ("6.21", TxStatus::Unknown),
            ("0.0", TxStatus::Invalid),
        ] {
            assert_eq!(history.status(id.parse().unwrap(), Some(View(5))), expected, "{id}");
        }
        assert_eq!(history.status("5.21".parse().unwrap(), None), TxStatus::Unknown);
    }

    #[test]
    fn a_long_view_takes_one_run() {
        assert_eq!(history().runs.len(), 3);
    }
}
