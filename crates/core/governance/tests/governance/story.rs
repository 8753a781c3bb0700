//! A network's life, decision by decision.

use synod_governance::bounded::List;
use synod_governance::entries::{Proposers, Source};
use synod_governance::*;
use synod_types::{Time, TxId, View};

use crate::world::{NETWORK, Org, START, World, constitution, name, node};

fn abc() -> [Org; 3] {
    ["Alpha", "Beta", "Gamma"].map(Org::new)
}

fn set_policy(kind: Option<ActionKind>, value: Option<Policy>) -> Action {
    Action::SetPolicy(SetPolicy { kind, value })
}

#[test]
fn members_add_one_change_the_threshold_remove_one_and_vote_the_founder_out() {
    let [a, b, c] = abc();
    let d = Org::new("Delta");
    let mut world = World::genesis(&[&a, &b, &c]);

    let id = world.propose(&a, vec![Action::AddMember(d.add())]).unwrap();
    assert_eq!(world.accept(&a, id), Status::Open);
    assert!(!world.tables().is_member(&d.id()).unwrap(), "nothing takes effect before the quorum has voted");
    assert_eq!(world.accept(&b, id), Status::Accepted);
    assert!(world.tables().is_member(&d.id()).unwrap());

    assert_eq!(world.decide(&[&d, &a, &b], vec![set_policy(None, Some(Policy::MOfN(3)))]), Status::Accepted);
    let nodes = vec![Action::ReplaceNode(ReplaceNode {
        node: synod_types::NodeId(1),
        owner: Some(Owner(b.id())),
        name: None,
        public_key: None,
        address: None,
        code: None,
        platform: None,
    })];
    assert_eq!(world.decide(&[&a, &b, &c], nodes), Status::Accepted);

    // Three of four, and with three members it would be unanimous.
    let founder_out = vec![Action::RemoveMember(RemoveActor { id: a.id() })];
    let id = world.propose(&b, founder_out).unwrap();
    assert_eq!(world.accept(&b, id), Status::Open);
    assert_eq!(world.accept(&c, id), Status::Open);
    assert_eq!(world.accept(&d, id), Status::Accepted);
    assert!(world.tables().actor(&a.id()).unwrap().is_none());
    let decision = world.tables().decision(id).unwrap().unwrap();
    assert_eq!((decision.count.members, decision.count.accepting), (4, 3));
    assert_eq!(TxId::new(View(1), world.seqno).seqno.0, decision.seqno, "removed by the transaction that decides it");

    // Below three members the policy could never be fulfilled.
    let refused = world.propose(&b, vec![Action::RemoveMember(RemoveActor { id: c.id() })]).unwrap_err();
    let Refused::Actions { reasons } = &refused else { panic!("{refused}") };
    assert!(matches!(&reasons[..], [ActionReason { action: None, reason: Reason::PolicyUnreachable { .. } }]));
    let together = vec![Action::RemoveMember(RemoveActor { id: c.id() }), set_policy(None, None)];
    assert_eq!(world.decide(&[&b, &c, &d], together), Status::Accepted);
    assert_eq!(world.tables().members().unwrap().len(), 2);
    assert_eq!(world.tables().policy_default().unwrap(), Policy::Majority);
}

#[test]
fn a_change_of_policy_is_decided_under_the_old_one() {
    let [a, b, c] = abc();
    let mut world = World::genesis(&[&a, &b, &c]);
    let unanimous = set_policy(Some(ActionKind::AddMember), Some(Policy::Unanimous));
    assert_eq!(world.decide(&[&a, &b], vec![unanimous]), Status::Accepted);

    // Majority decides on policies, but not on taking away what needs everybody.
    let id = world.propose(&a, vec![set_policy(Some(ActionKind::AddMember), Some(Policy::OneOfN))]).unwrap();
    assert_eq!(world.accept(&a, id), Status::Open);
    assert_eq!(world.accept(&b, id), Status::Open);
    assert_eq!(world.accept(&c, id), Status::Accepted);

    // And now one member lets another in.
    assert_eq!(world.decide(&[&c], vec![Action::AddMember(Org::new("Delta").add())]), Status::Accepted);
}

#[test]
fn a_proposal_of_several_kinds_has_to_satisfy_the_policy_of_each() {
    let [a, b, c] = abc();
    let mut world = World::genesis(&[&a, &b, &c]);
    let required = Policy::Required(Members(bounded::Set::new([c.id()]).unwrap()));
    assert_eq!(
        world.decide(&[&a, &b], vec![set_policy(Some(ActionKind::SetBlocks), Some(required))]),
        Status::Accepted
    );
    let blocks = Rules { block_calls_max: 7, ..Rules::default() };
    let actions = || {
        vec![
            Action::SetBlocks(SetBlocks { value: Some(blocks) }),
            Action::SetLease(SetLease { seconds: Some(world_lease()) }),
        ]
    };
    let id = world.propose(&a, actions()).unwrap();
    assert_eq!(world.accept(&a, id), Status::Open);
    assert_eq!(world.accept(&b, id), Status::Open);
    assert_eq!(world.vote(&c, id, Choice::Reject).unwrap(), Status::Rejected);
    assert_eq!(world.tables().settings().unwrap().rules, Rules::default());
    assert_eq!(world.decide(&[&c, &a], actions()), Status::Accepted);
    let settings = world.tables().settings().unwrap();
    assert_eq!((settings.rules, settings.lease_seconds), (blocks, Some(world_lease())));
}

fn world_lease() -> u64 {
    86_400
}

#[test]
fn a_ballot_can_be_changed_until_the_proposal_closes() {
    let [a, b, c] = abc();
    let mut world = World::genesis(&[&a, &b, &c]);
    let id = world.propose(&a, vec![Action::AddParticipant(Org::new("Delta").add())]).unwrap();
    assert_eq!(world.vote(&a, id, Choice::Reject), Ok(Status::Open));
    assert_eq!(world.vote(&a, id, Choice::Accept), Ok(Status::Open));
    assert_eq!(world.vote(&b, id, Choice::Reject), Ok(Status::Open));
    assert_eq!(world.awaiting(&c), [id]);
    assert_eq!(world.awaiting(&b), [0; 0]);
    assert_eq!(world.vote(&c, id, Choice::Accept), Ok(Status::Accepted));
}

#[test]
fn a_proposal_is_withdrawn_by_its_proposer_and_expires_at_its_time() {
    let [a, b, c] = abc();
    let mut world = World::genesis(&[&a, &b, &c]);
    let add = |name| vec![Action::AddParticipant(Org::new(name).add())];

    let id = world.propose(&a, add("Delta")).unwrap();
    let withdrawal = WithdrawalBody { proposal: id, digest: world.ballot(&a, id, Choice::Accept).digest };
    let other = world.request(&b, &Request::Withdraw(b.sign(NETWORK, &withdrawal)));
    assert_eq!(other.map(|_| ()), Err(Refused::NotTheProposer { id }));
    let outcome = world.request(&a, &Request::Withdraw(a.sign(NETWORK, &withdrawal))).unwrap();
    assert_eq!(outcome.status, Some(Status::Withdrawn));
    assert_eq!(world.vote(&b, id, Choice::Accept), Err(Refused::ProposalClosed { id, status: Status::Withdrawn }));

    let body = ProposalBody { expires: Some(START.0 + 60_000_000), ..world.body(&a, add("Delta")) };
    let id = world.request(&a, &Request::Propose(a.sign(NETWORK, &body))).unwrap().proposal.unwrap();
    world.time = Time(START.0 + 59_999_999);
    assert_eq!(world.accept(&a, id), Status::Open);
    world.time = Time(START.0 + 60_000_000);
    assert_eq!(world.status(id), Status::Expired);
    assert_eq!(world.vote(&b, id, Choice::Accept), Err(Refused::ProposalClosed { id, status: Status::Expired }));
    // The next governance transaction puts it on record.
    let outcome = world.request(&a, &Request::CloseExpired).unwrap();
    assert_eq!(outcome.events[0].closed_as(), Some(Status::Expired));
    assert_eq!(world.tables().decision(id).unwrap().unwrap().status, Status::Expired);
    assert_eq!(world.tables().open_proposals(0, 10), Ok(vec![]));
    assert_eq!(world.request(&a, &Request::CloseExpired).map(|_| ()), Err(Refused::NothingExpired));

    // The constitution's expiry applies to proposals that do not say.
    let expiry = vec![Action::SetProposalExpiry(SetProposalExpiry { seconds: Some(10) })];
    assert_eq!(world.decide(&[&a, &b], expiry), Status::Accepted);
    let id = world.propose(&a, add("Delta")).unwrap();
    assert_eq!(world.tables().proposal(id).unwrap().unwrap().expires, Some(world.time.0 + 10_000_000));
}

#[test]
fn what_has_become_impossible_fails_with_its_reasons_and_changes_nothing() {
    let [a, b, c] = abc();
    let d = Org::new("Delta");
    let mut world = World::genesis(&[&a, &b, &c]);
    let first = world.propose(&a, vec![Action::AddMember(d.add())]).unwrap();
    let lease = Action::SetLease(SetLease { seconds: Some(60) });
    let second = world.propose(&b, vec![lease, Action::AddParticipant(d.add())]).unwrap();
    world.accept(&a, first);
    assert_eq!(world.accept(&b, first), Status::Accepted);
    world.accept(&a, second);
    world.accept(&b, second);
    assert_eq!(world.accept(&d, second), Status::Failed);
    let decision = world.tables().decision(second).unwrap().unwrap();
    let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.as_str().split(':').next().unwrap()).collect();
    assert_eq!(reasons, ["ActorExists", "NameTaken"]);
    assert_eq!(world.tables().settings().unwrap().lease_seconds, None);
}

#[test]
fn a_removed_members_ballot_does_not_count_even_if_it_comes_back() {
    let [a, b, c] = abc();
    let (d, e) = (Org::new("Delta"), Org::new("Epsilon"));
    let mut world = World::genesis(&[&a, &b, &c, &d]);
    let id = world.propose(&a, vec![Action::AddMember(e.add())]).unwrap();
    world.accept(&d, id);
    world.accept(&a, id);
    assert_eq!(world.decide(&[&a, &b, &c], vec![Action::RemoveMember(RemoveActor { id: d.id() })]), Status::Accepted);
    let tally = world.tables().tally(id).unwrap();
    assert_eq!((tally.members(), tally.accepting()), (3, 1));
    assert_eq!(world.status(id), Status::Open, "a change of members decides nothing by itself");

    assert_eq!(world.decide(&[&a, &b, &c], vec![Action::AddMember(d.add())]), Status::Accepted);
    let tally = world.tables().tally(id).unwrap();
    assert_eq!((tally.members(), tally.accepting()), (4, 1));
    assert_eq!(world.awaiting(&d), [id]);
    // Its old counter counts: what it signed before is not good again.
    let old = BallotBody { counter: 1, ..world.ballot(&d, id, Choice::Accept) };
    let again = world.request(&d, &Request::Vote(d.sign(NETWORK, &old)));
    assert_eq!(again.map(|_| ()), Err(Refused::AlreadyVoted { id, counter: 1, last: 1 }));
    assert_eq!(world.accept(&d, id), Status::Open);
}

#[test]
fn a_ballot_sent_again_decides_what_a_removal_made_decidable() {
    let [a, b, c] = abc();
    let d = Org::new("Delta");
    let mut world = World::genesis(&[&a, &b, &c, &d]);
    let id = world.propose(&a, vec![Action::AddParticipant(Org::new("Epsilon").add())]).unwrap();
    world.accept(&a, id);
    world.accept(&b, id);
    world.vote(&c, id, Choice::Reject).unwrap();
    let again = world.ballot(&a, id, Choice::Accept);
    let refused = world.request(&a, &Request::Vote(a.sign(NETWORK, &again)));
    assert_eq!(refused.map(|_| ()), Err(Refused::AlreadyVoted { id, counter: 2, last: 1 }));
    assert_eq!(world.decide(&[&a, &b, &c], vec![Action::RemoveMember(RemoveActor { id: d.id() })]), Status::Accepted);
    assert_eq!(world.accept(&a, id), Status::Accepted);
}

#[test]
fn a_replaced_member_keeps_nodes_and_duties_but_not_its_ballots() {
    let [a, b, c] = abc();
    let renewed = Org { name: "Alpha", ..Org::new("Alpha's new key") };
    let mut world = World::genesis(&[&a, &b, &c]);
    let required = Policy::Required(Members(bounded::Set::new([a.id()]).unwrap()));
    assert_eq!(
        world.decide(&[&a, &b], vec![set_policy(Some(ActionKind::AddMember), Some(required))]),
        Status::Accepted
    );
    let open = world.propose(&b, vec![Action::SetLease(SetLease { seconds: Some(1) })]).unwrap();
    world.accept(&a, open);

    let replace = ReplaceActor { id: a.id(), name: None, certificate: Some(renewed.add().certificate), pins: None };
    let id = world.propose(&a, vec![Action::ReplaceMember(replace)]).unwrap();
    world.accept(&a, id);
    let ballot = world.ballot(&b, id, Choice::Accept);
    let outcome = world.request(&b, &Request::Vote(b.sign(NETWORK, &ballot))).unwrap();
    assert_eq!(outcome.status, Some(Status::Accepted));
    let ends = [Event::ActorRemoved { id: a.id() }, Event::ActorAdded { id: renewed.id() }];
    assert!(ends.iter().all(|event| outcome.events.contains(event)), "{:?}", outcome.events);

    assert_eq!(world.tables().node(synod_types::NodeId(1)).unwrap().unwrap().owner, renewed.id());
    let policy = world.tables().policy_of(ActionKind::AddMember).unwrap().unwrap();
    assert_eq!(policy, Policy::Required(Members(bounded::Set::new([renewed.id()]).unwrap())));
    assert_eq!(world.tables().tally(open).unwrap().accepting(), 0);
    assert_eq!(world.accept(&renewed, open), Status::Open);
}

#[test]
fn a_participant_proposes_its_own_node_and_members_decide() {
    let [a, b, c] = abc();
    let (p, q) = (Org::new("Papa"), Org::new("Quebec"));
    let mut constitution = constitution(&[&a, &b, &c]);
    constitution.actors.extend([&p, &q].map(|org| (Role::Participant, org.add())));
    let mut world = World::of(&constitution);

    let id = world.propose(&p, vec![Action::AddNode(node("vn2", p.id()))]).unwrap();
    assert_eq!(world.vote(&p, id, Choice::Accept), Err(Refused::NotAMember { id: p.id() }));
    world.accept(&a, id);
    assert_eq!(world.accept(&b, id), Status::Accepted);
    let slot = synod_types::NodeId(2);
    assert_eq!(world.tables().node(slot).unwrap().unwrap().name, name("vn2"));

    let others = world.propose(&q, vec![Action::RemoveNode(RemoveNode { node: slot })]);
    assert_eq!(others, Err(Refused::MayNotPropose { place: 1, kind: ActionKind::RemoveNode }));
    let member = world.propose(&p, vec![Action::AddMember(Org::new("Delta").add())]);
    assert_eq!(member, Err(Refused::MayNotPropose { place: 1, kind: ActionKind::AddMember }));

    // Members can take that away, or give more.
    let set = |kind, value| Action::SetProposers(SetProposers { kind, value });
    let actions = vec![
        set(ActionKind::AddNode, Some(Proposers::Members)),
        set(ActionKind::AddParticipant, Some(Proposers::Actors)),
    ];
    assert_eq!(world.decide(&[&a, &b], actions), Status::Accepted);
    let own = world.propose(&q, vec![Action::AddNode(node("vn3", q.id()))]);
    assert_eq!(own, Err(Refused::MayNotPropose { place: 1, kind: ActionKind::AddNode }));
    assert!(world.propose(&q, vec![Action::AddParticipant(Org::new("Romeo").add())]).is_ok());
}

#[test]
fn a_slot_is_not_used_twice() {
    let [a, b, c] = abc();
    let mut world = World::genesis(&[&a, &b, &c]);
    let add = |label| Action::AddNode(node(label, Org::new("Alpha").id()));
    assert_eq!(world.decide(&[&a, &b], vec![add("vn2")]), Status::Accepted);
    let remove = Action::RemoveNode(RemoveNode { node: synod_types::NodeId(2) });
    assert_eq!(world.decide(&[&a, &b], vec![remove, add("vn3")]), Status::Accepted);
    let slots: Vec<_> = world.tables().nodes().unwrap().into_keys().map(|slot| slot.0).collect();
    assert_eq!(slots, [1, 3]);
}

fn node_rule(k: u32) -> StandingRule {
    let is = Condition::Is;
    let of = vec![is(Predicate::OwnerIsActor), is(Predicate::ActorNodesFewerThan(k))];
    StandingRule {
        kinds: bounded::Set::new([ActionKind::AddNode]).unwrap(),
        condition: Condition::AllOf(List::new(of).unwrap()),
    }
}

#[test]
fn standing_rules_add_nodes_up_to_the_limit_and_the_next_waits_for_hands() {
    let [a, b, c] = abc();
    let mut world = World::genesis(&[&a, &b, &c]);
    let set = |org: &Org, rule, counter| Request::SetStandingRule(org.sign(NETWORK, &RuleBody { rule, counter }));
    let refused = world.request(&b, &set(&b, node_rule(3), 1)).map(|_| ());
    let why = RuleRefused::KindNotAllowed { kind: ActionKind::AddNode };
    assert_eq!(refused, Err(Refused::Rule { why }));

    let require = List::new(vec![Predicate::ActorNodesFewerThan(3)]).unwrap();
    let limit = SetAutoVote { kind: ActionKind::AddNode, value: Some(entries::AutoVote { require }) };
    assert_eq!(world.decide(&[&a, &b], vec![Action::SetAutoVote(limit)]), Status::Accepted);
    let refused = world.request(&b, &set(&b, node_rule(4), 1)).map(|_| ());
    let why = RuleRefused::BeyondLimit { kind: ActionKind::AddNode, required: Predicate::ActorNodesFewerThan(3) };
    assert_eq!(refused, Err(Refused::Rule { why }));
    for org in [&b, &c] {
        world.request(org, &set(org, node_rule(3), 1)).unwrap();
    }

    // Alpha has one node: two more are accepted by rules alone, the fourth is not.
    for (label, expected) in [("vn2", Status::Accepted), ("vn3", Status::Accepted), ("vn4", Status::Open)] {
        let id = world.propose(&a, vec![Action::AddNode(node(label, a.id()))]).unwrap();
        assert_eq!(world.status(id), expected, "{label}");
        if expected == Status::Accepted {
            let ballot = world.tables().ballot(id, &b.id()).unwrap().unwrap();
            let rule = statement::rule_digest(&node_rule(3));
            assert_eq!(ballot.source, Source::Standing(bounded::Blob::new(rule.0.to_vec()).unwrap()));
        }
    }
    let two =
        world.propose(&b, ["vn5", "vn6", "vn7", "vn8"].map(|label| Action::AddNode(node(label, b.id()))).to_vec());
    assert_eq!(world.status(two.unwrap()), Status::Open, "four at once are more than three");
}

#[test]
fn open_proposals_count_against_the_limit_of_nodes_and_a_hand_overrides_a_rule() {
    let [a, b, c] = abc();
    let mut constitution = constitution(&[&a, &b, &c]);
    constitution.auto_votes.insert(ActionKind::AddNode, entries::AutoVote::default());
    constitution.policies.insert(PolicyKey::Kind(ActionKind::AddNode), Policy::Unanimous);
    let mut world = World::of(&constitution);
    let rule = RuleBody { rule: node_rule(2), counter: 1 };
    world.request(&b, &Request::SetStandingRule(b.sign(NETWORK, &rule))).unwrap();

    let first = world.propose(&a, vec![Action::AddNode(node("vn2", a.id()))]).unwrap();
    assert!(world.tables().ballot(first, &b.id()).unwrap().is_some());
    let second = world.propose(&a, vec![Action::AddNode(node("vn3", a.id()))]).unwrap();
    assert_eq!(world.tables().ballot(second, &b.id()), Ok(None), "the first may still be accepted");

    assert_eq!(world.vote(&b, first, Choice::Reject), Ok(Status::Rejected));
    let third = world.propose(&a, vec![Action::AddNode(node("vn4", a.id()))]).unwrap();
    assert_eq!(world.tables().ballot(third, &b.id()), Ok(None), "the second is still open");

    let removal = RuleRemovalBody { rule: statement::rule_digest(&rule.rule), counter: 1 };
    let again = world.request(&b, &Request::RemoveStandingRule(b.sign(NETWORK, &removal))).map(|_| ());
    assert_eq!(again, Err(Refused::CounterNotAbove { counter: 1, last: 1 }));
    let removal = RuleRemovalBody { counter: 2, ..removal };
    world.request(&b, &Request::RemoveStandingRule(b.sign(NETWORK, &removal))).unwrap();
    assert_eq!(
        world.request(&b, &Request::SetStandingRule(b.sign(NETWORK, &rule))).map(|_| ()),
        Err(Refused::CounterNotAbove { counter: 1, last: 2 }),
        "what was taken back cannot be replayed"
    );
}

#[test]
fn a_rules_ballot_counts_only_while_the_rule_would_still_give_it() {
    let [a, b, c] = abc();
    let mut constitution = constitution(&[&a, &b, &c]);
    constitution.auto_votes.insert(ActionKind::AddNode, entries::AutoVote::default());
    let mut world = World::of(&constitution);
    let rule = RuleBody { rule: node_rule(2), counter: 1 };
    world.request(&b, &Request::SetStandingRule(b.sign(NETWORK, &rule))).unwrap();
    let accepting = |world: &World, id| world.tables().tally(id).unwrap().accepting();

    let first = world.propose(&a, vec![Action::AddNode(node("vn2", a.id()))]).unwrap();
    let second = world.propose(&a, vec![Action::AddNode(node("vn3", a.id()))]).unwrap();
    assert_eq!((accepting(&world, first), accepting(&world, second)), (1, 0));
    world.accept(&a, second);
    assert_eq!(world.accept(&c, second), Status::Accepted);
    // Alpha has two nodes now: the rule would not accept the first any more, and what it said counts no more.
    assert_eq!(accepting(&world, first), 0);
    assert_eq!(world.accept(&a, first), Status::Open);
    assert_eq!(world.accept(&b, first), Status::Accepted, "the member says the same by hand");

    let third = world.propose(&b, vec![Action::AddNode(node("vn4", b.id()))]).unwrap();
    assert_eq!(accepting(&world, third), 1);
    let removal = RuleRemovalBody { rule: statement::rule_digest(&rule.rule), counter: 2 };
    world.request(&b, &Request::RemoveStandingRule(b.sign(NETWORK, &removal))).unwrap();
    assert_eq!(accepting(&world, third), 0, "a rule that was taken back says nothing");
    world.check_missed();
}

#[test]
fn limits_of_automatic_votes_follow_a_new_key_and_rules_of_others_do_not() {
    let [a, b, c] = abc();
    let renewed = Org { name: "Alpha", ..Org::new("Alpha's new key") };
    let mut constitution = constitution(&[&a, &b, &c]);
    let is = |org: &Org| Predicate::ProposerIs(Members(bounded::Set::new([org.id()]).unwrap()));
    let limit = |org: &Org| entries::AutoVote { require: List::new(vec![is(org)]).unwrap() };
    constitution.auto_votes.insert(ActionKind::SetLease, limit(&a));
    constitution.auto_votes.insert(ActionKind::RotateServiceIdentity, entries::AutoVote::default());
    let mut world = World::of(&constitution);
    let kinds = bounded::Set::new([ActionKind::RotateServiceIdentity]).unwrap();
    let rule = StandingRule { kinds, condition: Condition::Is(is(&a)) };
    world.request(&b, &Request::SetStandingRule(b.sign(NETWORK, &RuleBody { rule, counter: 1 }))).unwrap();
    let rotate = || vec![Action::RotateServiceIdentity(RotateServiceIdentity {})];
    let voted = |world: &World, id| world.tables().ballot(id, &b.id()).unwrap().is_some();
    let id = world.propose(&a, rotate()).unwrap();
    assert!(voted(&world, id));

    let certificate = Some(renewed.add().certificate);
    let replace = ReplaceActor { id: a.id(), name: None, certificate, pins: None };
    assert_eq!(world.decide(&[&b, &c], vec![Action::ReplaceMember(replace)]), Status::Accepted);
    assert_eq!(world.tables().auto_vote(ActionKind::SetLease), Ok(Some(limit(&renewed))));
    let id = world.propose(&renewed, rotate()).unwrap();
    assert!(!voted(&world, id));
    // Nor does somebody who comes in later under the old key inherit what was said of its first holder.
    let add = AddActor { name: name("Somebody"), ..a.add() };
    assert_eq!(world.decide(&[&b, &c], vec![Action::AddMember(add)]), Status::Accepted);
    let id = world.propose(&a, rotate()).unwrap();
    assert!(!voted(&world, id));
}
