//! Requests that wait for a leader or for their block.
//!
//! Admission is bounded before execution, by one limit over all that waits: in the inbox, at the
//! leader, and in uncommitted blocks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use synod_types::{NodeId, Time, View, limits};

use crate::event::{ClientRequest, Refusal};

/// The most requests that may wait at one node. At 60,000 requests a second this is half a second
/// of work, more than any client should queue.
pub const WAITING_REQUESTS_MAX: usize = 32_768;

/// The most bytes of requests that may wait at one node: eight requests of the largest size.
pub const WAITING_BYTES_MAX: usize = 8 * limits::REQUEST_BODY_BYTES_MAX;

/// How long a request may wait before its client is told that no leader answered. Longer than an
/// election takes, shorter than people do.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a forwarded request may stay unanswered before it is sent again. Messages between
/// nodes are lost only with their channel, so this is rare and may be slow.
pub const FORWARD_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A session of this node, by its token.
    Client(u64),
    /// A session of another node, by that node's token.
    Peer(NodeId, u64),
}

/// A request and who waits for it.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The request.
    pub request: ClientRequest,
    /// Who is to be answered.
    pub origin: Origin,
    /// When to give up.
    pub deadline: Time,
}

/// A request at the leader.
#[derive(Debug)]
struct Forwarded {
    waiting: Waiting,
    to: (NodeId, View),
    again_at: Time,
}

/// What waits outside blocks, and the count of all that waits.
#[derive(Debug, Default)]
pub struct Inbox {
    queue: VecDeque<Waiting>,
    forwarded: BTreeMap<u64, Forwarded>,
    requests: usize,
    bytes: usize,
    queued_calls: usize,
}

impl Inbox {
    /// Takes a request in.
    ///
    /// # Errors
    /// [`Refusal::TooManyPending`] if too much waits already, [`Refusal::CallCountNotAllowed`] if the request
    /// has no call or too many.
    pub fn admit(&mut self, now: Time, origin: Origin, request: ClientRequest) -> Result<(), Refusal> {
        if request.calls.is_empty() || request.calls.len() > limits::REQUEST_CALLS_MAX {
            return Err(Refusal::CallCountNotAllowed);
        }
        let size = request.size();
        if self.requests >= WAITING_REQUESTS_MAX || self.bytes + size > WAITING_BYTES_MAX {
            return Err(Refusal::TooManyPending);
        }
        self.requests += 1;
        self.bytes += size;
        self.queued_calls += request.calls.len();
        self.queue.push_back(Waiting { request, origin, deadline: now.after(PATIENCE) });
        Ok(())
    }

    /// Gives back the room of a request that was answered.
    pub fn answered(&mut self, waiting: &Waiting) {
        self.requests -= 1;
        self.bytes -= waiting.request.size();
    }

    /// The requests that wait for a block or a leader, oldest first.
    pub fn queue(&self) -> &VecDeque<Waiting> {
        &self.queue
    }

    /// Takes the oldest waiting request; its room stays taken until it is answered.
    pub fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.queue.pop_front()?;
        self.queued_calls -= waiting.request.calls.len();
        Some(waiting)
    }

    /// How many calls the requests in the queue hold.
    pub const fn queued_calls(&self) -> usize {
        self.queued_calls
    }

    /// Puts requests back that their block or their leader was lost for: before all younger ones, in order.
    pub fn put_back(&mut self, requests: impl DoubleEndedIterator<Item = Waiting>) {
        for waiting in requests.rev() {
            self.queued_calls += waiting.request.calls.len();
            self.queue.push_front(waiting);
        }
    }

    /// Takes out all that waits outside blocks.
    pub fn drain(&mut self) -> Vec<Waiting> {
        let forwarded = std::mem::take(&mut self.forwarded).into_values().map(|forwarded| forwarded.waiting);
        self.queued_calls = 0;
        self.queue.drain(..).chain(forwarded).collect()
    }

    /// Notes that a client's request was sent to the leader.
    ///
    /// # Panics
    /// If another node's client waits for it: such a request is never sent on.
    pub fn forwarded(&mut self, now: Time, to: (NodeId, View), waiting: Waiting) {
        let Origin::Client(token) = waiting.origin else { panic!("a request is forwarded once only") };
        self.forwarded.insert(token, Forwarded { waiting, to, again_at: now.after(FORWARD_AGAIN_AFTER) });
    }

    /// Takes out the forwarded request that `from` answered; `None` if it is answered already.
    pub fn take_forwarded(&mut self, from: NodeId, token: u64) -> Option<Waiting> {
        let known = self.forwarded.get(&token).is_some_and(|forwarded| forwarded.to.0 == from);
        known.then(|| self.forwarded.remove(&token).expect("just found").waiting)
    }

    /// Puts back what was forwarded to anyone but `leader`, and what was not answered for long.
    pub fn recall(&mut self, now: Time, leader: Option<(NodeId, View)>) {
        let recalled: Vec<_> = self
            .forwarded
            .extract_if(.., |_, forwarded| Some(forwarded.to) != leader || forwarded.again_at <= now)
            .map(|(_, forwarded)| forwarded.waiting)
            .collect();
        self.put_back(recalled.into_iter());
    }

    /// Puts back all that was forwarded to `node`: the channel was made anew, so messages may be lost.
    pub fn recall_from(&mut self, node: NodeId) {
        let recalled: Vec<_> = self
            .forwarded
            .extract_if(.., |_, forwarded| forwarded.to.0 == node)
            .map(|(_, forwarded)| forwarded.waiting)
            .collect();
        self.put_back(recalled.into_iter());
    }

    /// Takes out what has waited too long.
    pub fn expired(&mut self, now: Time) -> Vec<Waiting> {
        let mut expired: Vec<_> = self
            .forwarded
            .extract_if(.., |_, forwarded| forwarded.waiting.deadline <= now)
            .map(|(_, forwarded)| forwarded.waiting)
            .collect();
        if self.queue.iter().any(|waiting| waiting.deadline <= now) {
            let (late, early) =
                std::mem::take(&mut self.queue).into_iter().partition(|waiting| waiting.deadline <= now);
            self.queue = early;
            let late: VecDeque<Waiting> = late;
            self.queued_calls -= late.iter().map(|waiting| waiting.request.calls.len()).sum::<usize>();
            expired.extend(late);
        }
        expired
    }

    /// Whether anything waits anywhere.
    pub const fn is_idle(&self) -> bool {
        self.requests == 0
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_types::{ActorId, AdapterId, RequestId};

    use super::*;

    fn request(token: u64, size: usize) -> ClientRequest {
        ClientRequest {
            token,
            actor: ActorId([1; 32]),
            request_id: RequestId([0; 16]),
            adapter: AdapterId(0),
            calls: vec![Bytes::from(vec![0; size])],
        }
    }

    fn admit(inbox: &mut Inbox, token: u64, size: usize) -> Result<(), Refusal> {
        inbox.admit(Time(0), Origin::Client(token), request(token, size))
    }

    fn queued(inbox: &Inbox) -> Vec<Origin> {
        inbox.queue().iter().map(|waiting| waiting.origin).collect()
    }

    #[test]
    fn room_is_bounded_by_bytes_and_by_requests_and_comes_back_with_the_answer() {
        let mut inbox = Inbox::default();
        admit(&mut inbox, 1, WAITING_BYTES_MAX).unwrap();
        assert_eq!(admit(&mut inbox, 2, 1), Err(Refusal::TooManyPending));
        let waiting = inbox.pop().unwrap();
        assert_eq!(admit(&mut inbox, 2, 1), Err(Refusal::TooManyPending), "taken out is not answered");
        inbox.answered(&waiting);
        for token in 0..WAITING_REQUESTS_MAX as u64 {
            admit(&mut inbox, token, 1).unwrap();
        }
        assert_eq!(admit(&mut inbox, 0, 1), Err(Refusal::TooManyPending));
    }

    #[test]
    fn a_request_without_a_call_or_with_too_many_is_refused() {
        for count in [0, limits::REQUEST_CALLS_MAX + 1] {
            let calls = vec![Bytes::new(); count];
            let result = Inbox::default().admit(Time(0), Origin::Client(1), ClientRequest { calls, ..request(1, 0) });
            assert_eq!(result, Err(Refusal::CallCountNotAllowed), "{count}");
        }
    }

    #[test]
    fn what_was_forwarded_to_a_lost_leader_comes_back_before_younger_requests() {
        let mut inbox = Inbox::default();
        let leader = (NodeId(2), View(3));
        (1..=3).for_each(|token| admit(&mut inbox, token, 1).unwrap());
        for _ in 0..2 {
            let waiting = inbox.pop().unwrap();
            inbox.forwarded(Time(0), leader, waiting);
        }
        inbox.recall(Time(1), Some(leader));
        assert_eq!(queued(&inbox), [Origin::Client(3)]);
        inbox.recall(Time(1), None);
        assert_eq!(queued(&inbox), [1, 2, 3].map(Origin::Client));
    }

    #[test]
    fn a_forwarded_request_is_taken_by_the_answer_of_its_own_leader_once() {
        let mut inbox = Inbox::default();
        admit(&mut inbox, 1, 1).unwrap();
        let waiting = inbox.pop().unwrap();
        inbox.forwarded(Time(0), (NodeId(2), View(3)), waiting);
        assert!(inbox.take_forwarded(NodeId(3), 1).is_none());
        assert!(inbox.take_forwarded(NodeId(2), 1).is_some());
        assert!(inbox.take_forwarded(NodeId(2), 1).is_none());
    }

    #[test]
    fn a_request_expires_at_its_deadline_wherever_it_waits() {
        let mut inbox = Inbox::default();
        (1..=2).for_each(|token| admit(&mut inbox, token, 1).unwrap());
        let waiting = inbox.pop().unwrap();
        inbox.forwarded(Time(0), (NodeId(2), View(3)), waiting);
        assert!(inbox.expired(Time(PATIENCE.as_micros() as u64 - 1)).is_empty());
        assert_eq!(inbox.expired(Time(0).after(PATIENCE)).len(), 2);
    }
}
