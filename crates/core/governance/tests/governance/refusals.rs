//! What is refused, by code, and that nothing is written then.

use std::collections::BTreeMap;

use synod_crypto::x509::{Validity, actor_certificate};
use synod_governance::bounded::Blob;
use synod_governance::entries::{CertificateDer, Quorums};
use synod_governance::*;
use synod_types::{ActorId, Digest, NodeId, Time};

use crate::world::{NETWORK, Org, START, World, constitution, node};

fn codes(refused: Refused) -> Vec<&'static str> {
    match refused {
        Refused::Actions { reasons } => reasons.iter().map(|reason| reason.reason.code()).collect(),
        other => vec![other.code()],
    }
}

#[test]
fn each_wrong_vote_is_refused_by_its_code() {
    let [a, b, c, p, out] = ["Alpha", "Beta", "Gamma", "Papa", "Out"].map(Org::new);
    let mut constitution = constitution(&[&a, &b, &c]);
    constitution.actors.push((Role::Participant, p.add()));
    let mut world = World::of(&constitution);
    let add = |name| vec![Action::AddParticipant(Org::new(name).add())];
    let (id, other) = (world.propose(&a, add("Delta")).unwrap(), world.propose(&a, add("Epsilon")).unwrap());
    let good = world.ballot(&b, id, Choice::Accept);
    let elsewhere = Digest([9; 32]);

    let mut tampered = b.sign(NETWORK, &good).to_vec();
    *tampered.last_mut().unwrap() ^= 1;
    let rows: Vec<(&str, &Org, Statement)> = vec![
        ("NotAMember", &p, p.sign(NETWORK, &good)),
        ("NotAMember", &out, out.sign(NETWORK, &good)),
        ("OtherNetwork", &b, b.sign(elsewhere, &good)),
        ("OtherProposal", &b, b.sign(NETWORK, &BallotBody { proposal: other, ..good.clone() })),
        ("NoSuchProposal", &b, b.sign(NETWORK, &BallotBody { proposal: 99, ..good.clone() })),
        ("SignerIsNotCaller", &a, b.sign(NETWORK, &good)),
        ("Statement", &b, Blob::new(tampered).unwrap()),
        ("Statement", &b, Blob::new(&b"no statement"[..]).unwrap()),
        ("Statement", &b, b.sign(NETWORK, &WithdrawalBody { proposal: id, digest: good.digest })),
        ("Statement", &b, b.sign(NETWORK, &BallotBody { counter: 0, ..good.clone() })),
    ];
    for (code, org, statement) in rows {
        let before = world.state.digest();
        let refused = world.request(org, &Request::Vote(statement)).unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        assert_eq!(world.state.digest(), before);
    }

    world.request(&b, &Request::Vote(b.sign(NETWORK, &good))).unwrap();
    let twice = world.request(&b, &Request::Vote(b.sign(NETWORK, &good))).unwrap_err();
    assert_eq!(twice, Refused::AlreadyVoted { id, counter: 1, last: 1 });
    let the_same = world.ballot(&b, id, Choice::Accept);
    let twice = world.request(&b, &Request::Vote(b.sign(NETWORK, &the_same))).unwrap_err();
    assert_eq!(twice, Refused::AlreadyVoted { id, counter: 2, last: 1 });
    assert_eq!(world.accept(&c, id), Status::Accepted);
    assert_eq!(world.vote(&a, id, Choice::Reject), Err(Refused::ProposalClosed { id, status: Status::Accepted }));

    let nodes = vec![Action::RemoveMember(RemoveActor { id: c.id() })];
    assert_eq!(world.decide(&[&a, &b], nodes), Status::Accepted);
    assert_eq!(world.vote(&c, other, Choice::Accept), Err(Refused::NotAMember { id: c.id() }));
}

#[test]
fn a_statement_of_an_expired_certificate_is_refused() {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let mut world = World::genesis(&[&a, &b]);
    let id = world.propose(&a, vec![Action::RotateServiceIdentity(RotateServiceIdentity {})]).unwrap();
    world.time = Time(a.certificate.valid_until().0 + 1_000_000);
    assert_eq!(world.vote(&a, id, Choice::Accept).unwrap_err().code(), "Identity");
}

#[test]
fn a_proposal_with_a_bad_action_is_refused_with_all_reasons_and_nothing_is_applied() {
    let [a, b, c, d] = ["Alpha", "Beta", "Gamma", "Delta"].map(Org::new);
    let mut world = World::genesis(&[&a, &b, &c]);
    let old = Validity { from: Time(0), until: Time(START.0 - 1) };
    let expired = CertificateDer::of(&actor_certificate(&d.key, "Delta", old));
    let unknown = ActorId([7; 32]);
    let policy = |value| Action::SetPolicy(SetPolicy { kind: None, value: Some(value) });
    let quorums =
        |commit, election| Action::SetQuorums(SetQuorums { value: Some(Quorums::Sizes { commit, election }) });
    let remove = |org: &Org| Action::RemoveMember(RemoveActor { id: org.id() });
    let rows: Vec<(Vec<Action>, &[&str])> = vec![
        (vec![], &["NoActions"]),
        (vec![Action::AddMember(d.add()), Action::AddMember(b.add())], &["ActorExists", "NameTaken"]),
        (vec![Action::AddMember(AddActor { certificate: expired, ..d.add() })], &["CertificateUnusable"]),
        (vec![Action::RemoveMember(RemoveActor { id: unknown })], &["NoSuchActor"]),
        (vec![Action::RemoveParticipant(RemoveActor { id: b.id() })], &["NoSuchActor"]),
        (vec![remove(&a)], &["NodeWithoutOwner"]),
        (vec![remove(&a), remove(&b), remove(&c)], &["NoMember", "NodeWithoutOwner"]),
        (vec![Action::RemoveNode(RemoveNode { node: NodeId(1) })], &["NodeCount"]),
        (vec![Action::RemoveNode(RemoveNode { node: NodeId(9) })], &["NoSuchNode"]),
        (
            vec![Action::RemoveNode(RemoveNode { node: NodeId(1) }), Action::AddNode(node("vn2", a.id()))],
            &["TooFewNodesStay"],
        ),
        (vec![Action::AddNode(node("vn1", a.id()))], &["NameTaken", "NodeTaken", "NodeTaken"]),
        (
            vec![Action::AddNode(NodeEntry { public_key: Blob::default(), ..node("vn2", unknown) })],
            &["NodeKeyRefused", "NoSuchActor"],
        ),
        (vec![policy(Policy::MOfN(4))], &["PolicyUnreachable"]),
        (vec![policy(Policy::MOfN(0))], &["PolicyMalformed"]),
        (vec![policy(Policy::MOfN(3)), remove(&c)], &["PolicyUnreachable"]),
        (vec![policy(Policy::Required(Members(bounded::Set::new([d.id()]).unwrap())))], &["PolicyUnreachable"]),
        (vec![quorums(1, 0)], &["QuorumsDoNotMeet"]),
        (vec![quorums(1, 2)], &["QuorumsDoNotMeet"]),
        (
            vec![Action::AddNode(node("vn2", b.id())), Action::AddNode(node("vn3", c.id())), quorums(1, 2)],
            &["QuorumsDoNotMeet"],
        ),
        (
            vec![Action::AddNode(node("vn2", b.id())), Action::AddNode(node("vn3", c.id())), quorums(1, 3)],
            &["QuorumsNotSupported"],
        ),
        (
            vec![Action::SetBlocks(SetBlocks { value: Some(Rules { block_calls_max: 0, ..Rules::default() }) })],
            &["RuleOutOfRange"],
        ),
        (vec![Action::SetLease(SetLease { seconds: Some(0) })], &["PeriodOutOfRange"]),
        (vec![Action::SetLease(SetLease { seconds: None })], &["NothingChanges"]),
        (
            vec![Action::SetDurability(SetDurability { value: Some(entries::Durability::Replicated) })],
            &["DurabilityNotSupported"],
        ),
        (vec![Action::RevokeAuditor(RevokeAuditor { key: Digest([1; 32]) })], &["NoSuchEntry"]),
        (
            vec![Action::DenyCode(DenyCode { measurement: Blob::new(vec![1; 31]).unwrap(), name: None })],
            &["MeasurementSize"],
        ),
    ];
    for (actions, expected) in rows {
        let before = world.state.digest();
        let refused = world.propose(&a, actions.clone()).unwrap_err();
        assert_eq!(codes(refused), expected, "{actions:?}");
        assert_eq!(world.state.digest(), before);
    }
}

#[test]
fn a_proposal_is_submitted_once_by_who_signed_it_and_within_its_time() {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let mut world = World::genesis(&[&a, &b]);
    let body = world.body(&a, vec![Action::RotateServiceIdentity(RotateServiceIdentity {})]);
    let signed = Request::Propose(a.sign(NETWORK, &body));
    assert_eq!(world.request(&b, &signed).map(|_| ()), Err(Refused::SignerIsNotCaller));
    let stolen = Request::Propose(b.sign(NETWORK, &body));
    assert_eq!(world.request(&b, &stolen).map(|_| ()), Err(Refused::SignerIsNotCaller));
    for expires in [START.0, START.0 - 1, u64::MAX] {
        let body = ProposalBody { expires: Some(expires), ..body.clone() };
        let refused = world.request(&a, &Request::Propose(a.sign(NETWORK, &body)));
        assert_eq!(refused.map(|_| ()), Err(Refused::ExpiryOutOfRange));
    }
    world.request(&a, &signed).unwrap();
    assert_eq!(world.request(&a, &signed).map(|_| ()), Err(Refused::ProposalKnown { id: 1 }));
}

#[test]
fn a_genesis_with_contradictions_is_refused_with_all_of_them() {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let mut twice = constitution(&[&a, &b, &a]);
    twice.nodes.insert(NodeId(2), node("vn1", b.id()));
    let flaws = twice.genesis_writes(START).unwrap_err();
    let found: Vec<_> = flaws.iter().map(|flaw| (flaw.place, flaw.reason.code())).collect();
    let expected = [
        (Place::Actor(2), "ActorExists"),
        (Place::Actor(2), "NameTaken"),
        (Place::Node(NodeId(2)), "NameTaken"),
        (Place::Node(NodeId(2)), "NodeTaken"),
        (Place::Node(NodeId(2)), "NodeTaken"),
    ];
    assert_eq!(found, expected);

    let mut nobody = constitution(&[&a]);
    nobody.actors = vec![(Role::Participant, a.add())];
    nobody.policies = BTreeMap::from([(PolicyKey::Default, Policy::MOfN(1))]);
    let flaws = nobody.genesis_writes(START).unwrap_err();
    assert!(matches!(&flaws[..], [Flaw { place: Place::Whole, reason: Reason::NoMember }]));
}
