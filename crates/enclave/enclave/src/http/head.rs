//! Request heads: what of HTTP/1.1 (RFC 9112) matters here, read without a copy.
//!
//! A head that leaves doubt about where its body ends is refused and ends the connection, because
//! the next request could not be found (RFC 9112, section 11.2). What is merely wrong in itself is
//! answered and the connection goes on: see [`Head::refused`].

use std::time::Duration;

use httparse::Status;
use synod_types::{RequestId, TxId, limits};
use synod_worker::Method;

use synod_governance::view::EventPlace;

use super::error::Failure;
use crate::governance::route::event_place;

/// The head of one request.
// Printed by tests only: what is asked for is private.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub struct Head<'a> {
    /// What is asked for: path and query.
    pub target: &'a str,
    /// The size of the head in bytes.
    pub size: usize,
    /// What the headers say.
    pub facts: Facts,
    /// An error that is the answer to this request.
    pub refused: Option<Failure>,
}

/// What a head says besides its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The method; `None` only with a head that is refused.
    pub method: Option<Method>,
    /// How the body is framed.
    pub body: Framing,
    /// Whether the connection goes on after the answer.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Headers of ours.
    pub wishes: Wishes,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes follow.
    Length(usize),
    /// Chunks follow.
    Chunked,
}

/// What the client wishes of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `synod-request-id`: a retry under the same id is the same request.
    pub request_id: Option<RequestId>,
    /// `synod-at-least`: answer once this much is applied.
    pub at_least: Option<TxId>,
    /// `synod-consistency: linearizable`.
    pub linearizable: bool,
    /// `last-event-id`: where to go on with events.
    pub last_event: Option<EventPlace>,
}

impl Wishes {
    /// Takes in one header; names are compared without regard to case.
    ///
    /// # Errors
    /// If it is one of ours and its value is not valid.
    pub fn read(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let text = std::str::from_utf8(value).unwrap_or("").trim();
        if name.eq_ignore_ascii_case(b"synod-request-id") {
            let id = RequestId::from_hex(text)
                .ok_or_else(|| header_refused("synod-request-id is not 32 hexadecimal digits"))?;
            self.request_id = Some(id);
        } else if name.eq_ignore_ascii_case(b"synod-at-least") {
            let txid = text.parse().map_err(|_| header_refused("synod-at-least is not view.seqno, such as 2.14"))?;
            self.at_least = Some(txid);
        } else if name.eq_ignore_ascii_case(b"synod-consistency") {
            if text != "linearizable" {
                return Err(header_refused("synod-consistency is not `linearizable`"));
            }
            self.linearizable = true;
        } else if name.eq_ignore_ascii_case(b"last-event-id") {
            let place = event_place(text);
            self.last_event = Some(place.ok_or_else(|| header_refused("last-event-id is not view.seqno/place"))?);
        }
        Ok(())
    }
}

/// Reads a head from the front of `input`; `None` if not all of it has come.
///
/// # Errors
/// If no further request can be found behind it: answer, then close.
pub fn parse(input: &[u8]) -> Result<Option<Head<'_>>, Failure> {
    let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let size = match request.parse_with_uninit_headers(input, &mut headers) {
        Ok(Status::Complete(size)) if size <= HEAD_BYTES_MAX => size,
        Ok(Status::Partial) if input.len() <= HEAD_BYTES_MAX => return Ok(None),
        Ok(_) => return Err(too_large("the request head is larger than 16 KiB")),
        Err(httparse::Error::TooManyHeaders) => return Err(too_large("the request has more than 64 headers")),
        Err(error) => return Err(malformed(format!("not an HTTP/1.1 request: {error}"))),
    };
    let http11 = request.version == Some(1);
    let framing = read_framing(http11, request.headers)?;
    let (wishes, refused) = read_wishes(request.headers);
    let method = method(request.method.unwrap_or(""));
    let target = origin_form(request.path.unwrap_or(""));
    let facts = Facts {
        method: method.as_ref().ok().copied(),
        body: framing.body,
        keep_alive: framing.keep_alive.unwrap_or(http11),
        expects_continue: framing.expects_continue && http11,
        wishes,
    };
    let refused = method.err().or(target.as_ref().err().cloned()).or(refused);
    Ok(Some(Head { target: target.unwrap_or("/"), size, facts, refused }))
}

/// The method, if adapters serve it.
///
/// # Errors
/// If they do not.
pub fn method(name: &str) -> Result<Method, Failure> {
    match name {
        "GET" => Ok(Method::Get),
        "PUT" => Ok(Method::Put),
        "POST" => Ok(Method::Post),
        "DELETE" => Ok(Method::Delete),
        _ => Err(Failure::new(405, "MethodNotAllowed", "the method is not served", "use GET, PUT, POST or DELETE")),
    }
}

struct ReadFraming {
    body: Framing,
    keep_alive: Option<bool>,
    expects_continue: bool,
}

fn read_framing(http11: bool, headers: &[httparse::Header<'_>]) -> Result<ReadFraming, Failure> {
    let (mut length, mut chunked, mut lengths, mut hosts) = (None, false, 0, 0);
    let (mut keep_alive, mut expects_continue) = (None, false);
    for header in headers {
        // Lengths first: most headers of a busy connection are ours and match none.
        match header.name.len() {
            14 if header.name.eq_ignore_ascii_case("content-length") => {
                lengths += 1;
                length = Some(read_length(header.value)?);
            }
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                if chunked || !http11 || !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Failure::new(
                        501,
                        "TransferEncodingNotServed",
                        "the only transfer-encoding served is chunked, once, with HTTP/1.1",
                        "send a content-length",
                    ));
                }
                chunked = true;
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for option in header.value.split(|byte| *byte == b',') {
                    if option.trim_ascii().eq_ignore_ascii_case(b"close") {
                        keep_alive = Some(false);
                    } else if option.trim_ascii().eq_ignore_ascii_case(b"keep-alive") {
                        keep_alive = keep_alive.or(Some(true));
                    }
                }
            }
            6 if header.name.eq_ignore_ascii_case("expect") => {
                if !header.value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(Failure::new(
                        417,
                        "ExpectationFailed",
                        "the expectation is not known",
                        "send no expect header",
                    ));
                }
                expects_continue = true;
            }
            4 if header.name.eq_ignore_ascii_case("host") => hosts += 1,
            _ => {}
        }
    }
    if lengths > 1 {
        return Err(malformed("the request has two content-length headers"));
    }
    if hosts > 1 || (http11 && hosts == 0) {
        return Err(malformed("the request has no host header, or two"));
    }
    let body = match (length, chunked) {
        (Some(_), true) => return Err(malformed("the request has both content-length and transfer-encoding")),
        (None, true) => Framing::Chunked,
        (length, false) => Framing::Length(length.unwrap_or(0)),
    };
    if matches!(body, Framing::Length(size) if size > limits::REQUEST_BODY_BYTES_MAX) {
        return Err(body_too_large());
    }
    Ok(ReadFraming { body, keep_alive, expects_continue })
}

fn read_length(value: &[u8]) -> Result<usize, Failure> {
    let refused = || malformed("content-length is not a number");
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(refused());
    }
    // A number beyond 64 bits is beyond the limit too.
    Ok(std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX))
}

fn read_wishes(headers: &[httparse::Header<'_>]) -> (Wishes, Option<Failure>) {
    let mut wishes = Wishes::default();
    // All that are read have a hyphen at one of two places, and few others do.
    let may_be_ours = |name: &[u8]| name.get(5) == Some(&b'-') || name.get(4) == Some(&b'-');
    let ours = headers.iter().filter(|header| may_be_ours(header.name.as_bytes()));
    let refused = ours.map(|header| wishes.read(header.name.as_bytes(), header.value)).find_map(Result::err);
    (wishes, refused)
}

/// Takes scheme and authority off an absolute target (RFC 9112, section 3.2.2).
fn origin_form(target: &str) -> Result<&str, Failure> {
    let refused = || malformed("the request target does not begin with a slash");
    if target.starts_with('/') {
        return Ok(target);
    }
    let rest = target.strip_prefix("https://").or(target.strip_prefix("http://")).ok_or_else(refused)?;
    rest.find('/').map(|slash| &rest[slash..]).ok_or_else(refused)
}

/// An error that says the body is above the limit.
pub fn body_too_large() -> Failure {
    let message = format!("the request body is larger than {} bytes", limits::REQUEST_BODY_BYTES_MAX);
    Failure::new(413, "BodyTooLarge", message, "split the request")
}

/// An error that says the request did not arrive in time.
pub fn too_slow() -> Failure {
    Failure::new(408, "RequestTimeout", "the request took too long to arrive", "send it again, faster")
}

/// An error that says the bytes are not a request.
pub fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(400, "MalformedRequest", message, "see RFC 9112 for the form of requests")
}

fn header_refused(message: &str) -> Failure {
    Failure::new(400, "HeaderNotValid", message, "leave the header out or correct it")
}

fn too_large(message: &str) -> Failure {
    Failure::new(431, "HeadTooLarge", message, "send fewer or shorter headers")
}

/// How long one request may take to arrive: the largest one over a slow line.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// The most headers of a request: browsers send about twenty.
const HEADERS_MAX: usize = 64;

/// The largest request head, in bytes: as other servers do.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use synod_types::Seqno;

    use super::*;

    fn parse_ok(text: &str) -> Head<'_> {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    fn refused(text: &str) -> (u16, &'static str) {
        parse(text.as_bytes()).map_err(|failure| (failure.status, failure.code)).unwrap_err()
    }

    #[test]
    fn a_head_gives_its_target_and_what_its_headers_say() {
        let text = "PUT /app/log/7?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nsynod-At-Least: 2.14\r\n\
                    Synod-Request-Id: a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\r\nsynod-consistency: linearizable\r\n\
                    Last-Event-ID: 2.14/3\r\n\
                    Expect: 100-continue\r\nConnection: foo, Close\r\n\r\nhello";
        let head = parse_ok(text);
        assert_eq!((head.target, head.size, head.refused), ("/app/log/7?x=1", text.len() - 5, None));
        let wishes = Wishes {
            request_id: Some(RequestId([0xa5; 16])),
            at_least: Some("2.14".parse().unwrap()),
            linearizable: true,
            last_event: Some(EventPlace { seqno: Seqno(14), place: 3 }),
        };
        let body = Framing::Length(5);
        let facts = Facts { method: Some(Method::Put), body, keep_alive: false, expects_continue: true, wishes };
        assert_eq!(head.facts, facts);
    }

    #[test]
    fn a_head_that_has_not_all_come_is_waited_for() {
        let whole = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for size in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..size]), Ok(None), "{size}");
        }
    }

    #[test]
    fn a_body_whose_end_is_in_doubt_is_refused() {
        for (headers, expected) in [
            ("content-length: 1\r\ncontent-length: 1\r\n", (400, "MalformedRequest")),
            ("content-length: 1, 1\r\n", (400, "MalformedRequest")),
            ("content-length: +1\r\n", (400, "MalformedRequest")),
            ("content-length: \r\n", (400, "MalformedRequest")),
            ("content-length: 1\r\ntransfer-encoding: chunked\r\n", (400, "MalformedRequest")),
            ("transfer-encoding: gzip, chunked\r\n", (501, "TransferEncodingNotServed")),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", (501, "TransferEncodingNotServed")),
            ("content-length: 8388609\r\n", (413, "BodyTooLarge")),
            ("content-length: 99999999999999999999999999\r\n", (413, "BodyTooLarge")),
            ("content-length : 1\r\n", (400, "MalformedRequest")),
            ("expect: 200-maybe\r\n", (417, "ExpectationFailed")),
            ("host: b\r\n", (400, "MalformedRequest")),
            (" folded\r\n", (400, "MalformedRequest")),
        ] {
            assert_eq!(refused(&format!("PUT /x HTTP/1.1\r\nhost: a\r\n{headers}\r\n")), expected, "{headers}");
        }
        assert_eq!(refused("PUT /x HTTP/1.1\r\n\r\n"), (400, "MalformedRequest"));
        assert_eq!(
            refused("PUT /x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n"),
            (501, "TransferEncodingNotServed")
        );
        assert_eq!(refused("\x16\x03\x01\x02\x00"), (400, "MalformedRequest"));
        assert_eq!(refused("PRI * HTTP/2.0\r\n\r\n"), (400, "MalformedRequest"));
    }

    #[test]
    fn heads_above_the_limits_are_refused_even_if_unfinished() {
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(refused(&long), (431, "HeadTooLarge"));
        assert_eq!(refused(&format!("{long}host: a\r\n\r\n")), (431, "HeadTooLarge"));
        let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(HEADERS_MAX));
        assert_eq!(refused(&many), (431, "HeadTooLarge"));
    }

    #[test]
    fn what_is_wrong_in_itself_is_answered_and_the_next_request_found() {
        for (text, status) in [
            ("BREW / HTTP/1.1\r\nhost: a\r\n\r\n", 405),
            ("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n", 405),
            ("GET * HTTP/1.1\r\nhost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a\r\nsynod-at-least: 2\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a\r\nsynod-request-id: 00\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a\r\nsynod-consistency: eventual\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nhost: a\r\nlast-event-id: yesterday\r\n\r\n", 400),
        ] {
            let head = parse_ok(text);
            assert_eq!((head.refused.map(|failure| failure.status), head.size), (Some(status), text.len()), "{text}");
        }
    }

    #[test]
    fn an_absolute_target_means_its_path() {
        assert_eq!(parse_ok("GET http://a:1/b/c HTTP/1.1\r\nhost: a\r\n\r\n").target, "/b/c");
    }

    #[test]
    fn an_old_client_is_served_once_unless_it_asks_for_more() {
        assert!(!parse_ok("GET / HTTP/1.0\r\n\r\n").facts.keep_alive);
        assert!(parse_ok("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n").facts.keep_alive);
        assert!(parse_ok("GET / HTTP/1.1\r\nhost: a\r\n\r\n").facts.keep_alive);
    }
}
