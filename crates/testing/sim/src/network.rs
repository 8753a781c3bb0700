//! The network between nodes: one channel for each pair, one link for each direction.
//!
//! A channel is what the nodes' mutual TLS gives them: it proves who speaks, and it may break. What was
//! under way then is lost, and nothing of it arrives once the next channel stands. Under it lie two
//! links that are slow, or blocked, each by itself. As a [`Manner::Stream`] a link keeps order and
//! holds messages while it is blocked, as TCP does; as [`Manner::Datagrams`] it loses, doubles and
//! reorders them, which the consensus engine must bear too.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_types::NodeId;

use crate::clock::Instant;
use crate::prng::Prng;
use crate::swarm::{Delay, LinkFaults, Manner};

/// A message under way.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// Its content.
    pub bytes: Bytes,
    /// When it was sent.
    pub sent_at: Instant,
    generation: u64,
}

/// All links and channels of a cluster.
#[derive(Debug)]
pub struct Network {
    links: BTreeMap<(NodeId, NodeId), Link>,
    channels: BTreeMap<(NodeId, NodeId), Channel>,
    faults: LinkFaults,
    prng: Prng,
}

#[derive(Debug)]
struct Link {
    distance: u64,
    is_blocked: bool,
    last_arrival: Instant,
    held: Vec<Parcel>,
}

#[derive(Debug, Default)]
struct Channel {
    generation: u64,
    stands: bool,
}

impl Network {
    /// Links between all of `nodes`, and no channel yet.
    pub fn new(nodes: &[NodeId], faults: LinkFaults, mut prng: Prng) -> Self {
        let pairs = || nodes.iter().flat_map(|a| nodes.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b);
        let links = pairs().map(|pair| (pair, Link::new(faults.distance.draw(&mut prng)))).collect();
        let channels = pairs().filter(|(a, b)| a < b).map(|pair| (pair, Channel::default())).collect();
        Self { links, channels, faults, prng }
    }

    /// The pairs of nodes, lower id first.
    pub fn pairs(&self) -> Vec<(NodeId, NodeId)> {
        self.channels.keys().copied().collect()
    }

    /// Hands a message to the channel: when, and how often, it is to arrive.
    pub fn send(&mut self, now: Instant, from: NodeId, to: NodeId, bytes: &Bytes) -> Vec<(Instant, Parcel)> {
        let channel = &self.channels[&ordered(from, to)];
        if !channel.stands {
            return Vec::new();
        }
        let parcel = Parcel { from, to, bytes: bytes.clone(), sent_at: now, generation: channel.generation };
        let copies = match self.faults.manner {
            Manner::Stream => 1,
            Manner::Datagrams { drop_ppm, .. } if self.prng.chance(drop_ppm) => 0,
            Manner::Datagrams { double_ppm, .. } => 1 + usize::from(self.prng.chance(double_ppm)),
        };
        (0..copies).map(|_| (self.arrival(now, from, to), parcel.clone())).collect()
    }

    fn arrival(&mut self, now: Instant, from: NodeId, to: NodeId) -> Instant {
        let jitter = self.faults.jitter.draw(&mut self.prng);
        let stall = if self.prng.chance(self.faults.stall_ppm) { self.faults.stall.draw(&mut self.prng) } else { 0 };
        let link = self.links.get_mut(&(from, to)).expect("nodes send to nodes of the cluster");
        let at = now.plus(link.distance + jitter + stall);
        match self.faults.manner {
            Manner::Datagrams { .. } => at,
            Manner::Stream => {
                link.last_arrival = link.last_arrival.max(at);
                link.last_arrival
            }
        }
    }

    /// A message is at the receiver's door: `None` if its channel broke meanwhile or its link is blocked.
    pub fn arrive(&mut self, parcel: Parcel) -> Option<Parcel> {
        let channel = &self.channels[&ordered(parcel.from, parcel.to)];
        if !channel.stands || channel.generation != parcel.generation {
            return None;
        }
        let link = self.links.get_mut(&(parcel.from, parcel.to)).expect("parcels travel on links of the cluster");
        if !link.is_blocked {
            return Some(parcel);
        }
        if matches!(self.faults.manner, Manner::Stream) {
            link.held.push(parcel);
        }
        None
    }

    /// Blocks the link, or opens it and gives back what it held.
    pub fn block(&mut self, from: NodeId, to: NodeId, is_blocked: bool) -> Vec<Parcel> {
        let link = self.links.get_mut(&(from, to)).expect("blocked links are of the cluster");
        link.is_blocked = is_blocked;
        if is_blocked { Vec::new() } else { std::mem::take(&mut link.held) }
    }

    /// Breaks the channel between two nodes: what is under way is lost. False if there was none.
    pub fn cut(&mut self, a: NodeId, b: NodeId) -> bool {
        let channel = self.channels.get_mut(&ordered(a, b)).expect("channels are of the cluster");
        let stood = std::mem::replace(&mut channel.stands, false);
        channel.generation += 1;
        for pair in [(a, b), (b, a)] {
            self.links.get_mut(&pair).expect("links are of the cluster").held.clear();
        }
        stood
    }

    /// Makes the channel between two nodes, which both links must let through. False if they do not, or if it stands.
    pub fn connect(&mut self, a: NodeId, b: NodeId) -> bool {
        let is_open = [(a, b), (b, a)].iter().all(|pair| !self.links[pair].is_blocked);
        let channel = self.channels.get_mut(&ordered(a, b)).expect("channels are of the cluster");
        let connects = is_open && !channel.stands;
        if connects {
            channel.stands = true;
            channel.generation += 1;
        }
        connects
    }

    /// Whether messages of a channel arrive in the order in which they were sent.
    pub const fn keeps_order(&self) -> bool {
        matches!(self.faults.manner, Manner::Stream)
    }

    /// Whether the channel between two nodes stands.
    pub fn stands(&self, a: NodeId, b: NodeId) -> bool {
        self.channels[&ordered(a, b)].stands
    }

    /// Whether the channel between two nodes stands and nothing blocks it.
    pub fn is_clear(&self, a: NodeId, b: NodeId) -> bool {
        self.channels[&ordered(a, b)].stands && [(a, b), (b, a)].iter().all(|pair| !self.links[pair].is_blocked)
    }

    /// From now on nothing is lost, doubled, reordered or stalled.
    pub fn heal(&mut self) {
        self.faults.manner = Manner::Stream;
        self.faults.stall_ppm = 0;
    }

    /// How long it takes to make a channel, or to try again.
    pub fn dialling_time(&mut self) -> u64 {
        self.faults.dialling.draw(&mut self.prng)
    }
}

impl Link {
    const fn new(distance: u64) -> Self {
        Self { distance, is_blocked: false, last_arrival: Instant(0), held: Vec::new() }
    }
}

impl Delay {
    /// A delay from the range, in microseconds; short ones are more frequent.
    pub fn draw(self, prng: &mut Prng) -> u64 {
        let (one, other) = (prng.between(self.min, self.max), prng.between(self.min, self.max));
        one.min(other)
    }
}

fn ordered(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn network(manner: Manner) -> Network {
        let mut network = Network::new(&[A, B], LinkFaults { manner, ..LinkFaults::none() }, Prng::new(1, "network"));
        assert!(network.connect(A, B));
        network
    }

    fn send(network: &mut Network, text: &'static str) -> Vec<(Instant, Parcel)> {
        network.send(Instant(0), A, B, &Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_stream_keeps_order_and_holds_messages_while_it_is_blocked() {
        let mut network = network(Manner::Stream);
        let sent: Vec<_> = (0..100).flat_map(|_| send(&mut network, "m")).collect();
        assert!(sent.is_sorted_by_key(|(at, _)| *at) && sent.len() == 100);
        network.block(A, B, true);
        assert!(sent.into_iter().all(|(_, parcel)| network.arrive(parcel).is_none()));
        assert_eq!(network.block(A, B, false).len(), 100);
    }

    #[test]
    fn nothing_of_a_broken_channel_arrives_on_the_next() {
        let mut network = network(Manner::Stream);
        let (_, parcel) = send(&mut network, "old").remove(0);
        assert!(network.cut(A, B));
        assert!(send(&mut network, "lost").is_empty());
        assert!(network.connect(B, A));
        assert!(network.arrive(parcel).is_none());
        let (_, parcel) = send(&mut network, "new").remove(0);
        assert_eq!(network.arrive(parcel).unwrap().bytes, "new");
    }

    #[test]
    fn datagrams_are_lost_and_doubled() {
        let mut network = network(Manner::Datagrams { drop_ppm: 200_000, double_ppm: 200_000 });
        let copies: Vec<_> = (0..100).map(|_| send(&mut network, "m").len()).collect();
        assert!([0, 1, 2].iter().all(|count| copies.contains(count)));
    }

    #[test]
    fn a_channel_is_made_only_if_both_directions_are_open() {
        let mut network = network(Manner::Stream);
        network.cut(A, B);
        network.block(B, A, true);
        assert!(!network.connect(A, B));
        network.block(B, A, false);
        assert!(network.connect(A, B) && network.is_clear(B, A));
    }
}
