//! Who gets in, and who is made to leave.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use synod_types::boundary::{Door, ToEnclave, ToHost};

use crate::world::{connect_from, is_ended, is_ended_soon, start, start_in};

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
    world.connect_when_there_is_room();
}

#[test]
fn one_address_takes_only_its_share_of_the_places() {
    let world = start("connections_max = 300\nconnections_per_address_max = 100\n");
    let mut here: Vec<_> = (0..100).map(|_| world.connect()).collect();
    for _ in 0..100 {
        assert!(is_ended(&mut TcpStream::connect(world.clients).unwrap()));
    }
    // All of 127.0.0.0/8 is this machine: another address of it has a share of its own.
    let there: Vec<_> = (0..100).map(|_| world.connect_from([127, 0, 0, 2])).collect();
    let (client, connection) = &mut here[0];
    client.write_all(b"still here").unwrap();
    assert_eq!(world.received(*connection, 10), b"still here");
    drop(there);
}

#[test]
fn strangers_at_the_peer_door_leave_room_for_the_nodes_that_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let world = start_in(directory, "", Some((Ipv4Addr::new(127, 0, 0, 2), 1).into()));
    let mut strangers: Vec<_> = (10..30)
        .flat_map(|host| (0..20).map(move |_| host))
        .map(|host| connect_from([127, 0, 0, host], world.peers))
        .collect();
    let accepted = |message: &ToEnclave| matches!(message, ToEnclave::Accepted { door: Door::Peer, .. });
    let peer = connect_from([127, 0, 0, 2], world.peers);
    let taken: Vec<_> = (0..65).map(|_| world.next()).collect();
    assert!(taken.iter().all(accepted), "64 strangers and the peer");
    let ToEnclave::Accepted { connection, .. } = taken[64] else { unreachable!("checked before") };
    (&peer).write_all(b"it is me").unwrap();
    assert_eq!(world.received(connection, 8), b"it is me");
    let open = strangers.iter_mut().filter_map(|stranger| {
        stranger.set_nonblocking(true).unwrap();
        stranger.read(&mut [0; 16]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock).then_some(())
    });
    assert_eq!(open.count(), 64);
}

#[test]
fn a_listed_name_is_looked_up_and_its_addresses_have_room_of_their_own() {
    let world = start("[peers]\n2 = 'localhost:1'\n");
    let end = Instant::now() + Duration::from_secs(20);
    // Eight is the share of an address that is not listed; who is turned away tries again.
    let mut accepted = Vec::new();
    while accepted.len() <= 8 {
        assert!(Instant::now() < end, "the name was not looked up: {} accepted", accepted.len());
        let mut peer = TcpStream::connect(world.peers).unwrap();
        if !is_ended_soon(&mut peer) {
            assert!(matches!(world.next(), ToEnclave::Accepted { door: Door::Peer, .. }));
            accepted.push(peer);
        }
    }
}

#[test]
fn a_client_that_does_not_end_a_closed_connection_holds_its_place_for_seconds_only() {
    let world = start("connections_max = 1\n");
    let (mut client, connection) = world.connect();
    world.port.send(ToHost::Close { connection });
    assert!(is_ended(&mut client));
    let since = Instant::now();
    world.connect_when_there_is_room();
    assert!(since.elapsed() < Duration::from_secs(15), "{:?}", since.elapsed());
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
