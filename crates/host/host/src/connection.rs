//! One connection: bytes both ways, each within its credit, without a buffer of its own while idle.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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
    /// Whether bytes wait to be sent, or the connection is about to close: then silence counts as a stall.
    pub blocked: AtomicBool,
    /// Whether bytes wait to be sent.
    pub unsent: AtomicBool,
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
            let read = match self.ending {
                Ending::Lingering => self.poll_discard(cx),
                Ending::No | Ending::Draining => self.poll_read(cx),
            };
            if let Read::End = ready!(read)? {
                return Poll::Ready(Ok(()));
            }
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
        self.pump.activity.blocked.store(!self.queue.is_empty() || self.ending != Ending::No, Ordering::Relaxed);
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
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::mpsc::{self, UnboundedSender};
    use tokio::task::JoinHandle;

    use super::*;

    struct World {
        far: DuplexStream,
        commands: UnboundedSender<Command>,
        seen: Arc<Mutex<Vec<ToEnclave>>>,
        activity: Arc<Activity>,
        done: JoinHandle<()>,
    }

    /// A pump between a stream whose pipe holds `pipe` bytes and a list of messages.
    fn world(pipe: usize) -> World {
        let (far, stream) = tokio::io::duplex(pipe);
        let (commands, receiver) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink_seen = Arc::clone(&seen);
        let activity = Arc::new(Activity::default());
        let pump = Pump {
            id: ConnectionId(2),
            stream,
            commands: receiver,
            sink: Arc::new(move |message| sink_seen.lock().unwrap().push(message)),
            activity: Arc::clone(&activity),
            tick: Arc::new(AtomicU64::new(7)),
        };
        World { far, commands, seen, activity, done: tokio::spawn(pump.run()) }
    }

    impl World {
        fn received(&self) -> usize {
            let size = |message: &ToEnclave| match message {
                ToEnclave::Received { bytes, .. } => bytes.size(),
                _ => 0,
            };
            self.seen.lock().unwrap().iter().map(size).sum()
        }

        fn written(&self) -> usize {
            let size = |message: &ToEnclave| match message {
                ToEnclave::Written { size, .. } => *size,
                _ => 0,
            };
            self.seen.lock().unwrap().iter().map(size).sum()
        }

        fn closed(&self) -> bool {
            matches!(self.seen.lock().unwrap().last(), Some(ToEnclave::Closed { .. }))
        }
    }

    /// Lets every task run until none can go on.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn no_more_than_the_window_is_read_before_the_enclave_consumes() {
        let mut world = world(4 * CONNECTION_WINDOW_BYTES);
        world.far.write_all(&vec![1; 2 * CONNECTION_WINDOW_BYTES]).await.unwrap();
        settle().await;
        assert_eq!(world.received(), CONNECTION_WINDOW_BYTES);
        world.commands.send(Command::Consumed(1000)).unwrap();
        settle().await;
        assert_eq!(world.received(), CONNECTION_WINDOW_BYTES + 1000);
    }

    #[tokio::test]
    async fn what_the_other_side_does_not_take_is_not_reported_as_written() {
        let mut world = world(100);
        world.commands.send(Command::Write(Bytes::from(vec![1; 150]))).unwrap();
        world.commands.send(Command::Write(Bytes::from(vec![2; 50]))).unwrap();
        settle().await;
        assert_eq!(world.written(), 100);
        assert!(world.activity.blocked.load(Ordering::Relaxed));
        let mut all = [0; 200];
        world.far.read_exact(&mut all).await.unwrap();
        settle().await;
        assert_eq!((world.written(), all[149], all[150]), (200, 1, 2));
        assert!(!world.activity.blocked.load(Ordering::Relaxed));
        assert_eq!(world.activity.moved.load(Ordering::Relaxed), 7);
    }

    #[tokio::test]
    async fn close_sends_what_is_left_and_takes_what_still_arrives() {
        let mut world = world(100);
        world.commands.send(Command::Write(Bytes::from(vec![1; 150]))).unwrap();
        world.commands.send(Command::Close).unwrap();
        let mut all = Vec::new();
        world.far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 150);
        world.far.write_all(&[0; 500]).await.unwrap();
        settle().await;
        assert!(!world.done.is_finished(), "it lingers until the other side ends");
        drop(world.far);
        world.done.await.unwrap();
        let closed = world.seen.lock().unwrap().iter().any(|message| matches!(message, ToEnclave::Closed { .. }));
        assert!(!closed, "the enclave closed it and need not be told");
    }

    #[tokio::test]
    async fn an_end_from_outside_and_a_kill_are_told_to_the_enclave() {
        let outside = world(100);
        drop(outside.far);
        settle().await;
        assert!(outside.seen.lock().unwrap().iter().any(|message| matches!(message, ToEnclave::Closed { .. })));

        let killed = world(100);
        killed.commands.send(Command::Kill).unwrap();
        settle().await;
        assert!(killed.closed());
    }
}
