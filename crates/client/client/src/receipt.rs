//! Receipts: checked with nothing but the service's certificate.

use rustls_pki_types::CertificateDer;
use synod_crypto::{Certificate, CertificateRefused};
use synod_ledger::{Receipt, ReceiptRefused, VerifiedReceipt};

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The certificate is not one of a service.
    #[error("the service's certificate is not valid")]
    Service(#[from] CertificateRefused),
    /// The receipt is not one, or not of this service.
    #[error("the receipt proves nothing")]
    Receipt(#[from] ReceiptRefused),
}

/// Checks a receipt: what it says of a transaction is then as true as the service is.
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
