//! The leaf of one transaction, in the shape of CCF's receipt profile.

use std::io::Write;

use synod_crypto::{HmacKey, sha256};
use synod_types::{Digest, TxId};

/// What stands for claims where a transaction makes none.
pub const NO_CLAIMS: Digest = Digest([0; 32]);

/// What a transaction's leaf is made of, apart from the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The digest of what the transaction wrote.
    pub write_set: Digest,
    /// The digest that the adapter chose, or [`NO_CLAIMS`].
    pub claims: Digest,
}

impl Leaf {
    /// The leaf of a transaction that wrote `application` (adapters' maps), `admin` (governance tables), or both.
    ///
    /// # Panics
    /// If it wrote nothing: then it is no transaction.
    pub(crate) fn new(application: Option<&[u8]>, admin: Option<&[u8]>, claims: Option<Digest>) -> Self {
        let write_set = match (application, admin) {
            (Some(one), None) | (None, Some(one)) => sha256(&[one]),
            (Some(application), Some(admin)) => sha256(&[&sha256(&[application]).0, &sha256(&[admin]).0]),
            (None, None) => panic!("a transaction writes"),
        };
        Self { write_set, claims: claims.unwrap_or(NO_CLAIMS) }
    }

    /// The leaf's digest for transaction `id`.
    pub(crate) fn digest(&self, id: TxId, evidence_key: &HmacKey) -> Digest {
        Evidence::new(id, evidence_key).with_text(|text| self.digest_with(text))
    }

    /// The leaf's digest with this evidence.
    pub(crate) fn digest_with(&self, evidence: &[u8]) -> Digest {
        sha256(&[&self.write_set.0, &sha256(&[evidence]).0, &self.claims.0])
    }
}

/// The evidence that `id` is committed: `ce:<view.seqno>:<64 hexadecimal digits>`. Leaves the enclave only in receipts.
pub fn evidence(id: TxId, key: &HmacKey) -> String {
    Evidence::new(id, key).with_text(|text| String::from_utf8(text.to_vec()).expect("evidence is ASCII"))
}

/// The transaction that a piece of evidence is for; `None` if it is not of that form.
pub(crate) fn evidence_txid(evidence: &str) -> Option<TxId> {
    let (id, mac) = evidence.strip_prefix(PREFIX)?.split_once(':')?;
    let id: TxId = id.parse().ok()?;
    let is_canonical = Digest::from_hex(mac).is_some_and(|digest| format!("{PREFIX}{id}:{digest}") == evidence);
    is_canonical.then_some(id)
}

const PREFIX: &str = "ce:";

/// Evidence on the stack: it is made for every transaction, and nearly always thrown away after hashing.
struct Evidence {
    text: [u8; EVIDENCE_BYTES_MAX],
    end: usize,
}

/// The prefix, two numbers of 20 digits, a point, a colon, and 64 digits.
const EVIDENCE_BYTES_MAX: usize = 3 + 20 + 1 + 20 + 1 + 64;

impl Evidence {
    fn new(id: TxId, key: &HmacKey) -> Self {
        let mut text = [0; EVIDENCE_BYTES_MAX];
        let mut rest = &mut text[..];
        write!(rest, "{PREFIX}{id}").expect("the array holds the longest evidence");
        let id_end = EVIDENCE_BYTES_MAX - rest.len();
        let mac = key.authenticate(&text[PREFIX.len()..id_end]);
        text[id_end] = b':';
        let digits = &mut text[id_end + 1..id_end + 65];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(mac.0) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self { text, end: id_end + 65 }
    }

    fn with_text<T>(&self, use_text: impl FnOnce(&[u8]) -> T) -> T {
        use_text(&self.text[..self.end])
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use synod_types::ids::NUMBER_MAX;
    use synod_types::{Seqno, View};

    #[test]
    fn evidence_names_its_transaction_and_reads_back() {
        let key = HmacKey::new(b"key");
        for id in [TxId::new(View(2), Seqno(14)), TxId::new(View(NUMBER_MAX), Seqno(NUMBER_MAX))] {
            let text = evidence(id, &key);
            assert_eq!(text, format!("ce:{id}:{}", key.authenticate(id.to_string().as_bytes())));
            assert_eq!(evidence_txid(&text), Some(id));
        }
        let mac = "ab".repeat(32);
        for bad in [
            String::new(),
            "ce:".into(),
            format!("ce:2.14:{}", &mac[1..]),
            format!("ce:2.14:{}", mac.to_uppercase()),
            format!("ce:02.14:{mac}"),
            format!("ce:2.14:{mac} "),
            format!("CE:2.14:{mac}"),
        ] {
            assert_eq!(evidence_txid(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_leaf_is_the_digest_of_three_digests() {
        let id = TxId::new(View(2), Seqno(14));
        let key = HmacKey::new(b"key");
        let leaf = Leaf::new(Some(b"writes"), None, Some(Digest([7; 32])));
        let evidence = evidence(id, &key);
        let expected = sha256(&[&sha256(&[b"writes"]).0, &sha256(&[evidence.as_bytes()]).0, &[7; 32]]);
        assert_eq!(leaf.digest(id, &key), expected);
        assert_eq!(Leaf::new(None, Some(b"writes"), Some(Digest([7; 32]))), leaf);
        assert_eq!(Leaf::new(Some(b"writes"), None, None).claims, NO_CLAIMS);
        assert_ne!(Leaf::new(Some(b"a"), Some(b"b"), None), Leaf::new(Some(b"b"), Some(b"a"), None));
    }
}
