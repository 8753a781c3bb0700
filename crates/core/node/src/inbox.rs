//! Requests that wait for a leader or for their block.
//!
//! Admission is bounded before execution, by one limit over all that waits: in the inbox, at the
//! leader, and in uncommitted blocks.
//!
//! # Forwarded requests
//! A follower sends a request again when it cannot know whether the first copy arrived. All copies bear one number,
//! which no other request of that node ever had, so a leader takes none that it holds already, and an answer finds
//! its request even after a restart. A copy that was given up may be done all the same, by a leader that was
//! deposed or by one that had just answered: such a request is in doubt, and no refusal of a later copy
//! is passed on as if nothing had been done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// A session of another node, by that node's number for the request.
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
    /// Whether an earlier copy may still be done: one sent to a leader, or one in a block that was lost here.
    pub in_doubt: bool,
    /// The number under which it was sent to a leader, once it was.
    number: Option<u64>,
}

impl Waiting {
    /// The request, of which a copy was given up.
    #[must_use]
    pub fn into_doubt(self) -> Self {
        Self { in_doubt: true, ..self }
    }
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
    /// By number, so that they come back in the order in which they were first sent.
    forwarded: BTreeMap<u64, Forwarded>,
    next_number: u64,
    /// Other nodes' requests that are not answered yet, wherever they wait.
    held: BTreeSet<(NodeId, u64)>,
    requests: usize,
    bytes: usize,
    queued_calls: usize,
}

impl Inbox {
    /// Has requests numbered from somewhere on where no earlier start of this node was.
    pub const fn number_from(&mut self, random: u64) {
        // Half of all numbers are left to count up.
        self.next_number = random >> 1;
    }

    /// Takes a request in, unless a copy of it waits already: whatever becomes of that one is the answer.
    ///
    /// # Errors
    /// [`Refusal::TooManyPending`] if too much waits already, [`Refusal::CallCountNotAllowed`] if the request
    /// has no call or too many.
    pub fn admit(&mut self, now: Time, origin: Origin, request: ClientRequest) -> Result<(), Refusal> {
        if request.calls.is_empty() || request.calls.len() > limits::REQUEST_CALLS_MAX {
            return Err(Refusal::CallCountNotAllowed);
        }
        if let Origin::Peer(node, number) = origin
            && self.held.contains(&(node, number))
        {
            return Ok(());
        }
        let size = request.size();
        if self.requests >= WAITING_REQUESTS_MAX || self.bytes + size > WAITING_BYTES_MAX {
            return Err(Refusal::TooManyPending);
        }
        self.requests += 1;
        self.bytes += size;
        self.queued_calls += request.calls.len();
        if let Origin::Peer(node, number) = origin {
            self.held.insert((node, number));
        }
        let deadline = now.after(PATIENCE);
        self.queue.push_back(Waiting { request, origin, deadline, in_doubt: false, number: None });
        Ok(())
    }

    /// Gives back the room of a request that was answered.
    pub fn answered(&mut self, waiting: &Waiting) {
        self.requests -= 1;
        self.bytes -= waiting.request.size();
        if let Origin::Peer(node, number) = waiting.origin {
            self.held.remove(&(node, number));
        }
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

    /// Notes that a client's request is sent to the leader, and returns it as it is to be sent.
    ///
    /// # Panics
    /// If another node's client waits for it: such a request is never sent on.
    pub fn forwarded(&mut self, now: Time, to: (NodeId, View), mut waiting: Waiting) -> ClientRequest {
        assert!(matches!(waiting.origin, Origin::Client(_)), "a request is forwarded once only");
        let number = *waiting.number.get_or_insert(self.next_number);
        self.next_number = self.next_number.max(number + 1);
        let request = ClientRequest { token: number, ..waiting.request.clone() };
        self.forwarded.insert(number, Forwarded { waiting, to, again_at: now.after(FORWARD_AGAIN_AFTER) });
        request
    }

    /// Takes out the forwarded request that `from` answered; `None` if it is answered already.
    pub fn take_forwarded(&mut self, from: NodeId, number: u64) -> Option<Waiting> {
        let known = self.forwarded.get(&number).is_some_and(|forwarded| forwarded.to.0 == from);
        known.then(|| self.forwarded.remove(&number).expect("just found").waiting)
    }

    /// Puts back what was forwarded to anyone but `leader`, and what was not answered for long.
    pub fn recall(&mut self, now: Time, leader: Option<(NodeId, View)>) {
        self.recall_if(|forwarded| Some(forwarded.to) != leader || forwarded.again_at <= now);
    }

    /// Puts back all that was forwarded to `node`: the channel was made anew, so messages may be lost.
    pub fn recall_from(&mut self, node: NodeId) {
        self.recall_if(|forwarded| forwarded.to.0 == node);
    }

    fn recall_if(&mut self, which: impl Fn(&Forwarded) -> bool) {
        let recalled: Vec<_> = self
            .forwarded
            .extract_if(.., |_, forwarded| which(forwarded))
            .map(|(_, forwarded)| forwarded.waiting.into_doubt())
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

    fn forward(inbox: &mut Inbox, leader: NodeId) -> ClientRequest {
        let waiting = inbox.pop().unwrap();
        inbox.forwarded(Time(0), (leader, View(3)), waiting)
    }

    #[test]
    fn what_was_forwarded_to_a_lost_leader_comes_back_in_doubt_before_younger_requests() {
        let mut inbox = Inbox::default();
        let leader = NodeId(2);
        (1..=3).for_each(|token| admit(&mut inbox, token, 1).unwrap());
        (0..2).for_each(|_| drop(forward(&mut inbox, leader)));
        inbox.recall(Time(1), Some((leader, View(3))));
        assert_eq!(queued(&inbox), [Origin::Client(3)]);
        inbox.recall(Time(1), None);
        assert_eq!(queued(&inbox), [1, 2, 3].map(Origin::Client));
        assert!(inbox.queue().iter().map(|waiting| waiting.in_doubt).eq([true, true, false]));
    }

    #[test]
    fn a_forwarded_request_is_taken_by_the_answer_of_its_own_leader_once() {
        let mut inbox = Inbox::default();
        admit(&mut inbox, 1, 1).unwrap();
        let number = forward(&mut inbox, NodeId(2)).token;
        assert!(inbox.take_forwarded(NodeId(3), number).is_none());
        assert!(inbox.take_forwarded(NodeId(2), number).is_some());
        assert!(inbox.take_forwarded(NodeId(2), number).is_none());
    }

    #[test]
    fn copies_of_a_forwarded_request_bear_one_number_and_other_requests_others() {
        let mut inbox = Inbox::default();
        inbox.number_from(u64::MAX);
        (1..=3).for_each(|token| admit(&mut inbox, token, 1).unwrap());
        let sent = |inbox: &mut Inbox| [(); 2].map(|()| forward(inbox, NodeId(2)).token);
        let first = sent(&mut inbox);
        inbox.recall_from(NodeId(2));
        assert_eq!(sent(&mut inbox), first);
        let third = forward(&mut inbox, NodeId(2)).token;
        assert!(first[0] < first[1] && first[1] < third);
    }

    #[test]
    fn a_copy_of_a_request_that_another_node_waits_for_already_is_dropped_until_it_is_answered() {
        let mut inbox = Inbox::default();
        let copy = |inbox: &mut Inbox, node: u64, number: u64| {
            inbox.admit(Time(0), Origin::Peer(NodeId(node), number), request(number, 1)).unwrap();
            inbox.queue().len()
        };
        assert_eq!(copy(&mut inbox, 2, 7), 1);
        assert_eq!(copy(&mut inbox, 2, 7), 1);
        assert_eq!((copy(&mut inbox, 2, 8), copy(&mut inbox, 3, 7)), (2, 3));
        let first = inbox.pop().unwrap();
        assert_eq!(copy(&mut inbox, 2, 7), 2, "it is in a block, not answered");
        inbox.answered(&first);
        assert_eq!(copy(&mut inbox, 2, 7), 3);
    }

    #[test]
    fn a_request_expires_at_its_deadline_wherever_it_waits() {
        let mut inbox = Inbox::default();
        (1..=2).for_each(|token| admit(&mut inbox, token, 1).unwrap());
        forward(&mut inbox, NodeId(2));
        assert!(inbox.expired(Time(PATIENCE.as_micros() as u64 - 1)).is_empty());
        assert_eq!(inbox.expired(Time(0).after(PATIENCE)).len(), 2);
    }
}
