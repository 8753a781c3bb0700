//! What a session writes: the answers whose turn it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{OUTPUT_BYTES_KEPT, OUTPUT_BYTES_MAX, Session};

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Writes the answers whose turn it is.
    pub(super) fn answer(&mut self) {
        while self.output.len() < OUTPUT_BYTES_MAX
            && let Some(slot) = self.slots.pop_front_if(|slot| slot.response.is_some())
        {
            self.first = self.first.wrapping_add(1);
            self.in_flight_bytes -= slot.body_size;
            if let Some(response) = slot.response {
                self.answer_bytes -= response.reply.body.len();
                response.write(!slot.keep_alive, &mut self.output);
            }
        }
        // An interim answer has its turn too (RFC 9110, section 15.2).
        if self.continue_due && self.slots.is_empty() {
            self.continue_due = false;
            self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.output.is_empty() {
            match Pin::new(&mut self.io).poll_write(cx, &self.output) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(size)) => self.output.advance(size),
                Poll::Ready(Err(error)) => return Err(error),
            }
            self.flushed = false;
        }
        if !self.flushed && Pin::new(&mut self.io).poll_flush(cx)?.is_ready() {
            self.flushed = true;
            if self.output.capacity() > OUTPUT_BYTES_KEPT {
                self.output = BytesMut::new();
            }
        }
        Ok(())
    }
}
