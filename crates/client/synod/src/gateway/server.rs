//! The HTTP side: keep-alive, CORS, bounds.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use synod_types::limits::REQUEST_BODY_BYTES_MAX;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::forward::{LIMIT_EXCEEDED, SERVER_ERROR, error_answer};
use super::{Door, Origins, batch};

type Answer = Response<Full<Bytes>>;

/// Accepts connections until the task is dropped.
pub async fn serve(listener: TcpListener, door: Arc<Door>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = Arc::clone(&door);
                tokio::spawn(async move {
                    converse(stream, &door).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, most likely: let some connections end.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse(stream: TcpStream, door: &Door) {
    // Answers are written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(request, door).await) });
    // A client that breaks the connection is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_WITHIN)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, door: &Door) -> Answer {
    if !is_local(request.headers()) {
        return text(
            StatusCode::FORBIDDEN,
            "the gateway serves this machine: use 127.0.0.1 or localhost as the host\n",
        );
    }
    let Ok(allowed) = allowed_origin(request.headers(), &door.origins) else {
        return text(StatusCode::FORBIDDEN, "the gateway does not serve pages of this origin\n");
    };
    let answer = match *request.method() {
        Method::OPTIONS => text(StatusCode::NO_CONTENT, ""),
        Method::GET => text(StatusCode::OK, "Synod gateway: send Ethereum JSON-RPC by POST\n"),
        Method::POST => {
            door.requests.fetch_add(1, Ordering::Relaxed);
            post(request, door).await
        }
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "send Ethereum JSON-RPC by POST\n"),
    };
    with_cors(answer, allowed)
}

async fn post(request: Request<Incoming>, door: &Door) -> Answer {
    let Some(instance) = instance(request.uri().path()).map(str::to_owned) else {
        return text(StatusCode::NOT_FOUND, "the path is / or the name of an Ethereum instance\n");
    };
    match Limited::new(request.into_body(), REQUEST_BODY_BYTES_MAX).collect().await {
        Ok(body) => json(StatusCode::OK, batch::answer(door, &instance, body.to_bytes()).await),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let message = format!("the request is larger than {REQUEST_BODY_BYTES_MAX} bytes");
            json(StatusCode::PAYLOAD_TOO_LARGE, error_answer(b"", LIMIT_EXCEEDED, &message))
        }
        Err(_) => json(StatusCode::BAD_REQUEST, error_answer(b"", SERVER_ERROR, "the request did not arrive whole")),
    }
}

/// The instance that a path names: the live one for the root.
fn instance(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    match name {
        "" => Some("main"),
        _ if plain => Some(name),
        _ => None,
    }
}

/// Whether the request names this machine as its host. A page from elsewhere that made its own name
/// point here (DNS rebinding) does not.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let Ok(host) = host.to_str() else { return false };
    let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    build(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    build(status, "application/json", body)
}

fn build(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// What to answer to the page that asks: nothing if no page does.
fn allowed_origin(headers: &HeaderMap, origins: &Origins) -> Result<Option<HeaderValue>, ()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(None) };
    match origins {
        Origins::Any => Ok(Some(HeaderValue::from_static("*"))),
        Origins::One(allowed) if allowed.as_bytes() == origin.as_bytes() => Ok(Some(origin.clone())),
        Origins::One(_) | Origins::None => Err(()),
    }
}

fn with_cors(mut answer: Answer, allowed: Option<HeaderValue>) -> Answer {
    let headers = answer.headers_mut();
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in CORS {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    answer
}

const CORS: [(HeaderName, &str); 5] = [
    (header::VARY, "origin"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization"),
    (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    (HeaderName::from_static("access-control-allow-private-network"), "true"),
];

/// The most connections served at once; further ones wait.
const CONNECTIONS_MAX: usize = 1_024;

/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may be without a whole request head: ends idle ones too.
const HEADER_WITHIN: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for (host, local) in [
            ("127.0.0.1:8545", true),
            ("localhost:8545", true),
            ("LOCALHOST", true),
            ("[::1]:8545", true),
            ("[::1]", true),
            ("evil.example:8545", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            assert_eq!(is_local(&headers), local, "{host:?}");
        }
    }

    #[test]
    fn a_page_is_served_only_if_its_origin_is_allowed() {
        let check = |origin: Option<&'static str>, origins: Origins, expected: Result<Option<&str>, ()>| {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let allowed = allowed_origin(&headers, &origins).map(|value| value.map(|v| v.to_str().unwrap().to_owned()));
            assert_eq!(allowed, expected.map(|value| value.map(str::to_owned)), "{origin:?} {origins:?}");
        };
        let one = || Origins::One("https://wallet.example".into());
        check(None, Origins::None, Ok(None));
        check(None, Origins::Any, Ok(None));
        check(Some("https://x"), Origins::Any, Ok(Some("*")));
        check(Some("https://x"), Origins::None, Err(()));
        check(Some("https://x"), one(), Err(()));
        check(Some("https://wallet.example"), one(), Ok(Some("https://wallet.example")));
    }

    #[test]
    fn a_path_names_an_instance_and_nothing_else() {
        assert_eq!(instance("/"), Some("main"));
        assert_eq!(instance("/block-17"), Some("block-17"));
        for path in ["", "/a/b", "/a%20b", "/../node/status", "/a?b"] {
            assert_eq!(instance(path), None, "{path:?}");
        }
    }
}
