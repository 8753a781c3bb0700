//! The thread of the sessions: feeds what the host sends to connections, and answers to requests.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use synod_node::{ClientRequest, QueryAnswer, Refusal, Response};
use synod_types::boundary::{ConnectionId, Door, ToEnclave};
use synod_types::{Seqno, limits};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use crate::clock::Clock;
use crate::dial::{dial_all, knock};
use crate::door::{self, Handshake, Protocol};
use crate::mailbox::Event;
use crate::nodes::{NodeKeys, Peer, Standing};
use crate::peers::{Claim, Peers};
use crate::purpose::Purpose;
use crate::service::Service;
use crate::slot::tell_place;
use crate::stream::{Feed, HostSink, Stream, stream};
use crate::tls::{Dialler, key_id};

/// What the thread of the sessions is told.
#[derive(Debug)]
pub enum ToHub {
    /// By the host, about connections.
    Host(ToEnclave),
    /// By the node: answers to requests.
    Responses(Vec<Response>),
    /// By the node: requests whose sessions are to be looked at again.
    ProveAnew(Vec<ClientRequest>),
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
    /// For the nodes that are dialled.
    pub dialler: Dialler,
    /// This node.
    pub own: Peer,
    /// Its time.
    pub clock: Clock,
}

/// The connections that stand or are being made.
#[derive(Default)]
pub struct Connections {
    entries: Mutex<HashMap<ConnectionId, Entry>>,
    /// The number of the last connection that the enclave began.
    pub last_dialled: AtomicU64,
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
pub struct Shared {
    /// What they began with.
    pub hub: Hub,
    /// The connections.
    pub connections: Connections,
    /// Room for nodes that the list does not name.
    unlisted: Semaphore,
    /// How many channels stand.
    pub channels: AtomicUsize,
}

impl Hub {
    /// Serves until told to stop.
    pub async fn run(self, mut messages: UnboundedReceiver<ToHub>) {
        let unlisted = Semaphore::new(UNLISTED_MAX);
        let channels = AtomicUsize::new(0);
        let shared = Arc::new(Shared { hub: self, connections: Connections::default(), unlisted, channels });
        tokio::spawn(dial_all(Arc::clone(&shared)));
        tokio::spawn(knock(Arc::clone(&shared)));
        let place = Arc::clone(&shared);
        tokio::spawn(async move { tell_place(place.hub.own, &place.hub.nodes).await });
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
            ToHub::ProveAnew(requests) => {
                for request in requests {
                    service.office.deliver(request.token, Event::ProveAnew(Box::new(request)));
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

    /// A new connection, for as long as the guard is kept.
    pub fn open(self: &Arc<Self>, id: ConnectionId, connected: Option<oneshot::Sender<()>>) -> (Stream, Guard) {
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
        let presented = connection.peer_certificates().unwrap_or_default().iter().map(|der| der.to_vec()).collect();
        let is_h2 = connection.alpn_protocol() == Some(b"h2");
        let protocol = if is_h2 { Protocol::Http2 } else { Protocol::Http1 };
        let purpose = Purpose::of(connection.server_name());
        let handshake = Handshake { presented, purpose, protocol };
        door::serve(tls, Arc::clone(&self.hub.service), handshake).await
    }

    async fn serve_peer(&self, stream: Stream) -> io::Result<()> {
        let accepting = TlsAcceptor::from(Arc::clone(&self.hub.peer_door)).accept(stream);
        let tls = timeout(HANDSHAKE_TIME_MAX, accepting).await??;
        let peer = self.peer(tls.get_ref().1.peer_certificates())?;
        let standing = self.hub.nodes.begin(peer, self.hub.clock.now());
        // A removed node may come from either side: nobody dials it any more. One that was removed itself dials nobody.
        let own = self.hub.own.node;
        if peer.node <= own && standing != Standing::Removed && !self.hub.nodes.has_left(own) {
            return Err(io::Error::other("this node is not one that dials"));
        }
        self.carry(peer, standing, tls).await
    }

    /// Who showed these certificates, by the list as it is now.
    pub fn peer(&self, certificates: Option<&[CertificateDer<'_>]>) -> io::Result<Peer> {
        let (certificate, between) = split(certificates)?;
        let key = key_id(certificate).map_err(io::Error::other)?;
        self.hub.nodes.peer(key, certificate, between, self.hub.service.calendar.now()).map_err(io::Error::other)
    }

    /// Carries messages to and from `peer` until the channel ends or the peer is no node any more.
    pub async fn carry<S>(&self, peer: Peer, standing: Standing, tls: S) -> io::Result<()>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let _room = match standing {
            Standing::Listed => None,
            Standing::Joining | Standing::Removed => {
                let room = self.unlisted.try_acquire();
                Some(room.map_err(|_| io::Error::other("too many nodes that the list does not name"))?)
            }
        };
        let node = peer.node;
        let claim = if self.hub.nodes.is_anothers(peer) { Claim::Weaker } else { Claim::Full };
        tracing::info!(peer = %node, ?standing, "connected");
        self.channels.fetch_add(1, Ordering::Relaxed);
        let result = tokio::select! {
            result = self.hub.peers.carry(peer, claim, tls, &self.hub.service.manager) => result,
            () = self.hub.nodes.outstayed(peer) => Err(io::Error::other("it is no longer one of the nodes")),
        };
        self.channels.fetch_sub(1, Ordering::Relaxed);
        tracing::info!(peer = %node, ?result, "disconnected");
        result
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
pub struct Guard {
    shared: Arc<Shared>,
    id: ConnectionId,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.connections.lock().remove(&self.id);
    }
}

/// The other side's own certificate, and what it showed beside it.
fn split<'c>(
    certificates: Option<&'c [CertificateDer<'c>]>,
) -> io::Result<(&'c CertificateDer<'c>, &'c [CertificateDer<'c>])> {
    let own = certificates.and_then(|certificates| certificates.split_first());
    own.ok_or_else(|| io::Error::other("the other side showed no certificate"))
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
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// How many nodes may have channels before the list in force names them: a whole network that this one lags behind.
const UNLISTED_MAX: usize = limits::NODES_MAX;

/// How often each task may run once the node has stopped: an answer takes two steps to the host.
const FINISH_ROUNDS: usize = 16;
