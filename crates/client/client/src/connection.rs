//! A link driven by a task, shared by cloning the handle.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::{Link, LinkError, Purpose, Request, Response};

/// A connection to one node that many tasks use at once.
#[derive(Clone, Debug)]
pub struct Connection {
    jobs: mpsc::Sender<Job>,
    load: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Job {
    request: Request,
    answer: oneshot::Sender<Result<Response, LinkError>>,
}

impl Connection {
    /// Connects to a node for its applications; a task of the current runtime drives the connection until the last
    /// handle is dropped.
    ///
    /// # Errors
    /// If nobody listens there, or it is not a node of the service, or it refuses this client.
    pub async fn open(address: SocketAddr, tls: &Arc<rustls::ClientConfig>) -> Result<Self, LinkError> {
        Self::open_for(Purpose::Application, address, tls).await
    }

    /// As [`Connection::open`], for a purpose.
    ///
    /// # Errors
    /// If nobody listens there, or it is not a node of the service, or it refuses this client.
    pub async fn open_for(
        purpose: Purpose,
        address: SocketAddr,
        tls: &Arc<rustls::ClientConfig>,
    ) -> Result<Self, LinkError> {
        Ok(Self::drive(Link::connect_for(purpose, address, tls).await?))
    }

    /// Drives a link that stands.
    pub fn drive<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(link: Link<S>) -> Self {
        let (jobs, queue) = mpsc::channel(IN_FLIGHT_MAX);
        tokio::spawn(Driver { link, queue, waiting: VecDeque::new(), fresh: Vec::new(), closing: false }.run());
        Self { jobs, load: Arc::default() }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// If the connection breaks first; whether the request was done is then not known.
    pub async fn send(&self, request: Request) -> Result<Response, LinkError> {
        let (answer, wait) = oneshot::channel();
        let _counted = Counted::new(&self.load);
        self.jobs.send(Job { request, answer }).await.map_err(|_| LinkError::Closed)?;
        wait.await.unwrap_or(Err(LinkError::Closed))
    }

    /// Whether the connection still stands, as far as is known.
    pub fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// How many requests wait for their answers.
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

/// Counts a request while it waits, also when its caller gives up.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(load: &'a AtomicUsize) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(load)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Driver<S> {
    link: Link<S>,
    queue: mpsc::Receiver<Job>,
    waiting: VecDeque<oneshot::Sender<Result<Response, LinkError>>>,
    fresh: Vec<Job>,
    closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    async fn run(mut self) {
        let error = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.queue.close();
        for answer in self.waiting.drain(..) {
            let _ = answer.send(Err(error.clone()));
        }
        while let Ok(job) = self.queue.try_recv() {
            let _ = job.answer.send(Err(error.clone()));
        }
    }

    /// Works until the link is of no more use, or nobody holds the handle and nothing is in flight.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LinkError> {
        loop {
            self.take_jobs(cx);
            if self.closing && self.waiting.is_empty() {
                return Poll::Ready(LinkError::Closed);
            }
            match self.link.poll_exchange(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(error),
                Poll::Ready(Ok(())) => {
                    if let Err(error) = self.answer() {
                        return Poll::Ready(error);
                    }
                }
            }
        }
    }

    fn take_jobs(&mut self, cx: &mut Context<'_>) {
        while !self.closing && self.waiting.len() < IN_FLIGHT_MAX {
            match self.queue.poll_recv_many(cx, &mut self.fresh, IN_FLIGHT_MAX - self.waiting.len()) {
                Poll::Pending => break,
                Poll::Ready(0) => self.closing = true,
                Poll::Ready(_) => {
                    for job in self.fresh.drain(..) {
                        self.link.push(&job.request);
                        self.waiting.push_back(job.answer);
                    }
                }
            }
        }
    }

    fn answer(&mut self) -> Result<(), LinkError> {
        while let Some(response) = self.link.next_response()? {
            let answer = self.waiting.pop_front().expect("the link counts the same requests in flight");
            // Whoever asked may have given up meanwhile.
            let _ = answer.send(Ok(response));
        }
        Ok(())
    }
}

/// The most requests in flight on one connection; those beyond wait their turn.
const IN_FLIGHT_MAX: usize = 4_096;
