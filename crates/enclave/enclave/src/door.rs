//! The door of clients, behind TLS: who speaks for an actor is served, others are told why they are not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use crate::http::error::Failure;
use crate::http::{h1, h2, stranger};
use crate::identity::Identity;
use crate::purpose::Purpose;
use crate::service::Service;
use crate::serving::PARTING_TIME;

/// What the handshake with a client has settled.
#[derive(Debug)]
pub struct Handshake {
    /// The client's certificates, leaf first; it has proved to hold the leaf's key.
    pub presented: Vec<Vec<u8>>,
    /// What the session is for.
    pub purpose: Purpose,
    /// What is spoken.
    pub protocol: Protocol,
}

/// What a client and the node agreed to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Serves a client until the connection ends, its certificates speak for their actor no longer, or the node is removed.
///
/// # Errors
/// If the connection breaks, or it was ended because of who the client is.
pub async fn serve<S>(io: S, service: Arc<Service>, handshake: Handshake) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Handshake { presented, purpose, protocol } = handshake;
    let identity = match Identity::prove(&service, presented) {
        Ok(identity) => identity,
        Err(failure) => return turn_away(io, &service, failure, protocol).await,
    };
    let speaker = Arc::clone(identity.speaker());
    let session = async {
        match protocol {
            Protocol::Http1 => h1::Session::new(io, Arc::clone(&service), speaker, purpose).run().await,
            Protocol::Http2 => h2::serve(io, Arc::clone(&service), speaker, purpose).await,
        }
    };
    let parted = async {
        service.serving.removed().await;
        sleep(PARTING_TIME).await;
    };
    tokio::select! {
        // First, so that nothing that arrives after a decision is looked at by what was in force before it.
        biased;
        // Dropping the session drops its requests and closes the connection. Writes that the node
        // has been handed go on: whether they are done is decided where they are ordered.
        ended = identity.ended(&service) => Err(io::Error::other(ended)),
        () = parted => Err(io::Error::other("members have removed this node")),
        result = session => result,
    }
}

/// Tells a client why it is not served.
async fn turn_away<S>(io: S, service: &Service, failure: Failure, protocol: Protocol) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    service.metrics.failures.count();
    // A node that does not know who is an actor now says that, rather than that somebody is none.
    let failure = service.serving.refusal().unwrap_or(failure);
    let turned_away = async {
        match protocol {
            Protocol::Http1 => stranger::turn_away(io, failure).await,
            Protocol::Http2 => stranger::turn_away_h2(io, &failure).await,
        }
    };
    timeout(STRANGER_TIME_MAX, turned_away).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// How long somebody unknown may stay: a slow line's request head, and the answer.
const STRANGER_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
