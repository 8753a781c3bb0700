//! A connection as the enclave sees it: a stream of bytes over messages to and from the host.
//!
//! Both directions keep to [`CONNECTION_WINDOW_BYTES`]: what the host has not taken is not added
//! to, and a host that sends more than it was granted loses the connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use synod_types::boundary::{CONNECTION_WINDOW_BYTES, ConnectionId, ToHost};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where messages for the host go.
pub type HostSink = Arc<dyn Fn(ToHost) + Send + Sync>;

/// The end that a session reads and writes. Dropping it closes the connection.
pub struct Stream {
    id: ConnectionId,
    host: HostSink,
    shared: Arc<Mutex<Shared>>,
    /// Bytes read since the host was last told.
    unreported: usize,
    closed: bool,
}

/// The end that the host's messages are fed to.
#[derive(Clone)]
pub struct Feed(Arc<Mutex<Shared>>);

struct Shared {
    incoming: VecDeque<Bytes>,
    /// How much the host may still send.
    read_credit: usize,
    /// How much may still be sent to the host.
    write_credit: usize,
    /// Nothing more will arrive.
    has_all: bool,
    /// Nothing more can be sent.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Makes the two ends of connection `id`.
pub fn stream(id: ConnectionId, host: HostSink) -> (Stream, Feed) {
    let shared = Arc::new(Mutex::new(Shared {
        incoming: VecDeque::new(),
        read_credit: CONNECTION_WINDOW_BYTES,
        write_credit: CONNECTION_WINDOW_BYTES,
        has_all: false,
        ended: false,
        reader: None,
        writer: None,
    }));
    (Stream { id, host, shared: Arc::clone(&shared), unreported: 0, closed: false }, Feed(shared))
}

impl Feed {
    /// Bytes arrived.
    pub fn received(&self, bytes: Bytes) {
        let mut shared = lock(&self.0);
        match shared.read_credit.checked_sub(bytes.len()) {
            Some(credit) => {
                shared.read_credit = credit;
                shared.incoming.push_back(bytes);
            }
            None => shared.end(),
        }
        wake(&mut shared.reader);
    }

    /// The host handed so many bytes to the operating system.
    pub fn written(&self, size: usize) {
        let mut shared = lock(&self.0);
        shared.write_credit = (shared.write_credit + size).min(CONNECTION_WINDOW_BYTES);
        wake(&mut shared.writer);
    }

    /// Nothing more will arrive; what arrived before can still be read, and answers written.
    pub fn ended(&self) {
        let mut shared = lock(&self.0);
        shared.has_all = true;
        wake(&mut shared.reader);
    }

    /// The connection ended; what arrived before can still be read.
    pub fn closed(&self) {
        lock(&self.0).end();
    }
}

impl Shared {
    fn end(&mut self) {
        self.has_all = true;
        self.ended = true;
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

impl Stream {
    fn consumed(&mut self, size: usize) {
        self.unreported += size;
        if self.unreported >= REPORT_BYTES_MIN {
            let size = std::mem::take(&mut self.unreported);
            (self.host)(ToHost::Consumed { connection: self.id, size });
        }
    }

    /// Closes; the host sends what is left first.
    fn close(&mut self) {
        if !self.closed {
            self.closed = true;
            (self.host)(ToHost::Close { connection: self.id });
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut size = 0;
        {
            let mut shared = lock(&self.shared);
            while let Some(front) = shared.incoming.front_mut() {
                let part = front.len().min(buffer.remaining());
                buffer.put_slice(&front[..part]);
                front.advance(part);
                size += part;
                if front.has_remaining() {
                    break;
                }
                shared.incoming.pop_front();
            }
            if size == 0 && buffer.remaining() > 0 && !shared.has_all {
                shared.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let unreported = self.unreported + size;
            if unreported >= REPORT_BYTES_MIN {
                shared.read_credit += unreported;
            }
        }
        self.consumed(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// Sends all slices, as far as the credit reaches, in one message.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let size = {
            let mut shared = lock(&self.shared);
            if shared.ended || self.closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if shared.write_credit == 0 && wanted > 0 {
                shared.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let size = wanted.min(shared.write_credit);
            shared.write_credit -= size;
            size
        };
        if size > 0 {
            let mut bytes = BytesMut::with_capacity(size);
            for slice in slices {
                bytes.extend_from_slice(&slice[..slice.len().min(size - bytes.len())]);
            }
            (self.host)(ToHost::Write { connection: self.id, bytes: bytes.freeze() });
        }
        Poll::Ready(Ok(size))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was written is with the host already.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// How many bytes are read before the host is told: a quarter of the window, so that the host can
/// go on sending meanwhile and messages stay few.
const REPORT_BYTES_MIN: usize = CONNECTION_WINDOW_BYTES / 4;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    type Log = Arc<Mutex<Vec<ToHost>>>;

    fn pair() -> (Stream, Feed, Log) {
        let log = Log::default();
        let sink = Arc::clone(&log);
        let (stream, feed) = stream(ConnectionId(2), Arc::new(move |message| sink.lock().unwrap().push(message)));
        (stream, feed, log)
    }

    fn poll_write(stream: &mut Stream, bytes: &[u8]) -> Poll<usize> {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(stream).poll_write(&mut cx, bytes).map(Result::unwrap)
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_and_are_given_back_as_credit_in_large_steps() {
        let (mut stream, feed, log) = pair();
        feed.received(Bytes::from(vec![1; REPORT_BYTES_MIN]));
        feed.received(Bytes::from_static(&[2]));
        let mut all = vec![0; REPORT_BYTES_MIN + 1];
        stream.read_exact(&mut all).await.unwrap();
        assert_eq!((all[0], all[REPORT_BYTES_MIN]), (1, 2));
        let consumed: usize = log
            .lock()
            .unwrap()
            .iter()
            .map(|m| match m {
                ToHost::Consumed { size, .. } => *size,
                other => panic!("{other:?}"),
            })
            .sum();
        assert!(consumed >= REPORT_BYTES_MIN);
    }

    #[tokio::test]
    async fn a_host_that_sends_more_than_it_was_granted_loses_the_connection() {
        let (mut stream, feed, _log) = pair();
        feed.received(Bytes::from(vec![1; CONNECTION_WINDOW_BYTES]));
        feed.received(Bytes::from_static(&[2]));
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), CONNECTION_WINDOW_BYTES, "the surplus byte is not delivered, the stream ends");
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn after_the_last_byte_answers_can_still_be_written() {
        let (mut stream, feed, log) = pair();
        feed.received(Bytes::from_static(b"last"));
        feed.ended();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"last");
        stream.write_all(b"answer").await.unwrap();
        assert!(matches!(&log.lock().unwrap()[..], [ToHost::Write { bytes, .. }] if bytes == "answer"));
        feed.closed();
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn credit_is_granted_for_all_that_was_read() {
        let (mut stream, feed, _log) = pair();
        let mut part = vec![0; CONNECTION_WINDOW_BYTES / 2];
        for _ in 0..8 {
            feed.received(Bytes::from(part.clone()));
            stream.read_exact(&mut part).await.unwrap();
        }
    }

    #[test]
    fn no_more_is_sent_than_the_host_has_taken() {
        let (mut stream, feed, log) = pair();
        let bytes = vec![0; CONNECTION_WINDOW_BYTES + 1];
        assert_eq!(poll_write(&mut stream, &bytes), Poll::Ready(CONNECTION_WINDOW_BYTES));
        assert_eq!(poll_write(&mut stream, &bytes), Poll::Pending);
        feed.written(10);
        assert_eq!(poll_write(&mut stream, &bytes), Poll::Ready(10));
        assert_eq!(log.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_stream_is_closed_once_however_it_ends() {
        let (mut stream, _feed, log) = pair();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut stream).poll_shutdown(&mut cx).is_ready());
        drop(stream);
        assert!(matches!(log.lock().unwrap()[..], [ToHost::Close { connection: ConnectionId(2) }]));
    }
}
