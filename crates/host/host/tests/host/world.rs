//! A running host.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use synod_host::{Host, HostError, HostPort, NodeConfig};
use synod_types::boundary::{ConnectionId, Door, EntryKind, LogRecord, Restart, ToEnclave, ToHost};
use synod_types::{LogIndex, NodeId, Seqno, View};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

/// A running host.
pub struct World {
    pub directory: TempDir,
    pub port: HostPort,
    pub messages: Receiver<ToEnclave>,
    pub clients: SocketAddr,
    pub peers: SocketAddr,
    pub stop: Option<oneshot::Sender<()>>,
    pub ended: JoinHandle<Result<String, HostError>>,
}

const SETTINGS: &str = "network = '00000000000000000000000000000000000000000000000000000000000000aa'
client_address = '127.0.0.1:0'
peer_address = '127.0.0.1:0'
";

pub fn config(directory: &TempDir, more: &str) -> NodeConfig {
    let directory = directory.path().display();
    NodeConfig::parse(&format!("{SETTINGS}directory = '{directory}/ledger'\n{more}")).unwrap()
}

pub fn start(more: &str) -> World {
    start_in(tempfile::tempdir().unwrap(), more, None)
}

pub fn start_in(directory: TempDir, more: &str, peer: Option<SocketAddr>) -> World {
    let mut host = Host::open(config(&directory, more)).unwrap();
    if let Some(peer) = peer {
        host.set_peer(NodeId(2), peer.to_string());
    }
    run(directory, host)
}

/// A host whose settings lie in a file in the directory.
pub fn start_from_file(directory: TempDir, more: &str) -> World {
    write_settings(&directory, more);
    let host = Host::open(NodeConfig::load(&directory.path().join("node.toml")).unwrap()).unwrap();
    run(directory, host)
}

/// Writes the file anew.
pub fn write_settings(directory: &TempDir, more: &str) {
    let (file, draft) = (directory.path().join("node.toml"), directory.path().join("draft"));
    std::fs::write(&draft, format!("{SETTINGS}directory = 'ledger'\n{more}")).unwrap();
    std::fs::rename(draft, file).unwrap();
}

fn run(directory: TempDir, host: Host) -> World {
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
    pub fn next(&self) -> ToEnclave {
        self.messages.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// Connects a client, and gives the enclave's name for it.
    pub fn connect(&self) -> (TcpStream, ConnectionId) {
        let stream = TcpStream::connect(self.clients).unwrap();
        match self.next() {
            ToEnclave::Accepted { connection, door: Door::Client } => (stream, connection),
            other => panic!("{other:?}"),
        }
    }

    pub fn connect_from(&self, address: [u8; 4]) -> (TcpStream, ConnectionId) {
        let stream = connect_from(address, self.clients);
        match self.next() {
            ToEnclave::Accepted { connection, door: Door::Client } => (stream, connection),
            other => panic!("{other:?}"),
        }
    }

    /// Connects again and again until `count` connections more were accepted, and gives all of them, or panics.
    pub fn connect_until_accepted(&self, to: SocketAddr, count: usize) -> Vec<TcpStream> {
        let end = Instant::now() + Duration::from_secs(60);
        let (mut streams, mut accepted) = (Vec::new(), 0);
        while accepted < count {
            assert!(Instant::now() < end, "{accepted} of {} were accepted, not {count}", streams.len());
            streams.push(TcpStream::connect(to).unwrap());
            while let Ok(message) = self.messages.recv_timeout(Duration::from_millis(50)) {
                accepted += usize::from(matches!(message, ToEnclave::Accepted { .. }));
            }
        }
        streams
    }

    pub fn write(&self, connection: ConnectionId, bytes: impl Into<Bytes>) {
        self.port.send(ToHost::Write { connection, bytes: bytes.into() });
    }

    /// Bytes that came from `connection`, at least `size` of them.
    pub fn received(&self, connection: ConnectionId, size: usize) -> Vec<u8> {
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

    pub fn stop(mut self) -> (String, TempDir) {
        let _ = self.stop.take().unwrap().send(());
        while !matches!(self.next(), ToEnclave::Shutdown) {}
        self.port.send(ToHost::Stopped { reason: "as asked".into(), restart: Restart::Allowed });
        (self.ended.join().unwrap().unwrap(), self.directory)
    }
}

/// Connects from an address of this machine that may be another than the usual one.
pub fn connect_from(address: [u8; 4], to: SocketAddr) -> TcpStream {
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

/// Whether the other side has ended the connection: by an end or by a reset.
pub fn is_ended(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(size) => size == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

pub fn record(index: u64) -> LogRecord {
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
