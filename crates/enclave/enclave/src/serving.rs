//! Whether this node serves clients, shared by all threads.
//!
//! A node that waits to join knows the tables of genesis, or those of long ago, and one that was removed hears no more of what
//! members decide. By either somebody would be let in who is an actor no longer, and told what is not so any more. So such
//! a node tells clients of itself only, below `/node/`. Its sessions end when it is removed, and with them streams of events, so that
//! who watches goes on at another node.

use std::time::Duration;

use synod_node::Refusal;
use tokio::sync::watch;

use crate::http::error::Failure;

/// Whether this node serves clients: not yet, until it is told.
#[derive(Debug, Default)]
pub struct Serving(watch::Sender<synod_node::Serving>);

impl Serving {
    /// From now on the node serves clients so.
    pub fn set(&self, serving: synod_node::Serving) {
        self.0.send_replace(serving);
    }

    /// What a client is told instead of anything but what the node tells of itself.
    pub fn refusal(&self) -> Option<Failure> {
        match *self.0.borrow() {
            synod_node::Serving::Now => None,
            synod_node::Serving::NoMore => Some(Refusal::NodeRemoved.into()),
            synod_node::Serving::NotYet => {
                let message = "this node waits to join the network, or has not caught up with it";
                let hint = "send it to another node under the same request id; GET /node/status tells how this one is";
                Some(Failure::new(503, "NodeJoining", message, hint))
            }
        }
    }

    /// Returns when the node is removed; never if it was before.
    pub async fn removed(&self) {
        let mut serving = self.0.subscribe();
        let was_removed = *serving.borrow_and_update() == synod_node::Serving::NoMore;
        // It fails only when the node's end has come, and with it that of all sessions.
        if was_removed || serving.wait_for(|now| *now == synod_node::Serving::NoMore).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// For how long a session goes on when the node is removed: those who wait for an answer are told, on a slow line too.
pub const PARTING_TIME: Duration = Duration::from_secs(1);
