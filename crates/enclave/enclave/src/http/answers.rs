//! Bytes of answers that one connection has and its client has not taken.
//!
//! While there are too many, no further read is begun for the connection. Answers of writes are
//! not held back: the node has them already, and bounds what it does for one request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use synod_node::QueryAnswer;
use tokio::sync::Notify;

use crate::mailbox::Event;

/// The bytes of answers that tasks of one connection hold.
#[derive(Debug, Default)]
pub struct Answers {
    bytes: AtomicUsize,
    fewer: Notify,
}

/// Counts an answer until it is dropped.
#[derive(Debug)]
pub struct Held {
    answers: Arc<Answers>,
    bytes: usize,
}

impl Answers {
    /// Returns once a further read may be begun.
    pub async fn room(&self) {
        loop {
            // Made before looking, so that no notice is missed.
            let fewer = self.fewer.notified();
            if self.bytes.load(Ordering::SeqCst) < ANSWERS_BYTES_MAX {
                return;
            }
            fewer.await;
        }
    }

    /// Counts an answer of so many bytes.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Held { answers: Arc::clone(self), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.answers.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        self.answers.fewer.notify_waiters();
    }
}

/// Whether what comes next after `event` is a read, which makes an answer of any size.
pub const fn leads_to_a_read(event: &Event) -> bool {
    matches!(event, Event::Reached | Event::Planned(_) | Event::Answer(Ok(QueryAnswer::ReadIndex(_))))
}

/// How many bytes of answers may wait on one connection before no further read is begun: thousands of
/// small ones. Those under way may bring more, a few times the largest answer of an adapter.
pub const ANSWERS_BYTES_MAX: usize = 8 << 20;
