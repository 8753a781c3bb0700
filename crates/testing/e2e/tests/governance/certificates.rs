//! An organisation's certificates: those that speak for it, and those that do not.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams,
    SerialNumber,
};

use crate::world::World;

/// An organisation's authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a leaf says.
pub struct Leaf {
    pub unit: &'static str,
    pub serial: u64,
    pub usage: KeyUsagePurpose,
    pub extended: ExtendedKeyUsagePurpose,
    pub expired: bool,
}

/// A leaf that speaks for the organisation's department of governance.
pub const GOOD: Leaf = Leaf {
    unit: "Governance",
    serial: 1,
    usage: KeyUsagePurpose::DigitalSignature,
    extended: ExtendedKeyUsagePurpose::ClientAuth,
    expired: false,
};

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, key()).unwrap())
    }

    /// The certificate, PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes NAME.crt, with this authority's certificate behind the leaf's, and NAME.key.
    pub fn issue(&self, world: &World, name: &str, leaf: Leaf) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationalUnitName, leaf.unit);
        params.serial_number = Some(SerialNumber::from(leaf.serial));
        params.key_usages = vec![leaf.usage];
        params.extended_key_usages = vec![leaf.extended];
        params.is_ca = IsCa::ExplicitNoCa;
        if leaf.expired {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        }
        let key = key();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        world.write(&format!("{name}.crt"), certificate.pem() + &self.pem());
        world.write(&format!("{name}.key"), key.serialize_pem());
    }

    /// A list that revokes the leaf with this serial number, DER.
    pub fn revoke(&self, serial: u64, number: u64) -> Vec<u8> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = rcgen::date_time_ymd(1970, 1, 1) + now;
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - std::time::Duration::from_secs(60),
            next_update: now + std::time::Duration::from_secs(86_400),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().der().to_vec()
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}
