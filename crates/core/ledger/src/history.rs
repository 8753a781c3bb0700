//! Which keys the service has had, and for which transactions each signed.
//!
//! A node tells this with the certificate in force, signed with that key, so that a receipt under an earlier key can be
//! judged without the ledger: the key signed what stood before the transaction that took it out of force, and nothing
//! after. Whoever came by an earlier key still makes receipts of transactions of its time; that these were never committed
//! only the ledger shows.
//!
//! ```text
//! PEM: format u8, count u32, (key, whether it followed another, the deciding transaction) each, signature
//! ```

use synod_crypto::{SIGNATURE_SIZE, Signature, VerifyingKey, armour, labels};
use synod_types::codec::DecodeReason;
use synod_types::{Decode, DecodeError, Decoder, Encode, Encoder, TxId};

use crate::receipt::{Receipt, ReceiptRefused, VerifiedReceipt};
use crate::seal::ServiceIdentity;

/// The keys of a service, oldest first, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHistory(Vec<ServiceTerm>);

/// One key of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTerm {
    /// The key.
    pub key: VerifyingKey,
    /// The transaction in which members decided for it: it signs those after that one. None for a network's first key.
    pub after: Option<TxId>,
}

/// Why what is said of a service's keys is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a history of the service's keys that its last key signed")]
pub struct HistoryRefused;

impl ServiceHistory {
    /// Of a service that begins with `first`.
    pub fn new(first: VerifyingKey) -> Self {
        Self(vec![ServiceTerm { key: first, after: None }])
    }

    /// The service has had the key `key` since the transaction `decided`. Of more than are told the oldest is forgotten.
    pub fn push(&mut self, key: VerifyingKey, decided: TxId) {
        self.0.push(ServiceTerm { key, after: Some(decided) });
        if self.0.len() > SERVICE_KEYS_TOLD_MAX {
            self.0.remove(0);
        }
    }

    /// The key in force.
    ///
    /// # Panics
    /// Never: there is one.
    pub fn in_force(&self) -> &ServiceTerm {
        self.0.last().expect("there is a key")
    }

    /// All of them, with the last transaction that each signed; none for the one in force.
    pub fn terms(&self) -> impl Iterator<Item = (&ServiceTerm, Option<TxId>)> {
        let ends = self.0.iter().skip(1).map(|next| next.after).chain([None]);
        self.0.iter().zip(ends)
    }

    /// Whether a service with the history `earlier` can have this one later.
    pub fn follows(&self, earlier: &Self) -> bool {
        let (last, oldest) = (earlier.in_force(), &self.0[0]);
        self.0.contains(last) || oldest.after.is_some() && last.after < oldest.after
    }

    /// Checks a receipt under the key that signed it, if that is one of these and was in force at the receipt's
    /// transaction; also gives that key's place in [`Self::terms`].
    ///
    /// # Errors
    /// If it proves nothing.
    pub fn verify(&self, receipt: &[u8]) -> Result<(VerifiedReceipt, usize), ReceiptRefused> {
        for (place, (term, until)) in self.terms().enumerate() {
            match Receipt::verify(receipt, &term.key) {
                Err(ReceiptRefused::OtherService) => {}
                Err(refused) => return Err(refused),
                Ok(verified) => {
                    let txid = verified.txid;
                    // The last transaction of a key is the one that decided for the next.
                    let is_of_term = term.after.is_none_or(|after| after.seqno < txid.seqno && after.view <= txid.view)
                        && until.is_none_or(|until| txid.seqno <= until.seqno && txid.view <= until.view);
                    return if is_of_term {
                        Ok((verified, place))
                    } else {
                        Err(ReceiptRefused::KeyNotInForce { txid })
                    };
                }
            }
        }
        Err(ReceiptRefused::OtherService)
    }

    /// As a node tells it: signed by the key in force, in PEM.
    ///
    /// # Panics
    /// If `service` is not the identity in force.
    pub fn to_pem(&self, service: &ServiceIdentity) -> String {
        assert_eq!(*service.verifying_key(), self.in_force().key, "the key in force signs the history of all");
        let mut bytes = self.to_bytes();
        let signature = service.key().sign_labelled(labels::SIGN_SERVICE_HISTORY, &bytes);
        bytes.extend_from_slice(&signature.0);
        armour::encode(HISTORY_TAG, &bytes)
    }

    /// Reads what [`Self::to_pem`] wrote, wherever it stands in a PEM text; none if the text holds nothing of the kind.
    ///
    /// # Errors
    /// If it does, but `service`, which the caller has from a source that it trusts, did not sign it.
    pub fn from_pem(text: &str, service: &VerifyingKey) -> Result<Option<Self>, HistoryRefused> {
        let Some(bytes) = armour::find(HISTORY_TAG, text) else { return Ok(None) };
        let (bytes, signature) = bytes.split_last_chunk::<SIGNATURE_SIZE>().ok_or(HistoryRefused)?;
        let signed = service.verify_labelled(labels::SIGN_SERVICE_HISTORY, bytes, &Signature(*signature));
        signed.map_err(|_| HistoryRefused)?;
        let history = Self::from_bytes(bytes).map_err(|_| HistoryRefused)?;
        if history.in_force().key == *service { Ok(Some(history)) } else { Err(HistoryRefused) }
    }
}

impl Encode for ServiceHistory {
    fn encode(&self, out: &mut Encoder) {
        HISTORY_FORMAT.encode(out);
        out.count(self.0.len());
        for ServiceTerm { key, after } in &self.0 {
            key.encode(out);
            after.encode(out);
        }
    }
}

impl Decode for ServiceHistory {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("history of the service's keys").clone();
        let refused = || Err(at.error(DecodeReason::ValueNotAllowed));
        if u8::decode(input)? != HISTORY_FORMAT {
            return refused();
        }
        let count = input.reading("keys of the service").count(SERVICE_KEYS_TOLD_MAX)?;
        let term = |_| Ok(ServiceTerm { key: VerifyingKey::decode(input)?, after: Option::decode(input)? });
        let terms = (0..count).map(term).collect::<Result<Vec<_>, DecodeError>>()?;
        let seqno = |term: &ServiceTerm| term.after.map(|txid| txid.seqno);
        let is_in_order = terms.windows(2).all(|pair| seqno(&pair[0]) < seqno(&pair[1]));
        if terms.is_empty() || !is_in_order { refused() } else { Ok(Self(terms)) }
    }
}

const HISTORY_FORMAT: u8 = 1;
const HISTORY_TAG: &str = "SYNOD SERVICE HISTORY V1";

/// How many keys of the service a node tells, the latest ones: members decide for one a year, say, and each takes 82 bytes.
pub const SERVICE_KEYS_TOLD_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use synod_crypto::ServiceKey;
    use synod_types::{Seqno, View};

    use super::*;

    fn identity(seed: u8) -> ServiceIdentity {
        ServiceIdentity::new(ServiceKey::from_seed(&[seed; 32]))
    }

    fn key(seed: u8) -> VerifyingKey {
        identity(seed).verifying_key().clone()
    }

    fn txid(seqno: u64) -> TxId {
        TxId::new(View(2), Seqno(seqno))
    }

    /// Key 1, key 2 after transaction 10, and so on.
    fn history(keys: u8) -> ServiceHistory {
        let mut history = ServiceHistory::new(key(1));
        (2..=keys).for_each(|seed| history.push(key(seed), txid(u64::from(seed - 1) * 10)));
        history
    }

    #[test]
    fn a_history_reads_back_from_any_text_under_the_key_that_signed_it_and_no_other() {
        let told = history(3);
        let text = format!("what else there is\n{}more\n", told.to_pem(&identity(3)));
        assert_eq!(ServiceHistory::from_pem(&text, &key(3)), Ok(Some(told)));
        assert_eq!(ServiceHistory::from_pem(&text, &key(2)), Err(HistoryRefused));
        assert_eq!(ServiceHistory::from_pem("nothing of the kind", &key(3)), Ok(None));
        let bytes = history(3).to_bytes();
        for bad in [&[][..], &bytes, &[&bytes[..], &[0; SIGNATURE_SIZE]].concat()] {
            assert_eq!(ServiceHistory::from_pem(&armour::encode(HISTORY_TAG, bad), &key(3)), Err(HistoryRefused));
        }
        // A thief of an earlier key signs that it is still in force.
        assert_eq!(ServiceHistory::from_pem(&history(1).to_pem(&identity(1)), &key(3)), Err(HistoryRefused));
    }

    #[test]
    fn what_is_no_history_is_refused() {
        let bytes = history(3).to_bytes();
        for end in 0..bytes.len() {
            assert!(ServiceHistory::from_bytes(&bytes[..end]).is_err(), "cut to {end}");
        }
        let refused = |terms: Vec<ServiceTerm>| ServiceHistory::from_bytes(&ServiceHistory(terms).to_bytes()).is_err();
        let term = |seed, after: Option<u64>| ServiceTerm { key: key(seed), after: after.map(txid) };
        assert!(refused(vec![]));
        assert!(refused(vec![term(1, None), term(2, None)]));
        assert!(refused(vec![term(1, Some(10)), term(2, Some(10))]));
        assert!(!refused(vec![term(1, Some(10)), term(2, Some(11))]));
    }

    #[test]
    fn a_later_history_follows_an_earlier_one_and_not_one_of_another_key() {
        assert!(history(3).follows(&history(1)) && history(3).follows(&history(2)) && history(3).follows(&history(3)));
        assert!(!history(2).follows(&history(3)));
        let mut forged = history(1);
        forged.push(key(9), txid(10));
        assert!(!history(3).follows(&forged) && !forged.follows(&history(3)));
        let mut long = ServiceHistory::new(key(1));
        (0..SERVICE_KEYS_TOLD_MAX as u64).for_each(|nth| long.push(key((nth % 200) as u8), txid(nth + 1)));
        assert_eq!(long.terms().count(), SERVICE_KEYS_TOLD_MAX);
        assert!(long.follows(&history(1)), "a key that is told no more");
        assert_eq!(ServiceHistory::from_bytes(&long.to_bytes()), Ok(long));
    }
}
