use bytes::Bytes;
use synod_types::RequestId;

use super::*;
use crate::event::Proof;

fn request(token: u64, size: usize) -> ClientRequest {
    ClientRequest {
        token,
        actor: ActorId([1; 32]),
        proof: Proof::default(),
        request_id: RequestId([0; 16]),
        adapter: AdapterId(0),
        calls: vec![Bytes::from(vec![0; size])],
    }
}

fn admit(inbox: &mut Inbox, token: u64, size: usize) -> Result<(), Refusal> {
    inbox.admit(Time(0), Origin::Client(token), request(token, size))
}

fn queued(inbox: &Inbox) -> Vec<Origin> {
    inbox.applications.iter().map(|waiting| waiting.origin).collect()
}

#[test]
fn room_is_bounded_by_bytes_and_by_requests_and_comes_back_with_the_answer() {
    let mut inbox = Inbox::default();
    admit(&mut inbox, 1, WAITING_BYTES_MAX).unwrap();
    assert_eq!(admit(&mut inbox, 2, 1), Err(Refusal::TooManyPending));
    let waiting = inbox.pop(Lane::Applications).unwrap();
    assert_eq!(admit(&mut inbox, 2, 1), Err(Refusal::TooManyPending), "taken out is not answered");
    inbox.answered(&waiting);
    for token in 0..WAITING_REQUESTS_MAX as u64 {
        admit(&mut inbox, token, 1).unwrap();
    }
    assert_eq!(admit(&mut inbox, 0, 1), Err(Refusal::TooManyPending));
}

#[test]
fn a_request_without_a_call_or_with_too_many_is_refused() {
    for count in [0, limits::REQUEST_CALLS_MAX + 1] {
        let calls = vec![Bytes::new(); count];
        let result = Inbox::default().admit(Time(0), Origin::Client(1), ClientRequest { calls, ..request(1, 0) });
        assert_eq!(result, Err(Refusal::CallCountNotAllowed), "{count}");
    }
}

fn forward(inbox: &mut Inbox, leader: NodeId) -> ClientRequest {
    let waiting = inbox.pop(Lane::Applications).unwrap();
    inbox.forwarded(Time(0), (leader, View(3)), waiting)
}

#[test]
fn what_was_forwarded_to_a_lost_leader_comes_back_in_doubt_before_younger_requests() {
    let mut inbox = Inbox::default();
    let leader = NodeId(2);
    (1..=3).for_each(|token| admit(&mut inbox, token, 1).unwrap());
    (0..2).for_each(|_| drop(forward(&mut inbox, leader)));
    inbox.recall(Time(1), Some((leader, View(3))));
    assert_eq!(queued(&inbox), [Origin::Client(3)]);
    inbox.recall(Time(1), None);
    assert_eq!(queued(&inbox), [1, 2, 3].map(Origin::Client));
    assert!(inbox.applications.iter().map(|waiting| waiting.in_doubt).eq([true, true, false]));
}

#[test]
fn a_forwarded_request_is_taken_by_the_answer_of_its_own_leader_once() {
    let mut inbox = Inbox::default();
    admit(&mut inbox, 1, 1).unwrap();
    let number = forward(&mut inbox, NodeId(2)).token;
    assert!(inbox.take_forwarded(NodeId(3), number).is_none());
    assert!(inbox.take_forwarded(NodeId(2), number).is_some());
    assert!(inbox.take_forwarded(NodeId(2), number).is_none());
}

#[test]
fn copies_of_a_forwarded_request_bear_one_number_and_other_requests_others() {
    let mut inbox = Inbox::default();
    inbox.number_from(u64::MAX);
    (1..=3).for_each(|token| admit(&mut inbox, token, 1).unwrap());
    let sent = |inbox: &mut Inbox| [(); 2].map(|()| forward(inbox, NodeId(2)).token);
    let first = sent(&mut inbox);
    inbox.recall_from(NodeId(2));
    assert_eq!(sent(&mut inbox), first);
    let third = forward(&mut inbox, NodeId(2)).token;
    assert!(first[0] < first[1] && first[1] < third);
}

#[test]
fn a_copy_of_a_request_that_another_node_waits_for_already_is_dropped_until_it_is_answered() {
    let mut inbox = Inbox::default();
    let copy = |inbox: &mut Inbox, node: u64, number: u64| {
        inbox.admit(Time(0), Origin::Peer(NodeId(node), number), request(number, 1)).unwrap();
        inbox.applications.len()
    };
    assert_eq!(copy(&mut inbox, 2, 7), 1);
    assert_eq!(copy(&mut inbox, 2, 7), 1);
    assert_eq!((copy(&mut inbox, 2, 8), copy(&mut inbox, 3, 7)), (2, 3));
    let first = inbox.pop(Lane::Applications).unwrap();
    assert_eq!(copy(&mut inbox, 2, 7), 2, "it is in a block, not answered");
    inbox.answered(&first);
    assert_eq!(copy(&mut inbox, 2, 7), 3);
}

#[test]
fn a_request_expires_at_its_deadline_wherever_it_waits() {
    let mut inbox = Inbox::default();
    (1..=2).for_each(|token| admit(&mut inbox, token, 1).unwrap());
    forward(&mut inbox, NodeId(2));
    assert!(inbox.expired(Time(PATIENCE.as_micros() as u64 - 1)).is_empty());
    assert_eq!(inbox.expired(Time(0).after(PATIENCE)).len(), 2);
}

/// A request of actor `actor` to governance.
fn ask_governance(inbox: &mut Inbox, actor: u8, size: usize) -> Result<(), Refusal> {
    let (actor, adapter) = (ActorId([actor; 32]), AdapterId::GOVERNANCE);
    inbox.admit(Time(0), Origin::Client(0), ClientRequest { actor, adapter, ..request(0, size) })
}

#[test]
fn a_request_to_governance_is_taken_in_and_comes_next_when_applications_fill_all_their_room() {
    let filled_by_count = (0..WAITING_REQUESTS_MAX as u64).map(|token| (token, 1)).collect();
    for requests in [filled_by_count, vec![(0, WAITING_BYTES_MAX)]] {
        let mut inbox = Inbox::default();
        requests.iter().for_each(|(token, size)| admit(&mut inbox, *token, *size).unwrap());
        assert_eq!(admit(&mut inbox, 1, 1), Err(Refusal::TooManyPending));
        assert_eq!(inbox.next_lane(), Some(Lane::Applications));
        ask_governance(&mut inbox, 1, GOVERNANCE_REQUEST_BYTES_MAX).unwrap();
        assert_eq!(inbox.next_lane(), Some(Lane::Governance));
    }
}

#[test]
fn an_actor_has_a_share_of_governances_room_and_gets_it_back_with_the_answer() {
    let mut inbox = Inbox::default();
    for _ in 0..WAITING_GOVERNANCE_REQUESTS_PER_ACTOR_MAX {
        ask_governance(&mut inbox, 1, 1).unwrap();
    }
    assert_eq!(ask_governance(&mut inbox, 1, 1), Err(Refusal::TooManyPending));
    (0..2).for_each(|_| ask_governance(&mut inbox, 2, GOVERNANCE_REQUEST_BYTES_MAX).unwrap());
    assert_eq!(ask_governance(&mut inbox, 2, 1), Err(Refusal::TooManyPending));
    assert_eq!(ask_governance(&mut inbox, 3, GOVERNANCE_REQUEST_BYTES_MAX + 1), Err(Refusal::TooLarge));
    let waiting = inbox.pop(Lane::Governance).unwrap();
    assert_eq!(ask_governance(&mut inbox, 1, 1), Err(Refusal::TooManyPending), "taken out is not answered");
    inbox.answered(&waiting);
    ask_governance(&mut inbox, 1, 1).unwrap();
    for waiting in inbox.drain() {
        inbox.answered(&waiting);
    }
    assert!(inbox.is_idle() && inbox.shares.is_empty());
}

/// A revocation of actor `actor`.
fn revoke(inbox: &mut Inbox, actor: u16, size: usize) -> Result<(), Refusal> {
    let mut id = [0; 32];
    id[..2].copy_from_slice(&actor.to_le_bytes());
    let mut call = vec![0; size];
    call[0] = 5;
    let (actor, adapter) = (ActorId(id), AdapterId::GOVERNANCE);
    let request = ClientRequest { actor, adapter, calls: vec![Bytes::from(call)], ..request(0, 0) };
    inbox.admit(Time(0), Origin::Client(0), request)
}

#[test]
fn an_organisation_can_revoke_a_leaf_when_all_other_room_of_its_and_of_governance_is_taken() {
    let mut inbox = Inbox::default();
    for actor in 0..16 {
        (0..2).for_each(|_| ask_governance(&mut inbox, actor, GOVERNANCE_REQUEST_BYTES_MAX).unwrap());
    }
    assert_eq!(ask_governance(&mut inbox, 0, 1), Err(Refusal::TooManyPending));
    (0..WAITING_REVOCATIONS_PER_ACTOR_MAX).for_each(|_| revoke(&mut inbox, 0, REVOCATION_BYTES_MAX).unwrap());
    assert_eq!(revoke(&mut inbox, 0, 1), Err(Refusal::TooManyPending), "of these there are few as well");
    assert_eq!(revoke(&mut inbox, 1, REVOCATION_BYTES_MAX + 1), Err(Refusal::TooLarge));
    (1..63).for_each(|actor| revoke(&mut inbox, actor, REVOCATION_BYTES_MAX).unwrap());
    assert_eq!(revoke(&mut inbox, 99, 1), Err(Refusal::TooManyPending));
    for waiting in inbox.drain() {
        inbox.answered(&waiting);
    }
    assert!(inbox.is_idle() && inbox.shares.is_empty());
}

#[test]
fn governance_is_bounded_in_all_and_takes_no_room_of_applications() {
    let mut inbox = Inbox::default();
    let shares = WAITING_GOVERNANCE_REQUESTS_MAX / WAITING_GOVERNANCE_REQUESTS_PER_ACTOR_MAX;
    for actor in 0..shares {
        (0..WAITING_GOVERNANCE_REQUESTS_PER_ACTOR_MAX)
            .for_each(|_| ask_governance(&mut inbox, u8::try_from(actor).unwrap(), 1).unwrap());
    }
    assert_eq!(ask_governance(&mut inbox, 200, 1), Err(Refusal::TooManyPending));
    admit(&mut inbox, 1, WAITING_BYTES_MAX).unwrap();
}

#[test]
fn after_some_governance_blocks_applications_have_their_turn() {
    let mut inbox = Inbox::default();
    (0..2 * GOVERNANCE_RUN_MAX).for_each(|_| ask_governance(&mut inbox, 1, 1).unwrap());
    (0..3).for_each(|token| admit(&mut inbox, token, 1).unwrap());
    let turns = |inbox: &mut Inbox| {
        let mut turns = 0;
        while inbox.next_lane() == Some(Lane::Governance) {
            inbox.pop(Lane::Governance).unwrap();
            turns += 1;
        }
        turns
    };
    assert_eq!(turns(&mut inbox), GOVERNANCE_RUN_MAX);
    inbox.pop(Lane::Applications).unwrap();
    assert_eq!(turns(&mut inbox), GOVERNANCE_RUN_MAX);
    assert_eq!(inbox.next_lane(), Some(Lane::Applications));
}

#[test]
fn requests_that_come_back_and_those_that_are_late_are_found_in_the_queue_of_their_kind() {
    let mut inbox = Inbox::default();
    ask_governance(&mut inbox, 1, 1).unwrap();
    admit(&mut inbox, 1, 1).unwrap();
    let both = [Lane::Governance, Lane::Applications].map(|lane| inbox.pop(lane).unwrap());
    assert_eq!(inbox.next_lane(), None);
    inbox.put_back(both.into_iter());
    assert_eq!((inbox.governance.len(), inbox.applications.len()), (1, 1));
    assert_eq!(inbox.expired(Time(0).after(PATIENCE)).len(), 2);
    assert_eq!((inbox.next_lane(), inbox.queued_calls()), (None, 0));
}
