//! What a session takes in: bytes, then requests.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use synod_types::limits;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{INPUT_BYTES_TYPICAL, Session};
use crate::bodies::Room;
use crate::exchange::{Arrived, Exchange};
use crate::http::chunked::Chunked;
use crate::http::error::Failure;
use crate::http::head::{Facts, Framing, Head, malformed, parse, too_slow};
use crate::scratch::read_scratch;

/// What is being read, and the room that was taken for it.
pub enum Reading {
    /// A head, or a body with a length: nothing is to be tried before `input` has so many bytes.
    Whole { needed: usize, room: Option<Arc<Room>> },
    /// A chunked body.
    Chunked { target: String, facts: Facts, body: Chunked, room: Option<Arc<Room>> },
}

impl Reading {
    pub const START: Self = Self::Whole { needed: 1, room: None };
}

/// Whether requests are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Yes.
    Open,
    /// The client has said its last; whole requests among that are still served.
    Ended,
    /// No: the client asked to end, or where the next request begins is not known.
    Stopped,
}

/// What came of trying to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Nothing more has arrived; the task is woken when it does.
    Empty,
    /// Bytes arrived, or reading was put off.
    Some,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Reads what has arrived, unless too much waits already.
    pub(super) fn fill(&mut self, cx: &mut Context<'_>) -> io::Result<Fill> {
        while self.intake == Intake::Open {
            if self.is_full() || self.input.len() >= self.input_bytes_max() {
                return Ok(Fill::Some);
            }
            let input = &mut self.input;
            match read_scratch(&mut self.io, cx, |bytes| {
                input.extend_from_slice(bytes);
                bytes.len()
            }) {
                Poll::Pending => return Ok(Fill::Empty),
                Poll::Ready(Ok(0)) => self.intake = Intake::Ended,
                // Some clients end their side without TLS's goodbye. What follows may have been cut off by somebody
                // else; the requests that are whole are the client's, and nothing less is served.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => self.intake = Intake::Ended,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(Fill::Empty)
    }

    /// How much may be gathered before requests are taken out.
    fn input_bytes_max(&self) -> usize {
        match self.reading {
            Reading::Whole { needed, .. } => INPUT_BYTES_TYPICAL.max(needed),
            Reading::Chunked { .. } => INPUT_BYTES_TYPICAL,
        }
    }

    /// Takes every whole request out of the input, as far as there is room.
    pub(super) fn take_requests(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let before = self.slots.len();
        while self.intake != Intake::Stopped && !self.is_full() {
            match self.take_request(&mut input) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => self.refuse(failure),
            }
        }
        self.is_left = self.is_full() && self.intake != Intake::Stopped && !input.is_empty();
        let unfinished = !input.is_empty() || matches!(self.reading, Reading::Chunked { .. });
        self.slow.watch(self.slots.len() == before, unfinished && !self.is_full() && self.intake == Intake::Open);
        if self.intake != Intake::Stopped && !input.is_empty() {
            self.input = input;
        }
    }

    /// Takes one request; false if not all of it has come.
    fn take_request(&mut self, input: &mut BytesMut) -> Result<bool, Failure> {
        match &mut self.reading {
            Reading::Whole { needed, .. } if input.len() < *needed => Ok(false),
            Reading::Whole { .. } => self.take_whole(input),
            Reading::Chunked { body, .. } => {
                let Some(body) = body.take(input)? else { return Ok(false) };
                let reading = std::mem::replace(&mut self.reading, Reading::START);
                if let Reading::Chunked { target, facts, room, .. } = reading {
                    self.request(&target, &facts, None, (&body, room.as_ref()));
                }
                Ok(true)
            }
        }
    }

    fn take_whole(&mut self, input: &mut BytesMut) -> Result<bool, Failure> {
        let Some(Head { target, size, facts, refused }) = parse(input)? else { return Ok(false) };
        match facts.body {
            Framing::Length(body) if input.len() < size + body => {
                self.continue_due = facts.expects_continue;
                let room = match &mut self.reading {
                    Reading::Whole { room, .. } => room.take(),
                    Reading::Chunked { .. } => None,
                };
                let room = match room {
                    None => self.service.room(self.purpose, self.speaker.actor(), body)?,
                    taken => taken,
                };
                self.reading = Reading::Whole { needed: size + body, room };
                Ok(false)
            }
            Framing::Length(body) => {
                let room = match std::mem::replace(&mut self.reading, Reading::START) {
                    Reading::Whole { room, .. } | Reading::Chunked { room, .. } => room,
                };
                self.request(target, &facts, refused, (&input[size..size + body], room.as_ref()));
                input.advance(size + body);
                Ok(true)
            }
            // The body of a refused request is not worth reading, and only its end would tell where to go on.
            Framing::Chunked if refused.is_some() => Err(refused.unwrap_or_else(too_slow)),
            Framing::Chunked => {
                self.continue_due = facts.expects_continue;
                let room = self.service.room(self.purpose, self.speaker.actor(), limits::REQUEST_BODY_BYTES_MAX)?;
                let target = target.to_owned();
                input.advance(size);
                self.reading = Reading::Chunked { target, facts, body: Chunked::default(), room };
                Ok(true)
            }
        }
    }

    /// Answers with an error and takes no more requests.
    pub(super) fn refuse(&mut self, failure: Failure) {
        self.intake = Intake::Stopped;
        let (exchange, step) = Exchange::refused(&self.service, failure);
        self.begin(exchange, step, false, 0);
    }

    fn request(&mut self, target: &str, facts: &Facts, refused: Option<Failure>, body: (&[u8], Option<&Arc<Room>>)) {
        let (body, room) = body;
        self.continue_due = false;
        let (exchange, step) = match (facts.method, refused) {
            (Some(method), None) => {
                let (speaker, purpose) = (&*self.speaker, self.purpose);
                let (wishes, own_id) = (facts.wishes, self.ids.next_id());
                Exchange::begin(
                    &self.service,
                    &Arrived { speaker, purpose, method, target, wishes, own_id, body, room },
                )
            }
            (_, refused) => {
                Exchange::refused(&self.service, refused.unwrap_or_else(|| malformed("the request has no method")))
            }
        };
        if !facts.keep_alive {
            self.intake = Intake::Stopped;
        }
        self.begin(exchange, step, facts.keep_alive, body.len());
    }
}
