//! What a leader does: orders requests, has them executed, seals and proposes blocks.
//!
//! A block closes when the pipeline is idle, at N calls, or at T ms ([`Rules`]): with nothing
//! under way a request is executed at once, and under load requests gather while earlier blocks
//! are on their way to a quorum, so blocks grow just as large as the load needs.
//!
//! [`Rules`]: synod_governance::Rules

use std::collections::HashMap;
use std::time::Duration;

use rand_chacha::rand_core::Rng;
use synod_ledger::{ActorRecord, CallRecord, Content, Moment, RequestRecord};
use synod_types::{AdapterId, Encode, LogIndex, Time, TxId, View};
use synod_worker::{ActorFacts, BlockEnv, Call, DecidedSettings, Execute, Executed, Outcome, ToWorker};

use crate::chain::{Position, Readable};
use crate::event::{Action, Answer, ClientRequest, Refusal};
use crate::follower::readable;
use crate::inbox::{GOVERNANCE_RUN_MAX, Lane, PATIENCE, Waiting};
use crate::layers::{Done, Layer, Reader};
use crate::node::{Engine, Node};
use crate::probe::Stage;
use crate::request_digest::RequestDigest;
use crate::requests::{Known, RequestKey};
use crate::sealing::moment;

/// A view in which this node leads.
#[derive(Debug)]
pub struct Leadership {
    view: View,
    /// The block at the worker.
    executing: Option<Executing>,
    /// How many requests go one to a block, because together their block was too large.
    alone: usize,
}

/// A block at the worker.
#[derive(Debug)]
struct Executing {
    env: BlockEnv,
    /// The last transaction before the block.
    base: TxId,
    requests: Vec<Batched>,
    /// What is handed to an adapter instead of requests.
    settings: Option<DecidedSettings>,
    /// The place of each request in `requests`, so that a retry that arrives meanwhile joins it.
    places: HashMap<RequestKey, usize>,
}

/// A request in a block at the worker.
#[derive(Debug)]
struct Batched {
    key: RequestKey,
    asked: RequestDigest,
    actor: ActorFacts,
    waiting: Waiting,
    /// Retries that arrived meanwhile.
    retries: Vec<Waiting>,
}

impl Node {
    /// Moves waiting requests on: into a block if this node leads, to the leader if another does.
    pub(crate) fn pump(&mut self, now: Time) {
        let Engine::Running(consensus) = &self.engine else { return };
        if self.leadership.is_some() {
            self.answer_done_governance();
            self.close_block_if_due(now);
        } else {
            let view = consensus.view();
            if let Some(leader) = self.listed_leader() {
                self.forward_all(now, leader, view);
            }
        }
    }

    /// When the block that gathers will close without more requests; `None` if it waits for something else.
    pub(crate) fn block_closes_at(&self) -> Option<Time> {
        let closes_at = self.next_block_closes_at()?;
        let is_free = self.leadership.as_ref()?.executing.is_none();
        (is_free && self.may_propose() && self.has_room_for_a_layer()).then_some(closes_at)
    }

    /// Whether transactions may be sealed now. The engine takes no proposal while leadership is being handed over.
    pub(crate) fn may_propose(&self) -> bool {
        let Engine::Running(consensus) = &self.engine else { return false };
        consensus.transferring_to().is_none() && self.may_seal_transactions()
    }

    /// When the next block would close, if there is to be one.
    fn next_block_closes_at(&self) -> Option<Time> {
        if self.settings_are_due() {
            return Some(Time(0));
        }
        let oldest = self.inbox.front(self.inbox.next_lane()?)?;
        let arrived = Time(oldest.deadline.0 - PATIENCE.as_micros() as u64);
        // A governance transaction waits for no others.
        let delay = if self.is_governance_next() { Duration::ZERO } else { self.government.rules().block_delay() };
        Some(arrived.after(delay))
    }

    fn has_room_for_a_layer(&self) -> bool {
        self.layers.count() < self.government.rules().blocks_uncommitted_max as usize
    }

    fn close_block_if_due(&mut self, now: Time) {
        // A governance transaction is carried out at once, and leaves the worker free for what comes next.
        for taken in 1.. {
            let Some(closes_at) = self.block_closes_at() else { return };
            let is_full = self.inbox.queued_calls() >= self.government.rules().block_calls_max as usize;
            if self.layers.count() > 0 && !is_full && closes_at > now && !self.is_governance_next() {
                return;
            }
            let (is_governance, layers) = (self.is_governance_next(), self.layers.count());
            self.execute(now);
            // The next block is built on the one that was just proposed.
            self.work_off_effects(now);
            // One that is refused makes no layer, so that no bound of layers ends this, and may have taken long: the
            // timeout that is due at once goes on, after peers have been heard and told that this node leads.
            if is_governance && (self.layers.count() <= layers || taken >= GOVERNANCE_RUN_MAX) {
                return;
            }
        }
    }

    /// Whether a request to governance is next, which is a block of its own.
    fn is_governance_next(&self) -> bool {
        self.inbox.next_lane() == Some(Lane::Governance) && !self.settings_are_due()
    }

    /// Begins to lead `view`: takes up what earlier leaders left uncommitted, then opens the view.
    pub(crate) fn start_leading(&mut self, now: Time, view: View) {
        if self.removed || !self.chain.last().tip.signers.may_open_a_view(self.id, self.seals.own_key()) {
            // Members have removed it, and a transaction was sealed since: it was elected before it learned that
            // consensus has left it out, and learns that with this view's first entry.
            return;
        }
        self.apply_inherited();
        let mut salt = [0; 32];
        self.rng.fill_bytes(&mut salt);
        let moment = Moment { view, time: now, committed: self.history.committed().seqno };
        let block = self.seals.seal_view_start(self.chain.last(), moment, salt);
        self.propose(block);
        self.leadership = Some(Leadership { view, executing: None, alone: 0 });
    }

    /// Stops leading: the block at the worker, not proposed yet, is dropped; its requests wait for the next leader.
    pub(crate) fn stop_leading(&mut self) {
        let Some(leadership) = self.leadership.take() else { return };
        self.take_back_refused();
        if let Some(executing) = leadership.executing {
            self.stale_executions += 1;
            self.drop_block(executing);
        }
    }

    fn drop_block(&mut self, executing: Executing) {
        self.actions.push_back(Action::Worker(ToWorker::Truncate { to: executing.base.seqno }));
        let requests = executing.requests.into_iter();
        let waiting: Vec<_> =
            requests.flat_map(|batched| std::iter::once(batched.waiting).chain(batched.retries)).collect();
        self.inbox.put_back(waiting.into_iter());
    }

    /// Makes layers of the uncommitted blocks that this node did not execute itself.
    fn apply_inherited(&mut self) {
        let top = self.layers.last_mut().map_or(self.chain.committed().record.index, |layer| layer.index);
        let inherited =
            self.chain.uncommitted().filter(|position| position.record.index > top && position.record.count > 0);
        let inherited: Vec<_> = inherited.cloned().collect();
        for position in inherited {
            let Readable { content, apply } = readable(&position);
            let upto = TxId::new(position.tip.tx_view, position.tip.seqno);
            let requests = self.note_inherited(&position, content);
            self.note_governed(&position);
            self.actions.push_back(Action::Worker(ToWorker::Apply(apply.clone())));
            self.layers.push(Layer { index: position.record.index, upto, requests, readers: Vec::new() });
        }
    }

    /// Hands the oldest waiting requests to the worker as one block; settings that are due come before all of them.
    fn execute(&mut self, now: Time) {
        let tip = &self.chain.last().tip;
        let base = TxId::new(tip.tx_view, tip.seqno);
        let view = self.leadership.as_ref().expect("only a leader executes").view;
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let env = BlockEnv { view, first_seqno: base.seqno.next(), time: now.max(tip.time), seed };
        let settings = self.configure(env);
        let mut executing = Executing { env, base, requests: Vec::new(), settings, places: HashMap::new() };
        if executing.settings.is_some() {
            self.leadership.as_mut().expect("only a leader executes").executing = Some(executing);
            return;
        }

        let mut calls = Vec::new();
        let mut bytes = 0;
        let (calls_max, bytes_max) = self.block_limits();
        if self.is_governance_next() {
            return self.govern_next(now, executing);
        }
        while let Some(next) = self.inbox.front(Lane::Applications) {
            bytes += next.request.size();
            if !calls.is_empty() && (calls.len() + next.request.calls.len() > calls_max || bytes > bytes_max) {
                break;
            }
            let waiting = self.inbox.pop(Lane::Applications).expect("the front was just looked at");
            let Some(batched) = self.order(waiting, &mut executing) else { continue };
            let request = &batched.waiting.request;
            let (adapter, actor) = (request.adapter, batched.actor);
            calls.extend(request.calls.iter().map(|input| Call { adapter, actor, input: input.clone() }));
            executing.places.insert(batched.key, executing.requests.len());
            executing.requests.push(batched);
        }
        if calls.is_empty() {
            return;
        }
        self.actions.push_back(Action::Worker(ToWorker::Execute(Execute { env, calls })));
        self.leadership.as_mut().expect("only a leader executes").executing = Some(executing);
    }

    /// Carries out the governance request at the front of the queue.
    fn govern_next(&mut self, now: Time, mut executing: Executing) {
        let waiting = self.inbox.pop(Lane::Governance).expect("the front was just looked at");
        if let Some(Batched { asked, actor, waiting, .. }) = self.order(waiting, &mut executing) {
            self.govern(now, waiting, actor, |txid| Known { seqno: txid.seqno, asked });
        }
    }

    /// How many calls and bytes of requests the next block may take, unless its first request alone takes more.
    fn block_limits(&mut self) -> (usize, usize) {
        let leadership = self.leadership.as_mut().expect("only a leader executes");
        let is_alone = leadership.alone > 0;
        leadership.alone = leadership.alone.saturating_sub(1);
        if is_alone { (1, 0) } else { (self.government.rules().block_calls_max as usize, BLOCK_REQUEST_BYTES_MAX) }
    }

    /// Decides at its place in the order whether a request is executed; `None` if it was answered or joined its
    /// first attempt.
    fn order(&mut self, waiting: Waiting, executing: &mut Executing) -> Option<Batched> {
        let Some(actor) = self.government.actor(&waiting.request.actor) else {
            self.refuse(waiting, Refusal::NotAuthorized);
            return None;
        };
        if !self.government.holds(&waiting.request.proof, &waiting.request.actor, executing.env.time) {
            self.answer_at_tip(waiting, Err(Refusal::ProveAnew));
            return None;
        }
        let adapter = waiting.request.adapter;
        if adapter != AdapterId::GOVERNANCE && !self.government.has_adapter(adapter) {
            self.respond(waiting, Err(Refusal::NoSuchAdapter));
            return None;
        }
        let key = self.requests.key(waiting.request.actor, waiting.request.request_id);
        let asked = RequestDigest::of(&waiting.request);
        let in_block = executing.places.get(&key).map(|place| &mut executing.requests[*place]);
        let done = self.requests.find(key);
        match (in_block, done) {
            (None, None) => return Some(Batched { key, asked, actor, waiting, retries: Vec::new() }),
            (Some(first), _) if first.asked == asked => first.retries.push(waiting),
            (None, Some(first)) if first.asked == asked => self.answer_again(waiting, key, first.seqno),
            _ => self.refuse(waiting, Refusal::RequestIdReused),
        }
        None
    }

    /// Takes in what the worker made of the block, seals it and proposes it.
    pub(crate) fn on_executed(&mut self, executed: Executed) {
        if self.stale_executions > 0 {
            self.stale_executions -= 1;
            return;
        }
        let leadership = self.leadership.as_mut().expect("a block executes for a leader, or is stale");
        let executing = leadership.executing.take().expect("the worker answers what it was asked");
        assert_eq!(executed.env, executing.env, "the worker answers in order");
        if executed.count() == 0 {
            self.answer_readers(executing, executed.outcomes);
            return;
        }
        let Engine::Running(consensus) = &self.engine else { unreachable!("a leader's engine runs") };
        if consensus.transferring_to().is_some() || !self.may_seal_transactions() {
            // The engine takes no proposal until the transfer has succeeded or failed.
            self.drop_block(executing);
            return;
        }
        match &executing.settings {
            Some(decided) => self.propose_settings(decided, executed),
            None => self.propose_executed(executing, executed),
        }
    }

    /// A block that wrote nothing: its requests are answered as soon as what they saw is committed.
    fn answer_readers(&mut self, executing: Executing, outcomes: Vec<Outcome>) {
        let mut outcomes = outcomes.into_iter();
        for batched in executing.requests {
            let count = batched.waiting.request.calls.len();
            let replies: Vec<_> = outcomes.by_ref().take(count).map(|outcome| outcome.reply).collect();
            let answer = Answer { txid: executing.base, replies };
            for waiting in std::iter::once(batched.waiting).chain(batched.retries) {
                self.answer_at_tip(waiting, Ok(answer.clone()));
            }
        }
    }

    /// Answers by what is at the tip, once that is committed.
    pub(crate) fn answer_at_tip(&mut self, waiting: Waiting, result: Result<Answer, Refusal>) {
        match self.layers.last_mut() {
            Some(layer) => layer.readers.push((waiting, result)),
            None => self.respond(waiting, result),
        }
    }

    /// Requests whose block is too large to seal go again one by one; one that is too large alone is refused.
    fn split_block(&mut self, done: Vec<Done>, readers: Vec<Reader>, base: TxId) {
        self.actions.push_back(Action::Worker(ToWorker::Truncate { to: base.seqno }));
        let is_one = done.len() + readers.len() == 1;
        let waiting =
            done.into_iter().flat_map(|done| done.waiting).chain(readers.into_iter().map(|(waiting, _)| waiting));
        let waiting: Vec<_> = waiting.collect();
        if is_one {
            waiting.into_iter().for_each(|waiting| self.respond(waiting, Err(Refusal::TooLarge)));
        } else {
            self.leadership.as_mut().expect("only a leader seals").alone = waiting.len();
            self.inbox.put_back(waiting.into_iter());
        }
    }

    fn propose_executed(&mut self, executing: Executing, executed: Executed) {
        self.probe.passed(Stage::Executed);
        let view = executing.env.view;
        let mut outcomes = executed.outcomes.into_iter();
        let mut seqno = executing.base.seqno;
        let mut records = Vec::with_capacity(executing.requests.len());
        let mut known = Vec::with_capacity(executing.requests.len());
        let mut done = Vec::with_capacity(executing.requests.len());
        let mut readers = Vec::new();
        for batched in executing.requests {
            let request = &batched.waiting.request;
            let outcomes: Vec<_> = outcomes.by_ref().take(request.calls.len()).collect();
            let writes = outcomes.iter().filter(|outcome| outcome.write_set.is_some()).count() as u64;
            let record = (writes > 0).then(|| request_record(request, batched.actor, &outcomes));
            seqno = seqno.plus(writes);
            let txid = if seqno == executing.base.seqno { executing.base } else { TxId::new(view, seqno) };
            let answer = Answer { txid, replies: outcomes.into_iter().map(|outcome| outcome.reply).collect() };
            let waiting = std::iter::once(batched.waiting).chain(batched.retries);
            match record {
                Some(record) => {
                    records.push(record);
                    known.push((batched.key, Known { seqno: txid.seqno, asked: batched.asked }));
                    done.push(Done { key: batched.key, answer: Ok(answer), waiting: waiting.collect() });
                }
                None => readers.extend(waiting.map(|waiting| (waiting, Ok(answer.clone())))),
            }
        }
        let content = Content { seed: executing.env.seed, requests: records, setup: None };
        let moment = moment(&executing.env, self.history.committed().seqno);
        let Ok(block) = self.seals.seal(self.chain.last(), moment, &content, &mut *self.probe) else {
            return self.split_block(done, readers, executing.base);
        };
        self.requests.push(block.age, known);
        let index = self.propose(block);
        self.layers.push(Layer { index, upto: TxId::new(view, seqno), requests: done, readers });
    }

    /// Proposes a block sealed on the last entry of the log.
    ///
    /// # Panics
    /// If this node does not lead or is handing leadership over: the caller has just looked.
    pub(crate) fn propose(&mut self, position: Position) -> LogIndex {
        let Engine::Running(consensus) = &mut self.engine else { unreachable!("a leader's engine runs") };
        let record = position.record.clone();
        self.chain.note_checked(position);
        consensus.propose(&record).expect("a leader that is not handing over may propose at the end of its log");
        record.index
    }
}

/// The most bytes of requests in a block, unless one alone is larger: with write sets and replies of the same order
/// the block stays far below what may be sealed.
const BLOCK_REQUEST_BYTES_MAX: usize = 4 << 20;

/// What the ledger keeps of a request: enough to apply it, to answer a retry, and to execute it again.
fn request_record(request: &ClientRequest, actor: ActorFacts, outcomes: &[Outcome]) -> RequestRecord {
    let call = |(input, outcome): (&bytes::Bytes, &Outcome)| CallRecord {
        input: input.clone(),
        write_set: outcome.write_set.clone(),
        claims: outcome.claims,
        reply: outcome.reply.to_bytes().into(),
    };
    RequestRecord {
        adapter: request.adapter,
        actor: ActorRecord { id: actor.id, kind: actor.kind as u8 },
        request_id: request.request_id,
        calls: request.calls.iter().zip(outcomes).map(call).collect(),
    }
}
