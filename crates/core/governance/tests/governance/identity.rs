//! Organisations with a CA: leaves, pins and revocation.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use synod_crypto::{ActorKey, Certificate};
use synod_governance::bounded::{Blob, Set};
use synod_governance::entries::CertificateDer;
use synod_governance::statement::prepare;
use synod_governance::*;
use synod_types::Encode;

use crate::world::{NETWORK, Org, START, World, constitution, name};

/// A CA, or a leaf, with its key.
struct Holder {
    params: CertificateParams,
    key: ActorKey,
    certificate: Certificate,
}

impl Holder {
    fn pair(&self) -> KeyPair {
        KeyPair::try_from(self.key.expose_pkcs8_der().as_slice()).unwrap()
    }

    fn der(&self) -> Vec<u8> {
        self.certificate.der().to_vec()
    }
}

fn make(label: &str, issuer: Option<&Holder>, change: impl FnOnce(&mut CertificateParams)) -> Holder {
    let key = ActorKey::from_seed(&synod_crypto::sha256(&[label.as_bytes()]).0);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, label);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2040, 1, 1));
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

fn ca(label: &str, issuer: Option<&Holder>) -> Holder {
    make(label, issuer, |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    })
}

fn leaf(label: &str, issuer: &Holder, unit: &str) -> Holder {
    make(label, Some(issuer), |params| {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        params.subject_alt_names = vec![SanType::DnsName(format!("{unit}.example.org").try_into().unwrap())];
    })
}

fn crl(issuer: &Holder, number: u64, revoked: &[&Holder]) -> Request {
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
    let list = params.signed_by(&Issuer::from_params(&issuer.params, issuer.pair())).unwrap();
    Request::Revoke(Blob::new(list.der().to_vec()).unwrap())
}

/// An organisation's root, its intermediate (the member), two departments, and a member with a key of its own.
struct House {
    intermediate: Holder,
    treasury: Holder,
    kitchen: Holder,
    other: Org,
    world: World,
}

fn house(pins: impl FnOnce(&House) -> Pins) -> House {
    let root = ca("root", None);
    let intermediate = ca("intermediate", Some(&root));
    let (treasury, kitchen) = (ca("treasury", Some(&intermediate)), ca("kitchen", Some(&intermediate)));
    let other = Org::new("Other");
    let world = World::genesis(&[&other]);
    let mut house = House { intermediate, treasury, kitchen, other, world };
    let mut constitution = constitution(&[&house.other]);
    let certificate = CertificateDer::of(&house.intermediate.certificate);
    constitution.actors.push((Role::Member, AddActor { name: name("House"), certificate, pins: pins(&house) }));
    house.world = World::of(&constitution);
    house
}

impl House {
    fn chain(&self, leaf: &Holder, department: &Holder) -> Vec<Vec<u8>> {
        vec![leaf.der(), department.der(), self.intermediate.der()]
    }

    fn identify(&self, chain: &[Vec<u8>]) -> Result<Caller, IdentityRefused> {
        identify(self.world.tables(), chain, START).unwrap()
    }

    /// The organisation as one who asks; nothing but its id matters.
    fn org(&self) -> Org {
        Org { name: "House", key: self.intermediate.key.clone(), certificate: self.intermediate.certificate.clone() }
    }

    /// Votes with a leaf's key.
    fn vote(&mut self, leaf: &Holder, chain: Vec<Vec<u8>>, id: ProposalId, choice: Choice) -> Result<Status, Refused> {
        let ballot = self.world.ballot(&self.org(), id, choice);
        let unsigned = prepare(&ballot, NETWORK, START, chain)?;
        let signature = leaf.key.sign(&unsigned.to_be_signed());
        let statement = Blob::new(unsigned.assemble(&signature.0)).unwrap();
        Ok(self.world.request(&self.org(), &Request::Vote(statement))?.status.unwrap())
    }
}

#[test]
fn any_leaf_under_the_intermediate_speaks_and_votes_for_the_organisation() {
    let mut house = house(|_| Pins::default());
    let (old, new) = (leaf("old", &house.treasury, "gov"), leaf("new", &house.kitchen, "gov"));
    let id = house
        .world
        .propose(&house.other.clone(), vec![Action::RotateServiceIdentity(RotateServiceIdentity {})])
        .unwrap();
    for (leaf, department, choice) in [(&old, "treasury", Choice::Reject), (&new, "kitchen", Choice::Accept)] {
        let department = ca(department, None).key;
        let issuer = if department.verifying_key() == house.treasury.key.verifying_key() {
            &house.treasury
        } else {
            &house.kitchen
        };
        let chain = house.chain(leaf, issuer);
        let caller = house.identify(&chain).unwrap();
        assert_eq!((caller.actor, caller.role), (house.intermediate.certificate.actor_id(), Role::Member));
        assert_eq!(caller.key, leaf.certificate.spki_digest());
        if choice == Choice::Accept {
            assert_eq!(house.vote(leaf, chain, id, choice), Ok(Status::Open));
        }
    }
    // What another key signed in the leaf's name does not count.
    let chain = house.chain(&old, &house.treasury);
    let refused = house.vote(&new, chain, id, Choice::Reject).unwrap_err();
    assert_eq!(refused, Refused::Statement { why: StatementRefused::Signature });
    let strangers = leaf("stranger", &ca("elsewhere", None), "gov");
    assert_eq!(house.identify(&[strangers.der()]), Err(IdentityRefused::UnknownActor));
    assert_eq!(house.identify(&vec![strangers.der(); 6]), Err(IdentityRefused::ChainTooLarge));
    assert_eq!(house.identify(&[]), Err(IdentityRefused::UnknownActor));
}

#[test]
fn a_leaf_of_a_sibling_department_is_refused_by_each_kind_of_pin() {
    type MakePins = fn(&House) -> Pins;
    let kinds: [(&str, MakePins); 3] = [
        ("subject alternative name", |_| Pins {
            san: Set::new([name("dns:gov.example.org")]).unwrap(),
            ..Pins::default()
        }),
        ("organisational unit", |_| Pins { organizational_unit: Set::new([name("gov")]).unwrap(), ..Pins::default() }),
        ("issuing sub-CA", |house| {
            let digest = house.treasury.certificate.spki_digest().0.to_vec();
            Pins { sub_ca: Set::new([Blob::new(digest).unwrap()]).unwrap(), ..Pins::default() }
        }),
    ];
    for (what, pins) in kinds {
        let house = house(pins);
        let (own, sibling) = (leaf("own", &house.treasury, "gov"), leaf("sibling", &house.kitchen, "cooks"));
        assert!(house.identify(&house.chain(&own, &house.treasury)).is_ok(), "{what}");
        let refused = house.identify(&house.chain(&sibling, &house.kitchen));
        assert_eq!(refused, Err(IdentityRefused::Pin { what }));
    }
    let oid = house(|_| Pins { policy_oid: Set::new([name("1.3.6.1.4.1.99999.1")]).unwrap(), ..Pins::default() });
    let own = leaf("own", &oid.treasury, "gov");
    let refused = oid.identify(&oid.chain(&own, &oid.treasury));
    assert_eq!(refused, Err(IdentityRefused::Pin { what: "certificate policy" }));
}

#[test]
fn pins_that_can_never_fit_are_refused() {
    let house = house(|_| Pins::default());
    let certificate = CertificateDer::of(&ca("new", None).certificate);
    let bad = Pins {
        san: Set::new([name("gov.example.org"), name("dns:")]).unwrap(),
        policy_oid: Set::new([name("1"), name("1.x"), name("1.02")]).unwrap(),
        sub_ca: Set::new([Blob::new(vec![1; 31]).unwrap()]).unwrap(),
        ..Pins::default()
    };
    let mut world = house.world;
    let action = Action::AddMember(AddActor { name: name("New"), certificate, pins: bad });
    let refused = world.propose(&house.other, vec![action]).unwrap_err();
    let Refused::Actions { reasons } = refused else { panic!("{refused}") };
    assert_eq!(reasons.iter().filter(|reason| reason.reason.code() == "PinMalformed").count(), 6, "{reasons:?}");
}

#[test]
fn an_organisation_revokes_a_leaf_itself_and_only_by_newer_lists_of_its_own() {
    let mut house = house(|_| Pins::default());
    let direct = leaf("direct", &house.intermediate, "gov");
    let chain = vec![direct.der(), house.intermediate.der()];
    assert!(house.identify(&chain).is_ok());
    let id = house
        .world
        .propose(&house.other.clone(), vec![Action::RotateServiceIdentity(RotateServiceIdentity {})])
        .unwrap();

    let org = house.org();
    let outcome = house.world.request(&org, &crl(&house.intermediate, 5, &[&direct])).unwrap();
    assert_eq!(outcome.events, [Event::ActorChanged { id: org.id() }], "open sessions of that leaf end");
    assert!(matches!(house.identify(&chain), Err(IdentityRefused::Chain(_))));
    let refused = house.vote(&direct, chain.clone(), id, Choice::Accept).unwrap_err();
    assert_eq!(refused.to_string(), "the signer's certificate is refused: the certificate was revoked");

    for number in [4, 5] {
        let refused = house.world.request(&org, &crl(&house.intermediate, number, &[])).map(|_| ());
        let why = IdentityRefused::CrlNotNewer { number, last: 5 };
        assert_eq!(refused, Err(Refused::Crl { why }));
    }
    let others = house.world.request(&org, &crl(&house.treasury, 6, &[])).unwrap_err();
    assert_eq!(others.code(), "Crl");
    house.world.request(&org, &crl(&house.intermediate, 6, &[])).unwrap();
    assert!(house.identify(&chain).is_ok());
}

#[test]
fn what_an_organisation_revoked_stays_revoked_if_it_comes_back_in_another_role() {
    let mut house = house(|_| Pins::default());
    let (org, other) = (house.org(), house.other.clone());
    let stolen = leaf("stolen", &house.intermediate, "gov");
    let clerk = leaf("clerk", &house.intermediate, "gov");
    let chain = |leaf: &Holder, house: &House| vec![leaf.der(), house.intermediate.der()];
    house.world.request(&org, &crl(&house.intermediate, 5, &[&stolen])).unwrap();
    let certificate = CertificateDer::of(&house.intermediate.certificate);
    let add = AddActor { name: name("House"), certificate, pins: Pins::default() };
    let remove = RemoveActor { id: org.id() };
    let rows = [
        (vec![Action::RemoveMember(remove.clone()), Action::AddParticipant(add.clone())], Role::Participant),
        (vec![Action::RemoveParticipant(remove), Action::AddMember(add)], Role::Member),
    ];
    for (actions, role) in rows {
        let id = house.world.propose(&other, actions).unwrap();
        let status = house.world.accept(&other, id);
        if status == Status::Open {
            let chain = chain(&clerk, &house);
            assert_eq!(house.vote(&clerk, chain, id, Choice::Accept), Ok(Status::Accepted));
        }
        assert_eq!(house.identify(&chain(&clerk, &house)).unwrap().role, role);
        let refused = house.identify(&chain(&stolen, &house)).unwrap_err();
        assert_eq!(refused.to_string(), "the certificate was revoked");
        // Neither does an older list take its place.
        let refused = house.world.request(&org, &crl(&house.intermediate, 4, &[])).map(|_| ());
        assert_eq!(refused, Err(Refused::Crl { why: IdentityRefused::CrlNotNewer { number: 4, last: 5 } }));
    }
}

#[test]
fn one_organisation_holds_both_identities_and_the_nearer_one_speaks() {
    let mut house = house(|_| Pins::default());
    let certificate = CertificateDer::of(&house.treasury.certificate);
    let add = Action::AddParticipant(AddActor { name: name("House, treasury"), certificate, pins: Pins::default() });
    let id = house.world.propose(&house.other.clone(), vec![add]).unwrap();
    assert_eq!(house.world.accept(&house.other.clone(), id), Status::Open);
    let cook = leaf("cook", &house.kitchen, "gov");
    let chain = house.chain(&cook, &house.kitchen);
    assert_eq!(house.vote(&cook, chain, id, Choice::Accept), Ok(Status::Accepted));

    let clerk = leaf("clerk", &house.treasury, "gov");
    let caller = house.identify(&house.chain(&clerk, &house.treasury)).unwrap();
    assert_eq!((caller.actor, caller.role), (house.treasury.certificate.actor_id(), Role::Participant));
    let mut turned = house.chain(&clerk, &house.treasury);
    turned[1..].reverse();
    let caller = house.identify(&turned).unwrap();
    assert_eq!(caller.role, Role::Participant, "in whatever order the chain comes");
    let caller = house.identify(&house.chain(&cook, &house.kitchen)).unwrap();
    assert_eq!(caller.role, Role::Member);
}

#[test]
fn what_a_chain_says_can_change_with_any_actor_and_with_its_own_actors_list_but_not_with_anothers() {
    let mut house = house(|_| Pins::default());
    let (org, other) = (house.org(), house.other.clone());
    let is_after = |house: &House, seqno, of: &Org| {
        let state = &house.world.state;
        LastChange::of(state).is_after(seqno, state, &of.id())
    };
    let genesis = house.world.seqno;
    let rotate = Action::RotateServiceIdentity(RotateServiceIdentity {});
    house.world.propose(&other, vec![rotate]).unwrap();
    assert!(!is_after(&house, genesis, &org), "a proposal changes nothing");

    house.world.request(&org, &crl(&house.intermediate, 1, &[])).unwrap();
    let revoked = house.world.seqno;
    assert_eq!([&org, &other].map(|of| is_after(&house, genesis, of)), [true, false]);
    assert!(!is_after(&house, revoked, &org));

    let certificate = CertificateDer::of(&house.treasury.certificate);
    let add = Action::AddParticipant(AddActor { name: name("Treasury"), certificate, pins: Pins::default() });
    let id = house.world.propose(&other, vec![add]).unwrap();
    house.world.accept(&other, id);
    let clerk = leaf("clerk", &house.kitchen, "gov");
    let chain = house.chain(&clerk, &house.kitchen);
    assert_eq!(house.vote(&clerk, chain, id, Choice::Accept), Ok(Status::Accepted));
    assert_eq!([&org, &other].map(|of| is_after(&house, revoked, of)), [true, true], "one of them may be nearer");
    assert!(!is_after(&house, house.world.seqno, &org));
}

#[test]
fn a_revocation_is_known_by_its_first_byte_and_nothing_else_is_one() {
    let statement = || Blob::new(vec![5; 5]).unwrap();
    let others = [
        Request::Propose(statement()),
        Request::Withdraw(statement()),
        Request::Vote(statement()),
        Request::SetStandingRule(statement()),
        Request::RemoveStandingRule(statement()),
        Request::CloseExpired,
    ];
    assert!(others.iter().all(|request| !Request::is_revocation(&request.to_bytes())));
    assert!(Request::is_revocation(&Request::Revoke(Blob::new(vec![1]).unwrap()).to_bytes()));
    assert!(!Request::is_revocation(&[]));
}
