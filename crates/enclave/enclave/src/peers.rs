//! Channels between nodes: one TLS connection for each pair, for both directions.
//!
//! The node with the higher id dials the one with the lower id, so that there is never a question
//! which of two connections counts; it tries again with growing pauses for as long as it runs. A
//! connection that a dialler makes anew replaces the one before it. A node that joins has the highest
//! id of all: it dials everyone, and nobody has to be told its address first.
//!
//! ```text
//! frame: size u32 little-endian, at most PEER_MESSAGE_BYTES_MAX, then so many bytes; size 0 is a sign of life
//! ```
//! The node is told when a channel stands and when it is gone. Once it has heard that a new one stands,
//! it hears nothing any more that came over the one before: what a node asks when a channel stands, and
//! what it concludes from the answer, would be wrong if an older message could still follow. So all that
//! the node is told of a peer goes out under one lock, with the number of the connection looked at.
//!
//! Messages may be lost, and only together with their connection or when too many wait: then the
//! oldest go first, since consensus sends newer ones in their place.
//!
//! What is kept of a node is kept as long as a connection to it stands or messages of it are not handled, so
//! that a node gets no more room by connecting anew. Who is a node changes, and is decided elsewhere; here
//! are no more than [`PEERS_MAX`] at a time.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use synod_node::Event as NodeEvent;
use synod_types::{Digest, NodeId, Untrusted, limits};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::timeout;

use crate::manager_port::{ManagerPort, Room, ToManager};
use crate::metrics::Counter;
use crate::nodes::Peer;
use crate::scratch::read_scratch;

/// The channels to all other nodes.
#[derive(Default)]
pub struct Peers {
    links: Mutex<BTreeMap<NodeId, Arc<Link>>>,
}

/// What a new connection to a node is worth beside one that stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It replaces that.
    Full,
    /// It comes to nothing: the node list names the slot with another key.
    Weaker,
}

/// The channel to one node, whether it stands or not.
struct Link {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// The number of the connection in use, for those that are to end when it changes.
    latest: watch::Sender<u64>,
    /// Room for messages that have come and are not handled.
    room: Arc<Semaphore>,
}

#[derive(Default)]
struct Waiting {
    /// The number of the connection in use; 0 before the first.
    connection: u64,
    is_connected: bool,
    messages: VecDeque<Bytes>,
    bytes: usize,
}

impl Peers {
    /// Sends a message, unless there is no connection. Never blocks.
    pub fn send(&self, to: NodeId, message: Bytes, dropped: &Counter) {
        let Some(link) = self.links().get(&to).cloned() else { return };
        let mut waiting = link.lock();
        if !waiting.is_connected {
            return;
        }
        waiting.bytes += message.len();
        waiting.messages.push_back(message);
        // One message may be larger than the limit; then it waits alone.
        while waiting.bytes > SENDING_BYTES_MAX && waiting.messages.len() > 1 {
            let oldest = waiting.messages.pop_front().map_or(0, |oldest| oldest.len());
            waiting.bytes -= oldest;
            dropped.count();
        }
        drop(waiting);
        link.wake.notify_one();
    }

    /// Whether a channel to `peer` stands.
    pub fn is_connected(&self, peer: NodeId) -> bool {
        self.links().get(&peer).is_some_and(|link| link.lock().is_connected)
    }

    /// Carries messages to and from `peer` over `io` until the connection ends, is replaced, or this is dropped.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn carry<S>(&self, peer: Peer, claim: Claim, io: S, manager: &ManagerPort) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let open = self.begin(peer, claim, manager).map_err(io::Error::other)?;
        let Open { link, connection, .. } = &open;
        let mut latest = link.latest.subscribe();
        let (reader, writer) = tokio::io::split(io);
        tokio::select! {
            biased;
            // Also one whose other side takes no bytes, or says no more than that it lives, ends here.
            _ = latest.wait_for(|latest| latest != connection) => Err(replaced()),
            result = receive(peer.node, reader, link, *connection, manager) => result,
            result = send(writer, link, *connection) => result,
        }
    }

    /// A new connection to `peer`, which replaces the one before it.
    fn begin<'a>(
        &'a self,
        Peer { node: peer, key }: Peer,
        claim: Claim,
        manager: &'a ManagerPort,
    ) -> Result<Open<'a>, &'static str> {
        let mut links = self.links();
        links.retain(|node, link| *node == peer || link.is_in_use());
        if links.len() >= PEERS_MAX && !links.contains_key(&peer) {
            return Err("no room for another node");
        }
        let stands = |link: &Arc<Link>| link.lock().is_connected;
        if claim == Claim::Weaker && links.get(&peer).is_some_and(stands) {
            return Err("the slot has a channel, and another key in the node list");
        }
        let link = Arc::clone(links.entry(peer).or_insert_with(Link::new));
        // While the map is held, so that the link that others find is the one that begins.
        let connection = link.begin(|| {
            manager.event(NodeEvent::PeerProved { peer, key: Digest(key.0) });
            manager.event(NodeEvent::PeerConnected(peer));
        });
        drop(links);
        Ok(Open { peer, link, connection, manager })
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that has begun, and ends when this is dropped.
struct Open<'a> {
    peer: NodeId,
    link: Arc<Link>,
    connection: u64,
    manager: &'a ManagerPort,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.link.end(self.connection, || self.manager.event(NodeEvent::PeerClosed(self.peer)));
    }
}

impl Link {
    fn new() -> Arc<Self> {
        let room = Arc::new(Semaphore::new(RECEIVED_BYTES_MAX));
        Arc::new(Self { waiting: Mutex::default(), wake: Notify::new(), latest: watch::Sender::new(0), room })
    }

    /// Whether a connection stands, or messages that came over one are not handled.
    fn is_in_use(&self) -> bool {
        self.lock().is_connected || self.room.available_permits() < RECEIVED_BYTES_MAX
    }

    /// A new connection replaces the one before it, and begins without messages. `tell` must not block.
    fn begin(&self, tell: impl FnOnce()) -> u64 {
        let mut waiting = self.lock();
        *waiting = Waiting { connection: waiting.connection + 1, is_connected: true, ..Waiting::default() };
        let connection = waiting.connection;
        self.latest.send_replace(connection);
        tell();
        connection
    }

    /// The connection is gone; `tell` is called unless another one has replaced it, and must not block.
    fn end(&self, connection: u64, tell: impl FnOnce()) {
        let mut waiting = self.lock();
        if waiting.connection == connection {
            *waiting = Waiting { connection, ..Waiting::default() };
            tell();
        }
    }

    /// Calls `deliver`, which must not block, unless another connection has replaced this one.
    fn deliver(&self, connection: u64, deliver: impl FnOnce()) -> io::Result<()> {
        let waiting = self.lock();
        if waiting.connection != connection {
            return Err(replaced());
        }
        deliver();
        Ok(())
    }

    /// Takes messages for `connection`, as frames; `None` once another connection replaced it.
    fn take(&self, connection: u64, frames: &mut BytesMut) -> Option<usize> {
        let mut waiting = self.lock();
        if waiting.connection != connection {
            // Its successor may be waiting for this wake-up.
            self.wake.notify_one();
            return None;
        }
        let mut count = 0;
        while frames.len() < FRAMES_BYTES_TYPICAL
            && let Some(message) = waiting.messages.pop_front()
        {
            waiting.bytes -= message.len();
            put_frame(&message, frames);
            count += 1;
        }
        Some(count)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send<S: AsyncRead + AsyncWrite>(mut io: WriteHalf<S>, link: &Link, connection: u64) -> io::Result<()> {
    let mut frames = BytesMut::new();
    loop {
        let Some(count) = link.take(connection, &mut frames) else {
            return Err(replaced());
        };
        if count == 0 {
            if timeout(SIGN_OF_LIFE_INTERVAL, link.wake.notified()).await.is_ok() {
                continue;
            }
            put_frame(&[], &mut frames);
        }
        io.write_all_buf(&mut frames).await?;
        io.flush().await?;
        if frames.capacity() > FRAMES_BYTES_TYPICAL {
            frames = BytesMut::new();
        }
    }
}

fn replaced() -> io::Error {
    io::Error::other("replaced by a newer connection")
}

async fn receive<S>(
    peer: NodeId,
    mut io: ReadHalf<S>,
    link: &Link,
    connection: u64,
    manager: &ManagerPort,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = BytesMut::new();
    loop {
        let read = std::future::poll_fn(|cx| {
            read_scratch(&mut io, cx, |bytes| {
                input.extend_from_slice(bytes);
                bytes.len()
            })
        });
        match timeout(SILENCE_MAX, read).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(result) => result?,
            Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no sign of life")),
        };
        while let Some(message) = take_frame(&mut input)? {
            if message.is_empty() {
                continue;
            }
            let room = Room::take(&link.room, message.len()).await;
            let message = ToManager::Peer { from: peer, bytes: Untrusted::new(message), room };
            link.deliver(connection, || manager.send(message))?;
        }
    }
}

fn put_frame(message: &[u8], out: &mut BytesMut) {
    let size = u32::try_from(message.len()).expect("messages are capped far below 4 GiB");
    out.reserve(SIZE_BYTES + message.len());
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(message);
}

/// Takes one frame off the front; `None` if not all of it has come.
fn take_frame(input: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let Some(size) = input.first_chunk::<SIZE_BYTES>() else { return Ok(None) };
    let size = u32::from_le_bytes(*size) as usize;
    if size > limits::PEER_MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message above the limit"));
    }
    if input.len() < SIZE_BYTES + size {
        return Ok(None);
    }
    input.advance(SIZE_BYTES);
    Ok(Some(input.split_to(size).freeze()))
}

const SIZE_BYTES: usize = 4;

/// How many nodes may have channels at once: a whole network, and as many again whose place in it is not known yet, or
/// not any more.
const PEERS_MAX: usize = 2 * limits::NODES_MAX;

/// How many bytes may wait to be sent to one node: a few of the largest messages.
const SENDING_BYTES_MAX: usize = 4 * limits::PEER_MESSAGE_BYTES_MAX;

/// How many bytes of one node's messages may wait to be handled; at least one message of the largest size.
const RECEIVED_BYTES_MAX: usize = 2 * limits::PEER_MESSAGE_BYTES_MAX;

/// How many bytes of frames are written at once.
const FRAMES_BYTES_TYPICAL: usize = 256 << 10;

/// How often a node that has nothing to say shows that it lives.
const SIGN_OF_LIFE_INTERVAL: Duration = Duration::from_secs(1);

/// After how long without a sign of life a connection counts as lost. Messages and their confirmations
/// may be held up by a sync or a large block, not by as much as this.
const SILENCE_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
