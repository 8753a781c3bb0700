//! Signed statements: COSE_Sign1 messages (RFC 9052) of one exact shape, for what people sign with their
//! organisation's keys, be they in a file or in an HSM.
//!
//! ```text
//! 18([ << { 1: alg, 3: content type, 33: x5chain, "synod.network": bstr, "synod.created_at": seconds } >>,
//!      {}, payload: bstr, signature: bstr ])
//! ```
//!
//! Everything is in CBOR's deterministic encoding (RFC 8949, section 4.2.1), and nothing else is read, so that a
//! statement has one encoding. `x5chain` (RFC 9360) is the leaf certificate, or an array of the leaf and those above it.

use synod_types::{Digest, Time};

use crate::any_key::Algorithm;
use crate::cbor::{ARRAY, BYTE_STRING, MAP, NEGATIVE, Reader, TAG, TEXT, UNSIGNED, append_head};
use crate::cose::{append_bstr, to_be_signed};

/// What a signer says, before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// How the signer signs.
    pub algorithm: Algorithm,
    /// What the payload is, as a media type.
    pub content_type: String,
    /// The signer's certificates, DER, leaf first; at least one.
    pub chain: Vec<Vec<u8>>,
    /// When the signer says that this was made. For people: nothing depends on it but what the reader makes of it.
    pub created_at: Time,
    /// The network that it is for.
    pub network: Digest,
    /// What is said.
    pub payload: Vec<u8>,
}

/// A statement as read: of the right shape, its signature not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement {
    /// What the signer says.
    pub unsigned: Unsigned,
    /// The signature, in COSE's form (r and s for ECDSA).
    pub signature: Vec<u8>,
}

/// Bytes that are not a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a signed statement: a tagged COSE_Sign1 of this exact shape in deterministic encoding")]
pub struct StatementMalformed;

impl Unsigned {
    /// What has to be signed: the Sig_structure of RFC 9052, section 4.4. An HSM hashes and signs these bytes.
    pub fn to_be_signed(&self) -> Vec<u8> {
        to_be_signed(&self.protected(), &self.payload)
    }

    /// The whole message.
    pub fn assemble(&self, signature: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.payload.len() + 512);
        append_head(&mut out, TAG, COSE_SIGN1);
        append_head(&mut out, ARRAY, 4);
        append_bstr(&mut out, &self.protected());
        append_head(&mut out, MAP, 0);
        append_bstr(&mut out, &self.payload);
        append_bstr(&mut out, signature);
        out
    }

    fn protected(&self) -> Vec<u8> {
        let mut out = Vec::new();
        append_head(&mut out, MAP, 5);
        append_head(&mut out, UNSIGNED, ALG);
        append_head(&mut out, NEGATIVE, self.algorithm.cose_argument());
        append_head(&mut out, UNSIGNED, CONTENT_TYPE);
        append_text(&mut out, &self.content_type);
        append_head(&mut out, UNSIGNED, X5CHAIN);
        if self.chain.len() > 1 {
            append_head(&mut out, ARRAY, self.chain.len() as u64);
        }
        self.chain.iter().for_each(|certificate| append_bstr(&mut out, certificate));
        // Deterministic order is that of the encoded keys: the shorter text's length byte is lower.
        append_text(&mut out, NETWORK);
        append_bstr(&mut out, &self.network.0);
        append_text(&mut out, CREATED_AT);
        append_head(&mut out, UNSIGNED, self.created_at.seconds());
        out
    }
}

impl SignedStatement {
    /// Reads a statement with at most `chain_max` certificates.
    ///
    /// # Errors
    /// If `bytes` is anything but the one encoding of a statement.
    pub fn read(bytes: &[u8], chain_max: usize) -> Result<Self, StatementMalformed> {
        read(bytes, chain_max).ok_or(StatementMalformed)
    }
}

fn read(bytes: &[u8], chain_max: usize) -> Option<SignedStatement> {
    let mut message = Reader(bytes);
    expect(message.head(TAG)?, COSE_SIGN1)?;
    expect(message.head(ARRAY)?, 4)?;
    let protected = message.bytes()?;
    expect(message.head(MAP)?, 0)?;
    let payload = message.bytes()?.to_vec();
    let signature = message.bytes()?.to_vec();
    message.finish()?;

    let mut header = Reader(protected);
    expect(header.head(MAP)?, 5)?;
    expect(header.head(UNSIGNED)?, ALG)?;
    let algorithm = Algorithm::from_cose_argument(header.head(NEGATIVE)?)?;
    expect(header.head(UNSIGNED)?, CONTENT_TYPE)?;
    let content_type = header.text()?.to_owned();
    expect(header.head(UNSIGNED)?, X5CHAIN)?;
    let chain = read_chain(&mut header, chain_max)?;
    expect(header.text()?, NETWORK)?;
    let network = Digest(header.bytes()?.try_into().ok()?);
    expect(header.text()?, CREATED_AT)?;
    let created_at = Time(header.head(UNSIGNED)?.checked_mul(1_000_000)?);
    header.finish()?;

    Some(SignedStatement {
        unsigned: Unsigned { algorithm, content_type, chain, created_at, network, payload },
        signature,
    })
}

/// One certificate, or an array of two and more.
fn read_chain(header: &mut Reader<'_>, chain_max: usize) -> Option<Vec<Vec<u8>>> {
    if header.0.first()? >> 5 == BYTE_STRING {
        return Some(vec![header.bytes()?.to_vec()]);
    }
    let count = usize::try_from(header.head(ARRAY)?).ok().filter(|count| (2..=chain_max).contains(count))?;
    (0..count).map(|_| header.bytes().map(<[u8]>::to_vec)).collect()
}

fn expect<T: PartialEq>(found: T, expected: T) -> Option<()> {
    (found == expected).then_some(())
}

fn append_text(out: &mut Vec<u8>, text: &str) {
    append_head(out, TEXT, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

const COSE_SIGN1: u64 = 18;
const ALG: u64 = 1;
const CONTENT_TYPE: u64 = 3;
const X5CHAIN: u64 = 33;
const NETWORK: &str = "synod.network";
const CREATED_AT: &str = "synod.created_at";

#[cfg(test)]
mod tests {
    use super::*;
    use coset::{CborSerializable, CoseSign1, TaggedCborSerializable};

    fn unsigned(chain: usize) -> Unsigned {
        Unsigned {
            algorithm: Algorithm::Es256,
            content_type: "application/vnd.synod.ballot".into(),
            chain: (0..chain).map(|n| vec![n as u8; 300]).collect(),
            created_at: Time(1_700_000_000_000_000),
            network: Digest([7; 32]),
            payload: vec![9; 70_000],
        }
    }

    #[test]
    fn a_statement_is_what_another_implementation_reads_and_signs() {
        for chain in 1..=5 {
            let unsigned = unsigned(chain);
            let message = CoseSign1::from_tagged_slice(&unsigned.assemble(&[5; 64])).unwrap();
            assert_eq!(message.protected.header.alg, Some(coset::Algorithm::Assigned(coset::iana::Algorithm::ES256)));
            assert_eq!(message.payload.as_deref(), Some(&unsigned.payload[..]));
            assert_eq!(message.signature, [5; 64]);
            assert_eq!(message.tbs_data(b""), unsigned.to_be_signed());
            assert_eq!(message.clone().to_vec().unwrap()[..], unsigned.assemble(&[5; 64])[1..]);
        }
    }

    #[test]
    fn a_statement_reads_back_and_every_other_encoding_is_refused() {
        for chain in 1..=5 {
            let unsigned = unsigned(chain);
            let bytes = unsigned.assemble(&[5; 64]);
            let read = SignedStatement::read(&bytes, 5).unwrap();
            assert_eq!(read, SignedStatement { unsigned, signature: vec![5; 64] });
            assert_eq!(SignedStatement::read(&bytes, chain - 1).is_err(), chain > 1);
            for end in (0..400).chain([bytes.len() - 1]) {
                assert!(SignedStatement::read(&bytes[..end], 5).is_err(), "{end}");
            }
            assert!(SignedStatement::read(&[&bytes[..], &[0]].concat(), 5).is_err());
            for at in 0..200 {
                let mut changed = bytes.clone();
                changed[at] ^= 0x20;
                let again = SignedStatement::read(&changed, 5).map(|read| read.unsigned.assemble(&read.signature));
                assert!(again.is_err() || again == Ok(changed), "byte {at}");
            }
        }
    }

    #[test]
    fn an_item_that_is_not_in_its_shortest_form_is_refused() {
        let bytes = unsigned(1).assemble(&[5; 64]);
        // The signature's head 0x58 0x40 says 64 in one byte; 0x59 0x00 0x40 says it in two.
        let at = bytes.len() - 66;
        assert_eq!(bytes[at..at + 2], [0x58, 0x40]);
        let longer = [&bytes[..at], &[0x59, 0, 0x40], &bytes[at + 2..]].concat();
        assert!(SignedStatement::read(&longer, 5).is_err());
    }
}
