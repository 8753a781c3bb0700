//! Who gets in, and who is made to leave.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use synod_types::boundary::{Door, ToEnclave, ToHost};

use crate::world::{connect_from, is_ended, start, start_in};

#[test]
fn connections_above_the_limit_are_closed_on_arrival_and_the_others_served() {
    let world = start("connections_max = 2\n");
    let (mut one, first) = world.connect();
    let (two, second) = world.connect();
    let mut three = TcpStream::connect(world.clients).unwrap();
    assert!(is_ended(&mut three));
    one.write_all(b"still here").unwrap();
    assert_eq!(world.received(first, 10), b"still here");
    // Room comes back when one ends.
    drop(two);
    assert!(matches!(world.next(), ToEnclave::Ended { connection } if connection == second));
    world.port.send(ToHost::Close { connection: second });
    world.connect_until_accepted(world.clients, 1);
}

#[test]
fn one_address_takes_only_its_share_of_the_places() {
    let world = start("connections_max = 300\nconnections_per_address_max = 100\n");
    let mut here: Vec<_> = (0..100).map(|_| world.connect()).collect();
    let mut more: Vec<_> = (0..100).map(|_| TcpStream::connect(world.clients).unwrap()).collect();
    assert!(more.iter_mut().all(is_ended));
    // All of 127.0.0.0/8 is this machine: another address of it has a share of its own.
    let there: Vec<_> = (0..100).map(|_| world.connect_from([127, 0, 0, 2])).collect();
    let (client, connection) = &mut here[0];
    client.write_all(b"still here").unwrap();
    assert_eq!(world.received(*connection, 10), b"still here");
    drop(there);
}

/// A ClientHello of TLS that asks for a server name and has nothing else in it.
fn hello(name: &str) -> Vec<u8> {
    let sized = |content: &[u8]| [&(content.len() as u16).to_be_bytes(), content].concat();
    let entry = [&[0][..], &sized(name.as_bytes())].concat();
    let extensions = [&[0, 0][..], &sized(&sized(&entry))].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &sized(&[0x13, 1]), &[1, 0], &sized(&extensions)].concat();
    [&[22, 3, 1][..], &sized(&[&[1, 0][..], &sized(&body)].concat())].concat()
}

#[test]
fn a_connection_for_governance_gets_in_when_applications_hold_every_place() {
    let world = start("connections_max = 2\n");
    let _applications = [world.connect(), world.connect()];
    let mut another = TcpStream::connect(world.clients).unwrap();
    another.write_all(&hello("node.example.org")).unwrap();
    assert!(is_ended(&mut another));

    let (bytes, mut member) = (hello(synod_types::GOVERNANCE_NAME), TcpStream::connect(world.clients).unwrap());
    let (first, rest) = bytes.split_at(20);
    member.write_all(first).unwrap();
    member.write_all(rest).unwrap();
    let ToEnclave::Accepted { connection, door: Door::Client } = world.next() else { panic!("it was not let in") };
    assert_eq!(world.received(connection, bytes.len()), bytes);
}

#[test]
fn strangers_at_the_peer_door_leave_room_for_the_nodes_that_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let world = start_in(directory, "", Some((Ipv4Addr::new(127, 0, 0, 2), 1).into()));
    let strangers: Vec<_> = (10..30)
        .flat_map(|host| (0..20).map(move |_| host))
        .map(|host| connect_from([127, 0, 0, host], world.peers))
        .collect();
    let mut peer = connect_from([127, 0, 0, 2], world.peers);
    peer.write_all(b"it is me").unwrap();
    let (mut accepted, mut heard) = (0, false);
    while accepted < 65 || !heard {
        match world.next() {
            ToEnclave::Accepted { door: Door::Peer, .. } => accepted += 1,
            ToEnclave::Received { bytes, .. } => heard = bytes.check(Ok::<_, ()>).unwrap() == "it is me",
            other => panic!("{other:?}"),
        }
    }
    // Whoever is not among the first 64 strangers is closed.
    let end = Instant::now() + Duration::from_secs(20);
    let is_open = |stranger: &TcpStream| {
        stranger.set_nonblocking(true).unwrap();
        (&*stranger).read(&mut [0; 16]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    while strangers.iter().filter(|stranger| is_open(stranger)).count() > 64 {
        assert!(Instant::now() < end, "more than 64 strangers are in");
        std::thread::yield_now();
    }
    assert_eq!(strangers.iter().filter(|stranger| is_open(stranger)).count(), 64);
}

/// Eight of an address that is not listed get in; more do only if the name of two nodes was looked up.
#[test]
fn a_listed_name_is_looked_up_and_its_addresses_have_room_of_their_own() {
    let world = start("[peers]\n2 = 'localhost:1'\n3 = 'localhost:1'\n");
    world.connect_until_accepted(world.peers, 9);
}

#[test]
fn a_client_that_does_not_end_a_closed_connection_holds_its_place_for_seconds_only() {
    let world = start("connections_max = 1\n");
    let (mut client, connection) = world.connect();
    world.port.send(ToHost::Close { connection });
    assert!(is_ended(&mut client));
    let since = Instant::now();
    world.connect_until_accepted(world.clients, 1);
    assert!(since.elapsed() < Duration::from_secs(25), "{:?}", since.elapsed());
    drop(client);
}

#[test]
fn a_silent_client_is_closed_and_a_busy_one_is_not() {
    let world = start("idle_seconds_max = 1\n");
    let (mut silent, connection) = world.connect();
    let (mut busy, _) = world.connect();
    silent.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while !is_ended(&mut silent) {
        busy.write_all(b"x").unwrap();
    }
    let closed: Vec<_> = world
        .messages
        .try_iter()
        .filter_map(|message| if let ToEnclave::Closed { connection } = message { Some(connection) } else { None })
        .collect();
    assert_eq!(closed, [connection]);
}

#[test]
fn a_thousand_idle_connections_do_not_keep_others_from_being_served() {
    let world = start("");
    let idle: Vec<_> = (0..1_000).map(|_| world.connect()).collect();
    let (mut client, connection) = world.connect();
    client.write_all(b"hello").unwrap();
    assert_eq!(world.received(connection, 5), b"hello");
    drop(idle);
}
