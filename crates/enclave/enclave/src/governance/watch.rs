//! Watching governance: what was missed first, then what happens, each event once and in order.
//!
//! Who watches is a place in the order of all events. Events after it are taken from the log, or, where that does not
//! reach back so far, found in the tables. Nothing is queued for anybody: whoever is slower than the log is long is
//! ended, and goes on later from the last event that came.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use synod_governance::view::{AsOf, EventPlace, missed};
use synod_governance::{Read, Tables};
use synod_node::QueryAnswer;
use synod_types::{ActorId, Seqno, TxId, View};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::log::{After, Frame, page};
use crate::government::Governing;
use crate::http::error::Failure;
use crate::mailbox::{Event, Postbox};
use crate::purpose::Purpose;
use crate::service::Service;

/// Somebody who watches.
pub struct Watch {
    service: Arc<Service>,
    actor: ActorId,
    /// The last event that was given.
    at: EventPlace,
    /// Whether all that was missed has been given.
    is_live: bool,
    tables: watch::Receiver<Arc<Governing>>,
    postbox: Postbox,
    turn: Arc<Semaphore>,
    /// The transaction as of which this began.
    txid: TxId,
    _place: Place,
}

impl Watch {
    /// Begins after a place, or with what happens from now on.
    ///
    /// # Errors
    /// If the actor watches too often already.
    pub fn begin(service: &Arc<Service>, actor: ActorId, after: Option<EventPlace>) -> Result<Self, Failure> {
        let place = service.governance.watchers.take(actor)?;
        let mut tables = service.government.subscribe();
        let txid = tables.borrow_and_update().txid;
        Ok(Self {
            service: Arc::clone(service),
            actor,
            at: after.unwrap_or(EventPlace::end_of(txid.seqno)),
            is_live: false,
            tables,
            postbox: service.office.open(),
            turn: Arc::new(Semaphore::new(1)),
            txid,
            _place: place,
        })
    }

    /// The transaction as of which this began.
    pub const fn txid(&self) -> TxId {
        self.txid
    }

    /// The next events, as text; or a comment with the last committed transaction, so that the connection is known to stand
    /// and how far the node is. `None` if there is no going on from here: the one who watches has been too slow, the node
    /// stops, or has nothing to tell because it does not take part any more. Must be waited for up to its end.
    pub async fn next(&mut self) -> Option<Vec<Bytes>> {
        loop {
            // Seen before the log is looked at: what comes later changes the tables once more.
            self.tables.borrow_and_update();
            match self.service.governance.log.after(self.at) {
                After::Frames(frames) => {
                    self.is_live = true;
                    return Some(self.give(frames));
                }
                After::Nothing => {
                    self.is_live = true;
                    let changed = tokio::select! {
                        changed = timeout(SILENCE_MAX, self.tables.changed()) => changed,
                        () = self.service.serving.removed() => return None,
                    };
                    match changed {
                        Ok(changed) => changed.ok()?,
                        Err(_) => {
                            let committed = self.committed().await?;
                            return Some(vec![format!(": {committed}\n\n").into()]);
                        }
                    }
                }
                After::Older(_) if self.is_live => return None,
                After::Older(until) => {
                    let frames = self.missed(until).await?;
                    if !frames.is_empty() {
                        return Some(self.give(frames));
                    }
                    self.at = EventPlace::end_of(Seqno(until.0.saturating_sub(1)));
                }
            }
        }
    }

    /// The last transaction that this node knows committed, of which it is sure only if it knows of a leader that knows of
    /// it. One that is cut off from the others would be silent for ever, and who watches there would miss what happens.
    async fn committed(&mut self) -> Option<TxId> {
        self.service.read_index(self.postbox.token(0));
        let mut events = Vec::new();
        let answered = std::future::poll_fn(|cx| self.postbox.poll_take(cx, &mut events));
        timeout(SILENCE_MAX, answered).await.ok()?;
        match events.pop() {
            Some((_, Event::Answer(Ok(QueryAnswer::ReadIndex(txid))))) => Some(txid),
            _ => None,
        }
    }

    fn give(&mut self, frames: Vec<Frame>) -> Vec<Bytes> {
        if let Some(last) = frames.last() {
            self.at = last.place;
        }
        frames.into_iter().map(|frame| frame.text).collect()
    }

    /// What the tables know of events after this place and before a transaction; found in the pool.
    async fn missed(&mut self, until: Seqno) -> Option<Vec<Frame>> {
        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let (service, at) = (Arc::clone(&self.service), self.at);
        let job = Box::new(move || find(&service, at, until).map_or(Event::Failed, Event::Missed));
        self.service.pools.reads(Purpose::Governance).run(
            self.actor,
            Arc::clone(&self.service.office),
            self.postbox.token(0),
            job,
            turn,
        );
        let mut events = Vec::new();
        std::future::poll_fn(|cx| self.postbox.poll_take(cx, &mut events)).await;
        match events.pop() {
            Some((_, Event::Missed(frames))) => Some(frames),
            _ => None,
        }
    }
}

fn find(service: &Service, at: EventPlace, until: Seqno) -> Read<Vec<Frame>> {
    let governing = service.government.latest();
    let (tables, network) = (Tables(&governing.state), service.governance.network);
    let txid_of = |seqno| service.governance.txid_of(seqno);
    let frames = missed(&governing.state, at, until, MISSED_AT_ONCE)?.into_iter().map(|(place, happened)| {
        // A view of long ago may not be known; whoever goes on from there is asked for the seqno only.
        let txid = txid_of(place.seqno).unwrap_or(TxId::new(View(0), place.seqno));
        let time = synod_governance::view::event_time(&happened, tables)?;
        let as_of = AsOf { network, txid, time, txid_of: &txid_of };
        Frame::of(&happened, place, (tables, tables), &as_of)
    });
    page(frames)
}

/// How often each actor watches.
#[derive(Debug, Default)]
pub struct Watchers(Arc<Mutex<BTreeMap<ActorId, usize>>>);

/// A place among those who watch, until it is dropped.
#[derive(Debug)]
struct Place {
    watchers: Arc<Mutex<BTreeMap<ActorId, usize>>>,
    actor: ActorId,
}

impl Watchers {
    fn take(&self, actor: ActorId) -> Result<Place, Failure> {
        let mut watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = watchers.entry(actor).or_default();
        if *count >= WATCHES_OF_ACTOR_MAX {
            let message = "this actor watches too often at this node already";
            return Err(Failure::new(
                429,
                "TooManyWatches",
                message,
                "end another stream of events, or ask another node",
            ));
        }
        *count += 1;
        Ok(Place { watchers: Arc::clone(&self.0), actor })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = watchers.get_mut(&self.actor) {
            *count -= 1;
            if *count == 0 {
                watchers.remove(&self.actor);
            }
        }
    }
}

/// After how long of silence something is said: middleboxes and clients give up after a minute or less.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// About how many missed events are looked for at once: a page or two of what is sent at once.
const MISSED_AT_ONCE: usize = 250;

/// How often one actor may watch at one node: some people and their tools, each on some connections.
const WATCHES_OF_ACTOR_MAX: usize = 64;
