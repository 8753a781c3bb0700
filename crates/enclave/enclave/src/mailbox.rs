//! How what happens elsewhere reaches the session that waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use synod_node::{Answer, ClientRequest, QueryAnswer, Refusal};
use synod_types::TxId;
use synod_worker::{Plan, Reply};

use crate::governance::log::Frame;

/// Something that a request waited for.
#[derive(Debug)]
pub enum Event {
    /// The pool planned it.
    Planned(Plan),
    /// The pool answered it, as of this transaction.
    Replied(Reply, TxId),
    /// The pool found these events.
    Missed(Vec<Frame>),
    /// The pool failed.
    Failed,
    /// The node did it, or refused to.
    Response(Result<Answer, Refusal>),
    /// The node did nothing of this request: the session's word for its actor is to be looked at again.
    ProveAnew(Box<ClientRequest>),
    /// The node answered its query.
    Answer(Result<QueryAnswer, Refusal>),
    /// The snapshot that it waited for is there.
    Reached,
    /// The snapshot did not come in time.
    Expired,
}

/// The events of one session, in the order in which they came.
#[derive(Debug, Default)]
pub struct Mailbox(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    events: Vec<(u32, Event)>,
    waker: Option<Waker>,
}

impl Mailbox {
    fn push(&self, seq: u32, event: Event) {
        let mut contents = self.lock();
        contents.events.push((seq, event));
        if let Some(waker) = contents.waker.take() {
            waker.wake();
        }
    }

    /// Moves all events into `events`, which is empty; if there are none, wakes the caller when one comes.
    pub fn poll_take(&self, cx: &mut Context<'_>, events: &mut Vec<(u32, Event)>) -> Poll<()> {
        let mut contents = self.lock();
        if contents.events.is_empty() {
            contents.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        std::mem::swap(&mut contents.events, events);
        Poll::Ready(())
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All mailboxes, by number. A token is a mailbox's number and the number of a request in its session.
#[derive(Debug, Default)]
pub struct PostOffice(Mutex<Boxes>);

#[derive(Debug, Default)]
struct Boxes {
    last: u32,
    open: HashMap<u32, Arc<Mailbox>>,
}

/// An open mailbox; closed when dropped, and what still comes for it is dropped too.
#[derive(Debug)]
pub struct Postbox {
    office: Arc<PostOffice>,
    number: u32,
    mailbox: Arc<Mailbox>,
}

impl PostOffice {
    /// Opens a mailbox. Number 0 is never given out.
    pub fn open(self: &Arc<Self>) -> Postbox {
        let mut boxes = self.lock();
        let number = loop {
            boxes.last = boxes.last.wrapping_add(1);
            if boxes.last != 0 && !boxes.open.contains_key(&boxes.last) {
                break boxes.last;
            }
        };
        let mailbox = Arc::<Mailbox>::default();
        boxes.open.insert(number, Arc::clone(&mailbox));
        Postbox { office: Arc::clone(self), number, mailbox }
    }

    /// Delivers an event; drops it if its session has ended.
    pub fn deliver(&self, token: u64, event: Event) {
        let mailbox = self.lock().open.get(&mailbox_of(token)).map(Arc::clone);
        if let Some(mailbox) = mailbox {
            mailbox.push(token as u32, event);
        }
    }

    /// Whether the session that `token` is for has not ended.
    pub fn is_open(&self, token: u64) -> bool {
        self.lock().open.contains_key(&mailbox_of(token))
    }

    /// How many mailboxes are open.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().open.len()
    }

    fn lock(&self) -> MutexGuard<'_, Boxes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the mailbox that a token is for.
pub const fn mailbox_of(token: u64) -> u32 {
    (token >> 32) as u32
}

impl Postbox {
    /// The token of request `seq` of this session.
    pub fn token(&self, seq: u32) -> u64 {
        u64::from(self.number) << 32 | u64::from(seq)
    }

    /// See [`Mailbox::poll_take`].
    pub fn poll_take(&self, cx: &mut Context<'_>, events: &mut Vec<(u32, Event)>) -> Poll<()> {
        self.mailbox.poll_take(cx, events)
    }
}

impl Drop for Postbox {
    fn drop(&mut self) {
        self.office.lock().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reaches_its_session_and_no_other_and_none_that_has_ended() {
        let office = Arc::<PostOffice>::default();
        let (one, other) = (office.open(), office.open());
        office.deliver(one.token(7), Event::Reached);
        let token = other.token(8);
        drop(other);
        office.deliver(token, Event::Reached);

        let mut cx = Context::from_waker(Waker::noop());
        let mut events = Vec::new();
        assert!(one.poll_take(&mut cx, &mut events).is_ready());
        assert!(matches!(events[..], [(7, Event::Reached)]));
        events.clear();
        assert!(one.poll_take(&mut cx, &mut events).is_pending());
    }
}
