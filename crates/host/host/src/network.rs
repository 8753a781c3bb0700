//! Listeners, dialling, and the table of open connections.

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use synod_types::boundary::{ConnectionId, Door, ToEnclave, ToHost};
use synod_types::{NodeId, limits};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};

use crate::connection::{Activity, Command, Pump, Stage};
use crate::{HostError, NodeConfig};

/// Where messages for the enclave go.
pub type Sink = Arc<dyn Fn(ToEnclave) + Send + Sync>;

/// All connections of a host. Cheap to clone.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    sink: Sink,
    peers: BTreeMap<NodeId, String>,
    limits: Limits,
    next_id: AtomicU64,
    tick: Arc<AtomicU64>,
    table: Mutex<Table>,
}

/// What is refused or ended.
#[derive(Clone, Copy, Debug)]
struct Limits {
    clients_max: usize,
    idle_ticks_max: u64,
}

#[derive(Default)]
struct Table {
    entries: HashMap<ConnectionId, Entry>,
    clients: usize,
    peers: usize,
}

struct Entry {
    commands: UnboundedSender<Command>,
    activity: Arc<Activity>,
    /// Nothing for a connection that the enclave asked for.
    door: Option<Door>,
}

impl Network {
    /// A network without connections.
    pub fn new(config: &NodeConfig, sink: Sink) -> Self {
        let limits = Limits {
            clients_max: config.connections_max,
            idle_ticks_max: config.idle_max().as_secs() / TICK.as_secs(),
        };
        let shared = Shared {
            sink,
            peers: config.peers.clone(),
            limits,
            next_id: AtomicU64::new(2),
            tick: Arc::default(),
            table: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Accepts connections for ever.
    pub async fn accept(self, listener: TcpListener, door: Door) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => self.accepted(stream, door),
                Err(error) => {
                    // Most likely no file descriptor is left; connections that end will give some back.
                    tracing::warn!(%error, ?door, "cannot accept a connection");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }

    fn accepted(&self, stream: TcpStream, door: Door) {
        let connection = ConnectionId(self.shared.next_id.fetch_add(2, Ordering::Relaxed));
        match self.enter(connection, Some(door)) {
            Some(commands) => {
                (self.shared.sink)(ToEnclave::Accepted { connection, door });
                tokio::spawn(self.clone().pump(connection, stream, commands));
            }
            None => tracing::debug!(?door, "too many connections: closed on arrival"),
        }
    }

    /// Carries out a message of the enclave that is about connections.
    pub fn handle(&self, message: ToHost) {
        match message {
            ToHost::Connect { connection, node } => self.connect(connection, node),
            ToHost::Write { connection, bytes } => self.command(connection, Command::Write(bytes)),
            ToHost::Consumed { connection, size } => self.command(connection, Command::Consumed(size)),
            ToHost::Close { connection } => self.command(connection, Command::Close),
            ToHost::Append(_) | ToHost::ReadLedger { .. } | ToHost::Stopped { .. } => {
                unreachable!("the port hands these to others")
            }
        }
    }

    /// Ends connections that were silent for too long; counts time meanwhile.
    pub async fn sweep(self) {
        loop {
            sleep(TICK).await;
            let tick = self.shared.tick.fetch_add(1, Ordering::Relaxed) + 1;
            for entry in self.table().entries.values() {
                let silent = tick.saturating_sub(entry.activity.moved.load(Ordering::Relaxed));
                let allowed = match (entry.activity.stage(), entry.door) {
                    (Stage::Quiet, Some(Door::Client)) => self.shared.limits.idle_ticks_max,
                    // Nodes tell each other that they live; the enclave ends a silent channel itself.
                    (Stage::Quiet, _) => u64::MAX,
                    (Stage::Waiting, _) => STALL_TICKS_MAX,
                    (Stage::Lingering, _) => LINGER_TICKS_MAX,
                };
                if silent > allowed {
                    let _ = entry.commands.send(Command::Kill);
                }
            }
        }
    }

    /// Whether bytes still wait to be sent on some connection.
    pub fn has_unsent(&self) -> bool {
        self.table().entries.values().any(|entry| entry.activity.unsent.load(Ordering::Relaxed))
    }

    fn connect(&self, connection: ConnectionId, node: NodeId) {
        let network = self.clone();
        let address = self.shared.peers.get(&node).cloned();
        let Some(commands) = self.enter(connection, None) else {
            return (self.shared.sink)(ToEnclave::Closed { connection });
        };
        tokio::spawn(async move {
            let stream = match address {
                Some(address) => {
                    timeout(CONNECT_TIME_MAX, TcpStream::connect(&address)).await.ok().and_then(Result::ok)
                }
                None => {
                    tracing::warn!(%node, "node.toml has no address for this peer");
                    None
                }
            };
            match stream {
                Some(stream) => {
                    (network.shared.sink)(ToEnclave::Connected { connection });
                    network.pump(connection, stream, commands).await;
                }
                None => {
                    network.leave(connection);
                    (network.shared.sink)(ToEnclave::Closed { connection });
                }
            }
        });
    }

    async fn pump(self, id: ConnectionId, stream: TcpStream, commands: UnboundedReceiver<Command>) {
        // Answers are written in bursts already; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let activity = self.table().entries.get(&id).map(|entry| Arc::clone(&entry.activity)).unwrap_or_default();
        let tick = Arc::clone(&self.shared.tick);
        Pump { id, stream, commands, sink: Arc::clone(&self.shared.sink), activity, tick }.run().await;
        self.leave(id);
    }

    fn command(&self, connection: ConnectionId, command: Command) {
        if let Some(entry) = self.table().entries.get(&connection) {
            if let Command::Write(_) = &command {
                entry.activity.unsent.store(true, Ordering::Relaxed);
            }
            // A connection that is just ending takes no more; the enclave hears of its end.
            let _ = entry.commands.send(command);
        }
    }

    /// Makes room in the table; `None` if there is none.
    fn enter(&self, connection: ConnectionId, door: Option<Door>) -> Option<UnboundedReceiver<Command>> {
        let mut table = self.table();
        match door {
            Some(Door::Client) if table.clients >= self.shared.limits.clients_max => return None,
            Some(Door::Peer) if table.peers >= PEER_CONNECTIONS_MAX => return None,
            Some(Door::Client) => table.clients += 1,
            Some(Door::Peer) => table.peers += 1,
            None => {}
        }
        let (commands, receiver) = mpsc::unbounded_channel();
        let activity = Arc::new(Activity::default());
        activity.moved.store(self.shared.tick.load(Ordering::Relaxed), Ordering::Relaxed);
        table.entries.insert(connection, Entry { commands, activity, door });
        Some(receiver)
    }

    fn leave(&self, connection: ConnectionId) {
        let mut table = self.table();
        match table.entries.remove(&connection).and_then(|entry| entry.door) {
            Some(Door::Client) => table.clients -= 1,
            Some(Door::Peer) => table.peers -= 1,
            None => {}
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a port now, so that a wrong address fails at start.
pub fn listen(address: &str) -> Result<StdListener, HostError> {
    let refused = |source| HostError::AddressNotAvailable { address: address.into(), source };
    let listener = StdListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// How often silence is looked for.
const TICK: Duration = Duration::from_secs(1);

/// How long a connection may take none of the bytes that wait for it, and how long one whose other side has nothing
/// more to send may wait for an answer: longer than a request is worked on.
const STALL_TICKS_MAX: u64 = 30;

/// How long the other side may take to end a connection once everything is sent. It only has to notice; and a stranger
/// holds a place meanwhile.
const LINGER_TICKS_MAX: u64 = 5;

/// How long to wait for an answer when dialling. Beyond that an election is likely under way anyway.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// How long to wait when a connection could not be accepted.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The most connections at the peer door: each node needs one, and may leave some half-open behind.
const PEER_CONNECTIONS_MAX: usize = 4 * limits::NODES_MAX;
