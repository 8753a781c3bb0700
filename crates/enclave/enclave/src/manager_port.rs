//! Where sessions, disk and worker send what the node is to handle.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use bytes::Bytes;
use synod_node::Event;
use synod_types::{NodeId, Untrusted};
use tokio::sync::Semaphore;

/// What the manager thread handles.
#[derive(Debug)]
pub enum ToManager {
    /// For the node, as it is.
    Event(Event),
    /// A peer's message, which takes room until it is handled.
    Peer {
        /// The sender, as the channel proved.
        from: NodeId,
        /// The message.
        bytes: Untrusted<Bytes>,
        /// The room it takes.
        room: Room,
    },
}

/// Sends to the manager thread. Cheap to clone, and never blocks.
#[derive(Clone, Debug)]
pub struct ManagerPort(Sender<ToManager>);

impl ManagerPort {
    /// Sends to the manager that holds the other end.
    pub const fn new(sender: Sender<ToManager>) -> Self {
        Self(sender)
    }

    /// Hands an event to the node.
    pub fn event(&self, event: Event) {
        self.send(ToManager::Event(event));
    }

    /// Hands a message to the manager; once it has stopped, nobody waits for what is dropped here.
    pub fn send(&self, message: ToManager) {
        let _ = self.0.send(message);
    }
}

/// Room that was taken from a semaphore and goes back when this is dropped.
#[derive(Debug)]
pub struct Room {
    from: Arc<Semaphore>,
    permits: usize,
}

impl Room {
    /// Waits for room, and takes it.
    pub async fn take(from: &Arc<Semaphore>, permits: usize) -> Self {
        let count = u32::try_from(permits).unwrap_or(u32::MAX);
        // The semaphore is never closed; if it were, taking nothing would still be safe.
        match from.acquire_many(count).await {
            Ok(permit) => permit.forget(),
            Err(_) => return Self { from: Arc::clone(from), permits: 0 },
        }
        Self { from: Arc::clone(from), permits }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.from.add_permits(self.permits);
    }
}
