use std::sync::Arc;

use synod_crypto::chain::ChainRefused;
use synod_crypto::rotated::endorsement;
use synod_crypto::x509::{Validity, actor_certificate, node_certificate};
use synod_crypto::{ActorKey, Certificate, NodeKey, ServiceKey};
use synod_governance::Role;
use synod_node::Genesis;
use synod_types::Seqno;
use tokio::time::Instant;

use super::*;
use crate::testing::settle;

const NOW: Time = Time(1_700_000_000_000_000);

/// A service, and certificates that it issued; the digests of node N's key are [`World::key`].
struct World {
    service: ServiceKey,
    nodes: NodeKeys,
}

fn world(listed: &[u64]) -> World {
    let service = ServiceKey::from_seed(&[1; 32]);
    let nodes = NodeKeys::new(service.verifying_key().clone());
    let world = World { service, nodes };
    world.follow(listed);
    world
}

fn key(node: u64) -> NodeKey {
    NodeKey::from_seed(&[u8::try_from(node).unwrap(); 32])
}

fn digest(node: u64) -> ActorId {
    key_digest(key(node).verifying_key())
}

fn issue(service: &ServiceKey, slot: u64, holder: u64) -> Certificate {
    let (names, validity) = (["localhost".to_owned()], Validity::days(NOW, 10));
    node_certificate(service, NodeId(slot), key(holder).verifying_key(), &names, validity).unwrap()
}

impl World {
    fn follow(&self, listed: &[u64]) {
        self.nodes.follow(listed.iter().map(|node| (NodeId(*node), digest(*node))));
    }

    /// Who the node `holder` is with a certificate for `slot`.
    fn peer(&self, slot: u64, holder: u64) -> Result<NodeId, NotANode> {
        let certificate = issue(&self.service, slot, holder);
        let peer = self.nodes.peer(digest(holder), certificate.der(), &[], NOW)?;
        assert_eq!(peer.key, digest(holder));
        Ok(peer.node)
    }

    /// What speaks for node `node`, whose channel begins now.
    fn standing(&self, node: u64) -> Standing {
        self.nodes.begin(Peer { node: NodeId(node), key: digest(node) }, NOW)
    }
}

#[test]
fn a_node_shows_a_certificate_of_the_key_in_force_or_of_one_that_it_endorses_and_earlier_keys_speak_for_nobody() {
    let world = world(&[1]);
    let (second, later) = (ServiceKey::from_seed(&[2; 32]), ServiceKey::from_seed(&[3; 32]));
    let peer = |issuer: &ServiceKey, between: &[CertificateDer<'_>]| {
        world.nodes.peer(digest(4), issue(issuer, 4, 4).der(), between, NOW).map(|peer| peer.node)
    };
    assert!(matches!(peer(&second, &[]), Err(NotANode::Unknown(_))));
    let validity = Validity::days(NOW, 10);
    let endorsed = |by: &ServiceKey, key: &ServiceKey| endorsement(by, key.verifying_key(), validity).to_pki();
    // This node has not heard of the rotation yet, others have.
    let first = endorsed(&world.service, &later);
    assert_eq!(peer(&later, std::slice::from_ref(&first)), Ok(NodeId(4)));
    let stranger = endorsed(&ServiceKey::from_seed(&[9; 32]), &later);
    assert!(matches!(peer(&later, std::slice::from_ref(&stranger)), Err(NotANode::Unknown(_))));
    // No more are looked at than a node shows.
    let mut many = vec![stranger; BESIDE_MAX];
    many.push(first.clone());
    assert!(matches!(peer(&later, &many), Err(NotANode::Unknown(_))));

    world.nodes.rotated(second.verifying_key().clone());
    assert_eq!(peer(&second, &[]), Ok(NodeId(4)));
    assert_eq!(peer(&later, &[first.clone(), endorsed(&second, &later)]), Ok(NodeId(4)));
    // Whoever came by the first key is nobody here any more, and neither is whom it endorses; a listed node is one.
    assert!(matches!(peer(&world.service, &[]), Err(NotANode::Unknown(_))));
    assert!(matches!(peer(&later, &[first]), Err(NotANode::Unknown(_))));
    assert_eq!(world.peer(1, 1), Ok(NodeId(1)));
}

#[test]
fn the_list_says_who_a_listed_node_is_whoever_issued_its_certificate() {
    let world = world(&[1, 2]);
    assert_eq!(world.peer(2, 2), Ok(NodeId(2)));
    let other = NotANode::OtherSlot { list: NodeId(2), certificate: NodeId(7) };
    assert_eq!(world.peer(7, 2), Err(other));
    let unnamed = actor_certificate(&ActorKey::from_seed(&[2; 32]), "of an older version", Validity::days(NOW, 10));
    assert_eq!(world.nodes.peer(digest(2), unnamed.der(), &[], NOW).unwrap().node, NodeId(2));
    let foreign = issue(&ServiceKey::generate(), 2, 2);
    assert_eq!(world.nodes.peer(digest(2), foreign.der(), &[], NOW).unwrap().node, NodeId(2));
}

#[test]
fn a_node_that_a_newer_list_may_name_shows_a_certificate_of_the_service() {
    let world = world(&[1, 2, 3]);
    assert_eq!(world.peer(4, 4), Ok(NodeId(4)));
    assert_eq!(world.peer(6, 6), Ok(NodeId(6)), "lists that this node has not seen may name several more");
    let refused = |der: &[u8], at| world.nodes.peer(digest(4), der, &[], at).unwrap_err();
    let foreign = issue(&ServiceKey::generate(), 4, 4);
    let not_issued = |why| NotANode::Unknown(SlotRefused::NotIssued(why));
    assert_eq!(refused(foreign.der(), NOW), not_issued(ChainRefused::Signature));
    let late = NOW.after(Duration::from_secs(11 * 86_400));
    let expired = not_issued(ChainRefused::Expired { whose: "the leaf's" });
    assert_eq!(refused(issue(&world.service, 4, 4).der(), late), expired);
    assert_eq!(refused(b"garbage", NOW), not_issued(ChainRefused::Malformed { what: "certificate" }));
}

#[test]
fn a_certificate_gives_nobody_a_slot_that_was_anothers() {
    let world = world(&[1, 2, 4]);
    world.follow(&[1, 4]);
    for slot in [2, 3] {
        assert_eq!(world.peer(slot, 9), Err(NotANode::OtherKey { node: NodeId(slot) }));
    }
}

#[test]
fn a_slot_may_have_got_a_key_that_this_node_has_not_heard_of_but_none_that_a_list_named() {
    let world = world(&[1, 2, 3]);
    let with = |key| Peer { node: NodeId(2), key: digest(key) };
    assert_eq!((world.peer(2, 9), world.nodes.begin(with(9), NOW)), (Ok(NodeId(2)), Standing::Joining));
    assert!(world.nodes.is_anothers(with(9)) && !world.nodes.is_anothers(with(2)));
    let other = NotANode::OtherSlot { list: NodeId(1), certificate: NodeId(2) };
    assert_eq!(world.peer(2, 1), Err(other));
    let foreign = issue(&ServiceKey::generate(), 2, 9);
    assert!(matches!(world.nodes.peer(digest(9), foreign.der(), &[], NOW), Err(NotANode::Unknown(_))));
    world.nodes.follow([(NodeId(1), digest(1)), (NodeId(2), digest(9)), (NodeId(3), digest(3))]);
    assert_eq!(world.nodes.begin(with(9), NOW), Standing::Listed);
    assert!(!world.nodes.is_anothers(with(9)) && world.nodes.is_anothers(with(2)));
    world.nodes.follow([(NodeId(1), digest(1)), (NodeId(2), digest(8)), (NodeId(3), digest(3))]);
    assert_eq!((world.peer(2, 9), world.peer(2, 2)), (Err(NotANode::Removed), Err(NotANode::Removed)));
}

#[test]
fn a_removed_node_is_let_in_once_in_a_while_under_its_own_slot_until_it_is_listed_again() {
    let world = world(&[1, 2, 3]);
    world.follow(&[2, 3]);
    for slot in [1, 4] {
        assert_eq!(world.peer(slot, 1), Ok(NodeId(1)));
    }
    assert_eq!(
        (world.standing(1), world.standing(2), world.standing(4)),
        (Standing::Removed, Standing::Listed, Standing::Joining)
    );
    for slot in [1, 4] {
        assert_eq!(world.peer(slot, 1), Err(NotANode::Removed));
    }
    let at = |after| world.nodes.peer(digest(1), b"any", &[], NOW.after(after));
    assert_eq!(at(REMOVED_PAUSE - Duration::from_secs(1)), Err(NotANode::Removed));
    assert_eq!(at(REMOVED_PAUSE), Ok(Peer { node: NodeId(1), key: digest(1) }));
    world.follow(&[2]);
    assert_eq!((world.peer(1, 1), world.peer(3, 3)), (Err(NotANode::Removed), Ok(NodeId(3))));
    world.nodes.follow([(NodeId(2), digest(2)), (NodeId(4), digest(1))]);
    assert_eq!((world.peer(4, 1), world.standing(1)), (Ok(NodeId(4)), Standing::Listed));
}

#[test]
fn the_list_is_that_of_the_governance_tables() {
    let (member, now) = (ActorKey::from_seed(&[7; 32]), NOW);
    let certificate = actor_certificate(&member, "member", Validity::days(now, 10));
    let mut genesis = Genesis::new("network", now).unwrap();
    genesis.add_actor(Role::Member, "member", &certificate).unwrap();
    for node in [1, 3] {
        let (id, name, address) = (NodeId(node), format!("node {node}"), format!("10.0.0.{node}:7000"));
        genesis.add_node(id, &name, certificate.actor_id(), key(node).verifying_key(), &address).unwrap();
    }
    let mut state = State::default();
    state.apply(&genesis.constitution.genesis_writes(now).unwrap(), Seqno(1));
    let world = world(&[1, 2]);
    world.nodes.govern(&state);
    assert_eq!([1, 2, 3].map(|node| world.nodes.slot_of(digest(node))), [Some(NodeId(1)), None, Some(NodeId(3))]);
    assert_eq!(world.standing(2), Standing::Removed);
    // A transaction that wrote nothing about nodes: nobody looks at them again.
    world.nodes.follow([(NodeId(2), digest(2))]);
    let mut ballot = synod_kv::WriteSet::default();
    ballot.put(&synod_kv::MapName::from_static("gov.ballots"), b"ballot", b"accept");
    state.apply(&ballot, Seqno(2));
    world.nodes.govern(&state);
    assert_eq!([1, 2, 3].map(|node| world.nodes.slot_of(digest(node))), [None, Some(NodeId(2)), None]);
    state.apply(&genesis.constitution.genesis_writes(now).unwrap(), Seqno(3));
    world.nodes.govern(&state);
    assert_eq!(world.nodes.slot_of(digest(3)), Some(NodeId(3)));
}

#[test]
fn a_slot_with_a_new_key_is_no_longer_the_old_ones() {
    let world = world(&[1, 2]);
    world.nodes.follow([(NodeId(1), digest(1)), (NodeId(2), digest(5))]);
    assert_eq!((world.peer(2, 5), world.peer(2, 2)), (Ok(NodeId(2)), Err(NotANode::Removed)));
}

#[test]
fn a_node_dials_lower_slots_and_a_joiner_also_those_that_it_cannot_know() {
    let world = world(&[1, 3]);
    let to_dial = |own| world.nodes.to_dial(NodeId(own)).iter().map(|node| node.0).collect::<Vec<_>>();
    assert!(to_dial(1).is_empty());
    assert_eq!(to_dial(3), [1]);
    assert_eq!(to_dial(4), [1, 3]);
    assert_eq!(to_dial(7), [1, 3, 4, 5, 6]);
    let far = to_dial(1_000_000);
    assert_eq!((far.len(), far.last()), (2 + NODES_MAX, Some(&999_999)));
    world.follow(&[1, 3, 7]);
    assert_eq!(to_dial(7), [1, 3]);
    assert!(to_dial(2).is_empty() && to_dial(5).is_empty(), "removed, or never added");
    assert_eq!(world.nodes.above(NodeId(1)), [3, 7].map(NodeId));
    assert!(world.nodes.above(NodeId(2)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_channel_outstays_when_the_list_has_lacked_its_node_for_a_while() {
    let world = Arc::new(world(&[1, 2]));
    let wait = |peer: Peer| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.nodes.outstayed(peer).await })
    };
    let peer = |node| Peer { node: NodeId(node), key: digest(node) };
    let (one, two, joining) = (wait(peer(1)), wait(peer(2)), wait(peer(4)));
    settle().await;
    world.follow(&[2]);
    let removed_at = Instant::now();
    one.await.unwrap();
    assert_eq!(removed_at.elapsed().as_secs(), REMOVED_GRACE.as_secs());
    assert!(!two.is_finished() && !joining.is_finished());
    world.follow(&[2, 4]);
    tokio::time::sleep(2 * REMOVED_GRACE).await;
    assert!(!joining.is_finished(), "it has joined");
    // Slot 6 is given: no list will name 5 any more.
    let late = wait(peer(5));
    settle().await;
    world.follow(&[2, 4, 6]);
    late.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_consensus_has_not_left_out_counts_as_listed_and_the_grace_begins_when_it_has() {
    let world = Arc::new(world(&[1, 2, 3]));
    let keep = |nodes: &[u64]| world.nodes.keep(nodes.iter().copied().map(NodeId).collect());
    keep(&[1, 2, 3, 4]);
    world.follow(&[2, 4]);
    let dialled = |own| world.nodes.to_dial(NodeId(own)).iter().map(|node| node.0).collect::<Vec<_>>();
    assert_eq!((dialled(3), dialled(4)), (vec![2, 1], vec![2, 1, 3]));
    assert_eq!(world.nodes.above(NodeId(1)), [2, 4, 3].map(NodeId));
    assert_eq!((world.peer(1, 1), world.standing(1)), (Ok(NodeId(1)), Standing::Listed));
    assert!(!world.nodes.has_left(NodeId(3)) && !world.nodes.is_listed(NodeId(3)));

    let channel = {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.nodes.outstayed(Peer { node: NodeId(1), key: digest(1) }).await })
    };
    tokio::time::sleep(10 * REMOVED_GRACE).await;
    assert!(!channel.is_finished());
    // A change that left it out was not committed after all.
    keep(&[2, 3, 4]);
    tokio::time::sleep(REMOVED_GRACE / 2).await;
    keep(&[1, 2, 3, 4]);
    tokio::time::sleep(10 * REMOVED_GRACE).await;
    assert!(!channel.is_finished());
    let left_out_at = Instant::now();
    keep(&[2, 4]);
    channel.await.unwrap();
    assert_eq!(left_out_at.elapsed().as_secs(), REMOVED_GRACE.as_secs());
    assert_eq!(world.standing(1), Standing::Removed);
    assert!(dialled(3).is_empty() && world.nodes.has_left(NodeId(3)));

    // A slot with a new key is that one's, whoever has a part.
    world.nodes.follow([(NodeId(2), digest(7)), (NodeId(4), digest(4))]);
    assert_eq!(world.peer(2, 2), Err(NotANode::Removed));
}

#[tokio::test]
async fn who_watches_the_list_hears_of_each_change_and_of_nothing_else() {
    let world = world(&[1]);
    let mut seen = world.nodes.seen();
    world.follow(&[1]);
    let unchanged = tokio::time::timeout(Duration::from_millis(1), world.nodes.changed(&mut seen));
    assert!(unchanged.await.is_err());
    world.follow(&[1, 2]);
    world.nodes.changed(&mut seen).await;
    assert_eq!(world.nodes.slot_of(digest(2)), Some(NodeId(2)));
}
