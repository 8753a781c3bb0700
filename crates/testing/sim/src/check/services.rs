//! The keys of the service, as a verified ledger names them.

use synod_crypto::VerifyingKey;
use synod_types::Seqno;

use super::truth::Truth;
use super::{Checked, violated};

/// Keys of the service, each with the first transaction that it signs.
#[derive(Debug, Default)]
pub struct Services(Vec<(Seqno, VerifyingKey)>);

impl Services {
    /// A block whose first transaction is `first` is signed with `key`.
    pub fn note(&mut self, first: Seqno, key: &VerifyingKey) {
        if self.0.last().is_none_or(|(_, last)| last != key) {
            self.0.push((first, key.clone()));
        }
    }

    /// The key that signs a transaction.
    pub fn at(&self, seqno: Seqno) -> Option<&VerifyingKey> {
        self.0.iter().rev().find(|(first, _)| *first <= seqno).map(|(_, key)| key)
    }

    /// Checks that nodes told of each new key at the transaction before the first that it signs.
    ///
    /// # Errors
    /// If they told of another key, elsewhere, or not at all.
    pub fn check(&self, truth: &Truth) -> Checked {
        // The last key that was told may have nothing to sign yet, and what is not committed is not told.
        let last = truth.last().seqno;
        let ledger: Vec<_> = self.0.iter().skip(1).filter(|(first, _)| *first <= last).collect();
        let told: Vec<_> = truth.rotations().filter(|(first, _)| *first <= last).collect();
        if ledger.iter().copied().eq(&told) {
            return Ok(());
        }
        violated("nodes tell of each key that the service takes", format!("{told:?} are told, {ledger:?} sign"))
    }
}
