//! COSE_Sign1 (RFC 9052) as far as Synod uses it: no external data; [`crate::statement`] has the whole message.

use crate::cbor::{BYTE_STRING, append_head};
use crate::sign::{Purpose, SigningKey};
use crate::verify::{Signature, SignatureInvalid, VerifyingKey};

/// Signs `payload` under a protected header, given as its encoding.
pub fn sign1<P: Purpose>(key: &SigningKey<P>, protected: &[u8], payload: &[u8]) -> Signature {
    key.sign(&to_be_signed(protected, payload))
}

/// Checks a signature that [`sign1`] made.
///
/// # Errors
/// If the holder of `key` did not sign `payload` under exactly this protected header.
pub fn verify1(
    key: &VerifyingKey,
    protected: &[u8],
    payload: &[u8],
    signature: &Signature,
) -> Result<(), SignatureInvalid> {
    key.verify(&to_be_signed(protected, payload), signature)
}

/// The Sig_structure of RFC 9052, section 4.4, for COSE_Sign1 without external data:
/// `["Signature1", protected, h'', payload]`.
pub fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + protected.len() + payload.len());
    out.extend_from_slice(b"\x84\x6aSignature1");
    append_bstr(&mut out, protected);
    append_bstr(&mut out, b"");
    append_bstr(&mut out, payload);
    out
}

/// A CBOR byte string with the shortest head (RFC 8949, section 4.2.1).
pub(crate) fn append_bstr(out: &mut Vec<u8>, bytes: &[u8]) {
    append_head(out, BYTE_STRING, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::ServiceKey;
    use coset::{CoseSign1Builder, HeaderBuilder, SignatureContext, iana, sig_structure_data};

    #[test]
    fn what_is_signed_is_what_another_implementation_signs() {
        for (kid, payload) in [(0, 0), (1, 23), (30, 24), (300, 32), (8, 255), (8, 256), (8, 65535), (8, 65536)] {
            let header = HeaderBuilder::new().algorithm(iana::Algorithm::ES256).key_id(vec![7; kid]).build();
            let message = CoseSign1Builder::new().protected(header).build();
            let protected = message.protected.clone().cbor_bstr().unwrap().into_bytes().unwrap();
            let payload = vec![9; payload];
            let theirs =
                sig_structure_data(SignatureContext::CoseSign1, message.protected.clone(), None, b"", &payload);
            assert_eq!(to_be_signed(&protected, &payload), theirs);
        }
    }

    #[test]
    fn a_signature_verifies_under_its_header_and_payload_only() {
        let key = ServiceKey::generate();
        let signature = sign1(&key, b"header", b"payload");
        assert!(verify1(key.verifying_key(), b"header", b"payload", &signature).is_ok());
        assert!(verify1(key.verifying_key(), b"heade", b"rpayload", &signature).is_err());
        assert!(verify1(key.verifying_key(), b"header", b"payloae", &signature).is_err());
    }
}
