//! Responses, and how they are read off the wire.
//!
//! Nodes answer with a `content-length`, so that is all this reader takes; another framing is an
//! error. A node is authenticated, yet its bytes are capped and checked like anyone's.

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use synod_types::TxId;

/// A node's answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The transaction that the answer is as recent as; for a write, its own, committed.
    pub txid: Option<TxId>,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// Whether the status is one of success.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The error that the body holds, if it is in the form that nodes use outside JSON-RPC.
    pub fn error(&self) -> Option<ErrorBody> {
        #[derive(Deserialize)]
        struct Envelope {
            error: ErrorBody,
        }
        serde_json::from_slice::<Envelope>(&self.body).ok().map(|envelope| envelope.error)
    }

    /// What the answer says, in one line for people.
    pub fn summary(&self) -> String {
        match self.error() {
            Some(error) => format!("{} ({}, status {})", error.message, error.code, self.status),
            None => format!("status {}", self.status),
        }
    }
}

/// An error of a node, as the body of a response.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ErrorBody {
    /// The kind, in CamelCase: stable, for programs.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What to do next.
    #[serde(default)]
    pub hint: Option<String>,
}

/// Takes one response off the front of `input`; `None` if not all of it has come.
pub(crate) fn take(input: &mut BytesMut) -> Result<Option<Response>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let head_size = match head.parse(input) {
        Ok(httparse::Status::Complete(size)) => size,
        Ok(httparse::Status::Partial) if input.len() > HEAD_BYTES_MAX => return Err("a response head above the limit"),
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("a response that is not HTTP/1.1"),
    };
    let status = head.code.ok_or("a response without a status")?;
    let (body_size, txid) = read_headers(head.headers)?;
    if input.len() < head_size + body_size {
        input.reserve(head_size + body_size - input.len());
        return Ok(None);
    }
    input.advance(head_size);
    let body = input.split_to(body_size).freeze();
    Ok(Some(Response { status, txid, body }))
}

fn read_headers(headers: &[httparse::Header<'_>]) -> Result<(usize, Option<TxId>), &'static str> {
    let (mut size, mut txid) = (None, None);
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            if size.replace(read_size(header.value)?).is_some() {
                return Err("two lengths in one response");
            }
        } else if header.name.eq_ignore_ascii_case("synod-txid") {
            let text = str::from_utf8(header.value).map_err(|_| "a transaction id that is not text")?;
            txid = Some(text.parse().map_err(|_| "a transaction id that is not view.seqno")?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err("a response without a length");
        }
    }
    Ok((size.ok_or("a response without a length")?, txid))
}

fn read_size(digits: &[u8]) -> Result<usize, &'static str> {
    let refused = "a length that is not a number below the limit";
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(refused);
    }
    let size: usize = str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(refused)?;
    if size <= RESPONSE_BODY_BYTES_MAX { Ok(size) } else { Err(refused) }
}

/// The most headers of a response: a node sends a handful.
const HEADERS_MAX: usize = 24;

/// The largest response head, in bytes: a node's take a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The largest response body, in bytes: a thousand-fold batch of large replies fits, a mistaken length does not exhaust memory.
const RESPONSE_BODY_BYTES_MAX: usize = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, transaction id, body, and what is left of the input.
    type Taken = (u16, Option<&'static str>, &'static str, &'static str);

    fn check(input: &str, expected: Result<Option<Taken>, &'static str>) {
        let mut bytes = BytesMut::from(input);
        let found = take(&mut bytes).map(|taken| {
            taken.map(|response| {
                let txid = response.txid.map(|txid| txid.to_string());
                let body = String::from_utf8(response.body.to_vec()).unwrap();
                (response.status, txid, body, String::from_utf8(bytes.to_vec()).unwrap())
            })
        });
        let expected = expected.map(|taken| {
            taken.map(|(status, txid, body, rest)| (status, txid.map(String::from), body.to_owned(), rest.to_owned()))
        });
        assert_eq!(found, expected, "{input:?}");
    }

    #[test]
    fn a_response_is_taken_off_the_front_and_the_next_one_stays() {
        check(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nSynod-TxId: 2.14\r\n\r\nhiHTTP/1.1",
            Ok(Some((200, Some("2.14"), "hi", "HTTP/1.1"))),
        );
        check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Ok(Some((404, None, "", ""))));
    }

    #[test]
    fn a_response_that_has_not_all_come_is_waited_for() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        for size in 0..whole.len() {
            check(&whole[..size], Ok(None));
        }
    }

    #[test]
    fn framing_that_could_be_read_two_ways_is_refused() {
        for (headers, reason) in [
            ("", "a response without a length"),
            ("transfer-encoding: chunked\r\ncontent-length: 1\r\n", "a response without a length"),
            ("content-length: 1\r\ncontent-length: 1\r\n", "two lengths in one response"),
            ("content-length: +1\r\n", "a length that is not a number below the limit"),
            ("content-length: 99999999999\r\n", "a length that is not a number below the limit"),
            ("content-length: 1\r\nsynod-txid: 2\r\n", "a transaction id that is not view.seqno"),
        ] {
            check(&format!("HTTP/1.1 200 OK\r\n{headers}\r\nx"), Err(reason));
        }
        check("nonsense\r\n\r\n", Err("a response that is not HTTP/1.1"));
        check(&format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(HEAD_BYTES_MAX)), Err("a response head above the limit"));
    }

    #[test]
    fn an_error_body_is_told_from_other_content() {
        let response =
            |body: &'static str| Response { status: 503, txid: None, body: Bytes::from_static(body.as_bytes()) };
        let error =
            response(r#"{"error":{"code":"NoLeader","message":"no leader answered in time","hint":"try again"}}"#);
        assert_eq!(error.error().unwrap().code, "NoLeader");
        assert_eq!(error.summary(), "no leader answered in time (NoLeader, status 503)");
        assert_eq!(response("plain").error(), None);
    }
}
