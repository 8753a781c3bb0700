//! The thread of the sessions: feeds what the host sends to connections, and answers to requests.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::{ClientConfig, ServerConfig};
use synod_node::{QueryAnswer, Refusal, Response};
use synod_types::boundary::{ConnectionId, Door, ToEnclave, ToHost};
use synod_types::{ActorId, NodeId, Seqno};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::door::{self, Protocol};
use crate::mailbox::Event;
use crate::peers::{DIAL_PAUSE, Peers};
use crate::service::Service;
use crate::stream::{Feed, HostSink, Stream, stream};
use crate::tls::{NodeKeys, dial_name, key_id};

/// What the thread of the sessions is told.
#[derive(Debug)]
pub enum ToHub {
    /// By the host, about connections.
    Host(ToEnclave),
    /// By the node: answers to requests.
    Responses(Vec<Response>),
    /// By the node: the answer to a query.
    Answer {
        /// The query's token.
        token: u64,
        /// The answer.
        result: Result<QueryAnswer, Refusal>,
    },
    /// By the worker: a snapshot that someone waits for is there.
    Published,
    /// By the node: it has stopped, and nothing comes after this.
    Stop,
}

/// What the sessions need to begin.
pub struct Hub {
    /// What all sessions share.
    pub service: Arc<Service>,
    /// Where messages for the host go.
    pub host: HostSink,
    /// The channels to other nodes.
    pub peers: Arc<Peers>,
    /// The keys of the nodes.
    pub nodes: Arc<NodeKeys>,
    /// For the door of clients.
    pub client_door: Arc<ServerConfig>,
    /// For the door of nodes.
    pub peer_door: Arc<ServerConfig>,
    /// For each node that is dialled.
    pub dial: Vec<(NodeId, Arc<ClientConfig>)>,
}

/// The connections that stand or are being made.
#[derive(Default)]
struct Connections {
    entries: Mutex<HashMap<ConnectionId, Entry>>,
    last_dialled: AtomicU64,
}

struct Entry {
    feed: Feed,
    /// Told when a connection that was asked for stands.
    connected: Option<oneshot::Sender<()>>,
}

/// Answers that wait for the snapshot that holds their writes.
struct Held {
    upto: Seqno,
    since: Instant,
    responses: Vec<Response>,
}

/// What every task of the thread shares.
struct Shared {
    hub: Hub,
    connections: Connections,
}

impl Hub {
    /// Serves until told to stop.
    pub async fn run(self, mut messages: UnboundedReceiver<ToHub>) {
        let shared = Arc::new(Shared { hub: self, connections: Connections::default() });
        for (node, config) in &shared.hub.dial {
            tokio::spawn(dial(Arc::clone(&shared), *node, Arc::clone(config)));
        }
        let mut held = Vec::new();
        let mut batch = Vec::new();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                count = messages.recv_many(&mut batch, MESSAGES_AT_ONCE) => {
                    for message in batch.drain(..) {
                        if let ToHub::Stop = message {
                            return shared.finish(&mut held).await;
                        }
                        shared.take(message, &mut held);
                    }
                    if count == 0 {
                        return;
                    }
                }
                _ = tick.tick() => shared.expire(&mut held),
            }
        }
    }
}

impl Shared {
    fn take(self: &Arc<Self>, message: ToHub, held: &mut Vec<Held>) {
        let service = &self.hub.service;
        match message {
            ToHub::Host(message) => self.from_host(message),
            ToHub::Responses(responses) => {
                let upto = responses.iter().filter_map(|response| response.result.as_ref().ok());
                let upto = upto.map(|answer| answer.txid.seqno).max().unwrap_or_default();
                // An answer may be read back: it waits until reads can see what it tells.
                if service.waits.add(upto, HUB_TOKEN, || service.reader.latest().seqno) {
                    held.push(Held { upto, since: Instant::now(), responses });
                } else {
                    self.deliver(responses);
                }
            }
            ToHub::Answer { token, result } => {
                if !service.answered_read_index(token, &result) {
                    service.office.deliver(token, Event::Answer(result));
                }
            }
            ToHub::Published => {
                let published = service.reader.latest().seqno;
                for token in service.waits.take_reached(published) {
                    service.office.deliver(token, Event::Reached);
                }
                for held in held.extract_if(.., |held| held.upto <= published) {
                    self.deliver(held.responses);
                }
            }
            ToHub::Stop => unreachable!("taken before"),
        }
    }

    fn deliver(&self, responses: Vec<Response>) {
        for Response { token, result } in responses {
            self.hub.service.office.deliver(token, Event::Response(result));
        }
    }

    /// Ends waits that took too long. Held answers are given all the same: their writes are committed.
    fn expire(&self, held: &mut Vec<Held>) {
        let now = Instant::now();
        for token in self.hub.service.waits.take_expired(now) {
            self.hub.service.office.deliver(token, Event::Expired);
        }
        for held in held.extract_if(.., |held| now.duration_since(held.since) >= HELD_TIME_MAX) {
            self.deliver(held.responses);
        }
    }

    /// Lets sessions write the answers that they have.
    async fn finish(&self, held: &mut Vec<Held>) {
        for held in held.drain(..) {
            self.deliver(held.responses);
        }
        for _ in 0..FINISH_ROUNDS {
            tokio::task::yield_now().await;
        }
    }

    fn from_host(self: &Arc<Self>, message: ToEnclave) {
        match message {
            ToEnclave::Accepted { connection, door } => self.accepted(connection, door),
            ToEnclave::Connected { connection } => {
                let mut entries = self.connections.lock();
                if let Some(connected) = entries.get_mut(&connection).and_then(|entry| entry.connected.take()) {
                    // If the dialler gave up meanwhile, it has closed the connection.
                    let _ = connected.send(());
                }
            }
            ToEnclave::Received { connection, bytes } => {
                // Any bytes may come here: TLS is what checks them.
                let Ok(bytes) = bytes.check(Ok::<Bytes, std::convert::Infallible>);
                self.connections.feed(connection, |feed| feed.received(bytes));
            }
            ToEnclave::Written { connection, size } => self.connections.feed(connection, |feed| feed.written(size)),
            ToEnclave::Ended { connection } => self.connections.feed(connection, Feed::ended),
            ToEnclave::Closed { connection } => {
                if let Some(entry) = self.connections.lock().remove(&connection) {
                    entry.feed.closed();
                }
            }
            ToEnclave::Persisted { .. } | ToEnclave::LedgerRead { .. } | ToEnclave::Shutdown => {
                unreachable!("the port hands these to the manager")
            }
        }
    }

    fn accepted(self: &Arc<Self>, connection: ConnectionId, door: Door) {
        let is_new = connection.0.is_multiple_of(2) && !self.connections.lock().contains_key(&connection);
        if !is_new {
            // A host that numbers its connections wrongly is told nothing and gets nothing.
            return;
        }
        let (stream, guard) = self.open(connection, None);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let _guard = guard;
            let result = match door {
                Door::Client => shared.serve_client(stream).await,
                Door::Peer => shared.serve_peer(stream).await,
            };
            if let Err(error) = result {
                tracing::debug!(%error, ?door, "connection ended");
            }
        });
    }

    fn open(self: &Arc<Self>, id: ConnectionId, connected: Option<oneshot::Sender<()>>) -> (Stream, Guard) {
        let (stream, feed) = stream(id, Arc::clone(&self.hub.host));
        self.connections.lock().insert(id, Entry { feed, connected });
        (stream, Guard { shared: Arc::clone(self), id })
    }

    async fn serve_client(&self, stream: Stream) -> io::Result<()> {
        let metrics = &self.hub.service.metrics;
        let accepting = TlsAcceptor::from(Arc::clone(&self.hub.client_door)).accept(stream);
        let tls = timeout(HANDSHAKE_TIME_MAX, accepting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let tls = tls.inspect_err(|_| metrics.handshakes_failed.count())?;
        metrics.connections.count();
        let connection = tls.get_ref().1;
        let actor = peer_key(connection.peer_certificates())?;
        let is_h2 = connection.alpn_protocol() == Some(b"h2");
        let protocol = if is_h2 { Protocol::Http2 } else { Protocol::Http1 };
        door::serve(tls, Arc::clone(&self.hub.service), actor, protocol).await
    }

    async fn serve_peer(&self, stream: Stream) -> io::Result<()> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.hub.peer_door)).accept(stream);
        let tls = timeout(HANDSHAKE_TIME_MAX, accepting).await??;
        let peer = self.hub.nodes.find(peer_key(tls.get_ref().1.peer_certificates())?);
        let peer = peer.filter(|peer| self.hub.peers.may_dial(*peer));
        let peer = peer.ok_or_else(|| io::Error::other("this node is not one that dials"))?;
        self.carry(peer, tls).await
    }

    async fn carry<S>(&self, peer: NodeId, tls: S) -> io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        tracing::info!(%peer, "connected");
        let result = self.hub.peers.carry(peer, tls, &self.hub.service.manager).await;
        tracing::info!(%peer, ?result, "disconnected");
        result
    }

    /// Makes one connection to `node` and carries messages over it until it ends; tells whether it ever stood.
    async fn dial_once(self: &Arc<Self>, node: NodeId, config: &Arc<ClientConfig>) -> bool {
        let connection = ConnectionId(2 * self.connections.last_dialled.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, connected) = oneshot::channel();
        let (stream, _guard) = self.open(connection, Some(sender));
        (self.hub.host)(ToHost::Connect { connection, node });
        // The host answers within its own limit; the sender is dropped if the answer is no.
        if !matches!(timeout(HANDSHAKE_TIME_MAX, connected).await, Ok(Ok(()))) {
            return false;
        }
        let connecting = TlsConnector::from(Arc::clone(config)).connect(dial_name(), stream);
        match timeout(HANDSHAKE_TIME_MAX, connecting).await {
            Ok(Ok(tls)) => {
                // Why it ended is logged; what matters here is that it is time to dial again.
                let _ = self.carry(node, tls).await;
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(%node, %error, "handshake failed");
                false
            }
            Err(_) => false,
        }
    }
}

/// Dials `node` again and again.
async fn dial(shared: Arc<Shared>, node: NodeId, config: Arc<ClientConfig>) {
    let (shortest, longest) = DIAL_PAUSE;
    let mut pause = shortest;
    loop {
        pause = if shared.dial_once(node, &config).await { shortest } else { (2 * pause).min(longest) };
        sleep(pause).await;
    }
}

impl Connections {
    fn feed(&self, connection: ConnectionId, feed: impl FnOnce(&Feed)) {
        // Messages may still be under way for a connection that the enclave has closed.
        if let Some(entry) = self.lock().get(&connection) {
            feed(&entry.feed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a connection when its task ends.
struct Guard {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.connections.lock().remove(&self.id);
    }
}

fn peer_key(certificates: Option<&[rustls::pki_types::CertificateDer<'_>]>) -> io::Result<ActorId> {
    let own = certificates.and_then(|certificates| certificates.first());
    let own = own.ok_or_else(|| io::Error::other("the other side showed no certificate"))?;
    key_id(own).map_err(io::Error::other)
}

/// Mailbox 0 is never given out; see also the token of read indexes.
const HUB_TOKEN: u64 = 2;

/// How many messages are taken from the queue at once.
const MESSAGES_AT_ONCE: usize = 1_024;

/// How often waits that took too long are looked for.
const TICK: Duration = Duration::from_secs(1);

/// How long an answer waits until its writes can be read.
const HELD_TIME_MAX: Duration = Duration::from_secs(5);

/// How long a handshake may take: four messages over a slow line.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How often each task may run once the node has stopped: an answer takes two steps to the host.
const FINISH_ROUNDS: usize = 16;
