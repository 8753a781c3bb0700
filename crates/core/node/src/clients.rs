//! Requests on their way in and answers on their way out.

use std::time::Duration;

use synod_types::{NodeId, Time, View};

use crate::batch::{Item, batches};
use crate::event::{Action, Answer, ClientRequest, Refusal, Response, StopReason};
use crate::inbox::{Lane, Origin, Waiting};
use crate::node::{Engine, Node};
use crate::peer::PeerMessage;

impl Node {
    /// Takes a request in, or refuses it at once.
    pub(crate) fn admit(&mut self, now: Time, origin: Origin, request: ClientRequest) {
        let refused = if self.stopping.is_some() {
            Some(Refusal::Stopping)
        } else if self.removed {
            Some(Refusal::NodeRemoved)
        } else if matches!(origin, Origin::Peer(..)) && self.leadership.is_none() {
            // The sender holds the request and sends it again once it knows the leader.
            Some(Refusal::NoLeader)
        } else if !request.fits_a_message() {
            // It would not fit a block either.
            Some(Refusal::TooLarge)
        } else {
            self.inbox.admit(now, origin, request).err()
        };
        if let Some(refusal) = refused {
            self.answer(origin, Err(refusal));
        }
    }

    /// Answers a request that was taken in, and gives back its room. Who is told of a refusal may rely on it that
    /// nothing was done, so if that is in doubt another is told.
    pub(crate) fn respond(&mut self, waiting: Waiting, result: Result<Answer, Refusal>) {
        self.inbox.answered(&waiting);
        let result = if waiting.in_doubt { result.map_err(Refusal::in_doubt) } else { result };
        match (waiting.origin, result) {
            // The session needs it to send it again.
            (Origin::Client(_), Err(Refusal::ProveAnew)) => self.unproved.push(waiting.request),
            (origin, result) => self.answer(origin, result),
        }
    }

    fn answer(&mut self, origin: Origin, result: Result<Answer, Refusal>) {
        match origin {
            Origin::Client(token) => self.responses.push(Response { token, result }),
            Origin::Peer(node, token) => {
                let mut response = Response { token, result };
                if !response.fits_a_message() {
                    // Replies of a request that wrote are in its block, which is smaller: so nothing was written.
                    response.result = Err(Refusal::TooLarge);
                }
                self.peer_responses.entry(node).or_default().push(response);
            }
        }
    }

    /// Sends all waiting requests of own clients to the leader; other nodes' clients are told that it is not here.
    pub(crate) fn forward_all(&mut self, now: Time, leader: NodeId, view: View) {
        // Those to governance go first, in messages of their own.
        for lane in [Lane::Governance, Lane::Applications] {
            let mut requests = Vec::new();
            while let Some(waiting) = self.inbox.pop(lane) {
                let Origin::Client(_) = waiting.origin else {
                    self.respond(waiting, Err(Refusal::NoLeader));
                    continue;
                };
                requests.push(self.inbox.forwarded(now, (leader, view), waiting));
            }
            for batch in batches(requests) {
                self.send(leader, &PeerMessage::Forward(batch));
            }
        }
    }

    /// Passes a leader's answer on. That it leads no longer is no answer: the request is sent on when the next
    /// leader is known.
    pub(crate) fn on_forward_reply(&mut self, from: NodeId, response: Response) {
        if matches!(response.result, Err(Refusal::NoLeader | Refusal::Stopping | Refusal::NodeRemoved)) {
            return;
        }
        if let Some(waiting) = self.inbox.take_forwarded(from, response.token) {
            self.respond(waiting, response.result);
        }
    }

    /// Answers those who have waited too long that there is no leader: they may ask again under the same id.
    pub(crate) fn expire(&mut self, now: Time) {
        self.expiry_at = None;
        let leader = match &self.engine {
            Engine::Running(consensus) => consensus.leader().map(|leader| (leader, consensus.view())),
            Engine::Idle | Engine::Resuming { .. } => None,
        };
        self.inbox.recall(now, leader);
        let mut expired = self.inbox.expired(now);
        expired.extend(self.layers.expired(|waiting| waiting.deadline <= now));
        for waiting in expired {
            self.respond(waiting, Err(Refusal::NoLeader));
        }
        self.expire_reads(now, Refusal::NoLeader);
    }

    /// Stops in good order: a leader with a peer to lead hands over first.
    pub(crate) fn on_shutdown(&mut self, now: Time) {
        if self.hand_over() {
            self.stopping.get_or_insert((now.after(HANDOVER_PATIENCE), StopReason::Shutdown));
        } else {
            self.stop(StopReason::Shutdown);
        }
    }

    /// Stops for good; everyone who waits is told.
    pub(crate) fn stop(&mut self, reason: StopReason) {
        if self.stopped {
            return;
        }
        self.stopped = true;
        let mut waiting = self.inbox.drain();
        waiting.extend(self.layers.all_waiting());
        for waiting in waiting {
            self.respond(waiting, Err(Refusal::Stopping));
        }
        self.expire_reads(Time(u64::MAX), Refusal::Stopping);
        self.flush_answers();
        self.actions.push_back(Action::Stop { reason });
    }

    /// Sends the answers of this event.
    pub(crate) fn flush_answers(&mut self) {
        if !self.responses.is_empty() {
            self.actions.push_back(Action::Respond(std::mem::take(&mut self.responses)));
        }
        if !self.unproved.is_empty() {
            self.actions.push_back(Action::ProveAnew(std::mem::take(&mut self.unproved)));
        }
        for (to, responses) in std::mem::take(&mut self.peer_responses) {
            for batch in batches(responses) {
                self.send(to, &PeerMessage::ForwardReply(batch));
            }
        }
    }
}

/// How long a leader that was asked to stop waits for another to take over: a hand-over takes one
/// round trip and a sync, an election at worst a second.
pub const HANDOVER_PATIENCE: Duration = Duration::from_secs(2);
