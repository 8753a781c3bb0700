//! One connection: bytes both ways, each within its credit, without a buffer of its own while idle.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use synod_types::Untrusted;
use synod_types::boundary::{CONNECTION_WINDOW_BYTES, ConnectionId, ToEnclave};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::network::Sink;

/// What a connection is told.
#[derive(Debug)]
pub enum Command {
    /// Send bytes.
    Write(Bytes),
    /// So many received bytes were worked off.
    Consumed(usize),
    /// Send what is left, then close.
    Close,
    /// End now: the other side was silent or slow for too long.
    Kill,
}

/// When bytes last moved, in the ticks of the host's sweep; shared with the sweep.
#[derive(Debug, Default)]
pub struct Activity {
    /// The tick at which bytes last moved.
    pub moved: AtomicU64,
    stage: AtomicU8,
    /// Whether bytes wait to be sent.
    pub unsent: AtomicBool,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Nothing is due.
    Quiet,
    /// Bytes wait to be sent, or the other side, which has nothing more to send, waits for some.
    Waiting,
    /// All is sent, and the other side has yet to end.
    Lingering,
}

impl Activity {
    /// What silence means now.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            stage if stage == Stage::Waiting as u8 => Stage::Waiting,
            stage if stage == Stage::Lingering as u8 => Stage::Lingering,
            _ => Stage::Quiet,
        }
    }
}

/// Carries bytes between a stream and the enclave until one of them ends.
pub struct Pump<S> {
    pub id: ConnectionId,
    pub stream: S,
    pub commands: UnboundedReceiver<Command>,
    pub sink: Sink,
    pub activity: Arc<Activity>,
    pub tick: Arc<AtomicU64>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    /// Pumps until the connection has ended; tells the enclave unless the enclave ended it.
    pub async fn run(self) {
        let mut state = State {
            pump: self,
            queue: VecDeque::new(),
            credit: CONNECTION_WINDOW_BYTES,
            ending: Ending::No,
            has_read_all: false,
            batch: Vec::new(),
        };
        let _ = poll_fn(|cx| state.poll(cx)).await;
        if state.ending == Ending::No {
            (state.pump.sink)(ToEnclave::Closed { connection: state.pump.id });
        }
    }
}

struct State<S> {
    pump: Pump<S>,
    queue: VecDeque<Bytes>,
    /// How many bytes may still be read before the enclave has consumed some.
    credit: usize,
    ending: Ending,
    /// Whether the other side has said that it sends no more.
    has_read_all: bool,
    batch: Vec<Command>,
}

/// How far the enclave's wish to close has been carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// Sending what is left.
    Draining,
    /// All is sent; what still arrives is dropped until the other side ends too. Closing with unread
    /// bytes would reset the connection, and the other side might lose our last answer.
    Lingering,
}

impl<S: AsyncRead + AsyncWrite + Unpin> State<S> {
    /// Ready when the connection is over, for whatever reason.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.poll_commands(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            self.write(cx)?;
            self.end(cx)?;
            self.pump.activity.stage.store(self.stage() as u8, Ordering::Relaxed);
            let read = match self.ending {
                Ending::Lingering if self.has_read_all => return Poll::Ready(Ok(())),
                // The enclave ends it, or the sweep, or an answer that nobody takes.
                _ if self.has_read_all => return Poll::Pending,
                Ending::Lingering => self.poll_discard(cx),
                Ending::No | Ending::Draining => self.poll_read(cx),
            };
            if let Read::End = ready!(read)? {
                self.has_read_all = true;
                if self.ending == Ending::No {
                    self.moved();
                    (self.pump.sink)(ToEnclave::Ended { connection: self.pump.id });
                }
            }
        }
    }

    fn stage(&self) -> Stage {
        match self.ending {
            Ending::Lingering => Stage::Lingering,
            Ending::No if self.queue.is_empty() && !self.has_read_all => Stage::Quiet,
            Ending::No | Ending::Draining => Stage::Waiting,
        }
    }

    /// Ready when nobody commands any more, or the order is to end now.
    fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(count) = self.pump.commands.poll_recv_many(cx, &mut self.batch, COMMANDS_AT_ONCE) {
            if count == 0 {
                return Poll::Ready(());
            }
            for command in self.batch.drain(..) {
                match command {
                    Command::Write(bytes) if self.ending == Ending::No => self.queue.push_back(bytes),
                    Command::Write(_) => {}
                    Command::Consumed(size) => self.credit = (self.credit + size).min(CONNECTION_WINDOW_BYTES),
                    Command::Close if self.ending == Ending::No => self.ending = Ending::Draining,
                    Command::Close => {}
                    Command::Kill => return Poll::Ready(()),
                }
            }
        }
        Poll::Pending
    }

    /// Hands as much as possible to the operating system and says so.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut written = 0;
        let mut result = Ok(());
        while !self.queue.is_empty() && result.is_ok() {
            let mut slices = [IoSlice::new(&[]); SLICES_AT_ONCE];
            let count = self.queue.iter().zip(&mut slices).map(|(bytes, slice)| *slice = IoSlice::new(bytes)).count();
            match Pin::new(&mut self.pump.stream).poll_write_vectored(cx, &slices[..count]) {
                Poll::Pending => break,
                Poll::Ready(Ok(size)) => {
                    self.advance(size);
                    written += size;
                }
                Poll::Ready(Err(error)) => result = Err(error),
            }
        }
        self.pump.activity.unsent.store(!self.queue.is_empty(), Ordering::Relaxed);
        if written > 0 {
            self.moved();
            (self.pump.sink)(ToEnclave::Written { connection: self.pump.id, size: written });
        }
        result
    }

    fn advance(&mut self, mut size: usize) {
        while let Some(front) = self.queue.front_mut() {
            if front.len() > size {
                front.advance(size);
                return;
            }
            size -= front.len();
            self.queue.pop_front();
        }
    }

    /// Says goodbye once everything is sent.
    fn end(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ending == Ending::Draining
            && self.queue.is_empty()
            && let Poll::Ready(result) = Pin::new(&mut self.pump.stream).poll_shutdown(cx)
        {
            result?;
            self.ending = Ending::Lingering;
            self.moved();
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Read>> {
        if self.credit == 0 {
            return Poll::Pending;
        }
        let bytes = ready!(read_scratch(&mut self.pump.stream, cx, self.credit, Bytes::copy_from_slice))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(Read::End));
        }
        self.credit -= bytes.len();
        if self.queue.is_empty() {
            self.moved();
        }
        (self.pump.sink)(ToEnclave::Received { connection: self.pump.id, bytes: Untrusted::new(bytes) });
        Poll::Ready(Ok(Read::More))
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Read>> {
        let size = ready!(read_scratch(&mut self.pump.stream, cx, SCRATCH_BYTES, <[u8]>::len))?;
        Poll::Ready(Ok(if size == 0 { Read::End } else { Read::More }))
    }

    fn moved(&self) {
        self.pump.activity.moved.store(self.pump.tick.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

enum Read {
    More,
    End,
}

thread_local! {
    /// One buffer for all connections of the thread, so that an idle connection holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Reads once, at most `limit` bytes, and hands them to `take`.
fn read_scratch<S: AsyncRead + Unpin, T>(
    stream: &mut S,
    cx: &mut Context<'_>,
    limit: usize,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(&mut scratch[..limit.min(SCRATCH_BYTES)]);
        ready!(Pin::new(stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(take(buffer.filled())))
    })
}

/// As much as a socket's receive buffer usually holds, so that one read empties it.
const SCRATCH_BYTES: usize = 256 << 10;

/// How many commands are taken from the queue at once; the rest follows in the same poll.
const COMMANDS_AT_ONCE: usize = 64;

/// How many pieces one system call writes; TLS records are 16 KiB, so this is a megabyte.
const SLICES_AT_ONCE: usize = 64;

#[cfg(test)]
mod tests;
