//! Who may come in: how many connections each door holds, in all and of one address.
//!
//! Anyone may connect, and is asked who they are only by the enclave, over TLS. Until then a stranger
//! holds a place. So that strangers cannot take all of them:
//!
//! - at the door of clients, one address has no more than a share; a few places beyond all these are for connections
//!   that turn out to be for governance, so that applications cannot take the last place of those who decide;
//! - at the door of peers, the addresses that `node.toml` lists have places of their own, for each node
//!   listed there, and all others share a few: a node that comes from an address which is not listed
//!   (behind a gateway that translates addresses) still gets in while there is no attack.
//!
//! An address is a claim of the network, not a proof; nothing but room is given on its strength.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use synod_types::NodeId;
use synod_types::boundary::Door;

/// The places of both doors.
#[derive(Debug)]
pub struct Doors {
    clients: Room,
    governance: Room,
    peers: Room,
    strangers: Room,
    /// Where the nodes that `node.toml` lists are, as far as it is known.
    listed: HashMap<NodeId, Vec<IpAddr>>,
    refused: Refused,
}

/// A place at a door. Whoever holds one gives it back with [`Doors::leave`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    kind: Kind,
    origin: IpAddr,
}

/// How many were turned away since the last time that somebody asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// At the door of clients.
    pub clients: u64,
    /// At the door of peers.
    pub peers: u64,
    /// The last of them.
    pub last: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Client,
    /// Of a client for whom there was no other.
    Governance,
    Peer,
    Stranger,
}

/// Places that some share.
#[derive(Debug)]
struct Room {
    count_max: usize,
    count: usize,
    by_origin: HashMap<IpAddr, usize>,
    share_max: usize,
}

impl Doors {
    /// Doors with room for `clients_max` clients, `share_max` of one address.
    pub fn new(clients_max: usize, share_max: usize) -> Self {
        Self {
            clients: Room::new(clients_max, share_max),
            governance: Room::new(GOVERNANCE_MAX, GOVERNANCE_SHARE_MAX),
            // Bounded by what is listed: each node has its own share.
            peers: Room::new(usize::MAX, PEER_SHARE_MAX),
            strangers: Room::new(PEER_STRANGERS_MAX, PEER_SHARE_MAX),
            listed: HashMap::new(),
            refused: Refused::default(),
        }
    }

    /// Learns where a node of `node.toml` is.
    pub fn list(&mut self, node: NodeId, addresses: impl IntoIterator<Item = IpAddr>) {
        self.listed.insert(node, addresses.into_iter().map(|address| address.to_canonical()).collect());
    }

    /// Forgets where the nodes are that are not among these.
    pub fn list_only(&mut self, known: impl Fn(NodeId) -> bool) {
        self.listed.retain(|node, _| known(*node));
    }

    /// Gives a place at `door` to a connection from `remote`, if there is one. It may be
    /// [for governance only](Place::is_for_governance).
    pub fn enter(&mut self, door: Door, remote: SocketAddr) -> Option<Place> {
        let address = remote.ip().to_canonical();
        let nodes = self.listed.values().filter(|addresses| addresses.contains(&address)).count();
        let place = match door {
            Door::Client => Place { kind: Kind::Client, origin: origin(address) },
            Door::Peer if nodes > 0 => Place { kind: Kind::Peer, origin: address },
            Door::Peer => Place { kind: Kind::Stranger, origin: origin(address) },
        };
        if self.room(place.kind).enter(place.origin, nodes.max(1)) {
            return Some(place);
        }
        let kept = Place { kind: Kind::Governance, ..place };
        if door == Door::Client && self.governance.enter(kept.origin, 1) {
            return Some(kept);
        }
        match door {
            Door::Client => self.refused.clients += 1,
            Door::Peer => self.refused.peers += 1,
        }
        self.refused.last = Some(address);
        None
    }

    /// Takes back a place for governance of a connection that is for something else.
    pub fn turn_away(&mut self, place: Place) {
        self.leave(place);
        self.refused.clients += 1;
        self.refused.last = Some(place.origin);
    }

    /// Takes a place back.
    pub fn leave(&mut self, place: Place) {
        self.room(place.kind).leave(place.origin);
    }

    /// How many were turned away since the last call; `None` if nobody was.
    pub fn take_refused(&mut self) -> Option<Refused> {
        let refused = std::mem::take(&mut self.refused);
        (refused != Refused::default()).then_some(refused)
    }

    const fn room(&mut self, kind: Kind) -> &mut Room {
        match kind {
            Kind::Client => &mut self.clients,
            Kind::Governance => &mut self.governance,
            Kind::Peer => &mut self.peers,
            Kind::Stranger => &mut self.strangers,
        }
    }
}

impl Place {
    /// Whether it is kept for connections for governance.
    pub fn is_for_governance(&self) -> bool {
        self.kind == Kind::Governance
    }
}

impl Room {
    fn new(count_max: usize, share_max: usize) -> Self {
        Self { count_max, count: 0, by_origin: HashMap::new(), share_max }
    }

    fn enter(&mut self, origin: IpAddr, shares: usize) -> bool {
        let held = self.by_origin.get(&origin).copied().unwrap_or_default();
        let has_room = self.count < self.count_max && held < self.share_max.saturating_mul(shares);
        if has_room {
            self.count += 1;
            self.by_origin.insert(origin, held + 1);
        }
        has_room
    }

    fn leave(&mut self, origin: IpAddr) {
        self.count -= 1;
        let held = self.by_origin.get_mut(&origin).expect("who leaves has entered from there");
        *held -= 1;
        if *held == 0 {
            self.by_origin.remove(&origin);
        }
    }
}

/// What counts as one address: of IPv6 the network, which one machine has to itself.
fn origin(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(),
    }
}

/// The first 64 bits: what one customer is given at least (RFC 6177, section 2).
const IPV6_NETWORK: u128 = u128::MAX << 64;

/// How many places at the door of clients are kept for governance: some for each organisation of a large network.
const GOVERNANCE_MAX: usize = 256;

/// How many of them one address may have.
const GOVERNANCE_SHARE_MAX: usize = 8;

/// The most connections at the peer door from one address, for each node listed there: each node needs one, and may
/// leave some half-open behind.
const PEER_SHARE_MAX: usize = 8;

/// The most connections at the peer door from all addresses that are not listed: enough for a whole network behind
/// a gateway that translates addresses, if each of its nodes dials once.
const PEER_STRANGERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(doors: &mut Doors, door: Door, address: &str) -> Option<Place> {
        doors.enter(door, SocketAddr::new(address.parse().unwrap(), 1))
    }

    /// How many of a thousand get in, one for each address that `address` gives.
    fn entered(doors: &mut Doors, door: Door, address: impl Fn(usize) -> String) -> usize {
        let place = |number| enter(doors, door, &address(number));
        (0..1_000).map(place).filter(|place| place.is_some_and(|place| !place.is_for_governance())).count()
    }

    #[test]
    fn one_address_has_a_share_of_the_places_and_all_together_have_all() {
        type Address = fn(usize) -> String;
        let rows: [(&str, Address, usize); 5] = [
            ("one address", |_| "192.0.2.1".into(), 3),
            ("the same, as an IPv6 socket shows it", |_| "::ffff:192.0.2.1".into(), 3),
            ("one network", |n| format!("2001:db8::{n:x}"), 3),
            ("many addresses", |n| format!("198.51.{}.{}", n / 250, n % 250), 10),
            ("many networks", |n| format!("2001:db8:0:{n:x}::1"), 10),
        ];
        for (name, address, expected) in rows {
            assert_eq!(entered(&mut Doors::new(10, 3), Door::Client, address), expected, "{name}");
        }
    }

    #[test]
    fn places_for_governance_are_given_when_all_others_are_taken() {
        let mut doors = Doors::new(3, 2);
        let kinds = |doors: &mut Doors, address: &str, count: usize| -> Vec<_> {
            (0..count).map(|_| enter(doors, Door::Client, address).map(|place| place.is_for_governance())).collect()
        };
        assert_eq!(kinds(&mut doors, "192.0.2.1", 3), [Some(false), Some(false), Some(true)]);
        assert_eq!(kinds(&mut doors, "192.0.2.2", 2), [Some(false), Some(true)]);
        assert_eq!(kinds(&mut doors, "192.0.2.1", GOVERNANCE_SHARE_MAX).last(), Some(&None));
        let place = enter(&mut doors, Door::Client, "192.0.2.3").unwrap();
        doors.turn_away(place);
        assert_eq!(doors.take_refused().unwrap().last, Some("192.0.2.3".parse().unwrap()));
        // All places of all kinds, and no more.
        entered(&mut doors, Door::Client, |n| format!("198.51.{}.{}", n / 250, n % 250));
        assert_eq!((doors.clients.count, doors.governance.count), (3, GOVERNANCE_MAX));
    }

    #[test]
    fn a_place_comes_back_to_its_address() {
        let mut doors = Doors::new(10, 1);
        let place = enter(&mut doors, Door::Client, "192.0.2.1").unwrap();
        assert!(enter(&mut doors, Door::Client, "192.0.2.1").unwrap().is_for_governance());
        let other = enter(&mut doors, Door::Client, "192.0.2.2").unwrap();
        doors.leave(place);
        assert!(enter(&mut doors, Door::Client, "192.0.2.2").unwrap().is_for_governance());
        assert!(!enter(&mut doors, Door::Client, "192.0.2.1").unwrap().is_for_governance());
        doors.leave(other);
        assert_eq!(doors.clients.by_origin.len(), 1, "nothing is kept of who has left");
    }

    #[test]
    fn strangers_at_the_peer_door_take_no_place_of_a_listed_node() {
        let mut doors = Doors::new(10, 3);
        doors.list(NodeId(2), ["192.0.2.2".parse().unwrap()]);
        doors.list(NodeId(3), ["192.0.2.3".parse().unwrap(), "2001:db8::3".parse().unwrap()]);
        doors.list(NodeId(4), ["192.0.2.3".parse().unwrap()]);
        let many = |n: usize| format!("198.51.{}.{}", n / 250, n % 250);
        assert_eq!(entered(&mut doors, Door::Peer, |_| "203.0.113.1".into()), PEER_SHARE_MAX);
        assert_eq!(entered(&mut doors, Door::Peer, many), PEER_STRANGERS_MAX - PEER_SHARE_MAX);
        assert_eq!(entered(&mut doors, Door::Client, many), 10, "the other door is another one");
        // Neighbours of a listed IPv6 address are strangers.
        assert_eq!(enter(&mut doors, Door::Peer, "2001:db8::4"), None);
        assert_eq!(entered(&mut doors, Door::Peer, |_| "192.0.2.2".into()), PEER_SHARE_MAX);
        assert_eq!(entered(&mut doors, Door::Peer, |_| "192.0.2.3".into()), 2 * PEER_SHARE_MAX, "two nodes are there");
        assert_eq!(entered(&mut doors, Door::Peer, |_| "2001:db8::3".into()), PEER_SHARE_MAX);
    }

    #[test]
    fn a_place_is_given_back_where_it_was_taken_although_the_address_is_listed_meanwhile() {
        let mut doors = Doors::new(10, 3);
        let place = enter(&mut doors, Door::Peer, "192.0.2.2").unwrap();
        doors.list(NodeId(2), ["192.0.2.2".parse().unwrap()]);
        let listed = enter(&mut doors, Door::Peer, "192.0.2.2").unwrap();
        doors.leave(place);
        assert_eq!((doors.strangers.count, doors.peers.count), (0, 1));
        doors.leave(listed);
        assert_eq!((doors.strangers.count, doors.peers.count), (0, 0));
    }

    #[test]
    fn a_node_that_is_not_listed_any_more_is_a_stranger() {
        let mut doors = Doors::new(10, 3);
        doors.list(NodeId(2), ["192.0.2.2".parse().unwrap()]);
        doors.list(NodeId(3), ["192.0.2.3".parse().unwrap()]);
        doors.list_only(|node| node == NodeId(3));
        for address in ["192.0.2.2", "192.0.2.3"] {
            enter(&mut doors, Door::Peer, address).unwrap();
        }
        assert_eq!((doors.strangers.count, doors.peers.count), (1, 1));
    }

    #[test]
    fn who_is_turned_away_is_counted_once() {
        let mut doors = Doors::new(1, 1);
        assert_eq!(doors.take_refused(), None);
        assert_eq!(entered(&mut doors, Door::Client, |_| "192.0.2.1".into()), 1);
        let expected =
            Refused { clients: 999 - GOVERNANCE_SHARE_MAX as u64, peers: 0, last: Some("192.0.2.1".parse().unwrap()) };
        assert_eq!(doors.take_refused(), Some(expected));
        assert_eq!(doors.take_refused(), None);
    }
}
