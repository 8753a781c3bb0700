//! What a node answers with when it is asked for events, from the bytes of a connection.
//!
//! The format is that of the HTML standard (section 9.2), as far as nodes use it: `id`, `event`, `data`, comments.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use synod_types::TxId;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its id: give it to `Governance::events` to go on after it.
    pub id: String,
    /// Its kind, as in `proposed`.
    pub event: String,
    /// What happened: JSON.
    pub data: String,
}

/// The head of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Whether the body comes in chunks.
    pub is_chunked: bool,
    /// The size of the body, if the head tells it.
    pub size: Option<usize>,
    /// The transaction as of which the response holds.
    pub txid: Option<String>,
}

/// Takes the head of a response off the front of `input`, once all of it has come.
///
/// # Errors
/// If it is none.
pub fn read_head(input: &mut BytesMut) -> Result<Option<Head>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; 24];
    let mut parsed = httparse::Response::new(&mut headers);
    let size = match parsed.parse(input) {
        Ok(httparse::Status::Complete(size)) if size <= HEAD_BYTES_MAX => size,
        Ok(httparse::Status::Partial) if input.len() <= HEAD_BYTES_MAX => return Ok(None),
        _ => return Err("a response that is not HTTP/1.1"),
    };
    let value = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(header.value).ok().map(str::trim)
    };
    let head = Head {
        status: parsed.code.ok_or("a response without a status")?,
        is_chunked: value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")),
        size: value("content-length").and_then(|text| text.parse().ok()),
        txid: value("synod-txid").filter(|text| text.parse::<TxId>().is_ok()).map(str::to_owned),
    };
    input.advance(size);
    Ok(Some(head))
}

/// Whether the body has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has.
    Reached,
    /// More is to come.
    NotYet,
}

/// A chunked body (RFC 9112, section 7.1), as far as it has come.
#[derive(Debug, Default)]
pub struct Chunks {
    /// How much of the current chunk is still to come, with its line end.
    left: usize,
}

impl Chunks {
    /// Takes off the front of `input` what belongs to the body.
    ///
    /// # Errors
    /// If it is no chunked body of events.
    pub fn take(&mut self, input: &mut BytesMut, parser: &mut Parser) -> Result<End, &'static str> {
        loop {
            if self.left > 0 {
                let part = self.left.min(input.len());
                if part == 0 {
                    return Ok(End::NotYet);
                }
                let data = part.min(self.left.saturating_sub(LINE_END));
                parser.push(&input[..data])?;
                input.advance(part);
                self.left -= part;
                continue;
            }
            let line = &input[..input.len().min(SIZE_LINE_BYTES_MAX)];
            let Some(end) = line.windows(LINE_END).position(|window| window == b"\r\n") else {
                let is_long = input.len() >= SIZE_LINE_BYTES_MAX;
                return if is_long { Err("a chunk without a size") } else { Ok(End::NotYet) };
            };
            let digits =
                str::from_utf8(&line[..end]).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let size = digits.and_then(|text| usize::from_str_radix(text, 16).ok());
            let size = size.filter(|size| *size <= EVENT_BYTES_MAX).ok_or("a chunk without a size, or a large one")?;
            input.advance(end + LINE_END);
            if size == 0 {
                return Ok(End::Reached);
            }
            self.left = size + LINE_END;
        }
    }
}

/// Puts events together, line by line.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    draft: ServerEvent,
    /// Those that are whole.
    pub events: VecDeque<ServerEvent>,
}

impl Parser {
    /// Takes in the next bytes of a stream.
    ///
    /// # Errors
    /// If they are no events.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line()?,
                b'\r' => {}
                other if self.line.len() < EVENT_BYTES_MAX => self.line.push(*other),
                _ => return Err("an event above the limit"),
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), &'static str> {
        let line = std::mem::take(&mut self.line);
        let line = str::from_utf8(&line).map_err(|_| "an event that is not text")?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.draft);
            if !event.data.is_empty() {
                self.events.push_back(event);
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.draft.id = value.to_owned(),
            "event" => self.draft.event = value.to_owned(),
            "data" if self.draft.data.len() + value.len() > EVENT_BYTES_MAX => return Err("an event above the limit"),
            "data" => {
                if !self.draft.data.is_empty() {
                    self.draft.data.push('\n');
                }
                self.draft.data.push_str(value);
            }
            // A comment, or a field that nodes do not use.
            _ => {}
        }
        Ok(())
    }
}

const LINE_END: usize = 2;

/// The longest line with the size of a chunk, its end included: nodes need a few digits.
const SIZE_LINE_BYTES_MAX: usize = 64;

/// The largest event, in bytes: the longest proposal's lines and note fit.
const EVENT_BYTES_MAX: usize = 4 << 20;

/// The largest response head, in bytes: a node's take a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event: &str, data: &str) -> ServerEvent {
        ServerEvent { id: id.into(), event: event.into(), data: data.into() }
    }

    const BODY: &str =
        ": hello\n\nid: 2.3/1\nevent: voted\ndata: {\"a\":\ndata: 1}\n\nid:2.4/1\r\nevent:closed\r\ndata:x\r\n\r\n";

    #[test]
    fn events_are_put_together_however_the_bytes_are_cut() {
        let expected = [event("2.3/1", "voted", "{\"a\":\n1}"), event("2.4/1", "closed", "x")];
        for cut in 0..BODY.len() {
            let mut parser = Parser::default();
            parser.push(&BODY.as_bytes()[..cut]).unwrap();
            parser.push(&BODY.as_bytes()[cut..]).unwrap();
            assert_eq!(parser.events, expected, "cut at {cut}");
        }
    }

    #[test]
    fn chunks_are_taken_apart_however_the_bytes_are_cut() {
        let chunked: String = BODY
            .as_bytes()
            .chunks(7)
            .fold(String::new(), |all, part| format!("{all}{:x}\r\n{}\r\n", part.len(), str::from_utf8(part).unwrap()));
        let chunked = chunked + "0\r\n\r\n";
        for cut in 0..chunked.len() {
            let (mut parser, mut chunks) = (Parser::default(), Chunks::default());
            let mut input = BytesMut::from(&chunked.as_bytes()[..cut]);
            chunks.take(&mut input, &mut parser).unwrap();
            if cut + 2 < chunked.len() {
                input.extend_from_slice(&chunked.as_bytes()[cut..]);
                assert_eq!(chunks.take(&mut input, &mut parser), Ok(End::Reached), "cut at {cut}");
            }
            assert_eq!(parser.events.len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let mut parser = Parser::default();
        assert!(parser.push(b"data: \xff\n").is_err());
        for text in ["zz\r\n", "+1\r\n", "fffffffff\r\n", &format!("{}1\r\n", "0".repeat(70)), &"1".repeat(70)] {
            assert!(Chunks::default().take(&mut BytesMut::from(text), &mut Parser::default()).is_err(), "{text}");
        }
    }
}
