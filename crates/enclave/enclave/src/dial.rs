//! Dialling other nodes: who, when, and when again.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::{AlertDescription, ClientConfig};
use synod_types::NodeId;
use synod_types::boundary::{ConnectionId, ToHost};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::hub::{HANDSHAKE_TIME_MAX, Shared};
use crate::tls::dial_name;

impl Shared {
    /// Makes one connection to `node` and carries messages over it until it ends.
    async fn dial_once(self: &Arc<Self>, node: NodeId, config: &Arc<ClientConfig>) -> Dialled {
        let connection = ConnectionId(2 * self.connections.last_dialled.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, connected) = oneshot::channel();
        let (stream, _guard) = self.open(connection, Some(sender));
        (self.hub.host)(ToHost::Connect { connection, node });
        // The host answers within its own limit; the sender is dropped if the answer is no.
        if !matches!(timeout(HANDSHAKE_TIME_MAX, connected).await, Ok(Ok(()))) {
            return Dialled::Failed;
        }
        let connecting = TlsConnector::from(Arc::clone(config)).connect(dial_name(), stream);
        let Ok(handshake) = timeout(HANDSHAKE_TIME_MAX, connecting).await else { return Dialled::Failed };
        let since = Instant::now();
        let ended = match handshake {
            Ok(tls) => match self.peer(tls.get_ref().1.peer_certificates()) {
                Ok(peer) => {
                    let standing = self.hub.nodes.begin(peer, self.hub.clock.now());
                    self.carry(peer, standing, tls).await
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match ended {
            _ if since.elapsed() >= STEADY_AFTER => Dialled::Stood,
            Err(error) if error.get_ref().is_some_and(|error| error.is::<rustls::Error>()) => Dialled::Refused(error),
            _ => Dialled::Failed,
        }
    }
}

/// What came of an attempt to dial a node.
enum Dialled {
    /// A channel, for some time.
    Stood,
    /// No channel, or none for long.
    Failed,
    /// One side did not take the other for a node.
    Refused(io::Error),
}

/// Dials whom this node is to dial, as the list has it from time to time.
pub async fn dial_all(shared: Arc<Shared>) {
    let mut seen = shared.hub.nodes.seen();
    let mut dialled: HashMap<NodeId, JoinHandle<()>> = HashMap::new();
    loop {
        dialled.retain(|_, task| !task.is_finished());
        for node in shared.hub.nodes.to_dial(shared.hub.own.node) {
            dialled.entry(node).or_insert_with(|| tokio::spawn(dial(Arc::clone(&shared), node)));
        }
        shared.hub.nodes.changed(&mut seen).await;
    }
}

/// Dials `node` again and again, until it is not to be dialled any more.
async fn dial(shared: Arc<Shared>, node: NodeId) {
    let (shortest, longest) = DIAL_PAUSE;
    let mut pause = shortest;
    let mut refused = String::new();
    let config = shared.hub.dialler.to(node);
    let nodes = &shared.hub.nodes;
    let mut seen = nodes.seen();
    while nodes.to_dial(shared.hub.own.node).contains(&node) {
        pause = match shared.dial_once(node, &config).await {
            Dialled::Stood => shortest,
            Dialled::Failed => (2 * pause).min(longest),
            Dialled::Refused(error) => {
                let hint = hint(&error);
                let error = error.to_string();
                if refused != error {
                    tracing::warn!(peer = %node, %error, hint, "no channel: one side does not take the other for a node");
                    refused = error;
                }
                let (shortest, longest) = DIAL_REFUSED_PAUSE;
                (2 * pause).clamp(shortest, longest)
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            // Another list may mend what was wrong.
            () = nodes.changed(&mut seen) => pause = shortest,
        }
    }
}

/// What an operator may do who reads that a node was refused; each of these alerts has one cause among nodes.
fn hint(error: &io::Error) -> &'static str {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::AlertReceived(AlertDescription::BadCertificate)) => {
            "the node list has this node's key under another slot than slot.crt: make a new directory for the next slot"
        }
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked)) => {
            "members have removed this node, or given its slot another key: start it with that one"
        }
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateExpired)) => {
            "slot.crt is out of its time for the other node: compare it, and the clocks"
        }
        _ => "compare slots and keys with `synod constitution show`",
    }
}

/// Tries the nodes that should dial this one when nobody does: they let it in if it was removed, and then tell it; or if
/// they were, and need nobody any more, while this one has not heard so and may need them.
pub async fn knock(shared: Arc<Shared>) {
    loop {
        sleep(ALONE_FOR).await;
        for node in shared.hub.nodes.above(shared.hub.own.node) {
            let is_alone = shared.channels.load(Ordering::Relaxed) == 0;
            let may_have_left = !shared.hub.nodes.is_listed(node) && !shared.hub.peers.is_connected(node);
            if is_alone || may_have_left {
                shared.dial_once(node, &shared.hub.dialler.to(node)).await;
            }
        }
    }
}

/// The pauses between attempts to dial a node that does not answer: short at first, because most
/// nodes are only restarting.
const DIAL_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// The pauses after one side has refused the other: what has to change for that is seldom a matter of moments, and if
/// it is the node list, its change ends the pause.
const DIAL_REFUSED_PAUSE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));

/// After how long a channel shows that both sides take each other for nodes: who is refused hears of it at once.
const STEADY_AFTER: Duration = Duration::from_secs(1);

/// How long a node without any channel waits before it tries whom it does not dial otherwise.
const ALONE_FOR: Duration = Duration::from_secs(10);
