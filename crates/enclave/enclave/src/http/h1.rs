//! HTTP/1.1 sessions with many requests in flight.
//!
//! A general HTTP server answers pipelined requests one after another, so that each would wait for
//! the commit of the one before. This session reads ahead: it takes every whole request that has
//! arrived, plans it, and hands all writes of a burst to the node in one message. Answers are kept
//! until it is their turn, and go out together.
//!
//! Writes of one connection are submitted in the order in which they came. Reads are answered from
//! the snapshot at hand: a client that must read its own write waits for the write's answer, or says
//! `synod-at-least`.

mod intake;
mod output;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use synod_node::{ClientRequest, Event as NodeEvent};
use synod_types::limits;
use tokio::io::{AsyncRead, AsyncWrite};

use self::intake::{Fill, Intake, Reading};
use super::answers::{ANSWERS_BYTES_MAX, leads_to_a_read};
use super::events;
use super::head::too_slow;
use super::response::Response;
use super::slow::Slow;
use crate::exchange::{Exchange, Step};
use crate::governance::watch::Watch;
use crate::identity::Speaker;
use crate::ids::RequestIds;
use crate::mailbox::{Event, Postbox};
use crate::pool::{POOL_PLANS_MAX, POOL_READS_MAX, Pool, Turns};
use crate::purpose::Purpose;
use crate::service::Service;

/// One connection of a client that speaks HTTP/1.1.
pub struct Session<S> {
    io: S,
    service: Arc<Service>,
    speaker: Arc<Speaker>,
    purpose: Purpose,
    postbox: Postbox,
    ids: RequestIds,
    /// Bytes that are not yet requests.
    input: BytesMut,
    /// What the front of `input` is part of.
    reading: Reading,
    intake: Intake,
    /// Whether whole requests may be left in `input`, because there was no room for more.
    is_left: bool,
    /// Whether the client waits for our word before it sends the body.
    continue_due: bool,
    /// Requests without a sent answer, oldest first.
    slots: VecDeque<Slot>,
    /// The number of the first slot's request.
    first: u32,
    /// How many bytes of bodies the slots' requests had.
    in_flight_bytes: usize,
    /// How many bytes of answers the slots hold.
    answer_bytes: usize,
    /// News that lead to reads, put off until answers have been taken.
    put_off: VecDeque<(u32, Event)>,
    /// Writes that wait for an earlier request to be planned or proved; `None` while they are that themselves.
    unsubmitted: VecDeque<(u32, Option<ClientRequest>)>,
    /// Writes to be submitted together.
    batch: Vec<ClientRequest>,
    /// Plans that wait for the pool.
    plans: Turns,
    /// Reads that wait for the pool.
    reads: Turns,
    /// Bytes of answers.
    output: BytesMut,
    flushed: bool,
    events: Vec<(u32, Event)>,
    slow: Slow,
    /// Events, which are the answer to the last request.
    watch: Option<Box<Watch>>,
}

/// One request in flight.
struct Slot {
    exchange: Exchange,
    response: Option<Response>,
    keep_alive: bool,
    body_size: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// A session with `speaker` over `io`.
    pub fn new(io: S, service: Arc<Service>, speaker: Arc<Speaker>, purpose: Purpose) -> Self {
        let postbox = service.office.open();
        Self {
            io,
            service,
            speaker,
            purpose,
            postbox,
            ids: RequestIds::new(),
            input: BytesMut::new(),
            reading: Reading::START,
            intake: Intake::Open,
            is_left: false,
            continue_due: false,
            slots: VecDeque::new(),
            first: 0,
            in_flight_bytes: 0,
            answer_bytes: 0,
            put_off: VecDeque::new(),
            unsubmitted: VecDeque::new(),
            batch: Vec::new(),
            plans: Turns::new(POOL_PLANS_MAX),
            reads: Turns::new(POOL_READS_MAX),
            output: BytesMut::new(),
            flushed: true,
            events: Vec::new(),
            slow: Slow::default(),
            watch: None,
        }
    }

    /// Serves until the connection ends.
    ///
    /// # Errors
    /// If the connection breaks.
    pub async fn run(mut self) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll(cx)).await?;
        match self.watch.take() {
            Some(watch) => events::answer(self.io, *watch).await,
            None => Ok(()),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..ROUNDS_MAX {
            self.take_events(cx);
            let fill = self.fill(cx)?;
            self.take_requests();
            self.submit();
            self.answer();
            self.write(cx)?;
            let resumed = self.resume();
            self.run_jobs();
            if self.is_over() && self.watch.is_some() {
                return Poll::Ready(Ok(()));
            }
            if self.is_over() {
                return Pin::new(&mut self.io).poll_shutdown(cx);
            }
            let may_take = !self.is_full() && (fill == Fill::Some || self.is_left);
            if !may_take && !resumed && !self.is_answer_due() {
                ready!(self.slow.poll(cx));
                self.refuse(too_slow());
            }
        }
        // Others want to be served too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_over(&self) -> bool {
        let is_answered = self.slots.is_empty() && self.output.is_empty() && self.flushed;
        self.intake != Intake::Open && !self.is_left && is_answered
    }

    /// Whether an answer can be written at once: there was more than is written in one round.
    fn is_answer_due(&self) -> bool {
        self.output.is_empty() && self.slots.front().is_some_and(|slot| slot.response.is_some())
    }

    /// Takes in what happened elsewhere.
    fn take_events(&mut self, cx: &mut Context<'_>) {
        let mut events = std::mem::take(&mut self.events);
        while self.postbox.poll_take(cx, &mut events).is_ready() {
            for (seq, event) in events.drain(..) {
                self.take_event(seq, event);
            }
        }
        self.events = events;
    }

    /// Goes on with request `seq`; false if that is put off.
    fn take_event(&mut self, seq: u32, event: Event) -> bool {
        if leads_to_a_read(&event) && !self.may_read(seq) {
            self.put_off.push_back((seq, event));
            return false;
        }
        let place = seq.wrapping_sub(self.first) as usize;
        if let Some(slot) = self.slots.get_mut(place)
            && let Some(step) = slot.exchange.next(&self.service, &self.speaker, event)
        {
            self.step(seq, step);
        }
        true
    }

    /// Goes on with what was put off, as far as there is room now; false if nothing went on.
    fn resume(&mut self) -> bool {
        let mut resumed = false;
        for _ in 0..self.put_off.len() {
            let Some((seq, event)) = self.put_off.pop_front() else { break };
            resumed |= self.take_event(seq, event);
        }
        resumed
    }

    /// Whether request `seq` may read: if few answers wait, or they all wait for this one.
    fn may_read(&self, seq: u32) -> bool {
        seq == self.first || !self.is_laden()
    }

    /// Whether so many bytes of answers wait that no read is begun.
    fn is_laden(&self) -> bool {
        self.answer_bytes + self.output.len() >= ANSWERS_BYTES_MAX
    }

    fn begin(&mut self, exchange: Exchange, step: Step, keep_alive: bool, body_size: usize) {
        let seq = self.first.wrapping_add(self.slots.len() as u32);
        self.in_flight_bytes += body_size;
        self.slots.push_back(Slot { exchange, response: None, keep_alive, body_size });
        self.step(seq, step);
    }

    /// Carries out a step of request `seq`, which is in flight.
    fn step(&mut self, seq: u32, step: Step) {
        let token = self.postbox.token(seq);
        // A plan that took the pool came out; if it is no write, later writes need not wait for it.
        let place = self.unsubmitted.iter().position(|(waiting, _)| *waiting == seq);
        match step {
            Step::Submit(request) => {
                let request = ClientRequest { token, ..request };
                match place {
                    Some(place) => self.unsubmitted[place].1 = Some(request),
                    None if self.unsubmitted.is_empty() => self.batch.push(request),
                    None => self.unsubmitted.push_back((seq, Some(request))),
                }
                return;
            }
            Step::PoolPlan(job) => {
                self.unsubmitted.push_back((seq, None));
                return self.plans.push(seq, job);
            }
            Step::Prove(until) => {
                if place.is_none() {
                    let order = |seq: u32| seq.wrapping_sub(self.first);
                    let place = self.unsubmitted.partition_point(|(waiting, _)| order(*waiting) < order(seq));
                    self.unsubmitted.insert(place, (seq, None));
                }
                return match until {
                    Some(seqno) => self.service.wait(seqno, token),
                    None => self.service.read_index(token),
                };
            }
            Step::Done(response) => {
                let place = seq.wrapping_sub(self.first) as usize;
                self.answer_bytes += response.reply.body.len();
                self.slots[place].response = Some(response);
            }
            Step::Stream(watch) => {
                // A request becomes this as it begins, so that its slot is the last; and no other comes after it.
                self.in_flight_bytes -= self.slots.pop_back().map_or(0, |slot| slot.body_size);
                self.watch = Some(watch);
                self.intake = Intake::Stopped;
            }
            Step::Query(query) => self.service.manager.event(NodeEvent::Query { token, query }),
            Step::ReadIndex => self.service.read_index(token),
            Step::Wait(seqno) => self.service.wait(seqno, token),
            Step::PoolRead(job) => self.reads.push(seq, job),
        }
        if let Some(place) = place {
            self.unsubmitted.remove(place);
        }
    }

    /// Hands the node all writes whose turn it is, in one message.
    fn submit(&mut self) {
        while let Some((_, Some(_))) = self.unsubmitted.front() {
            self.batch.extend(self.unsubmitted.pop_front().and_then(|(_, request)| request));
        }
        if !self.batch.is_empty() {
            self.service.manager.event(NodeEvent::Requests(std::mem::take(&mut self.batch)));
        }
    }

    /// Lets jobs into the pools whose turn it is.
    fn run_jobs(&mut self) {
        let (service, postbox) = (&self.service, &self.postbox);
        let run = |pool: &Pool, (seq, job, turn)| {
            pool.run(self.speaker.actor(), Arc::clone(&service.office), postbox.token(seq), job, turn);
        };
        while let Some(plan) = self.plans.next(|_| true) {
            run(service.pools.plans(self.purpose), plan);
        }
        let (is_laden, first) = (self.is_laden(), self.first);
        // No more than these before their answers are counted; whichever ends has news for us.
        for _ in 0..POOL_READS_MAX {
            let Some(read) = self.reads.next(|seq| seq == first || !is_laden) else { break };
            run(service.pools.reads(self.purpose), read);
        }
    }

    /// Whether so much waits that no further request is taken.
    fn is_full(&self) -> bool {
        self.slots.len() >= IN_FLIGHT_MAX
            || self.in_flight_bytes >= IN_FLIGHT_BYTES_MAX
            || self.output.len() >= OUTPUT_BYTES_MAX
            || self.is_laden()
    }
}

/// The most requests in flight on one connection: four times what load generators use.
const IN_FLIGHT_MAX: usize = 4_096;

/// The most bytes of bodies in flight on one connection: two requests of the largest size.
const IN_FLIGHT_BYTES_MAX: usize = 2 * limits::REQUEST_BODY_BYTES_MAX;

/// How much input is gathered before requests are taken out of it: a burst of a few thousand small ones.
const INPUT_BYTES_TYPICAL: usize = 256 << 10;

/// How much output may wait before no more answers are written: a slow reader costs no more memory than this.
const OUTPUT_BYTES_MAX: usize = 256 << 10;

/// How much memory for output an idle connection keeps.
const OUTPUT_BYTES_KEPT: usize = 16 << 10;

/// How many bursts are worked off before other connections have their turn.
const ROUNDS_MAX: usize = 4;

#[cfg(test)]
#[path = "h1_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "h1_properties.rs"]
mod properties;
