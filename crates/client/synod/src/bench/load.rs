//! The load itself: connections that keep requests in flight, retry what is lost, and judge answers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use synod_client::{Client, Link, LinkError, Request, RequestIds, Response};
use tokio::time::{sleep_until, timeout};

use super::probe::Prober;
use super::stats::Tally;

/// Where one connection's requests come from, and what their answers should be.
pub trait Workload {
    /// The next request; `None` if there is none now, or none any more.
    fn next(&mut self) -> Option<Shot>;

    /// Judges the answer to the request with this tag.
    ///
    /// # Errors
    /// If the answer is wrong: says how.
    fn judge(&mut self, tag: u64, response: &Response) -> Result<(), String>;

    /// Whether requests depend on those before them, so that one that a node could not do now must not be sent later.
    fn is_ordered(&self) -> bool {
        false
    }
}

/// One request and what it stands for.
pub struct Shot {
    /// The request; a write is given an id.
    pub request: Request,
    /// Comes back with the answer.
    pub tag: u64,
    /// How many transactions it holds.
    pub transactions: u64,
}

/// What the connections of a run share.
pub struct Shared {
    /// Whom to send to, and who else there is.
    pub client: Client,
    /// What came of it.
    pub tally: Rc<RefCell<Tally>>,
    /// Asks all nodes for a sample.
    pub prober: Rc<Prober>,
    /// When to send no more.
    pub stop_at: Instant,
    /// How many transactions may still be sent.
    pub budget: RefCell<u64>,
}

/// One connection's part of a run.
pub struct Lane<W> {
    /// What all lanes share.
    pub shared: Rc<Shared>,
    /// What to send.
    pub workload: W,
    /// How many requests to keep in flight.
    pub depth: usize,
    /// The time between two requests, if a rate is wanted.
    pub interval: Option<Duration>,
    /// The place of the node to send to, among the client's nodes.
    pub home: usize,
}

struct Waiting {
    shot: Shot,
    since: Instant,
}

impl<W: Workload> Lane<W> {
    /// Sends until the time is up or there is nothing more, and waits for the answers. Gives the workload back.
    pub async fn run(self) -> W {
        let link = self.connect().await;
        let mut run = Run {
            lane: self,
            waiting: VecDeque::new(),
            again: VecDeque::new(),
            ids: RequestIds::new(),
            due: Instant::now(),
            exhausted: false,
        };
        match link {
            Ok(link) => run.go(link).await,
            Err(error) => run.lane.shared.tally.borrow_mut().wrong(1, format!("no node takes a connection: {error}")),
        }
        run.lane.workload
    }

    /// Connects to the home node, or to the next one that answers.
    async fn connect(&self) -> Result<Link, LinkError> {
        let nodes = self.shared.client.nodes();
        let give_up_at = Instant::now() + RECONNECT_FOR;
        let mut place = self.home;
        loop {
            let attempt = Link::connect(nodes[place % nodes.len()].address, self.shared.client.tls());
            let error = match timeout(CONNECT_WITHIN, attempt).await {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(error)) => error,
                Err(_) => LinkError::TimedOut,
            };
            if Instant::now() >= give_up_at {
                return Err(error);
            }
            place += 1;
            tokio::time::sleep(RECONNECT_PAUSE).await;
        }
    }
}

struct Run<W> {
    lane: Lane<W>,
    waiting: VecDeque<Waiting>,
    again: VecDeque<(Instant, Waiting)>,
    ids: RequestIds,
    due: Instant,
    exhausted: bool,
}

impl<W: Workload> Run<W> {
    async fn go(&mut self, mut link: Link) {
        loop {
            let now = Instant::now();
            self.resend(&mut link, now);
            self.fill(&mut link, now);
            if self.waiting.is_empty() && self.again.is_empty() && self.is_over(now) {
                return;
            }
            let wake_at = self.wake_at(now);
            let outcome = tokio::select! {
                biased;
                outcome = link.exchange() => outcome.and_then(|()| self.take_answers(&mut link)),
                () = sleep_until(wake_at.into()) => self.check_patience(),
            };
            if let Err(error) = outcome {
                match self.reconnect(&error).await {
                    Some(fresh) => link = fresh,
                    None => return,
                }
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.exhausted || now >= self.lane.shared.stop_at || *self.lane.shared.budget.borrow() == 0
    }

    /// Sends new requests up to the depth, or as the rate has them due.
    fn fill(&mut self, link: &mut Link, now: Instant) {
        while self.waiting.len() + self.again.len() < self.lane.depth && !self.is_over(now) {
            if self.lane.interval.is_some() && now < self.due {
                return;
            }
            let Some(mut shot) = self.lane.workload.next() else {
                // Nothing is on its way whose answer could make more possible.
                self.exhausted = self.waiting.is_empty() && self.again.is_empty();
                return;
            };
            if shot.request.id.is_none() && shot.request.method != synod_client::Method::Get {
                shot.request.id = Some(self.ids.next_id());
            }
            let mut budget = self.lane.shared.budget.borrow_mut();
            *budget = budget.saturating_sub(shot.transactions);
            drop(budget);
            let since = self.lane.interval.map_or(now, |_| self.due);
            self.due += self.lane.interval.unwrap_or_default();
            link.push(&shot.request);
            self.waiting.push_back(Waiting { shot, since });
        }
    }

    /// Sends what a node could not do before, once its pause is over.
    fn resend(&mut self, link: &mut Link, now: Instant) {
        while self.again.front().is_some_and(|(at, _)| *at <= now) {
            let (_, waiting) = self.again.pop_front().expect("looked at just before");
            link.push(&waiting.shot.request);
            self.waiting.push_back(waiting);
        }
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let mut at = now + ANSWER_WITHIN;
        if self.lane.interval.is_some() && self.waiting.len() < self.lane.depth {
            at = at.min(self.due);
        }
        if let Some((again_at, _)) = self.again.front() {
            at = at.min(*again_at);
        }
        if self.waiting.is_empty() {
            at = at.min(self.lane.shared.stop_at.max(now));
        }
        at
    }

    /// A connection whose oldest request has waited too long is given up.
    fn check_patience(&self) -> Result<(), LinkError> {
        let overdue = self.waiting.front().is_some_and(|waiting| waiting.since.elapsed() >= ANSWER_WITHIN);
        if overdue { Err(LinkError::TimedOut) } else { Ok(()) }
    }

    fn take_answers(&mut self, link: &mut Link) -> Result<(), LinkError> {
        let now = Instant::now();
        while let Some(response) = link.next_response()? {
            let waiting = self.waiting.pop_front().expect("the link counts the same requests in flight");
            self.take_answer(waiting, &response, now);
        }
        Ok(())
    }

    fn take_answer(&mut self, waiting: Waiting, response: &Response, now: Instant) {
        let busy = matches!(response.status, 429 | 503);
        let patient = now.duration_since(waiting.since) < RETRY_FOR && !self.lane.workload.is_ordered();
        if busy && patient {
            self.again.push_back((now + BUSY_PAUSE, waiting));
            return;
        }
        let Waiting { shot, since } = waiting;
        let verdict = self.lane.workload.judge(shot.tag, response);
        let mut tally = self.lane.shared.tally.borrow_mut();
        match verdict {
            Ok(()) => tally.right(now.duration_since(since), shot.transactions, now),
            Err(complaint) => tally.wrong(shot.transactions, complaint),
        }
        drop(tally);
        if let (Some(txid), true) = (response.txid, shot.request.id.is_some() && shot.transactions > 0) {
            self.lane.shared.client.raise_mark(txid);
            self.lane.shared.prober.offer(txid, since, now);
        }
    }

    /// Connects anew and sends again, in order and under the same ids, what was in flight. `None` if no
    /// node takes a connection: what was in flight is lost.
    async fn reconnect(&mut self, error: &LinkError) -> Option<Link> {
        self.lane.shared.tally.borrow_mut().reconnects += 1;
        self.lane.home += 1;
        if let Ok(mut link) = self.lane.connect().await {
            self.waiting.iter().for_each(|waiting| link.push(&waiting.shot.request));
            return Some(link);
        }
        let lost = self.waiting.drain(..).chain(self.again.drain(..).map(|(_, waiting)| waiting));
        let count = lost.map(|waiting| waiting.shot.transactions).sum();
        self.lane.shared.tally.borrow_mut().wrong(count, format!("lost: {error}, and no node took a new connection"));
        None
    }
}

/// How long a request may wait for its answer before the connection is given up: longer than an election and a node's own bound.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How long a request is sent again that a node cannot do now.
const RETRY_FOR: Duration = synod_types::limits::RETRY_TIME_MAX;

/// The pause before that.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long to look for a node that takes a connection.
const RECONNECT_FOR: Duration = Duration::from_secs(30);

/// How long one node may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// The pause between two nodes.
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);
