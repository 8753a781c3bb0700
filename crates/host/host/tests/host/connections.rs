//! What goes over a connection, and how one ends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

use synod_types::NodeId;
use synod_types::boundary::{CONNECTION_WINDOW_BYTES, ConnectionId, Door, ToEnclave, ToHost};

use crate::world::{start, start_from_file, start_in, write_settings};

#[test]
fn bytes_go_both_ways_and_a_close_sends_what_is_left() {
    let world = start("");
    let (mut client, connection) = world.connect();
    client.write_all(b"question").unwrap();
    assert_eq!(world.received(connection, 8), b"question");
    world.write(connection, "answer, ");
    world.write(connection, "and more");
    world.port.send(ToHost::Close { connection });
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert_eq!(all, "answer, and more");
}

#[test]
fn a_client_is_read_no_further_than_its_window_until_the_enclave_has_consumed() {
    let world = start("");
    let (mut client, connection) = world.connect();
    let writer = std::thread::spawn(move || {
        client.write_all(&vec![7; 3 * CONNECTION_WINDOW_BYTES]).unwrap();
        client
    });
    assert_eq!(world.received(connection, CONNECTION_WINDOW_BYTES).len(), CONNECTION_WINDOW_BYTES);
    // Another connection is served meanwhile, and the first has sent nothing more when it is.
    let (mut other, other_connection) = world.connect();
    other.write_all(b"x").unwrap();
    assert_eq!(world.received(other_connection, 1), b"x");
    for _ in 0..2 {
        world.port.send(ToHost::Consumed { connection, size: CONNECTION_WINDOW_BYTES });
        assert_eq!(world.received(connection, CONNECTION_WINDOW_BYTES).len(), CONNECTION_WINDOW_BYTES);
    }
    writer.join().unwrap();
}

#[test]
fn a_client_that_has_said_its_last_gets_its_answer() {
    let world = start("");
    let (mut client, connection) = world.connect();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(world.received(connection, 8), b"question");
    assert!(matches!(world.next(), ToEnclave::Ended { connection: ended } if ended == connection));
    world.write(connection, "answer");
    world.port.send(ToHost::Close { connection });
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    assert_eq!(all, "answer");
}

#[test]
fn a_client_that_goes_without_a_word_is_told_and_then_noticed_by_the_next_answer() {
    let world = start("");
    let (client, connection) = world.connect();
    drop(client);
    assert!(matches!(world.next(), ToEnclave::Ended { connection: ended } if ended == connection));
    loop {
        world.write(connection, vec![0; 1_000]);
        match world.next() {
            ToEnclave::Written { .. } => {}
            ToEnclave::Closed { connection: closed } => break assert_eq!(closed, connection),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_host_reaches_another_and_says_so_and_says_if_it_cannot() {
    let far = start("");
    let near = start_in(tempfile::tempdir().unwrap(), "", Some(far.peers));
    let connection = ConnectionId(1);
    near.port.send(ToHost::Connect { connection, node: NodeId(2) });
    assert!(matches!(near.next(), ToEnclave::Connected { connection: ConnectionId(1) }));
    let ToEnclave::Accepted { connection: accepted, door: Door::Peer } = far.next() else { panic!("not accepted") };
    near.write(connection, "to you");
    assert_eq!(far.received(accepted, 6), b"to you");
    far.write(accepted, "and back");
    assert_eq!(near.received(connection, 8), b"and back");

    let unknown = ConnectionId(3);
    near.port.send(ToHost::Connect { connection: unknown, node: NodeId(9) });
    assert!(matches!(near.next(), ToEnclave::Closed { connection } if connection == unknown));

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alone = start_in(tempfile::tempdir().unwrap(), "", Some(nobody));
    alone.port.send(ToHost::Connect { connection, node: NodeId(2) });
    assert!(matches!(alone.next(), ToEnclave::Closed { connection: ConnectionId(1) }));
}

#[test]
fn a_node_that_comes_into_node_toml_is_reached_without_a_restart() {
    let far = start("");
    let near = start_from_file(tempfile::tempdir().unwrap(), "");
    near.port.send(ToHost::Connect { connection: ConnectionId(1), node: NodeId(2) });
    assert!(matches!(near.next(), ToEnclave::Closed { connection: ConnectionId(1) }));
    write_settings(&near.directory, "[peers]\n2 = 'not an address'\nthree = 'x:1'\n");
    near.port.send(ToHost::Connect { connection: ConnectionId(3), node: NodeId(2) });
    assert!(matches!(near.next(), ToEnclave::Closed { connection: ConnectionId(3) }));
    write_settings(&near.directory, &format!("[peers]\n2 = '{}'\n", far.peers));
    near.port.send(ToHost::Connect { connection: ConnectionId(5), node: NodeId(2) });
    assert!(matches!(near.next(), ToEnclave::Connected { connection: ConnectionId(5) }));
}
