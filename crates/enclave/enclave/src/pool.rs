//! Work that may take long, on threads of its own.
//!
//! Plans and reads have a pool each, so that no number of heavy reads keeps a write from being
//! planned, and governance has one of its own. A pool takes the
//! actors that have jobs in turn ([`Fair`]); each connection has only a few of its jobs in there at once ([`Turns`]), so
//! that no connection's jobs keep those of others of its actor waiting for long. A job whose session has ended is not done.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use synod_types::ActorId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exchange::Job;
use crate::fair::Fair;
use crate::mailbox::{Event, PostOffice};
use crate::purpose::Purpose;

/// The pools of a node.
#[derive(Debug)]
pub struct Pools {
    plans: Pool,
    reads: Pool,
    governance: Pool,
}

impl Pools {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system has none to give.
    pub fn start() -> io::Result<Self> {
        Ok(Self {
            plans: Pool::start("plan", PLAN_THREADS)?,
            reads: Pool::start("read", READ_THREADS)?,
            governance: Pool::start("governance", GOVERNANCE_THREADS)?,
        })
    }

    /// For plans: decoding and signatures of writes.
    pub const fn plans(&self, purpose: Purpose) -> &Pool {
        match purpose {
            Purpose::Applications => &self.plans,
            Purpose::Governance => &self.governance,
        }
    }

    /// For reads of snapshots, and for answers made of many replies.
    pub const fn reads(&self, purpose: Purpose) -> &Pool {
        match purpose {
            Purpose::Applications => &self.reads,
            Purpose::Governance => &self.governance,
        }
    }
}

/// A few threads and the queue of their jobs. They end when this is dropped and the queue is empty.
#[derive(Debug)]
pub struct Pool(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Jobs {
    waiting: Fair<Work>,
    /// Nobody adds any more.
    is_closed: bool,
}

/// A job, and where its event goes: that is delivered when this is dropped, so also if the job
/// panics or never runs.
struct Work {
    office: Arc<PostOffice>,
    token: u64,
    job: Option<Job>,
    event: Option<Event>,
    /// The place among the jobs of its connection.
    turn: Option<Box<dyn Send>>,
}

impl Pool {
    fn start(name: &str, threads: usize) -> io::Result<Self> {
        let pool = Self(Arc::default());
        for _ in 0..threads {
            let queue = Arc::clone(&pool.0);
            thread::Builder::new().name(name.into()).spawn(move || queue.work())?;
        }
        Ok(pool)
    }

    /// Runs a `job` of `actor` when a thread is free, and delivers what it makes to `token`. The connection gets
    /// `turn` back first, unless the caller keeps another hold of it: `T` is what gives it back when it is dropped.
    pub fn run<T: Send + 'static>(&self, actor: ActorId, office: Arc<PostOffice>, token: u64, job: Job, turn: T) {
        let turn: Box<dyn Send> = Box::new(turn);
        let work = Work { office, token, job: Some(job), event: Some(Event::Failed), turn: Some(turn) };
        self.0.lock().waiting.push(actor, work);
        self.0.more.notify_one();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.more.notify_all();
    }
}

impl Queue {
    /// Works until there is nothing to do any more.
    fn work(&self) {
        while let Some(mut work) = self.next() {
            if let Some(job) = work.job.take().filter(|_| work.office.is_open(work.token)) {
                // What a job uses is either its own or only read.
                work.event = Some(catch_unwind(AssertUnwindSafe(job)).unwrap_or(Event::Failed));
            }
        }
    }

    fn next(&self) -> Option<Work> {
        let mut jobs = self.lock();
        loop {
            if let Some(work) = jobs.waiting.pop() {
                return Some(work);
            }
            if jobs.is_closed {
                return None;
            }
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("token", &self.token).finish_non_exhaustive()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.turn = None;
        if let Some(event) = self.event.take() {
            self.office.deliver(self.token, event);
        }
    }
}

/// The jobs of one session that wait until fewer of them are in the pool.
pub struct Turns {
    free: Arc<Semaphore>,
    waiting: VecDeque<(u32, Job)>,
}

impl Turns {
    /// Lets so many jobs into the pool at once.
    pub fn new(at_once: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(at_once)), waiting: VecDeque::new() }
    }

    /// Lets the job of request `seq` wait for its turn.
    pub fn push(&mut self, seq: u32, job: Job) {
        self.waiting.push_back((seq, job));
    }

    /// The next job that may run, and its place, if there are both.
    pub fn next(&mut self, may_run: impl Fn(u32) -> bool) -> Option<(u32, Job, OwnedSemaphorePermit)> {
        let place = self.waiting.iter().position(|(seq, _)| may_run(*seq))?;
        let turn = Arc::clone(&self.free).try_acquire_owned().ok()?;
        self.waiting.remove(place).map(|(seq, job)| (seq, job, turn))
    }
}

/// How many threads plan. With those that read they would take every core of a small machine; the
/// system then gives each its share.
const PLAN_THREADS: usize = 2;

/// How many threads read.
const READ_THREADS: usize = 2;

/// How many threads work for governance: they are idle but for a member now and then.
const GOVERNANCE_THREADS: usize = 1;

/// The most plans of one connection in the pool at once: they take some hundred microseconds, and the
/// threads are not to run dry before the session has brought more.
pub const POOL_PLANS_MAX: usize = 16;

/// The most reads of one connection in the pool at once: each may take a second, and others wait behind it.
pub const POOL_READS_MAX: usize = 4;

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
