//! Each predicate of standing rules, in a network where it holds and in one where it does not.

use synod_governance::bounded::{Blob, Set};
use synod_governance::entries::{AutoVote, CodeEntry, CodeVerdict, Platform, TeeRule};
use synod_governance::*;

use crate::world::{NETWORK, Org, World, constitution, name, node};

fn code(byte: u8) -> Blob<64> {
    Blob::new(vec![byte; 32]).unwrap()
}

/// Two members, of which Beta has a rule with this condition on nodes and approvals; one approved build, one platform.
fn world(predicate: &Predicate) -> (World, [Org; 3]) {
    let orgs = ["Alpha", "Beta", "Papa"].map(Org::new);
    let mut constitution = constitution(&[&orgs[0], &orgs[1]]);
    constitution.actors.push((Role::Participant, orgs[2].add()));
    let entry = CodeEntry {
        verdict: CodeVerdict::Approved,
        framework: name("1"),
        adapter: name("log"),
        adapter_version: name("1"),
        source_commit: Blob::default(),
    };
    constitution.code.insert(code(1), entry);
    let tee = TeeRule { allowed: true, tcb_min: Default::default(), advisories_denied: Default::default() };
    constitution.tees.insert(Platform::SevSnp, tee);
    let kinds = [ActionKind::AddNode, ActionKind::RemoveNode, ActionKind::ReplaceNode, ActionKind::AddParticipant];
    constitution.auto_votes = kinds.into_iter().map(|kind| (kind, AutoVote::default())).collect();
    let mut world = World::of(&constitution);
    let rule = StandingRule { kinds: Set::new(kinds).unwrap(), condition: Condition::Is(predicate.clone()) };
    let [_, beta, _] = &orgs;
    world.request(beta, &Request::SetStandingRule(beta.sign(NETWORK, &RuleBody { rule, counter: 1 }))).unwrap();
    (world, orgs)
}

#[test]
fn each_predicate_holds_where_it_says_and_nowhere_else() {
    let [a, b, p] = ["Alpha", "Beta", "Papa"].map(Org::new);
    let own = |org: &Org| Action::AddNode(node("vn2", org.id()));
    let built = || Action::AddNode(NodeEntry { code: Some(code(1)), ..node("vn2", a.id()) });
    let placed = || Action::AddNode(NodeEntry { platform: Some(Platform::SevSnp), ..node("vn2", a.id()) });
    let participant = || Action::AddParticipant(Org::new("Quebec").add());
    // The network's only node is Alpha's.
    let replace = |owner: Option<&Org>| {
        Action::ReplaceNode(ReplaceNode {
            node: synod_types::NodeId(1),
            owner: owner.map(|org| Owner(org.id())),
            name: None,
            public_key: None,
            address: Some(node("vn2", a.id()).address),
            code: None,
            platform: None,
        })
    };
    let ids = |org: &Org| Predicate::ProposerIs(Members(Set::new([org.id()]).unwrap()));
    let kinds = |kind| Predicate::KindIs(Set::new([kind]).unwrap());
    // The predicate, the proposer, the action, and whether Beta's rule votes.
    let rows = [
        (ids(&a), &a, own(&a), true),
        (ids(&a), &p, own(&p), false),
        (Predicate::ProposerIsMember, &a, own(&p), true),
        (Predicate::ProposerIsMember, &p, own(&p), false),
        (Predicate::OwnerIsProposer, &p, own(&p), true),
        (Predicate::OwnerIsProposer, &a, own(&p), false),
        (Predicate::OwnerIsProposer, &a, participant(), false),
        (Predicate::OwnerIsProposer, &a, replace(None), true),
        (Predicate::OwnerIsProposer, &b, replace(None), false),
        // Nobody takes another's node by saying that it is to be his.
        (Predicate::OwnerIsProposer, &b, replace(Some(&b)), false),
        (Predicate::OwnerIsProposer, &a, replace(Some(&b)), false),
        (Predicate::OwnerIsActor, &b, replace(Some(&b)), true),
        (Predicate::ActorNodesFewerThan(1), &b, replace(Some(&b)), true),
        (Predicate::ActorNodesFewerThan(1), &b, replace(None), false),
        (Predicate::OwnerIsActor, &a, own(&p), true),
        (Predicate::OwnerIsActor, &a, participant(), false),
        (Predicate::ActorNodesFewerThan(1), &p, own(&p), true),
        (Predicate::ActorNodesFewerThan(1), &a, own(&a), false),
        (Predicate::ActorNodesFewerThan(2), &a, own(&a), true),
        (Predicate::CodeIsApproved, &a, built(), true),
        (Predicate::CodeIsApproved, &a, own(&a), false),
        (Predicate::TeeIsAllowed, &a, placed(), true),
        (Predicate::TeeIsAllowed, &a, own(&a), false),
        (kinds(ActionKind::AddNode), &a, own(&a), true),
        (kinds(ActionKind::RemoveNode), &a, own(&a), false),
        (Predicate::NameEndsWith(name("2")), &a, own(&a), true),
        (Predicate::NameEndsWith(name("bec")), &a, participant(), true),
        (Predicate::NameEndsWith(name("3")), &a, own(&a), false),
        (Predicate::HostWithin(name("example.org")), &a, own(&a), true),
        (Predicate::HostWithin(name("vn2.example.org")), &a, own(&a), true),
        (Predicate::HostWithin(name("ample.org")), &a, own(&a), false),
        (Predicate::HostWithin(name("example.org")), &a, participant(), false),
    ];
    for (predicate, proposer, action, expected) in rows {
        let (mut world, orgs) = world(&predicate);
        let [_, beta, _] = &orgs;
        let proposer = orgs.iter().find(|org| org.id() == proposer.id()).unwrap();
        let id = world.propose(proposer, vec![action.clone()]).unwrap();
        let voted = world.tables().ballot(id, &beta.id()).unwrap().is_some();
        assert_eq!(voted, expected, "{predicate} on {}", action.summary());
    }
    // A rule covers all actions of a proposal, or none.
    let (mut world, [a, b, _]) = world(&kinds(ActionKind::AddNode));
    let id = world.propose(&a, vec![own(&a), participant()]).unwrap();
    assert_eq!(world.tables().ballot(id, &b.id()), Ok(None));
    let more = Action::AddNode(NodeEntry { owner: p.id(), ..node("vn3", p.id()) });
    let id = world.propose(&a, vec![more, replace(None)]).unwrap();
    assert_eq!(world.tables().ballot(id, &b.id()), Ok(None));
}

#[test]
fn a_rule_beyond_limits_that_changed_since_votes_no_more() {
    let (mut world, [a, b, _]) = world(&Predicate::OwnerIsActor);
    let id = world.propose(&a, vec![Action::AddNode(node("vn2", a.id()))]).unwrap();
    assert!(world.tables().ballot(id, &b.id()).unwrap().is_some());
    let require = bounded::List::new(vec![Predicate::CodeIsApproved]).unwrap();
    let limit = SetAutoVote { kind: ActionKind::AddNode, value: Some(AutoVote { require }) };
    assert_eq!(world.decide(&[&a, &b], vec![Action::SetAutoVote(limit)]), Status::Accepted);
    let id = world.propose(&a, vec![Action::AddNode(node("vn3", a.id()))]).unwrap();
    assert_eq!(world.tables().ballot(id, &b.id()), Ok(None));
}

#[test]
fn a_member_takes_its_rules_along_when_it_is_removed() {
    let (mut world, [a, b, p]) = world(&Predicate::OwnerIsActor);
    assert_eq!(world.tables().standing_rules_of(&b.id()).unwrap().len(), 1);
    let out_and_in = vec![Action::RemoveMember(RemoveActor { id: b.id() }), Action::AddMember(b.add())];
    assert_eq!(world.decide(&[&a, &b], out_and_in), Status::Accepted);
    assert_eq!(world.tables().standing_rules_of(&b.id()).unwrap().len(), 0);
    let rule = RuleBody {
        rule: StandingRule {
            kinds: Set::new([ActionKind::AddNode]).unwrap(),
            condition: Condition::Is(Predicate::OwnerIsActor),
        },
        counter: 1,
    };
    let old = world.request(&b, &Request::SetStandingRule(b.sign(NETWORK, &rule))).map(|_| ());
    assert_eq!(old, Err(Refused::CounterNotAbove { counter: 1, last: 1 }));
    let participants = world.request(&p, &Request::SetStandingRule(p.sign(NETWORK, &rule))).map(|_| ());
    assert_eq!(participants, Err(Refused::NotAMember { id: p.id() }));
    let again = Request::SetStandingRule(b.sign(NETWORK, &RuleBody { counter: 2, ..rule.clone() }));
    assert!(world.request(&b, &again).is_ok());
    let known = Request::SetStandingRule(b.sign(NETWORK, &RuleBody { counter: 3, ..rule }));
    assert_eq!(world.request(&b, &known).map(|_| ()), Err(Refused::RuleKnown));
}

#[test]
fn a_member_whose_rules_take_too_long_to_look_at_abstains_and_others_do_not() {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let mut constitution = constitution(&[&a, &b]);
    let kind = ActionKind::RotateServiceIdentity;
    constitution.auto_votes = [(kind, AutoVote::default())].into();
    let mut world = World::of(&constitution);
    let is = || Condition::Is(Predicate::ProposerIsMember);
    let long = Condition::AllOf(bounded::List::new(vec![is(); limits::PARTS_MAX - 1]).unwrap());
    for (org, condition) in [(&a, long), (&b, is())] {
        let rule = StandingRule { kinds: Set::new([kind]).unwrap(), condition };
        world.request(org, &Request::SetStandingRule(org.sign(NETWORK, &RuleBody { rule, counter: 1 }))).unwrap();
    }
    for (actions, expected) in [(64, [true, true]), (65, [false, true])] {
        let actions = vec![Action::RotateServiceIdentity(RotateServiceIdentity {}); actions];
        let id = world.propose(&a, actions).unwrap();
        let voted = [&a, &b].map(|org| world.tables().ballot(id, &org.id()).unwrap().is_some());
        assert_eq!(voted, expected);
    }
}
