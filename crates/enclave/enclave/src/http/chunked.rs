//! Chunked bodies (RFC 9112, section 7.1), put together as they arrive.

use bytes::{Buf, BytesMut};
use synod_types::limits;

use super::error::Failure;
use super::head::{body_too_large, malformed};

/// Collects a chunked body.
#[derive(Default)]
pub struct Chunked {
    body: BytesMut,
    expecting: Expecting,
    /// How many bytes of trailers came: they are read and dropped.
    trailers: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expecting {
    #[default]
    Size,
    Data(usize),
    DataEnd,
    Trailers,
}

impl Chunked {
    /// Takes as much as possible from the front of `input`; gives the body once it is whole.
    ///
    /// # Errors
    /// If the bytes are not chunks, or the body is above the limit: answer, then close.
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Option<BytesMut>, Failure> {
        loop {
            match self.expecting {
                Expecting::Size => {
                    let Some(line) = take_line(input)? else { return Ok(None) };
                    let size = read_size(&line)?;
                    if self.body.len() + size > limits::REQUEST_BODY_BYTES_MAX {
                        return Err(body_too_large());
                    }
                    self.expecting = if size == 0 { Expecting::Trailers } else { Expecting::Data(size) };
                }
                Expecting::Data(0) => self.expecting = Expecting::DataEnd,
                Expecting::Data(size) => {
                    let part = size.min(input.len());
                    if part == 0 {
                        return Ok(None);
                    }
                    self.body.extend_from_slice(&input[..part]);
                    input.advance(part);
                    self.expecting = Expecting::Data(size - part);
                }
                Expecting::DataEnd => {
                    if input.len() < 2 {
                        return Ok(None);
                    }
                    if &input[..2] != b"\r\n" {
                        return Err(malformed("a chunk is longer than its size says"));
                    }
                    input.advance(2);
                    self.expecting = Expecting::Size;
                }
                Expecting::Trailers => {
                    let Some(line) = take_line(input)? else { return Ok(None) };
                    if line.is_empty() {
                        return Ok(Some(std::mem::take(&mut self.body)));
                    }
                    self.trailers += line.len();
                    if self.trailers > LINE_BYTES_MAX {
                        return Err(malformed("the trailers are too long"));
                    }
                }
            }
        }
    }
}

/// Takes a line without its end; `None` if its end has not come.
fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, Failure> {
    let Some(end) = input.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
        return if input.len() < LINE_BYTES_MAX { Ok(None) } else { Err(malformed("a chunk's line is too long")) };
    };
    let mut line = input.split_to(end + 1);
    if !line.ends_with(b"\r\n") {
        return Err(malformed("a chunk's line ends without a carriage return"));
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

/// Reads the size in hexadecimal; extensions behind a semicolon are dropped.
fn read_size(line: &[u8]) -> Result<usize, Failure> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or(&[]).trim_ascii_end();
    let refused = || malformed("a chunk's size is not a hexadecimal number");
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(refused());
    }
    let text = std::str::from_utf8(digits).map_err(|_| refused())?;
    // A size beyond 32 bits is beyond the limit too.
    Ok(u32::from_str_radix(text, 16).map_or(u32::MAX as usize, |size| size as usize))
}

/// The longest line between chunks; sizes take a few bytes.
const LINE_BYTES_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\ntrailer: x\r\n\r\nGET";

    #[test]
    fn a_body_is_put_together_however_its_bytes_arrive() {
        for step in 1..WHOLE.len() {
            let (mut chunked, mut input, mut body) = (Chunked::default(), BytesMut::new(), None);
            for part in WHOLE.as_bytes().chunks(step) {
                input.extend_from_slice(part);
                if body.is_none() {
                    body = chunked.take(&mut input).unwrap();
                }
            }
            assert_eq!((body.as_deref(), &input[..]), (Some(&b"hello world"[..]), &b"GET"[..]), "{step}");
        }
    }

    #[test]
    fn what_is_not_chunks_or_above_the_limit_is_refused() {
        let long = "a".repeat(LINE_BYTES_MAX);
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(LINE_BYTES_MAX));
        for (text, status) in [
            ("x\r\n", 400),
            ("\r\n", 400),
            ("-1\r\n", 400),
            ("5\nhello", 400),
            ("1\r\nab\r\n", 400),
            ("800001\r\n", 413),
            ("ffffffffffffffffff\r\n", 413),
            (&long, 400),
            (&trailers, 400),
        ] {
            let result = Chunked::default().take(&mut BytesMut::from(text));
            assert_eq!(result.map_err(|failure| failure.status), Err(status), "{text}");
        }
    }

    #[test]
    fn chunks_that_together_exceed_the_limit_are_refused() {
        let mut chunked = Chunked::default();
        let half = vec![b'x'; limits::REQUEST_BODY_BYTES_MAX / 2 + 1];
        let mut input = BytesMut::from(format!("{:x}\r\n", half.len()).as_bytes());
        input.extend_from_slice(&half);
        input.extend_from_slice(b"\r\n");
        let mut again = input.clone();
        assert_eq!(chunked.take(&mut input), Ok(None));
        assert_eq!(chunked.take(&mut again).map_err(|failure| failure.status), Err(413));
    }
}
