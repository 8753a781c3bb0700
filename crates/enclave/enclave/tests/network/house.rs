//! Organisations with CAs of their own: the certificates that they would use.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use synod_crypto::{ActorKey, Certificate};
use synod_types::Time;

/// A CA, or a leaf, with its key.
pub struct Holder {
    params: CertificateParams,
    pub key: ActorKey,
    pub certificate: Certificate,
}

impl Holder {
    fn pair(&self) -> KeyPair {
        KeyPair::try_from(self.key.expose_pkcs8_der().as_slice()).unwrap()
    }

    pub fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }

    /// The revocation list of this CA, DER.
    pub fn crl(&self, number: u64, revoked: &[&Self]) -> Vec<u8> {
        let revoked = revoked.iter().map(|holder| RevokedCertParams {
            serial_number: holder.params.serial_number.clone().unwrap(),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2026, 2, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&Issuer::from_params(&self.params, self.pair())).unwrap().der().to_vec()
    }
}

/// A certificate of this name, as `change` has it; self-signed without an issuer.
pub fn make(label: &str, issuer: Option<&Holder>, change: impl FnOnce(&mut CertificateParams)) -> Holder {
    let key = ActorKey::from_seed(&synod_crypto::sha256(&[label.as_bytes()]).0);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, label);
    (params.not_before, params.not_after) = (date_time_ymd(1970, 1, 1), date_time_ymd(2090, 1, 1));
    params.serial_number = Some(SerialNumber::from(label.bytes().map(u64::from).sum::<u64>()));
    change(&mut params);
    let pair = KeyPair::try_from(key.expose_pkcs8_der().as_slice()).unwrap();
    let made = match issuer {
        Some(issuer) => params.signed_by(&pair, &Issuer::from_params(&issuer.params, issuer.pair())),
        None => params.self_signed(&pair),
    };
    let certificate = Certificate::from_der(made.unwrap().der().to_vec()).unwrap();
    Holder { params, key, certificate }
}

pub fn ca(label: &str, issuer: Option<&Holder>) -> Holder {
    make(label, issuer, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    })
}

/// A leaf for clients, of an organisational unit.
pub fn leaf(label: &str, issuer: &Holder, unit: &str) -> Holder {
    leaf_but(label, issuer, unit, |_| ())
}

/// The same, changed.
pub fn leaf_but(label: &str, issuer: &Holder, unit: &str, change: impl FnOnce(&mut CertificateParams)) -> Holder {
    make(label, Some(issuer), |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        change(params);
    })
}

/// Has a certificate end at this second.
pub fn until(params: &mut CertificateParams, time: Time) {
    params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(time.seconds());
}

/// An organisation's root, its intermediate (the actor), and two departments under that.
pub struct House {
    pub actor: Holder,
    pub treasury: Holder,
    pub kitchen: Holder,
}

impl House {
    pub fn new(name: &str) -> Self {
        let root = ca(&format!("{name} root"), None);
        let actor = ca(name, Some(&root));
        let (treasury, kitchen) =
            (ca(&format!("{name} treasury"), Some(&actor)), ca(&format!("{name} kitchen"), Some(&actor)));
        Self { actor, treasury, kitchen }
    }

    /// What a holder of this leaf presents.
    pub fn chain(&self, leaf: &Holder, department: &Holder) -> Vec<Vec<u8>> {
        vec![leaf.der(), department.der(), self.actor.der()]
    }
}
