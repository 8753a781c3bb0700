//! The door of clients, behind TLS: who is known is served, others are told that they are not.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use synod_types::ActorId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::http::{h1, h2, stranger};
use crate::service::Service;

/// What a client and the node agreed to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Serves the client that proved to hold the key of `actor`, until the connection ends or the
/// actor is no longer one of the network.
///
/// # Errors
/// If the connection breaks, or it was ended because of who the client is.
pub async fn serve<S>(io: S, service: Arc<Service>, actor: ActorId, protocol: Protocol) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if service.actors.find(actor).is_none() {
        service.metrics.failures.count();
        let turned_away = async {
            match protocol {
                Protocol::Http1 => stranger::turn_away(io).await,
                Protocol::Http2 => stranger::turn_away_h2(io).await,
            }
        };
        return timeout(STRANGER_TIME_MAX, turned_away).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    }
    let session = async {
        match protocol {
            Protocol::Http1 => h1::Session::new(io, Arc::clone(&service), actor).run().await,
            Protocol::Http2 => h2::serve(io, Arc::clone(&service), actor).await,
        }
    };
    tokio::select! {
        biased;
        result = session => result,
        // Dropping the session drops its requests and closes the connection. Writes that the node
        // has been handed go on: whether they are done is decided where they are ordered.
        () = service.actors.gone(actor) => Err(io::Error::other("the actor is no longer one of the network")),
    }
}

/// How long somebody unknown may stay: a slow line's request head, and the answer.
const STRANGER_TIME_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
