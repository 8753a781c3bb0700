use std::sync::mpsc::{Receiver, channel};

use synod_types::ActorId;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;
use crate::testing::settle;

const TWO: NodeId = NodeId(2);

/// Node 2, with some key.
const PEER: Peer = Peer { node: TWO, key: ActorId([2; 32]) };

struct World {
    peers: Arc<Peers>,
    manager: ManagerPort,
    inbox: Receiver<ToManager>,
    dropped: Counter,
}

fn world() -> World {
    let (sender, inbox) = channel();
    let peers = Arc::<Peers>::default();
    World { peers, manager: ManagerPort::new(sender), inbox, dropped: Counter::default() }
}

impl World {
    fn connect(&self, pipe: usize) -> (DuplexStream, tokio::task::JoinHandle<io::Result<()>>) {
        let (far, near) = duplex(pipe);
        let (peers, manager) = (Arc::clone(&self.peers), self.manager.clone());
        (far, tokio::spawn(async move { peers.carry(PEER, Claim::Full, near, &manager).await }))
    }

    fn send(&self, message: Vec<u8>) {
        self.peers.send(TWO, message.into(), &self.dropped);
    }

    /// The messages that came, with the room they take.
    fn received(&self) -> Vec<(Vec<u8>, Room)> {
        let message = |message| match message {
            ToManager::Peer { from: TWO, bytes, room } => Some((bytes.check(Ok::<_, ()>).unwrap().to_vec(), room)),
            ToManager::Event(NodeEvent::PeerProved { .. }) => None,
            ToManager::Event(NodeEvent::PeerConnected(TWO) | NodeEvent::PeerClosed(TWO)) => None,
            other => panic!("{other:?}"),
        };
        self.inbox.try_iter().filter_map(message).collect()
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_frame(message, &mut out);
    out.to_vec()
}

#[tokio::test]
async fn messages_arrive_whole_however_their_bytes_do() {
    let world = world();
    let (mut far, _task) = world.connect(1 << 20);
    let wire = [frame(b"one"), frame(b""), frame(&[7; 1000]), frame(b"three")].concat();
    for part in wire.chunks(3) {
        far.write_all(part).await.unwrap();
    }
    settle().await;
    let received: Vec<_> = world.received().into_iter().map(|(message, _)| message).collect();
    assert_eq!(received, [b"one".to_vec(), vec![7; 1000], b"three".to_vec()]);
}

#[tokio::test]
async fn messages_are_sent_in_order_and_none_before_there_is_a_connection() {
    let world = world();
    world.send(b"lost".to_vec());
    let (mut far, _task) = world.connect(1 << 20);
    settle().await;
    world.send(b"one".to_vec());
    world.send(b"two".to_vec());
    let mut wire = vec![0; 14];
    far.read_exact(&mut wire).await.unwrap();
    assert_eq!(wire, [frame(b"one"), frame(b"two")].concat());
}

#[tokio::test]
async fn a_message_above_the_limit_ends_the_connection_before_it_is_read() {
    let world = world();
    let (mut far, task) = world.connect(1 << 20);
    far.write_all(&(limits::PEER_MESSAGE_BYTES_MAX as u32 + 1).to_le_bytes()).await.unwrap();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_new_connection_replaces_the_old_one() {
    let world = world();
    let (_old, old_task) = world.connect(1 << 20);
    settle().await;
    let (mut new, _new_task) = world.connect(1 << 20);
    settle().await;
    assert!(old_task.await.unwrap().is_err());
    world.send(b"x".to_vec());
    let mut wire = vec![0; 5];
    new.read_exact(&mut wire).await.unwrap();
    assert_eq!(wire, frame(b"x"));
}

/// What the node is told, in one word each.
fn told(world: &World) -> Vec<String> {
    let word = |message| match message {
        ToManager::Peer { bytes, .. } => String::from_utf8(bytes.check(Ok::<_, ()>).unwrap().to_vec()).unwrap(),
        ToManager::Event(NodeEvent::PeerProved { peer: TWO, key }) => format!("key {}", key.0[0]),
        ToManager::Event(NodeEvent::PeerConnected(TWO)) => "connected".into(),
        ToManager::Event(NodeEvent::PeerClosed(TWO)) => "closed".into(),
        other => panic!("{other:?}"),
    };
    world.inbox.try_iter().map(word).collect()
}

#[tokio::test]
async fn the_node_hears_when_a_channel_is_gone_but_not_of_one_that_was_replaced() {
    let world = world();
    let (far, task) = world.connect(1 << 20);
    settle().await;
    drop(far);
    let _ = task.await.unwrap();
    assert_eq!(told(&world), ["key 2", "connected", "closed"]);

    let (old, old_task) = world.connect(1 << 20);
    settle().await;
    let (new, new_task) = world.connect(1 << 20);
    let _ = old_task.await.unwrap();
    drop(old);
    settle().await;
    assert_eq!(told(&world), ["key 2", "connected", "key 2", "connected"]);
    drop(new);
    let _ = new_task.await.unwrap();
    assert_eq!(told(&world), ["closed"]);
}

#[tokio::test]
async fn what_came_over_the_old_channel_is_not_heard_once_the_new_one_stands() {
    let world = world();
    let (mut old, old_task) = world.connect(1 << 20);
    settle().await;
    assert_eq!(told(&world), ["key 2", "connected"]);
    // The task of the old connection is woken by its messages, and runs only after the new one has begun.
    old.write_all(&frame(b"old")).await.unwrap();
    let (mut far, near) = duplex(1 << 20);
    let mut new = Box::pin(world.peers.carry(PEER, Claim::Full, near, &world.manager));
    assert!(matches!(
        std::future::poll_fn(|cx| std::task::Poll::Ready(new.as_mut().poll(cx))).await,
        std::task::Poll::Pending
    ));
    assert!(old_task.await.unwrap().is_err());
    far.write_all(&frame(b"new")).await.unwrap();
    assert!(timeout(Duration::from_millis(50), new.as_mut()).await.is_err());
    assert_eq!(told(&world), ["key 2", "connected", "new"]);
}

#[tokio::test]
async fn the_oldest_messages_are_dropped_when_the_other_node_takes_none() {
    let world = world();
    let (_far, _task) = world.connect(10);
    settle().await;
    for _ in 0..10 {
        world.send(vec![0; SENDING_BYTES_MAX / 2]);
    }
    assert_eq!(world.dropped.get(), 8);
}

#[tokio::test]
async fn a_node_whose_messages_are_not_handled_is_read_no_further() {
    let world = world();
    let (mut far, _task) = world.connect(1 << 20);
    let sender = tokio::spawn(async move {
        for _ in 0..3 {
            far.write_all(&frame(&vec![0; limits::PEER_MESSAGE_BYTES_MAX])).await.unwrap();
        }
        far
    });
    let mut held = Vec::new();
    while held.len() < 2 {
        settle().await;
        held.extend(world.received());
    }
    settle().await;
    assert!(world.received().is_empty(), "the third waits for room");
    held.clear();
    while held.is_empty() {
        settle().await;
        held.extend(world.received());
    }
    sender.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_given_up_and_an_idle_one_shows_that_it_lives() {
    let world = world();
    let (mut far, task) = world.connect(1 << 20);
    let started = tokio::time::Instant::now();
    assert_eq!(task.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(started.elapsed().as_secs(), SILENCE_MAX.as_secs());
    let mut signs = Vec::new();
    far.read_to_end(&mut signs).await.unwrap();
    assert!(signs.len() >= 4 * SIZE_BYTES && signs.iter().all(|byte| *byte == 0), "{signs:?}");
}

#[tokio::test]
async fn a_connection_that_is_replaced_ends_although_its_other_side_takes_no_byte() {
    let world = world();
    let (_old, old_task) = world.connect(10);
    settle().await;
    world.send(vec![0; 1000]);
    settle().await;
    let (_new, _new_task) = world.connect(10);
    settle().await;
    assert!(old_task.is_finished());
}

#[tokio::test]
async fn a_channel_that_is_dropped_is_told_as_closed_and_its_node_may_come_again() {
    let world = world();
    for _ in 0..2 {
        let (_far, task) = world.connect(1 << 20);
        settle().await;
        task.abort();
        settle().await;
        assert_eq!(told(&world), ["key 2", "connected", "closed"]);
    }
}

#[tokio::test]
async fn a_node_gets_no_more_room_by_connecting_anew() {
    let world = world();
    let mut held = Vec::new();
    for _ in 0..2 {
        let (mut far, task) = world.connect(2 * limits::PEER_MESSAGE_BYTES_MAX);
        far.write_all(&frame(&vec![0; limits::PEER_MESSAGE_BYTES_MAX])).await.unwrap();
        settle().await;
        held.extend(world.received());
        drop(far);
        let _ = task.await.unwrap();
    }
    assert_eq!(held.len(), 2);
    let (mut far, _task) = world.connect(1 << 20);
    far.write_all(&frame(b"more")).await.unwrap();
    settle().await;
    assert!(world.received().is_empty(), "what waits to be handled takes all the room");
    held.clear();
    settle().await;
    assert_eq!(world.received().len(), 1);
}

#[tokio::test]
async fn there_is_room_for_so_many_nodes_and_for_another_when_one_goes() {
    let (sender, inbox) = channel();
    let (peers, manager) = (Peers::default(), ManagerPort::new(sender));
    let begin = |node| peers.begin(Peer { node: NodeId(node), ..PEER }, Claim::Full, &manager);
    let mut open: Vec<_> = (1..=PEERS_MAX as u64).map(|node| begin(node).unwrap()).collect();
    let another = PEERS_MAX as u64 + 1;
    assert!(begin(another).is_err());
    assert!(begin(TWO.0).is_ok(), "a node that has room may connect anew");
    open.remove(0);
    assert!(begin(another).is_ok());
    assert!(inbox.try_iter().all(|told| !matches!(told, ToManager::Peer { .. })));
}

#[tokio::test]
async fn a_channel_under_another_key_than_the_lists_replaces_none_and_is_replaced() {
    let world = world();
    let carry = |key: u8, claim| {
        let (far, near) = duplex(1 << 20);
        let (peers, manager) = (Arc::clone(&world.peers), world.manager.clone());
        let peer = Peer { node: TWO, key: ActorId([key; 32]) };
        (far, tokio::spawn(async move { peers.carry(peer, claim, near, &manager).await }))
    };
    let (_first, first) = carry(7, Claim::Weaker);
    settle().await;
    let (_listed, listed) = carry(2, Claim::Full);
    settle().await;
    let (_second, second) = carry(7, Claim::Weaker);
    assert!(first.await.unwrap().is_err() && second.await.unwrap().is_err());
    assert_eq!(told(&world), ["key 7", "connected", "key 2", "connected"]);
    assert!(!listed.is_finished());
}
