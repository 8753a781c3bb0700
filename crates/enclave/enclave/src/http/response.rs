//! Responses, written without an allocation of their own.

use bytes::BytesMut;
use synod_types::TxId;
use synod_worker::{ContentType, Reply};

/// An answer: a reply, and as of which transaction it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status, kind and body.
    pub reply: Reply,
    /// The header `synod-txid`.
    pub txid: Option<TxId>,
}

impl Response {
    /// Appends the response as HTTP/1.1; `close` says that the connection ends with it.
    pub fn write(&self, close: bool, out: &mut BytesMut) {
        let Reply { status, content_type, body, .. } = &self.reply;
        out.reserve(HEAD_BYTES_TYPICAL + body.len());
        out.extend_from_slice(b"HTTP/1.1 ");
        decimal(u64::from(*status), out);
        out.extend_from_slice(b" ");
        out.extend_from_slice(reason(*status).as_bytes());
        if !body.is_empty() {
            out.extend_from_slice(b"\r\ncontent-type: ");
            out.extend_from_slice(mime(*content_type).as_bytes());
        }
        if *status != 204 {
            out.extend_from_slice(b"\r\ncontent-length: ");
            decimal(body.len() as u64, out);
        }
        if let Some(txid) = self.txid {
            out.extend_from_slice(b"\r\nsynod-txid: ");
            decimal(txid.view.0, out);
            out.extend_from_slice(b".");
            decimal(txid.seqno.0, out);
        }
        if close {
            out.extend_from_slice(b"\r\nconnection: close");
        }
        out.extend_from_slice(b"\r\n\r\n");
        if *status != 204 {
            out.extend_from_slice(body);
        }
    }
}

/// The name of a kind of content.
pub const fn mime(content_type: ContentType) -> &'static str {
    match content_type {
        ContentType::Binary => "application/octet-stream",
        ContentType::Text => "text/plain; charset=utf-8",
        ContentType::Json => "application/json",
    }
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}

fn decimal(mut number: u64, out: &mut BytesMut) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Room for the fixed words and every header of ours.
const HEAD_BYTES_TYPICAL: usize = 160;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn written(reply: Reply, txid: Option<&str>, close: bool) -> String {
        let mut out = BytesMut::new();
        Response { reply, txid: txid.map(|text| text.parse().unwrap()) }.write(close, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_response_is_written_with_exactly_the_headers_it_needs() {
        let empty = Reply::new(200, ContentType::Binary, Bytes::new());
        assert_eq!(
            written(empty.clone(), Some("2.14"), false),
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nsynod-txid: 2.14\r\n\r\n"
        );
        assert_eq!(
            written(Reply::json(404, "{}"), None, true),
            "HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
        );
        assert_eq!(written(Reply { status: 204, ..empty }, None, false), "HTTP/1.1 204 No Content\r\n\r\n");
    }
}
