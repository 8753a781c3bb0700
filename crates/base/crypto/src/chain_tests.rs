use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P384_SHA384, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use synod_types::Time;

use super::*;

/// 2026-06-01.
const NOW: Time = Time(1_780_272_000_000_000);

struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: Vec<u8>,
}

impl Made {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    fn spki_digest(&self) -> Digest {
        crate::Certificate::from_der(self.der.clone()).unwrap().spki_digest()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params.serial_number = Some(SerialNumber::from(name.bytes().map(u64::from).sum::<u64>()));
    params
}

fn ca(name: &str, path_max: u8) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_max));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn root(params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Made { params, key, der }
}

fn under(issuer: &Made, params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let der = params.signed_by(&key, &issuer.issuer()).unwrap().der().to_vec();
    Made { params, key, der }
}

fn crl(issuer: &Made, number: u64, revoked: &[&Made]) -> Vec<u8> {
    let revoked = revoked.iter().map(|made| RevokedCertParams {
        serial_number: made.params.serial_number.clone().unwrap(),
        revocation_time: date_time_ymd(2026, 2, 1),
        reason_code: None,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 2, 1),
        next_update: date_time_ymd(2026, 3, 1),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&issuer.issuer()).unwrap().der().to_vec()
}

/// An organisation's root, its intermediate (the actor), a department's sub-CA, and a leaf of that.
fn house() -> [Made; 4] {
    let top = root(ca("top", 3));
    let actor = under(&top, ca("actor", 1));
    let department = under(&actor, ca("department", 0));
    let mut params = leaf("leaf");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Treasury");
    params.subject_alt_names = vec![
        SanType::DnsName("gov.example.org".try_into().unwrap()),
        SanType::URI("spiffe://example.org/gov".try_into().unwrap()),
        SanType::Rfc822Name("gov@example.org".try_into().unwrap()),
    ];
    // Certificate policies (RFC 5280, section 4.2.1.4): SEQUENCE { SEQUENCE { 1.3.6.1.4.1.99999.1 } }.
    let policy = vec![0x30, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x2b, 6, 1, 4, 1, 0x86, 0x8d, 0x1f, 1];
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 32], policy)];
    let end = under(&department, params);
    [top, actor, department, end]
}

fn check(anchor: &Made, presented: &[&Made]) -> Result<Leaf, ChainRefused> {
    check_at(anchor, presented, NOW, None)
}

fn check_at(anchor: &Made, presented: &[&Made], at: Time, crl: Option<&[u8]>) -> Result<Leaf, ChainRefused> {
    let presented: Vec<_> = presented.iter().map(|made| made.der.clone()).collect();
    verify(&anchor.der, &presented, at, crl)
}

#[test]
fn a_leaf_under_an_intermediate_speaks_and_says_what_it_is() {
    let [top, actor, department, end] = house();
    let found = check(&actor, &[&end, &department, &actor]).unwrap();
    assert_eq!(found.names, ["dns:gov.example.org", "uri:spiffe://example.org/gov", "email:gov@example.org"]);
    assert_eq!((found.units, found.policies), (vec!["Treasury".to_owned()], vec!["1.3.6.1.4.1.99999.1".to_owned()]));
    assert_eq!(found.sub_cas, [department.spki_digest()]);
    assert_eq!(found.valid_until.seconds(), 1_798_761_600);
    assert_eq!(check(&actor, &[&end, &actor, &department]).map(|leaf| leaf.names.len()), Ok(3), "in any order");
    let from_the_top = check(&top, &[&end, &department, &actor]).unwrap();
    assert_eq!(from_the_top.sub_cas.len(), 2);
    for anchor in [&top, &actor] {
        assert_eq!(check_anchor(&anchor.der, NOW), Ok(()));
    }
}

#[test]
fn a_leaf_of_another_authority_is_refused() {
    let [top, actor, department, end] = house();
    let sibling = under(&top, ca("sibling", 1));
    let siblings = under(&sibling, leaf("leaf"));
    assert_eq!(check(&actor, &[&siblings, &sibling, &top]), Err(ChainRefused::OtherAuthority));
    // The same names, but other keys: the actor's name alone proves nothing.
    let namesake = root(ca("actor", 1));
    let theirs = under(&namesake, leaf("leaf"));
    assert_eq!(check(&actor, &[&theirs, &namesake]), Err(ChainRefused::Signature));
    assert_eq!(check(&actor, &[&end]), Err(ChainRefused::OtherAuthority), "the department's certificate is missing");
    assert_eq!(check(&end, &[&siblings]), Err(ChainRefused::OtherAuthority), "a leaf issues nothing");
    assert_eq!(check(&actor, &[]), Err(ChainRefused::Empty));
    let garbage = verify(&actor.der, &[b"garbage".to_vec()], NOW, None);
    assert_eq!(garbage, Err(ChainRefused::Malformed { what: "certificate" }));
    assert_eq!(
        check(&actor, &[&department, &actor]).map(|_| ()),
        Err(ChainRefused::Usage { whose: "the leaf's", usage: "digital signatures" })
    );
}

#[test]
fn signatures_lead_to_an_anchor_whatever_else_is_wrong_and_to_no_other() {
    let [top, actor, department, end] = house();
    let leads = |anchor: &Made, presented: &[&Made]| {
        let presented: Vec<_> = presented.iter().map(|made| made.der.clone()).collect();
        leads_to(&anchor.der, &presented)
    };
    assert!(leads(&actor, &[&actor]) && leads(&actor, &[&end, &department]));
    assert!(leads(&top, &[&end, &top, &actor, &department]), "in any order");
    let mut expired = leaf("expired");
    expired.not_after = date_time_ymd(2026, 5, 1);
    expired.key_usages = Vec::new();
    assert!(leads(&actor, &[&under(&department, expired), &department]));
    assert!(leads(&end, &[&under(&end, leaf("below a leaf"))]), "also under what may not issue any");

    assert!(!leads(&actor, &[]) && !leads(&actor, &[&top]) && !leads(&actor, &[&end]));
    let (namesake, stranger) = (root(ca("actor", 1)), root(leaf("stranger")));
    assert!(!leads(&actor, &[&under(&namesake, leaf("leaf")), &namesake]));
    assert!(!leads(&actor, &[&stranger, &end, &department, &actor]), "what comes behind it is not its own");
    assert!(!leads_to(&actor.der, &[b"garbage".to_vec()]));
    assert!(leads_to(&actor.der, &[end.der, b"garbage".to_vec(), department.der]));
}

#[test]
fn a_certificate_out_of_its_time_is_refused_wherever_it_stands() {
    let [_, actor, department, end] = house();
    let at = |seconds: u64| check_at(&actor, &[&end, &department], Time(seconds * 1_000_000), None).map(|_| ());
    assert_eq!(at(1_798_761_600), Ok(()));
    assert_eq!(at(1_798_761_601), Err(ChainRefused::Expired { whose: "the actor's" }));
    assert_eq!(at(1_700_000_000), Err(ChainRefused::NotValidYet { whose: "the actor's" }));
    let mut early = leaf("early");
    early.not_after = date_time_ymd(2026, 5, 1);
    let early = under(&actor, early);
    assert_eq!(check(&actor, &[&early]), Err(ChainRefused::Expired { whose: "the leaf's" }));
    let mut late = leaf("late");
    late.not_before = date_time_ymd(2026, 7, 1);
    let late = under(&actor, late);
    assert_eq!(check(&actor, &[&late]), Err(ChainRefused::NotValidYet { whose: "the leaf's" }));
    let mut short = ca("short", 0);
    short.not_after = date_time_ymd(2026, 5, 1);
    let short = under(&actor, short);
    let below = under(&short, leaf("below"));
    assert_eq!(check(&actor, &[&below, &short]), Err(ChainRefused::Expired { whose: "the leaf's" }));
    let mut soon = ca("soon", 0);
    soon.not_after = date_time_ymd(2026, 7, 1);
    let soon = under(&actor, soon);
    let found = check(&actor, &[&under(&soon, leaf("below")), &soon]).unwrap();
    assert_eq!(found.valid_until.seconds(), 1_782_864_000, "a chain is valid as long as all of it is");
    assert_eq!(check_anchor(&early.der, NOW), Err(ChainRefused::Expired { whose: "the actor's" }));
}

#[test]
fn a_key_that_is_for_something_else_is_refused() {
    let [_, actor, ..] = house();
    let mut encrypts = leaf("encrypts");
    encrypts.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    let usage = |usage| Err(ChainRefused::Usage { whose: "the leaf's", usage });
    assert_eq!(check(&actor, &[&under(&actor, encrypts)]), usage("digital signatures"));
    let mut serves = leaf("serves");
    serves.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(check(&actor, &[&under(&actor, serves)]), usage("authenticating a client"));
    let mut anything = leaf("anything");
    (anything.key_usages, anything.extended_key_usages) = (vec![], vec![]);
    assert!(check(&actor, &[&under(&actor, anything)]).is_ok(), "usages that are not restricted");
    let mut issues = ca("issues", 0);
    issues.key_usages.push(KeyUsagePurpose::DigitalSignature);
    assert_eq!(check(&actor, &[&under(&actor, issues)]), usage("end entities: it is a CA"));
}

#[test]
fn constraints_of_the_authorities_hold() {
    let flat = root(ca("flat", 0));
    let below = under(&flat, ca("below", 0));
    let end = under(&below, leaf("end"));
    assert_eq!(check(&flat, &[&end, &below]), Err(ChainRefused::Constraint { what: "path length" }));
    let mut bounded = ca("bounded", 0);
    let permitted_subtrees = vec![GeneralSubtree::DnsName("example.org".into())];
    bounded.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    let bounded = root(bounded);
    for (name, allowed) in [("gov.example.org", true), ("gov.example.net", false)] {
        let mut params = leaf("named");
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        let found = check(&bounded, &[&under(&bounded, params)]);
        assert_eq!(found.is_ok(), allowed, "{name}");
        assert!(allowed || found == Err(ChainRefused::Constraint { what: "names" }));
    }
}

#[test]
fn a_certificate_may_be_its_own_anchor_if_its_key_may_sign() {
    let own = root(leaf("own"));
    assert!(check(&own, &[&own]).is_ok());
    assert_eq!(check_anchor(&own.der, NOW), Ok(()));
    let mut serves = leaf("serves");
    serves.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let serves = root(serves);
    assert!(matches!(check(&serves, &[&serves]), Err(ChainRefused::Usage { .. })));
    assert!(matches!(check_anchor(&serves.der, NOW), Err(ChainRefused::Usage { .. })));
    // Another certificate of the same key is not this one.
    let other = leaf("own").self_signed(&own.key).unwrap().der().to_vec();
    if other != own.der {
        assert!(verify(&own.der, &[other], NOW, None).is_err());
    }
    let [_, actor, ..] = house();
    assert!(matches!(check(&actor, &[&actor]), Err(ChainRefused::Usage { .. })), "a CA that may only issue");
}

#[test]
fn what_the_actor_revoked_is_refused_even_when_the_list_is_old() {
    let [_, actor, department, end] = house();
    let direct = under(&actor, leaf("direct"));
    let other = under(&actor, leaf("other"));
    let list = crl(&actor, 7, &[&direct]);
    assert_eq!(check_crl(&actor.der, &list, NOW), Ok(7));
    assert_eq!(check_at(&actor, &[&direct], NOW, Some(&list)), Err(ChainRefused::Revoked));
    assert!(check_at(&actor, &[&other], NOW, Some(&list)).is_ok());
    assert!(check_at(&actor, &[&end, &department], NOW, Some(&list)).is_ok());
    let list = crl(&actor, 8, &[&department]);
    assert_eq!(check_at(&actor, &[&end, &department], NOW, Some(&list)), Err(ChainRefused::Revoked));
}

#[test]
fn a_list_that_the_actor_did_not_sign_is_refused() {
    let [top, actor, department, end] = house();
    assert_eq!(check_crl(&actor.der, &crl(&top, 1, &[]), NOW), Err(ChainRefused::OtherAuthority));
    assert_eq!(check_crl(&actor.der, &crl(&department, 1, &[]), NOW), Err(ChainRefused::OtherAuthority));
    let namesake = root(ca("actor", 1));
    assert_eq!(check_crl(&actor.der, &crl(&namesake, 1, &[]), NOW), Err(ChainRefused::Signature));
    let mut list = crl(&actor, 1, &[&end]);
    assert_eq!(
        check_crl(&actor.der, &list, Time(1_769_000_000_000_000)),
        Err(ChainRefused::NotValidYet { whose: "the list's" })
    );
    let malformed = ChainRefused::Malformed { what: "numbered revocation list" };
    assert_eq!(check_crl(&actor.der, &list[..list.len() - 1], NOW), Err(malformed.clone()));
    assert_eq!(check_crl(&actor.der, b"", NOW), Err(malformed));
    let end = list.len() - 5;
    list[end] ^= 1;
    assert!(check_crl(&actor.der, &list, NOW).is_err());
}

#[test]
fn authorities_on_other_curves_serve_as_well() {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let params = ca("p384", 0);
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let actor = Made { params, key, der };
    let end = under(&actor, leaf("end"));
    assert!(check(&actor, &[&end]).is_ok());
    assert_eq!(check_crl(&actor.der, &crl(&actor, 1, &[]), NOW), Ok(1));
}
