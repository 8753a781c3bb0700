//! The manager's thread: owns the node, and does what it says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use synod_node::{Action, Event, Node, Probe, Role, Serving, Stage, StopReason};
use synod_types::boundary::{Append, Ticket, ToHost};
use synod_types::{AdapterId, Seqno, Time, TxId};
use synod_worker::ToWorker;
use tokio::sync::mpsc::UnboundedSender;

use crate::clock::Clock;
use crate::hub::ToHub;
use crate::manager_port::ToManager;
use crate::nodes::NodeKeys;
use crate::peers::Peers;
use crate::rotation::Rotation;
use crate::service::Service;
use crate::stream::HostSink;

/// The node and all that it speaks to.
pub struct Manager {
    /// The node.
    pub node: Node,
    /// Its time.
    pub clock: Clock,
    /// What the sessions share.
    pub service: Arc<Service>,
    /// The host.
    pub host: HostSink,
    /// The other nodes.
    pub peers: Arc<Peers>,
    /// Who is a node.
    pub nodes: Arc<NodeKeys>,
    /// The service's keys.
    pub rotation: Rotation,
    /// The worker.
    pub worker: Sender<Vec<ToWorker>>,
    /// The sessions.
    pub hub: UnboundedSender<ToHub>,
}

impl Manager {
    /// Works until the node stops, and says why it did; `None` if every other part is gone.
    pub fn run(mut self, inbox: &Receiver<ToManager>) -> Option<StopReason> {
        self.node.set_probe(BlockProbe { service: Arc::clone(&self.service), last: Instant::now() });
        let mut figures = Figures::default();
        // Who has a part is known from the start.
        if let Some(reason) = self.act(&mut figures) {
            return Some(reason);
        }
        loop {
            let first = self.wait(inbox)?;
            let mut requests = Vec::new();
            let mut others = Vec::new();
            let rest = std::iter::from_fn(|| inbox.try_recv().ok()).take(MESSAGES_AT_ONCE);
            for message in std::iter::once(first).chain(rest) {
                match message {
                    // One event for all: the node looks for a block to close after each.
                    ToManager::Event(Event::Requests(more)) if requests.is_empty() => requests = more,
                    ToManager::Event(Event::Requests(more)) => requests.extend(more),
                    other => others.push(other),
                }
            }
            if !requests.is_empty() {
                figures.arrived(&requests);
                self.node.handle(self.clock.now(), Event::Requests(requests));
            }
            for message in others {
                self.handle(message, &mut figures);
            }
            if let Some(reason) = self.act(&mut figures) {
                return Some(reason);
            }
        }
    }

    /// The next message, or the timeout as one. `None` if nobody can send any.
    fn wait(&self, inbox: &Receiver<ToManager>) -> Option<ToManager> {
        let result = match self.node.poll_timeout() {
            Some(at) => inbox.recv_timeout(at.since(self.clock.now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match result {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => Some(ToManager::Event(Event::Timeout)),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    fn handle(&mut self, message: ToManager, figures: &mut Figures) {
        let metrics = &self.service.metrics;
        let event = match message {
            ToManager::Event(event) => event,
            // The room goes back at the end of this call, when the message is worked off.
            ToManager::Peer { from, bytes, room } => {
                self.node.handle(self.clock.now(), Event::PeerMessage { from, bytes });
                return drop(room);
            }
        };
        match &event {
            Event::Persisted(ticket) => figures.persisted(*ticket, |time| metrics.sync.observe(time)),
            Event::Executed(_) => figures.executed(|time| metrics.execute.observe(time)),
            _ => {}
        }
        self.node.handle(self.clock.now(), event);
    }

    /// Does all that the node wants done; gives the reason if it stopped.
    fn act(&mut self, figures: &mut Figures) -> Option<StopReason> {
        let mut to_worker = Vec::new();
        let mut responses = Vec::new();
        let mut stopped = None;
        while let Some(action) = self.node.poll_action() {
            match action {
                Action::Send { to, bytes } => {
                    self.peers.send(to, bytes, &self.service.metrics.peer_messages_dropped);
                }
                Action::Append(append) => {
                    figures.appended(&append, self.node.status().role == Role::Leader);
                    (self.host)(ToHost::Append(append));
                }
                Action::ReadLedger { ticket, range } => (self.host)(ToHost::ReadLedger { ticket, range }),
                Action::Worker(message) => {
                    let calls = match &message {
                        ToWorker::Execute(execute) => Some(execute.calls.len()),
                        ToWorker::Configure(_) => Some(0),
                        _ => None,
                    };
                    if let Some(calls) = calls {
                        let queue = &self.service.metrics.queue;
                        figures.executing(calls, |time, calls| queue.observe_times(time, calls));
                    }
                    to_worker.push(message);
                }
                Action::Respond(more) if responses.is_empty() => responses = more,
                Action::Respond(more) => responses.extend(more),
                Action::ProveAnew(requests) => self.to_hub(ToHub::ProveAnew(requests)),
                Action::Answer { token, result } => self.to_hub(ToHub::Answer { token, result }),
                Action::Committed { txid, time } => self.committed(txid, time, figures),
                Action::ServiceRotated(next) => {
                    tracing::info!(key = %next.verifying_key().digest(), "the service has a new key");
                    self.rotation.rotated(next);
                }
                Action::Governed(governed) => {
                    self.nodes.govern(&governed.state);
                    let (node, txid) = (self.node.status().id, governed.txid);
                    self.service.governed(governed);
                    (self.host)(ToHost::GovernanceHappened { node, txid });
                }
                Action::Circle(nodes) => self.nodes.keep(nodes),
                Action::Serving(serving) => {
                    if serving == Serving::NoMore {
                        tracing::warn!("members have removed this node: it serves nobody any more; stop it");
                    }
                    self.service.serving.set(serving);
                }
                Action::Stop { reason } => stopped = Some(reason),
            }
        }
        // After the views of what it commits are known, since sessions see a snapshot as soon as it is there.
        if !to_worker.is_empty() {
            // The worker ends only after this thread, or by a failed assertion, which ends the process.
            let _ = self.worker.send(to_worker);
        }
        if !responses.is_empty() {
            self.to_hub(ToHub::Responses(responses));
        }
        // A follower forwards its requests and executes none.
        let is_leader = self.node.status().role == Role::Leader;
        figures.keep_waiting(if is_leader { self.node.waiting_calls() as u64 } else { 0 });
        stopped
    }

    fn committed(&self, txid: TxId, time: Time, figures: &mut Figures) {
        let metrics = &self.service.metrics;
        let before = self.service.views.last();
        metrics.blocks.count();
        metrics.transactions.add(txid.seqno.0.saturating_sub(before.seqno.0));
        self.service.committed(txid, time);
        figures.committed(txid.seqno, |time| metrics.replicate.observe(time));
    }

    fn to_hub(&self, message: ToHub) {
        // The sessions end only after this thread has.
        let _ = self.hub.send(message);
    }
}

/// When what began, for the histograms.
#[derive(Debug, Default)]
struct Figures {
    /// Requests that wait for execution: when they came, and their calls.
    waiting: VecDeque<(Instant, u64)>,
    /// How many calls those are together.
    waiting_calls: u64,
    /// When the worker was handed blocks that it has not finished.
    executing: VecDeque<Instant>,
    /// When the disk was handed what is not yet synced.
    syncing: VecDeque<(Ticket, Instant)>,
    /// Blocks of this leader that are not committed: their last transaction, and when they went out.
    replicating: VecDeque<(Seqno, Instant)>,
}

impl Figures {
    fn arrived(&mut self, requests: &[synod_node::ClientRequest]) {
        // The worker executes none for governance.
        let executed = requests.iter().filter(|request| request.adapter != AdapterId::GOVERNANCE);
        let calls = executed.map(|request| request.calls.len() as u64).sum();
        if calls > 0 {
            self.waiting.push_back((Instant::now(), calls));
            self.waiting_calls += calls;
        }
    }

    /// Requests are executed in the order in which they came, so that the oldest calls are the ones that begin.
    /// Forwarded ones are not counted, so with many of them this shows too short a wait.
    fn executing(&mut self, calls: usize, mut observe: impl FnMut(Duration, u64)) {
        let now = Instant::now();
        let mut left = calls as u64;
        while left > 0
            && let Some((since, waiting)) = self.waiting.front_mut()
        {
            let begun = left.min(*waiting);
            observe(now.duration_since(*since), begun);
            left -= begun;
            self.waiting_calls -= begun;
            *waiting -= begun;
            if *waiting == 0 {
                self.waiting.pop_front();
            }
        }
        self.executing.push_back(now);
    }

    /// No more calls wait than these: the youngest of the others were refused as they came.
    fn keep_waiting(&mut self, calls: u64) {
        while self.waiting_calls > calls
            && let Some((_, last)) = self.waiting.back_mut()
        {
            let gone = (self.waiting_calls - calls).min(*last);
            self.waiting_calls -= gone;
            *last -= gone;
            if *last == 0 {
                self.waiting.pop_back();
            }
        }
    }

    fn executed(&mut self, observe: impl FnOnce(Duration)) {
        if let Some(since) = self.executing.pop_front() {
            observe(since.elapsed());
        }
    }

    fn appended(&mut self, append: &Append, is_leader: bool) {
        let now = Instant::now();
        self.syncing.push_back((append.ticket, now));
        if append.truncate_from.is_some() {
            self.replicating.clear();
        }
        let blocks = append.records.iter().filter(|record| is_leader && record.count > 0);
        self.replicating.extend(blocks.map(|block| (Seqno(block.first_seqno.0 + u64::from(block.count) - 1), now)));
    }

    fn persisted(&mut self, ticket: Ticket, mut observe: impl FnMut(Duration)) {
        while let Some((_, since)) = self.syncing.pop_front_if(|(waiting, _)| *waiting <= ticket) {
            observe(since.elapsed());
        }
    }

    fn committed(&mut self, upto: Seqno, mut observe: impl FnMut(Duration)) {
        while let Some((_, since)) = self.replicating.pop_front_if(|(last, _)| *last <= upto) {
            observe(since.elapsed());
        }
    }
}

/// Measures sealing and signing.
struct BlockProbe {
    service: Arc<Service>,
    last: Instant,
}

impl Probe for BlockProbe {
    fn passed(&mut self, stage: Stage) {
        let now = Instant::now();
        let took = now.duration_since(self.last);
        match stage {
            Stage::Executed => {}
            Stage::Sealed => self.service.metrics.seal.observe(took),
            Stage::Signed => self.service.metrics.sign.observe(took),
        }
        self.last = now;
    }
}

/// How many messages are handled before the node's actions are done.
const MESSAGES_AT_ONCE: usize = 256;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_node::{ClientRequest, Proof};
    use synod_types::{ActorId, RequestId};

    use super::*;

    fn requests(adapter: AdapterId, count: usize) -> Vec<ClientRequest> {
        let (actor, request_id) = (ActorId::default(), RequestId::default());
        let request =
            ClientRequest { token: 1, actor, proof: Proof::default(), request_id, adapter, calls: vec![Bytes::new()] };
        vec![request; count]
    }

    #[test]
    fn what_was_refused_or_is_for_governance_counts_as_waiting_no_longer() {
        let mut figures = Figures::default();
        figures.arrived(&requests(AdapterId::GOVERNANCE, 3));
        figures.arrived(&requests(AdapterId(0), 2));
        figures.arrived(&requests(AdapterId(0), 5));
        figures.keep_waiting(3);
        assert_eq!(figures.waiting.iter().map(|(_, calls)| *calls).collect::<Vec<_>>(), [2, 1]);
        let mut observed = 0;
        figures.executing(3, |_, calls| observed += calls);
        assert_eq!((observed, figures.waiting.len(), figures.waiting_calls), (3, 0, 0));
        figures.arrived(&requests(AdapterId(0), 1));
        figures.keep_waiting(0);
        assert_eq!((figures.waiting.len(), figures.waiting_calls), (0, 0));
    }
}
