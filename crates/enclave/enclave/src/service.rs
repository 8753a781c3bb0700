//! What all sessions of a node share.

use std::sync::{Arc, Mutex, PoisonError};

use synod_governance::{Shared, Tables};
use synod_node::government::kind;
use synod_node::{Event as NodeEvent, Governed, Query, QueryAnswer, Refusal};
use synod_types::{ActorId, Seqno, Time, TxId, View, limits};
use synod_worker::{ActorFacts, Committed, Reader};

use crate::actors::Actors;
use crate::bodies::{Bodies, Room};
use crate::clock::Calendar;
use crate::governance::Governance;
use crate::government::{Governing, Government};
use crate::http::error::Failure;
use crate::mailbox::{Event, PostOffice};
use crate::manager_port::ManagerPort;
use crate::metrics::Metrics;
use crate::pool::Pools;
use crate::purpose::Purpose;
use crate::rotation::Papers;
use crate::serving::Serving;
use crate::views::{VIEWS_MAX, Views};
use crate::waits::Waits;

/// What all sessions of a node share.
pub struct Service {
    /// Committed snapshots and the adapters' frontends.
    pub reader: Reader,
    /// Who may ask for anything.
    pub actors: Actors,
    /// The governance tables.
    pub government: Government,
    /// The time by which certificates are judged.
    pub calendar: Calendar,
    /// What is told of the service's identity.
    pub papers: Papers,
    /// What is told of governance besides.
    pub governance: Governance,
    /// The node.
    pub manager: ManagerPort,
    /// Where answers arrive.
    pub office: Arc<PostOffice>,
    /// What waits for a commit.
    pub waits: Waits,
    /// The views of committed transactions. Told of every block, and before the snapshot that holds it is published.
    pub views: Views,
    /// Whether clients are served at all.
    pub serving: Serving,
    /// Figures.
    pub metrics: Metrics,
    /// Room for large bodies that are on their way in or wait for a thread.
    application_bodies: Arc<Bodies>,
    /// The same, of sessions for governance.
    governance_bodies: Arc<Bodies>,
    /// Room for reads of governance that wait for a thread, counted by their number.
    governance_reads: Arc<Bodies>,
    /// Threads for what may take long.
    pub pools: Pools,
    read_indexes: Mutex<ReadIndexes>,
}

/// Linearizable reads share questions to the leader: one is under way at a time, and a read that comes
/// meanwhile waits for the next one, because the answer must be younger than the read.
#[derive(Debug, Default)]
struct ReadIndexes {
    asked: Vec<u64>,
    next: Vec<u64>,
    under_way: bool,
}

impl Service {
    /// Sessions that are answered from `reader` and by `manager`; for nobody until there are actors.
    pub fn new(reader: Reader, calendar: Calendar, manager: ManagerPort, pools: Pools, governance: Governance) -> Self {
        Self {
            reader,
            actors: Actors::default(),
            government: Government::default(),
            calendar,
            papers: Papers::default(),
            governance,
            manager,
            office: Arc::default(),
            waits: Waits::default(),
            views: Views::new(VIEWS_MAX),
            serving: Serving::default(),
            metrics: Metrics::default(),
            application_bodies: Bodies::new(BODIES_BYTES_MAX, BODIES_BYTES_MAX),
            governance_bodies: Bodies::new(GOVERNANCE_BODIES_BYTES_MAX, GOVERNANCE_BODIES_BYTES_PER_ACTOR_MAX),
            governance_reads: Bodies::new(GOVERNANCE_READS_MAX, GOVERNANCE_READS_PER_ACTOR_MAX),
            pools,
            read_indexes: Mutex::default(),
        }
    }

    /// A governance transaction is committed. To be told before its request is answered.
    pub fn governed(&self, governed: Governed) {
        self.governance.happened(&self.government.latest().state, &governed);
        let Governed { txid, time, state, .. } = governed;
        self.govern(Governing::new(txid, time, state));
    }

    /// Serves the network by these tables from now on.
    ///
    /// # Panics
    /// If they cannot be read: the node has read them before it took them in.
    pub fn govern(&self, governing: Governing) {
        if !Shared::between(&self.government.latest().state, &governing.state).actors() {
            let actors = Tables::new(&governing.state).actors().expect("the node has read these tables");
            self.actors.replace(actors.into_iter().map(|(id, actor)| ActorFacts { id, kind: kind(actor.role) }));
        }
        self.governance.committed(governing.txid);
        self.calendar.note(governing.time);
        self.government.replace(governing);
    }

    /// Transactions up to this one, of a block of this time, are committed. To be told before they can be read.
    pub fn committed(&self, txid: TxId, time: Time) {
        self.views.committed(txid);
        self.calendar.note(time);
    }

    /// The latest committed snapshot, and the id of its last transaction.
    pub fn snapshot(&self) -> (Arc<Committed>, TxId) {
        let latest = self.reader.latest();
        let txid = self.views.txid(latest.seqno).unwrap_or(TxId::new(View(0), latest.seqno));
        (latest, txid)
    }

    /// Lets `token` wait until `seqno` is published; it hears [`Event::Reached`], perhaps at once.
    pub fn wait(&self, seqno: Seqno, token: u64) {
        if !self.waits.add(seqno, token, || self.reader.latest().seqno) {
            self.office.deliver(token, Event::Reached);
        }
    }

    /// As [`Service::wait`], for as long as what this gives is kept.
    pub fn wait_while(&self, seqno: Seqno, token: u64) -> Waiting<'_> {
        self.wait(seqno, token);
        Waiting { waits: &self.waits, seqno, token }
    }

    /// Takes room for a body of `size` bytes that is on its way in. Small ones need none.
    ///
    /// # Errors
    /// If there is no room: answer, then close.
    pub fn room(&self, purpose: Purpose, actor: ActorId, size: usize) -> Result<Option<Arc<Room>>, Failure> {
        if size <= BODY_BYTES_SMALL { Ok(None) } else { self.room_to_wait(purpose, actor, size).map(Some) }
    }

    /// Takes room for a body of any size that is to wait for a thread.
    ///
    /// # Errors
    /// If there is no room.
    pub fn room_to_wait(&self, purpose: Purpose, actor: ActorId, size: usize) -> Result<Arc<Room>, Failure> {
        let bodies = match purpose {
            Purpose::Applications => &self.application_bodies,
            Purpose::Governance => &self.governance_bodies,
        };
        bodies.take(actor, size).map(Arc::new).ok_or_else(|| Failure::from(Refusal::TooManyPending))
    }

    /// Takes room for a read of governance that is to wait for a thread.
    ///
    /// # Errors
    /// If there is none.
    pub fn room_to_read(&self, actor: ActorId) -> Result<Room, Failure> {
        self.governance_reads.take(actor, 1).ok_or_else(|| Failure::from(Refusal::TooManyPending))
    }

    /// Asks from which transaction on a read is linearizable, if it began now.
    pub fn read_index(&self, token: u64) {
        let mut reads = self.read_indexes.lock().unwrap_or_else(PoisonError::into_inner);
        reads.next.push(token);
        self.ask(&mut reads);
    }

    /// The node has answered; true if the token was the one of [`Service::read_index`].
    pub fn answered_read_index(&self, token: u64, result: &Result<QueryAnswer, Refusal>) -> bool {
        if token != READ_INDEX_TOKEN {
            return false;
        }
        let mut reads = self.read_indexes.lock().unwrap_or_else(PoisonError::into_inner);
        for token in std::mem::take(&mut reads.asked) {
            self.office.deliver(token, Event::Answer(result.clone()));
        }
        reads.under_way = false;
        self.ask(&mut reads);
        true
    }

    fn ask(&self, reads: &mut ReadIndexes) {
        if !reads.under_way && !reads.next.is_empty() {
            reads.under_way = true;
            reads.asked = std::mem::take(&mut reads.next);
            self.manager.event(NodeEvent::Query { token: READ_INDEX_TOKEN, query: Query::ReadIndex });
        }
    }
}

/// Ends a wait when it is dropped.
pub struct Waiting<'a> {
    waits: &'a Waits,
    seqno: Seqno,
    token: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waits.remove(self.seqno, self.token);
    }
}

/// How many bytes of large bodies may be on their way in at once, over all connections for applications.
const BODIES_BYTES_MAX: usize = 512 << 20;

/// How many bytes of large bodies may be on their way in or wait at once, over all connections for governance: the shares of
/// sixteen actors. A ballot takes none of it.
const GOVERNANCE_BODIES_BYTES_MAX: usize = 16 * GOVERNANCE_BODIES_BYTES_PER_ACTOR_MAX;

/// How many of these bytes may be one actor's: two of the largest.
const GOVERNANCE_BODIES_BYTES_PER_ACTOR_MAX: usize = 2 * limits::REQUEST_BODY_BYTES_MAX;

/// How many reads of governance may wait for the thread at once, over all connections: the shares of 64 actors.
const GOVERNANCE_READS_MAX: usize = 64 * GOVERNANCE_READS_PER_ACTOR_MAX;

/// How many of these reads may be one actor's: those of sixteen connections. Each may take some tens of milliseconds.
const GOVERNANCE_READS_PER_ACTOR_MAX: usize = 64;

/// Bodies up to this size are not counted: a connection may hold so much anyway.
const BODY_BYTES_SMALL: usize = 64 << 10;

/// Mailbox 0 is never given out.
const READ_INDEX_TOKEN: u64 = 1;
