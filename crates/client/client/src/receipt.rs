//! Receipts: checked with nothing but the service's certificate, and what goes with it.

use rustls_pki_types::CertificateDer;
use synod_crypto::{Certificate, CertificateRefused};
use synod_ledger::{HistoryRefused, Receipt, ReceiptRefused, ServiceHistory, VerifiedReceipt};
use synod_types::{Digest, TxId};

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The certificate is not one of a service.
    #[error("the service's certificate is not valid")]
    Service(#[from] CertificateRefused),
    /// What follows the certificate was not signed with its key.
    #[error("what the file says of the service's keys is not its certificate's")]
    History(#[from] HistoryRefused),
    /// The receipt is not one, or not of this service.
    #[error("the receipt proves nothing")]
    Receipt(#[from] ReceiptRefused),
}

/// What a verifier has of a service: a certificate that it trusts, and perhaps which keys there were before.
#[derive(Clone, Debug)]
pub struct Service {
    certificate: Certificate,
    history: Option<ServiceHistory>,
}

/// What a receipt proves, and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// What it says.
    pub receipt: VerifiedReceipt,
    /// The digest of the service's key that signed it.
    pub key: Digest,
    /// The last transaction that this key signed, if it is known to be no longer in force.
    pub until: Option<TxId>,
}

impl Service {
    /// Reads the first certificate of a PEM text, and the history of the service's keys, if the text holds one.
    ///
    /// # Errors
    /// If there is no certificate, or its key did not sign the history.
    pub fn from_pem(text: &str) -> Result<Self, ReceiptError> {
        let certificate = Certificate::from_pem(text)?;
        let history = ServiceHistory::from_pem(text, &certificate.verifying_key()?)?;
        Ok(Self { certificate, history })
    }

    /// Checks a receipt under the certificate's key, and under earlier ones for the transactions of their time if there is a
    /// history.
    ///
    /// # Errors
    /// If the receipt proves nothing.
    pub fn verify(&self, receipt: &[u8]) -> Result<Proved, ReceiptError> {
        let key = self.certificate.spki_digest();
        let Some(history) = &self.history else {
            let receipt = Receipt::verify(receipt, &self.certificate.verifying_key()?)?;
            return Ok(Proved { receipt, key, until: None });
        };
        let (receipt, place) = history.verify(receipt)?;
        let term = history.terms().nth(place);
        let (key, until) = term.map_or((key, None), |(term, until)| (term.key.digest(), until));
        Ok(Proved { receipt, key, until })
    }
}

/// Checks a receipt under one key, whenever that was in force: what it says of a transaction is then as true as the service is.
///
/// # Errors
/// If the certificate is not one of a service, or the receipt proves nothing under its key.
pub fn verify_receipt(bytes: &[u8], service: &CertificateDer<'_>) -> Result<VerifiedReceipt, ReceiptError> {
    let key = Certificate::from_der(service.to_vec())?.verifying_key()?;
    Ok(Receipt::verify(bytes, &key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_certificate_or_a_receipt_is_told_apart() {
        let key = synod_crypto::ServiceKey::generate();
        let validity = synod_crypto::x509::Validity::days(synod_types::Time(1_700_000_000_000_000), 30);
        let service = synod_crypto::x509::service_certificate(&key, validity).to_pki();
        assert!(matches!(verify_receipt(b"x", &service), Err(ReceiptError::Receipt(_))));
        assert!(matches!(verify_receipt(b"x", &CertificateDer::from(vec![1])), Err(ReceiptError::Service(_))));
    }
}
