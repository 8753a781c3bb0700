//! Requests, and how they are written to the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use synod_types::{RequestId, TxId};

/// The HTTP methods that nodes serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Act, or call a procedure.
    Post,
    /// Write at a name.
    Put,
    /// Remove a name.
    Delete,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One request to a node.
///
/// ```
/// use synod_client::Request;
///
/// let mut wire = bytes::BytesMut::new();
/// Request::put("/app/log/7", "hello").at_least("2.14".parse()?).encode(&mut wire);
/// let expected = "PUT /app/log/7 HTTP/1.1\r\nhost: synod\r\ncontent-length: 5\r\nsynod-at-least: 2.14\r\n\r\nhello";
/// assert_eq!(wire, expected.as_bytes());
/// # Ok::<(), synod_types::ids::ParseTxIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path with its query, beginning with a slash; printable ASCII without spaces.
    pub path: String,
    /// The body.
    pub body: Bytes,
    /// The id under which a retry is the same request; a [`crate::Client`] gives a write one if there is none.
    pub id: Option<RequestId>,
    /// Answer only once the node has applied this much.
    pub at_least: Option<TxId>,
    /// Ask for a linearizable read.
    pub linearizable: bool,
}

impl Request {
    /// A request without headers of its own.
    pub fn new(method: Method, path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        let path = path.into();
        assert!(
            path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()),
            "a path is a slash and visible ASCII"
        );
        Self { method, path, body: body.into(), id: None, at_least: None, linearizable: false }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path, Bytes::new())
    }

    /// A PUT.
    pub fn put(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::Put, path, body)
    }

    /// A POST.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self::new(Method::Post, path, body)
    }

    /// The same request under this id.
    #[must_use]
    pub const fn id(mut self, id: RequestId) -> Self {
        self.id = Some(id);
        self
    }

    /// The same request, answered only once the node has applied `txid`.
    #[must_use]
    pub const fn at_least(mut self, txid: TxId) -> Self {
        self.at_least = Some(txid);
        self
    }

    /// Appends the request as HTTP/1.1.
    pub fn encode(&self, out: &mut BytesMut) {
        out.reserve(HEAD_BYTES_TYPICAL + self.path.len() + self.body.len());
        out.extend_from_slice(self.method.name().as_bytes());
        out.extend_from_slice(b" ");
        out.extend_from_slice(self.path.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: synod\r\n");
        if self.method != Method::Get || !self.body.is_empty() {
            out.extend_from_slice(b"content-length: ");
            decimal(self.body.len() as u64, out);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(id) = &self.id {
            out.extend_from_slice(b"synod-request-id: ");
            hexadecimal(&id.0, out);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(txid) = self.at_least {
            out.extend_from_slice(b"synod-at-least: ");
            decimal(txid.view.0, out);
            out.extend_from_slice(b".");
            decimal(txid.seqno.0, out);
            out.extend_from_slice(b"\r\n");
        }
        if self.linearizable {
            out.extend_from_slice(b"synod-consistency: linearizable\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
    }
}

/// Makes request ids that no other value of this type makes: eight bytes from the clock and the
/// process, mixed, then a count. An id need not be secret, only unlike the actor's other ids.
#[derive(Debug)]
pub struct RequestIds {
    prefix: u64,
    next: u64,
}

impl RequestIds {
    /// Starts a new series of ids.
    pub fn new() -> Self {
        static SERIES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let series = SERIES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // The standard library's hasher is seeded by the operating system once per process.
        let prefix = std::hash::BuildHasher::hash_one(
            &std::collections::hash_map::RandomState::new(),
            (now.as_nanos(), std::process::id(), series),
        );
        Self { prefix, next: 0 }
    }

    /// The next id.
    pub fn next_id(&mut self) -> RequestId {
        self.next += 1;
        let mut id = [0; RequestId::SIZE];
        id[..8].copy_from_slice(&self.prefix.to_be_bytes());
        id[8..].copy_from_slice(&self.next.to_be_bytes());
        RequestId(id)
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

fn decimal(mut number: u64, out: &mut BytesMut) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).expect("below ten");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn hexadecimal(bytes: &[u8; RequestId::SIZE], out: &mut BytesMut) {
    let mut digits = [0u8; 2 * RequestId::SIZE];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair[0] = HEX[usize::from(byte >> 4)];
        pair[1] = HEX[usize::from(byte & 15)];
    }
    out.extend_from_slice(&digits);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Room for the fixed words and every header of ours.
const HEAD_BYTES_TYPICAL: usize = 192;

#[cfg(test)]
mod tests {
    use synod_types::{Seqno, View};

    use super::*;

    fn wire(request: &Request) -> String {
        let mut out = BytesMut::new();
        request.encode(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_request_is_written_with_exactly_the_headers_it_needs() {
        assert_eq!(wire(&Request::get("/node/status")), "GET /node/status HTTP/1.1\r\nhost: synod\r\n\r\n");
        assert_eq!(wire(&Request::post("/x", "")), "POST /x HTTP/1.1\r\nhost: synod\r\ncontent-length: 0\r\n\r\n");
        let mut full =
            Request::put("/app/log/1", "ab").id(RequestId([0xa5; 16])).at_least(TxId::new(View(u64::MAX), Seqno(0)));
        full.linearizable = true;
        assert_eq!(
            wire(&full),
            "PUT /app/log/1 HTTP/1.1\r\nhost: synod\r\ncontent-length: 2\r\n\
             synod-request-id: a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\r\nsynod-at-least: 18446744073709551615.0\r\n\
             synod-consistency: linearizable\r\n\r\nab"
        );
    }

    #[test]
    #[should_panic(expected = "a path is a slash and visible ASCII")]
    fn a_path_that_would_end_the_request_line_is_refused() {
        let _ = Request::get("/x HTTP/1.1\r\nsynod-request-id: 0");
    }

    #[test]
    fn two_series_of_request_ids_share_none() {
        let (mut one, mut two) = (RequestIds::new(), RequestIds::new());
        let ids: std::collections::BTreeSet<_> = (0..1000).flat_map(|_| [one.next_id(), two.next_id()]).collect();
        assert_eq!(ids.len(), 2000);
    }
}
