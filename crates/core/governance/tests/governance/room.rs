//! Room for open proposals: who can take how much of it, and how it comes free.

use synod_governance::entries::Role;
use synod_governance::limits::{
    EXPIRED_PER_TRANSACTION_MAX, PROPOSALS_OPEN_OF_PARTICIPANTS_MAX, PROPOSALS_OPEN_PER_PARTICIPANT_MAX,
};
use synod_governance::*;
use synod_types::Time;

use crate::world::{NETWORK, Org, START, World, constitution, node};

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
