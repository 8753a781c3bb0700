//! Clients whose certificates speak for no actor: they hear why they are not served, and that is all.
//!
//! A stranger costs a handshake, one request head and a small buffer. No body is read, because
//! whoever is unknown must not take the room of those who are known.

use std::io;

use bytes::{Bytes, BytesMut};
use h2::server::Builder;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::error::Failure;
use super::h2::answer_at_once;
use super::head::{HEAD_BYTES_MAX, parse};
use super::response::Response;
use crate::scratch::read_scratch;

/// Answers the first request head over HTTP/1.1 and ends the connection.
///
/// # Errors
/// If the connection breaks.
pub async fn turn_away<S: AsyncRead + AsyncWrite + Unpin>(mut io: S, failure: Failure) -> io::Result<()> {
    let mut input = BytesMut::new();
    let failure = loop {
        match parse(&input) {
            Ok(Some(_)) => break failure,
            Ok(None) => {}
            Err(failure) => break failure,
        }
        let read = std::future::poll_fn(|cx| {
            read_scratch(&mut io, cx, |bytes| {
                input.extend_from_slice(bytes);
                bytes.len()
            })
        });
        if read.await? == 0 {
            return io.shutdown().await;
        }
    };
    let mut output = BytesMut::new();
    Response { reply: failure.reply(), txid: None }.write(true, &mut output);
    io.write_all(&output).await?;
    io.shutdown().await
}

/// Answers the first request head over HTTP/2 and ends the connection.
///
/// # Errors
/// If the connection breaks, or the client breaks the protocol.
pub async fn turn_away_h2<S: AsyncRead + AsyncWrite + Unpin>(io: S, failure: &Failure) -> io::Result<()> {
    let mut builder = Builder::new();
    // A window without room: a client that has heard of it sends no body.
    builder.max_concurrent_streams(1).initial_window_size(0).max_header_list_size(HEAD_BYTES_MAX as u32);
    let mut connection = builder.handshake::<_, Bytes>(io).await.map_err(io::Error::other)?;
    if let Some(first) = connection.accept().await {
        let (_, mut respond) = first.map_err(io::Error::other)?;
        answer_at_once(Response { reply: failure.reply(), txid: None }, &mut respond).map_err(io::Error::other)?;
        connection.graceful_shutdown();
    }
    // Whatever else comes is refused, until the answer has gone out.
    while let Some(other) = connection.accept().await {
        drop(other.map_err(io::Error::other)?);
    }
    Ok(())
}
