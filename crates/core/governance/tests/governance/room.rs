//! Room for open proposals: who can take how much of it, and how it comes free.

use synod_governance::entries::Role;
use synod_governance::limits::{
    EXPIRED_PER_TRANSACTION_MAX, PROPOSALS_OPEN_OF_PARTICIPANTS_MAX, PROPOSALS_OPEN_PER_PARTICIPANT_MAX,
};
use synod_governance::view::{AsOf, EventPlace, Wanted, Which, missed, proposals};
use synod_governance::*;
use synod_kv::Lookup;
use synod_types::{Time, TxId, View};

use crate::world::{NETWORK, Org, START, World, constitution, name, node};

fn rotate() -> Vec<Action> {
    vec![Action::RotateServiceIdentity(RotateServiceIdentity {})]
}

#[test]
fn participants_cannot_take_members_room_and_what_they_proposed_goes_with_them() {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let count = PROPOSALS_OPEN_OF_PARTICIPANTS_MAX / PROPOSALS_OPEN_PER_PARTICIPANT_MAX + 1;
    let participants: Vec<_> = (0..count).map(|nth| Org::new(format!("P{nth}").leak())).collect();
    let mut constitution = constitution(&[&a, &b]);
    constitution.actors.extend(participants.iter().map(|org| (Role::Participant, org.add())));
    let mut world = World::of(&constitution);
    let (last, others) = participants.split_last().unwrap();
    let propose = |world: &mut World, org: &Org| world.propose(org, vec![Action::AddNode(node("vn2", org.id()))]);
    for org in others {
        for _ in 0..PROPOSALS_OPEN_PER_PARTICIPANT_MAX {
            propose(&mut world, org).unwrap();
        }
    }
    assert_eq!(propose(&mut world, &others[0]), Err(Refused::TooManyOpenOfActor));
    assert_eq!(propose(&mut world, last), Err(Refused::TooManyOpen));

    // Members go on, and who is removed makes room.
    let remove = vec![Action::RemoveParticipant(RemoveActor { id: others[0].id() })];
    assert_eq!(world.decide(&[&a, &b], remove), Status::Accepted);
    assert_eq!((world.status(1), world.status(33)), (Status::Abandoned, Status::Open));
    let refused = Refused::ProposalClosed { id: 1, status: Status::Abandoned };
    assert_eq!(world.vote(&a, 1, Choice::Accept), Err(refused));
    assert!(propose(&mut world, last).is_ok(), "that very request closes them");
    let decision = world.tables().decision(32).unwrap().unwrap();
    assert_eq!((decision.status, decision.policies.len()), (Status::Abandoned, 0));
    world.check_missed();
}

#[test]
fn what_one_transaction_closes_is_bounded_and_the_proposals_of_who_left_come_first() {
    let [a, b, c] = ["Alpha", "Beta", "Gamma"].map(Org::new);
    let mut world = World::genesis(&[&a, &b, &c]);
    // A policy that takes kilobytes, so that a copy with each decision would be seen.
    let required = || Policy::Required(Members(bounded::Set::new([a.id(), b.id()]).unwrap()));
    let policy = Policy::AnyOf(bounded::List::new((0..60).map(|_| required()).collect()).unwrap());
    let kind = Some(ActionKind::RotateServiceIdentity);
    let set = Action::SetPolicy(SetPolicy { kind, value: Some(policy) });
    assert_eq!(world.decide(&[&a, &b], vec![set]), Status::Accepted);
    for nth in 0..100 {
        let org = if nth % 10 < 7 { &c } else { &a };
        let body = ProposalBody { expires: Some(START.0 + 1_000 - nth), ..world.body(org, rotate()) };
        world.request(org, &Request::Propose(org.sign(NETWORK, &body))).unwrap();
    }
    let remove = vec![Action::RemoveMember(RemoveActor { id: c.id() })];
    assert_eq!(world.decide(&[&a, &b], remove), Status::Accepted);
    world.time = Time(START.0 + 2_000);
    let mut closed = Vec::new();
    while let Ok(outcome) = world.request(&a, &Request::CloseExpired) {
        let statuses: Vec<_> = outcome.events.iter().filter_map(Event::closed_as).collect();
        assert!(statuses.len() <= EXPIRED_PER_TRANSACTION_MAX);
        assert!(synod_types::Encode::to_bytes(&outcome.writes).len() < 64 << 10);
        closed.extend(statuses);
    }
    let expected = [vec![Status::Abandoned; 70], vec![Status::Expired; 30]].concat();
    assert_eq!(closed, expected);
    assert_eq!(world.tables().open_proposals(0, 10), Ok(vec![]));
    world.check_missed();
}

/// How many bytes the tables take.
fn size(world: &World) -> usize {
    let entries = world.state.maps().flat_map(|map| world.state.range(map, ..));
    entries.map(|(key, value)| key.len() + value.as_slice().len()).sum()
}

#[test]
fn of_a_closed_proposal_the_gist_stays_and_no_more_however_large_it_was() {
    let [a, b] = ["Alpha", "Beta"].map(Org::new);
    let mut world = World::genesis(&[&a, &b]);
    let settings = |text: &str| {
        let settings = bounded::TextBlob::new(text.repeat(60 << 10)).unwrap();
        Action::SetAdapter(entries::AdapterEntry { name: name("log"), settings })
    };
    let note = bounded::Note::new("é".repeat(4 << 10)).unwrap();
    let mut begin_and_end = |actions: Vec<Action>| {
        let start = size(&world);
        let body = ProposalBody { note: note.clone(), ..world.body(&a, actions) };
        let outcome = world.request(&a, &Request::Propose(a.sign(NETWORK, &body))).unwrap();
        let (id, open) = (outcome.proposal.unwrap(), size(&world) - start);
        let digest = world.tables().proposal(id).unwrap().unwrap().digest;
        let body = WithdrawalBody { proposal: id, digest };
        world.request(&a, &Request::Withdraw(a.sign(NETWORK, &body))).unwrap();
        world.check_missed();
        (world.tables().proposal(id).unwrap().unwrap(), open, size(&world) - start)
    };
    let (proposal, open, closed) = begin_and_end(vec![settings("x"), settings("y"), settings("z")]);
    assert!(open > 180 << 10 && closed < 8 << 10, "{closed} of {open} bytes stay");
    assert_eq!(proposal.kinds(), [ActionKind::SetAdapter; 3]);
    assert!(proposal.lines().len() == 3 && proposal.lines().iter().all(|line| line.contains("log")));
    assert!(proposal.note.as_str().ends_with('…') && proposal.actions.is_empty());

    let (proposal, _, closed) = begin_and_end(vec![Action::AddNode(node("vn2", a.id()))]);
    assert_eq!(proposal.lines(), [format!("add node \"vn2\" of {} at vn2.example.org:7001", a.id())]);
    assert!(closed < 2 << 10, "{closed} bytes stay");
    let many = (0..60).map(|nth| Action::AddNode(node(&format!("vn-{nth}"), a.id()))).collect();
    let (proposal, _, closed) = begin_and_end(many);
    assert_eq!(proposal.lines().len(), 60);
    assert!(closed < 8 << 10, "{closed} bytes stay");
}

#[test]
fn a_participant_proposes_only_so_many_times_a_day() {
    let [a, p] = ["Alpha", "Papa"].map(Org::new);
    let mut constitution = constitution(&[&a]);
    constitution.actors.push((Role::Participant, p.add()));
    let mut world = World::of(&constitution);
    let turn = |world: &mut World, org: &Org| {
        let id = world.propose(org, vec![Action::AddNode(node("vn2", org.id()))])?;
        let digest = world.tables().proposal(id).unwrap().unwrap().digest;
        let body = WithdrawalBody { proposal: id, digest };
        world.request(org, &Request::Withdraw(org.sign(NETWORK, &body))).map(|_| ())
    };
    for _ in 0..limits::PROPOSALS_A_DAY_MAX {
        assert_eq!((turn(&mut world, &p), turn(&mut world, &a)), (Ok(()), Ok(())));
    }
    assert_eq!(turn(&mut world, &p), Err(Refused::TooManyToday));
    assert_eq!(turn(&mut world, &a), Ok(()));
    world.time = Time(world.time.0 + 86_400 * 1_000_000);
    assert_eq!(turn(&mut world, &p), Ok(()));
}

/// What is passed over costs as much as what is shown, and what was missed is read in pieces.
#[test]
fn no_page_reads_more_than_some_megabytes_of_proposals_and_the_next_one_goes_on() {
    let [a, b, c] = ["Alpha", "Beta", "Gamma"].map(Org::new);
    let mut constitution = constitution(&[&a, &b, &c]);
    constitution.auto_votes = [(ActionKind::SetAdapter, entries::AutoVote::default())].into();
    let mut world = World::of(&constitution);
    let rule = StandingRule {
        kinds: bounded::Set::new([ActionKind::SetAdapter]).unwrap(),
        condition: Condition::Is(Predicate::ProposerIsMember),
    };
    world.request(&b, &Request::SetStandingRule(b.sign(NETWORK, &RuleBody { rule, counter: 1 }))).unwrap();
    let seqno = world.seqno;
    for nth in 0..12 {
        let settings = bounded::TextBlob::new(format!("{nth:08}").repeat(64 << 10)).unwrap();
        world.propose(&c, vec![Action::SetAdapter(entries::AdapterEntry { name: name("log"), settings })]).unwrap();
    }
    world.propose(&a, rotate()).unwrap();

    let txid_of = |_| None;
    let as_of = AsOf { network: NETWORK, txid: TxId::new(View(2), world.seqno), time: world.time, txid_of: &txid_of };
    let beta = b.id();
    let mut pages: Vec<Vec<ProposalId>> = Vec::new();
    let mut after = Some(0);
    while let Some(from) = after {
        let wanted = Wanted { which: Which::Open, awaiting: Some(&beta), after: from, count_max: 100 };
        let list = proposals(world.tables(), &as_of, &wanted, None).unwrap();
        pages.push(list.proposals.iter().map(|proposal| proposal.id).collect());
        after = list.next;
    }
    assert_eq!(pages, [vec![], vec![13]], "the rule has voted on all others");

    let missed = |after| missed(&world.state, after, world.seqno.next(), 1_000).unwrap();
    let first = missed(EventPlace::end_of(seqno));
    let second = missed(first.last().unwrap().0);
    assert_eq!((first.len(), first.len() + second.len()), (8, 13));
    world.check_missed();
}
