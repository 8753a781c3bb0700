//! Listeners, dialling, and the table of open connections.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use synod_types::boundary::{ConnectionId, Door, ToEnclave, ToHost};
use synod_types::{GOVERNANCE_NAME, NodeId};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::{sleep, timeout};

use crate::connection::{Activity, Command, Pump, Stage};
use crate::doors::{Doors, Place};
use crate::hello::{HELLO_BYTES_MAX, asks_for};
use crate::peer_book::{PeerBook, Seen};
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
    book: Mutex<PeerBook>,
    /// Told when the book has changed.
    moved: Notify,
    idle_ticks_max: u64,
    next_id: AtomicU64,
    tick: Arc<AtomicU64>,
    table: Mutex<Table>,
}

struct Table {
    entries: HashMap<ConnectionId, Entry>,
    doors: Doors,
}

struct Entry {
    commands: UnboundedSender<Command>,
    activity: Arc<Activity>,
    /// Nothing for a connection that the enclave asked for.
    arrived: Option<(Door, Place)>,
}

impl Network {
    /// A network without connections.
    pub fn new(config: &NodeConfig, book: PeerBook, sink: Sink) -> Self {
        let mut doors = Doors::new(config.connections_max, config.connections_per_address_max);
        list(book.peers(), &mut doors);
        let shared = Shared {
            sink,
            book: Mutex::new(book),
            moved: Notify::new(),
            idle_ticks_max: config.idle_max().as_secs() / TICK.as_secs(),
            next_id: AtomicU64::new(2),
            tick: Arc::default(),
            table: Mutex::new(Table { entries: HashMap::new(), doors }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Accepts connections for ever.
    pub async fn accept(self, listener: TcpListener, door: Door) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.accepted(stream, remote, door),
                Err(error) => {
                    // Most likely no file descriptor is left; connections that end will give some back.
                    tracing::warn!(%error, ?door, "cannot accept a connection");
                    sleep(ACCEPT_AGAIN_AFTER).await;
                }
            }
        }
    }

    fn accepted(&self, stream: TcpStream, remote: SocketAddr, door: Door) {
        // One that is turned away is counted there, and closed as the stream is dropped.
        let Some(place) = self.table().doors.enter(door, remote) else { return };
        if place.is_for_governance() {
            tokio::spawn(self.clone().accepted_for_governance(stream, place));
        } else {
            self.begin(stream, place, door);
        }
    }

    /// Goes on with a connection once it has shown that it is for governance; others are closed.
    async fn accepted_for_governance(self, stream: TcpStream, place: Place) {
        if timeout(HELLO_TIME_MAX, is_for_governance(&stream)).await.unwrap_or(false) {
            self.begin(stream, place, Door::Client);
        } else {
            self.table().doors.turn_away(place);
        }
    }

    fn begin(&self, stream: TcpStream, place: Place, door: Door) {
        let connection = ConnectionId(self.shared.next_id.fetch_add(2, Ordering::Relaxed));
        let commands = self.enter(connection, Some((door, place)));
        (self.shared.sink)(ToEnclave::Accepted { connection, door });
        tokio::spawn(self.clone().pump(connection, stream, commands));
    }

    /// Carries out a message of the enclave that is about connections.
    pub fn handle(&self, message: ToHost) {
        match message {
            ToHost::Connect { connection, node } => self.connect(connection, node),
            ToHost::Write { connection, bytes } => self.command(connection, Command::Write(bytes)),
            ToHost::Consumed { connection, size } => self.command(connection, Command::Consumed(size)),
            ToHost::Close { connection } => self.command(connection, Command::Close),
            ToHost::Append(_)
            | ToHost::ReadLedger { .. }
            | ToHost::GovernanceHappened { .. }
            | ToHost::Stopped { .. } => {
                unreachable!("the port hands these to others")
            }
        }
    }

    /// Ends connections that were silent for too long, and tells of those that were turned away; counts time meanwhile.
    pub async fn sweep(self) {
        let mut silent_until = 0;
        loop {
            sleep(TICK).await;
            let tick = self.shared.tick.fetch_add(1, Ordering::Relaxed) + 1;
            let mut table = self.table();
            for entry in table.entries.values() {
                if entry.is_overdue(tick, self.shared.idle_ticks_max) {
                    let _ = entry.commands.send(Command::Kill);
                }
            }
            if tick >= silent_until
                && let Some(refused) = table.doors.take_refused()
            {
                silent_until = tick + REFUSED_TOLD_EVERY_TICKS;
                let (clients, peers, last) = (refused.clients, refused.peers, refused.last);
                tracing::warn!(clients, peers, ?last, "no room for connections: closed on arrival");
            }
        }
    }

    /// Learns, and learns again from time to time, where the nodes are that `node.toml` lists by name.
    pub async fn look_up_peers(self) {
        loop {
            let peers = self.book().peers().clone();
            let names = peers.into_iter().filter(|(_, address)| address.parse::<SocketAddr>().is_err());
            let mut pause = LOOK_UP_EVERY;
            for (node, name) in names {
                match lookup_host(name).await {
                    Ok(found) => self.table().doors.list(node, found.map(|address| address.ip())),
                    // Until it is known, the last answer holds.
                    Err(_) => pause = LOOK_UP_AGAIN_AFTER,
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.shared.moved.notified() => {}
            }
        }
    }

    /// Whether bytes still wait to be sent on some connection.
    pub fn has_unsent(&self) -> bool {
        self.table().entries.values().any(|entry| entry.activity.unsent.load(Ordering::Relaxed))
    }

    fn connect(&self, connection: ConnectionId, node: NodeId) {
        let network = self.clone();
        let commands = self.enter(connection, None);
        tokio::spawn(async move {
            match network.reach(node).await {
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

    /// A stream to `node`, where the book says that it is.
    async fn reach(&self, node: NodeId) -> Option<TcpStream> {
        let look = self.book().doubt(node);
        if let Some(look) = look {
            // A disk may make it wait, and nobody else has to wait with it.
            let seen = tokio::task::spawn_blocking(move || look.read()).await;
            self.learn(seen.expect("reading a file does not panic"));
        }
        let address = self.book().address(node)?;
        let stream = timeout(CONNECT_TIME_MAX, TcpStream::connect(&address)).await.ok().and_then(Result::ok);
        self.book().reached(node, stream.is_some());
        stream
    }

    /// Takes in what node.toml says now, if it has changed.
    fn learn(&self, seen: Option<Seen>) {
        let mut book = self.book();
        if seen.is_some_and(|seen| book.take(seen)) {
            let mut table = self.table();
            table.doors.list_only(|node| book.peers().contains_key(&node));
            list(book.peers(), &mut table.doors);
            self.shared.moved.notify_one();
        }
    }

    fn book(&self) -> MutexGuard<'_, PeerBook> {
        self.shared.book.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn enter(&self, connection: ConnectionId, arrived: Option<(Door, Place)>) -> UnboundedReceiver<Command> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let activity = Arc::new(Activity::default());
        activity.moved.store(self.shared.tick.load(Ordering::Relaxed), Ordering::Relaxed);
        self.table().entries.insert(connection, Entry { commands, activity, arrived });
        receiver
    }

    fn leave(&self, connection: ConnectionId) {
        let mut table = self.table();
        if let Some((_, place)) = table.entries.remove(&connection).and_then(|entry| entry.arrived) {
            table.doors.leave(place);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the doors of the addresses. Names are looked up later; addresses are known from the first connection on.
fn list(peers: &BTreeMap<NodeId, String>, doors: &mut Doors) {
    for (node, address) in peers {
        if let Ok(address) = address.parse::<SocketAddr>() {
            doors.list(*node, [address.ip()]);
        }
    }
}

impl Entry {
    /// Whether nothing has moved for longer than this connection may be silent.
    fn is_overdue(&self, tick: u64, idle_ticks_max: u64) -> bool {
        let allowed = match (self.activity.stage(), &self.arrived) {
            (Stage::Quiet, Some((Door::Client, _))) => idle_ticks_max,
            // Nodes tell each other that they live; the enclave ends a silent channel itself.
            (Stage::Quiet, _) => return false,
            (Stage::Waiting, _) => STALL_TICKS_MAX,
            (Stage::Lingering, _) => LINGER_TICKS_MAX,
        };
        tick.saturating_sub(self.activity.moved.load(Ordering::Relaxed)) > allowed
    }
}

/// Whether the first bytes that come ask for governance. They are left where they are.
async fn is_for_governance(stream: &TcpStream) -> bool {
    let mut hello = vec![0; HELLO_BYTES_MAX];
    while let Ok(size @ 1..) = stream.peek(&mut hello).await {
        if let Some(asks) = asks_for(&hello[..size], GOVERNANCE_NAME) {
            return asks;
        }
        // What has come stays readable, so that there is nothing to wait for but time.
        sleep(PEEK_AGAIN_AFTER).await;
    }
    false
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

/// How long a connection may take to show that it is for governance: a client speaks first in TLS.
const HELLO_TIME_MAX: Duration = Duration::from_secs(2);

/// How long to wait for the rest of a first message that has come in part.
const PEEK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How often it is told how many connections were turned away.
const REFUSED_TOLD_EVERY_TICKS: u64 = 60;

/// How often the names of peers are looked up: nodes move rarely.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);

/// How long to wait when a name is not known: after a start of the machine, names may be known later than addresses.
const LOOK_UP_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How long to wait for an answer when dialling. Beyond that an election is likely under way anyway.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(3);

/// How long to wait when a connection could not be accepted.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);
