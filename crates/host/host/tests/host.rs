//! A host over real sockets and files, with the test in the enclave's place.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use synod_host::{Host, HostError, HostPort, LedgerError, NodeConfig};
use synod_types::boundary::{
    Append, CONNECTION_WINDOW_BYTES, ConnectionId, Door, EntryKind, LedgerRange, LogRecord, Restart, Ticket, ToEnclave,
    ToHost,
};
use synod_types::{LogIndex, NodeId, Seqno, View};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

/// A running host.
struct World {
    directory: TempDir,
    port: HostPort,
    messages: Receiver<ToEnclave>,
    clients: SocketAddr,
    peers: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<String, HostError>>,
}

const SETTINGS: &str = "network = '00000000000000000000000000000000000000000000000000000000000000aa'
client_address = '127.0.0.1:0'
peer_address = '127.0.0.1:0'
";

fn config(directory: &TempDir, more: &str) -> NodeConfig {
    let directory = directory.path().display();
    NodeConfig::parse(&format!("{SETTINGS}directory = '{directory}/ledger'\n{more}")).unwrap()
}

fn start(more: &str) -> World {
    start_in(tempfile::tempdir().unwrap(), more, None)
}

fn start_in(directory: TempDir, more: &str, peer: Option<SocketAddr>) -> World {
    let mut host = Host::open(config(&directory, more)).unwrap();
    if let Some(peer) = peer {
        host.set_peer(NodeId(2), peer.to_string());
    }
    let (sender, messages) = channel();
    let (stop, asked) = oneshot::channel();
    let (port, clients, peers) = (host.port(), host.client_address().unwrap(), host.peer_address().unwrap());
    let ended = std::thread::spawn(move || {
        // A test that does not ask to stop keeps the sender until its end.
        host.run(move |message| drop(sender.send(message)), async { asked.await.unwrap_or(()) })
    });
    World { directory, port, messages, clients, peers, stop: Some(stop), ended }
}

impl World {
    fn next(&self) -> ToEnclave {
        self.messages.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Connects a client, and gives the enclave's name for it.
    fn connect(&self) -> (TcpStream, ConnectionId) {
        let stream = TcpStream::connect(self.clients).unwrap();
        match self.next() {
            ToEnclave::Accepted { connection, door: Door::Client } => (stream, connection),
            other => panic!("{other:?}"),
        }
    }

    fn connect_from(&self, address: [u8; 4]) -> (TcpStream, ConnectionId) {
        let stream = connect_from(address, self.clients);
        match self.next() {
            ToEnclave::Accepted { connection, door: Door::Client } => (stream, connection),
            other => panic!("{other:?}"),
        }
    }

    /// Connects again and again until the host does not close at once.
    fn connect_when_there_is_room(&self) -> TcpStream {
        loop {
            let mut stream = TcpStream::connect(self.clients).unwrap();
            if !is_ended_soon(&mut stream) {
                return stream;
            }
        }
    }

    fn write(&self, connection: ConnectionId, bytes: impl Into<Bytes>) {
        self.port.send(ToHost::Write { connection, bytes: bytes.into() });
    }

    /// Bytes that came from `connection`, at least `size` of them.
    fn received(&self, connection: ConnectionId, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < size {
            match self.next() {
                ToEnclave::Received { connection: from, bytes } if from == connection => {
                    all.extend_from_slice(&bytes.check(Ok::<_, ()>).unwrap());
                }
                ToEnclave::Written { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        all
    }

    fn stop(mut self) -> (String, TempDir) {
        let _ = self.stop.take().unwrap().send(());
        while !matches!(self.next(), ToEnclave::Shutdown) {}
        self.port.send(ToHost::Stopped { reason: "as asked".into(), restart: Restart::Allowed });
        (self.ended.join().unwrap().unwrap(), self.directory)
    }
}

/// Connects from an address of this machine that may be another than the usual one.
fn connect_from(address: [u8; 4], to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::from(address), 0).into())?;
        socket.connect(to).await?.into_std()
    });
    let stream = stream.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

/// Whether the host turns this connection away, which it does on arrival.
fn is_ended_soon(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    !stream.read(&mut [0; 16]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Whether the other side has ended the connection: by an end or by a reset.
fn is_ended(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(size) => size == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn record(index: u64) -> LogRecord {
    let payload = Bytes::from(format!("block {index}"));
    LogRecord {
        index: LogIndex(index),
        view: View(1),
        kind: EntryKind::Block,
        first_seqno: Seqno(index),
        count: 1,
        payload,
    }
}

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
fn records_are_filed_before_they_are_reported_and_are_there_after_a_restart() {
    for durability in ["disk", "memory"] {
        let settings = format!("durability = '{durability}'\n");
        let world = start(&settings);
        let vote = Some(Bytes::from_static(b"vote"));
        world.port.send(ToHost::Append(Append {
            ticket: Ticket(5),
            truncate_from: None,
            records: vec![record(1), record(2)],
            vote,
        }));
        assert!(matches!(world.next(), ToEnclave::Persisted { ticket: Ticket(5) }));
        world.port.send(ToHost::ReadLedger { ticket: Ticket(6), range: LedgerRange::Covering(Seqno(2)) });
        let ToEnclave::LedgerRead { ticket: Ticket(6), records: Ok(read) } = world.next() else { panic!("not read") };
        assert_eq!(read[0].clone().check(Ok::<_, ()>).unwrap(), record(2));
        world.port.send(ToHost::ReadLedger { ticket: Ticket(7), range: LedgerRange::Covering(Seqno(3)) });
        assert!(matches!(world.next(), ToEnclave::LedgerRead { ticket: Ticket(7), records: Err(_) }));

        let (reason, directory) = world.stop();
        assert_eq!(reason, "as asked");
        let host = Host::open(config(&directory, &settings)).unwrap();
        let records: Vec<_> = host.records().map(|record| record.unwrap().check(Ok::<_, ()>).unwrap()).collect();
        assert_eq!(records, [record(1), record(2)]);
        assert_eq!(host.vote().unwrap().unwrap().check(Ok::<_, ()>), Ok(Bytes::from_static(b"vote")));
    }
}

#[test]
fn a_failed_write_stops_the_host_and_is_not_reported_as_persisted() {
    let world = start("");
    // A record that does not continue the ledger is the failure at hand that needs no broken disk.
    world.port.send(ToHost::Append(Append { ticket: Ticket(1), records: vec![record(1)], ..Append::default() }));
    assert!(matches!(world.next(), ToEnclave::Persisted { .. }));
    world.port.send(ToHost::Append(Append { ticket: Ticket(2), records: vec![record(7)], ..Append::default() }));
    assert!(matches!(world.ended.join().unwrap(), Err(HostError::Ledger(_))));
    assert!(world.messages.try_iter().next().is_none());
}

#[test]
fn after_a_failed_sync_the_directory_is_not_started_from_until_the_mark_is_removed() {
    // What is written to /dev/null cannot be synced: shown for the vote, and for the chunk that is appended to.
    let vote = Append { vote: Some(Bytes::from_static(b"vote")), ..Append::default() };
    let records = Append { records: vec![record(2)], ..Append::default() };
    for (file, append) in [("vote.new", vote), ("ledger_00000000000000000001.chunk", records)] {
        let world = start("");
        world.port.send(ToHost::Append(Append { records: vec![record(1)], ..Append::default() }));
        assert!(matches!(world.next(), ToEnclave::Persisted { .. }));
        let (_, directory) = world.stop();
        let ledger = directory.path().join("ledger");
        let whole = std::fs::read(ledger.join("ledger_00000000000000000001.chunk")).unwrap();

        let world = start_in(directory, "", None);
        let _ = std::fs::remove_file(ledger.join(file));
        std::os::unix::fs::symlink("/dev/null", ledger.join(file)).unwrap();
        world.port.send(ToHost::Append(append));
        let error = world.ended.join().unwrap().unwrap_err();
        assert!(matches!(error, HostError::Ledger(LedgerError::SyncFailed { .. })) && error.is_final(), "{error}");
        assert!(world.messages.try_iter().next().is_none(), "not persisted");

        std::fs::remove_file(ledger.join(file)).unwrap();
        std::fs::write(ledger.join("ledger_00000000000000000001.chunk"), whole).unwrap();
        let error = Host::open(config(&world.directory, "")).unwrap_err();
        assert!(matches!(&error, HostError::StartForbidden { text, .. } if text.contains("cannot sync")), "{error}");
        std::fs::remove_file(ledger.join("refused")).unwrap();
        start_in(world.directory, "", None).stop();
    }
}

#[test]
fn a_node_that_the_network_refuses_is_not_started_from_the_same_disk_again() {
    let world = start("");
    let reason = "the disk was rolled back".to_owned();
    world.port.send(ToHost::Stopped { reason, restart: Restart::Refused });
    let error = world.ended.join().unwrap().unwrap_err();
    assert!(matches!(&error, HostError::SlotRefused { reason } if reason == "the disk was rolled back"), "{error}");
    let error = Host::open(config(&world.directory, "")).unwrap_err();
    assert!(matches!(&error, HostError::StartForbidden { text, .. } if text.contains("rolled back")), "{error}");
}

#[test]
fn two_hosts_do_not_share_a_directory_and_a_taken_port_is_named() {
    let world = start("");
    assert!(matches!(Host::open(config(&world.directory, "")), Err(HostError::Ledger(_))));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut settings = config(&tempfile::tempdir().unwrap(), "");
    settings.client_address.clone_from(&address);
    let error = Host::open(settings).unwrap_err();
    assert!(matches!(&error, HostError::AddressNotAvailable { address: named, .. } if *named == address), "{error}");
}

#[test]
fn what_crosses_the_boundary_is_recorded_if_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("boundary");
    let world = start(&format!("record_boundary = '{}'\n", file.display()));
    let (mut client, connection) = world.connect();
    client.write_all(b"came in").unwrap();
    world.received(connection, 7);
    world.write(connection, "went out");
    world.port.send(ToHost::Append(Append { ticket: Ticket(1), records: vec![record(1)], ..Append::default() }));
    client.read_exact(&mut [0; 8]).unwrap();
    world.stop();
    let recorded = std::fs::read(&file).unwrap();
    for bytes in [&b"came in"[..], b"went out", b"block 1"] {
        assert!(recorded.windows(bytes.len()).any(|window| window == bytes), "{bytes:?}");
    }
}
