//! Requests that wait for a leader or for their block.
//!
//! Admission is bounded before execution, by one limit over all that waits: in the inbox, at the
//! leader, and in uncommitted blocks.
//!
//! # Governance
//! Requests to governance have a queue and room of their own, and come first: whatever applications have to do, members
//! can decide, and if only to remove who overloads the network. So that this does not turn into a way to
//! hold applications up, each actor has a share of that room, and after [`GOVERNANCE_RUN_MAX`] governance
//! blocks applications have their turn. Revocations have room apart: whoever stole a leaf and uses up all that its
//! organisation has must not keep it from taking the leaf back.
//!
//! # Forwarded requests
//! A follower sends a request again when it cannot know whether the first copy arrived. All copies bear one number,
//! which no other request of that node ever had, so a leader takes none that it holds already, and an answer finds
//! its request even after a restart. A copy that was given up may be done all the same, by a leader that was
//! deposed or by one that had just answered: such a request is in doubt, and no refusal of a later copy
//! is passed on as if nothing had been done.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use synod_governance::Request;
use synod_governance::limits::{ACTORS_MAX, CRL_BYTES_MAX, STATEMENT_BYTES_MAX};
use synod_types::{ActorId, AdapterId, NodeId, Time, View, limits};

use crate::event::{ClientRequest, Refusal};
use crate::room::Room;

/// The most requests to applications that may wait at one node. At 60,000 requests a second this is half a second
/// of work, more than any client should queue.
pub const WAITING_REQUESTS_MAX: usize = 32_768;

/// The most bytes of requests to applications that may wait at one node: eight requests of the largest size.
pub const WAITING_BYTES_MAX: usize = 8 * limits::REQUEST_BODY_BYTES_MAX;

/// The most requests to governance that may wait at one node: as many ballots as proposals can be open.
pub const WAITING_GOVERNANCE_REQUESTS_MAX: usize = 4_096;

/// The most bytes of requests to governance that may wait at one node: the shares of sixteen actors.
pub const WAITING_GOVERNANCE_BYTES_MAX: usize = 16 * WAITING_GOVERNANCE_BYTES_PER_ACTOR_MAX;

/// The most requests to governance of one actor that may wait at one node: a member that catches up on its votes sends
/// them one after the other.
pub const WAITING_GOVERNANCE_REQUESTS_PER_ACTOR_MAX: usize = 64;

/// The most bytes of requests to governance of one actor that may wait at one node: its largest proposal, and more.
pub const WAITING_GOVERNANCE_BYTES_PER_ACTOR_MAX: usize = 2 * GOVERNANCE_REQUEST_BYTES_MAX;

/// The most revocations that may wait at one node: those of all actors.
pub const WAITING_REVOCATIONS_MAX: usize = WAITING_REVOCATIONS_PER_ACTOR_MAX * ACTORS_MAX;

/// The most bytes of revocations that may wait at one node: the largest ones of 64 actors.
pub const WAITING_REVOCATIONS_BYTES_MAX: usize = 64 * REVOCATION_BYTES_MAX;

/// The most revocations of one actor that may wait at one node: the next list, while the one before is on its way.
pub const WAITING_REVOCATIONS_PER_ACTOR_MAX: usize = 2;

/// The largest revocation: the largest list, and what says that it is one.
const REVOCATION_BYTES_MAX: usize = CRL_BYTES_MAX + 64;

/// The largest request to governance: the largest statement, and what says which kind it is.
const GOVERNANCE_REQUEST_BYTES_MAX: usize = STATEMENT_BYTES_MAX + 64;

/// After how many governance blocks in a row applications that wait have their turn: a round of ballots is through by then.
pub const GOVERNANCE_RUN_MAX: u32 = 8;

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

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// An application: many of them share a block.
    Applications,
    /// Governance: each has a block of its own.
    Governance,
}

impl Lane {
    /// Which one `request` is in.
    pub const fn of(request: &ClientRequest) -> Self {
        match request.adapter {
            AdapterId::GOVERNANCE => Self::Governance,
            _ => Self::Applications,
        }
    }
}

/// From which room a request takes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Application,
    Governance,
    Revocation,
}

impl Kind {
    fn of(request: &ClientRequest) -> Self {
        match Lane::of(request) {
            Lane::Applications => Self::Application,
            Lane::Governance if request.calls.first().is_some_and(|call| Request::is_revocation(call)) => {
                Self::Revocation
            }
            Lane::Governance => Self::Governance,
        }
    }

    const fn bytes_max(self) -> usize {
        match self {
            Self::Application => usize::MAX,
            Self::Governance => GOVERNANCE_REQUEST_BYTES_MAX,
            Self::Revocation => REVOCATION_BYTES_MAX,
        }
    }

    /// The room that one actor has.
    const fn share(self) -> Room {
        match self {
            Self::Application => Room::new(WAITING_REQUESTS_MAX, WAITING_BYTES_MAX),
            Self::Governance => {
                Room::new(WAITING_GOVERNANCE_REQUESTS_PER_ACTOR_MAX, WAITING_GOVERNANCE_BYTES_PER_ACTOR_MAX)
            }
            Self::Revocation => {
                let count = WAITING_REVOCATIONS_PER_ACTOR_MAX;
                Room::new(count, count * REVOCATION_BYTES_MAX)
            }
        }
    }
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
#[derive(Debug)]
pub struct Inbox {
    applications: VecDeque<Waiting>,
    governance: VecDeque<Waiting>,
    /// How many requests to governance were taken in a row.
    run: u32,
    /// By number, so that they come back in the order in which they were first sent.
    forwarded: BTreeMap<u64, Forwarded>,
    next_number: u64,
    /// Other nodes' requests that are not answered yet, wherever they wait.
    held: BTreeSet<(NodeId, u64)>,
    application_room: Room,
    governance_room: Room,
    revocation_room: Room,
    /// The shares of actors that have requests to governance here.
    shares: HashMap<(ActorId, Kind), Room>,
    /// The calls of the queue of applications.
    queued_calls: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            applications: VecDeque::new(),
            governance: VecDeque::new(),
            run: 0,
            forwarded: BTreeMap::new(),
            next_number: 0,
            held: BTreeSet::new(),
            application_room: Room::new(WAITING_REQUESTS_MAX, WAITING_BYTES_MAX),
            governance_room: Room::new(WAITING_GOVERNANCE_REQUESTS_MAX, WAITING_GOVERNANCE_BYTES_MAX),
            revocation_room: Room::new(WAITING_REVOCATIONS_MAX, WAITING_REVOCATIONS_BYTES_MAX),
            shares: HashMap::new(),
            queued_calls: 0,
        }
    }
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
    /// has no call or too many, [`Refusal::TooLarge`] if it is larger than any of its kind.
    pub fn admit(&mut self, now: Time, origin: Origin, request: ClientRequest) -> Result<(), Refusal> {
        if request.calls.is_empty() || request.calls.len() > limits::REQUEST_CALLS_MAX {
            return Err(Refusal::CallCountNotAllowed);
        }
        if let Origin::Peer(node, number) = origin
            && self.held.contains(&(node, number))
        {
            return Ok(());
        }
        self.take_room(&request)?;
        if let Origin::Peer(node, number) = origin {
            self.held.insert((node, number));
        }
        let deadline = now.after(PATIENCE);
        let waiting = Waiting { request, origin, deadline, in_doubt: false, number: None };
        match Lane::of(&waiting.request) {
            Lane::Governance => self.governance.push_back(waiting),
            Lane::Applications => {
                self.queued_calls += waiting.request.calls.len();
                self.applications.push_back(waiting);
            }
        }
        Ok(())
    }

    fn take_room(&mut self, request: &ClientRequest) -> Result<(), Refusal> {
        let (kind, size) = (Kind::of(request), request.size());
        if size > kind.bytes_max() {
            return Err(Refusal::TooLarge);
        }
        if !self.room(kind).has(size) {
            return Err(Refusal::TooManyPending);
        }
        if kind != Kind::Application {
            let share = self.shares.entry((request.actor, kind)).or_insert_with(|| kind.share());
            share.take(size).ok_or(Refusal::TooManyPending)?;
        }
        self.room(kind).take(size).ok_or(Refusal::TooManyPending)
    }

    fn give_room_back(&mut self, request: &ClientRequest) {
        let (kind, size) = (Kind::of(request), request.size());
        self.room(kind).give_back(size);
        if kind == Kind::Application {
            return;
        }
        let key = (request.actor, kind);
        let share = self.shares.get_mut(&key).expect("it was taken when the request came in");
        share.give_back(size);
        if share.is_free() {
            self.shares.remove(&key);
        }
    }

    /// The room of all actors.
    const fn room(&mut self, kind: Kind) -> &mut Room {
        match kind {
            Kind::Application => &mut self.application_room,
            Kind::Governance => &mut self.governance_room,
            Kind::Revocation => &mut self.revocation_room,
        }
    }

    /// Gives back the room of a request that was answered.
    pub fn answered(&mut self, waiting: &Waiting) {
        self.give_room_back(&waiting.request);
        if let Origin::Peer(node, number) = waiting.origin {
            self.held.remove(&(node, number));
        }
    }

    /// From which queue the next block is to be; `None` if nothing waits.
    pub fn next_lane(&self) -> Option<Lane> {
        let may_govern = self.run < GOVERNANCE_RUN_MAX || self.applications.is_empty();
        if may_govern && !self.governance.is_empty() {
            return Some(Lane::Governance);
        }
        (!self.applications.is_empty()).then_some(Lane::Applications)
    }

    /// The oldest request that waits for a block or a leader.
    pub fn front(&self, lane: Lane) -> Option<&Waiting> {
        match lane {
            Lane::Applications => self.applications.front(),
            Lane::Governance => self.governance.front(),
        }
    }

    /// Takes the oldest waiting request; its room stays taken until it is answered.
    pub fn pop(&mut self, lane: Lane) -> Option<Waiting> {
        match lane {
            Lane::Applications => {
                let waiting = self.applications.pop_front()?;
                self.queued_calls -= waiting.request.calls.len();
                self.run = 0;
                Some(waiting)
            }
            Lane::Governance => {
                let waiting = self.governance.pop_front()?;
                self.run += 1;
                Some(waiting)
            }
        }
    }

    /// Takes those requests to governance out of the queue of which `which` knows something, with what it knows.
    pub fn take_governance<T>(&mut self, mut which: impl FnMut(&ClientRequest) -> Option<T>) -> Vec<(Waiting, T)> {
        let known: Vec<_> = self.governance.iter().map(|waiting| which(&waiting.request)).collect();
        if known.iter().all(Option::is_none) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        for (waiting, known) in std::mem::take(&mut self.governance).into_iter().zip(known) {
            match known {
                Some(known) => taken.push((waiting, known)),
                None => self.governance.push_back(waiting),
            }
        }
        taken
    }

    /// How many calls the requests to applications in the queue hold.
    pub const fn queued_calls(&self) -> usize {
        self.queued_calls
    }

    /// Puts requests back that their block or their leader was lost for: before all younger ones, in order.
    pub fn put_back(&mut self, requests: impl DoubleEndedIterator<Item = Waiting>) {
        for waiting in requests.rev() {
            match Lane::of(&waiting.request) {
                Lane::Governance => self.governance.push_front(waiting),
                Lane::Applications => {
                    self.queued_calls += waiting.request.calls.len();
                    self.applications.push_front(waiting);
                }
            }
        }
    }

    /// Takes out all that waits outside blocks.
    pub fn drain(&mut self) -> Vec<Waiting> {
        let forwarded = std::mem::take(&mut self.forwarded).into_values().map(|forwarded| forwarded.waiting);
        self.queued_calls = 0;
        self.governance.drain(..).chain(self.applications.drain(..)).chain(forwarded).collect()
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
        expired.extend(take_late(&mut self.governance, now));
        let late = take_late(&mut self.applications, now);
        self.queued_calls -= late.iter().map(|waiting| waiting.request.calls.len()).sum::<usize>();
        expired.extend(late);
        expired
    }

    /// Whether anything waits anywhere.
    pub const fn is_idle(&self) -> bool {
        self.application_room.is_free() && self.governance_room.is_free() && self.revocation_room.is_free()
    }
}

fn take_late(queue: &mut VecDeque<Waiting>, now: Time) -> VecDeque<Waiting> {
    if queue.iter().all(|waiting| waiting.deadline > now) {
        return VecDeque::new();
    }
    let (late, early) = std::mem::take(queue).into_iter().partition(|waiting| waiting.deadline <= now);
    *queue = early;
    late
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
mod tests;
