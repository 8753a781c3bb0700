//! Server-sent events: a response that goes on until somebody ends it.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use h2::server::SendResponse;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;

use crate::governance::watch::Watch;

/// Answers with events over HTTP/1.1. The connection ends with the response, which so needs no framing of its own.
///
/// # Errors
/// If the connection breaks, or its client takes too long to take what is sent.
pub async fn answer<S: AsyncRead + AsyncWrite>(io: S, mut watch: Watch) -> io::Result<()> {
    let (mut reader, mut writer) = split(io);
    let told = async {
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {CONTENT_TYPE}\r\ncache-control: no-store\r\nsynod-txid: {}\r\n\
             connection: close\r\n\r\n",
            watch.txid()
        );
        write(&mut writer, head.as_bytes()).await?;
        while let Some(events) = watch.next().await {
            let mut page = BytesMut::new();
            events.iter().for_each(|event| page.extend_from_slice(event));
            write(&mut writer, &page).await?;
        }
        writer.shutdown().await
    };
    tokio::select! {
        result = told => result,
        error = heed(&mut reader) => Err(error),
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let written = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    timeout(TAKE_TIME_MAX, written).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Returns when the connection breaks. What a client says after its request is not heard: the connection ends with the
/// response. That it says no more does not mean that it listens no more.
async fn heed(reader: &mut (impl AsyncRead + Unpin)) -> io::Error {
    let mut unheard = [0; 1 << 10];
    loop {
        match reader.read(&mut unheard).await {
            Ok(1..) => {}
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return error,
            _ => std::future::pending().await,
        }
    }
}

/// Answers with events over HTTP/2, until the client resets the stream.
///
/// # Errors
/// If the stream or the connection ends.
pub async fn answer_h2(mut watch: Watch, respond: &mut SendResponse<Bytes>) -> Result<(), h2::Error> {
    let head = http::Response::builder()
        .header(http::header::CONTENT_TYPE, CONTENT_TYPE)
        .header(http::header::CACHE_CONTROL, "no-store")
        .header("synod-txid", watch.txid().to_string());
    let head = head.body(()).expect("these are headers");
    let mut stream = respond.send_response(head, false)?;
    loop {
        let events = tokio::select! {
            events = watch.next() => events,
            reset = std::future::poll_fn(|cx| stream.poll_reset(cx)) => return reset.map(|_| ()),
        };
        let Some(events) = events else { break };
        let sent = async {
            for event in events {
                send(&mut stream, event).await?;
            }
            Ok::<_, h2::Error>(())
        };
        match timeout(TAKE_TIME_MAX, sent).await {
            Ok(sent) => sent?,
            Err(_) => break,
        }
    }
    stream.send_data(Bytes::new(), true)
}

async fn send(stream: &mut SendStream<Bytes>, mut event: Bytes) -> Result<(), h2::Error> {
    while !event.is_empty() {
        stream.reserve_capacity(event.len());
        let capacity = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let capacity = capacity.ok_or(h2::Reason::CANCEL)??;
        stream.send_data(event.split_to(capacity.min(event.len())), false)?;
    }
    Ok(())
}

const CONTENT_TYPE: &str = "text/event-stream";

/// How long a client may take for what was sent at once, before its stream is ended: it goes on later from its last event.
const TAKE_TIME_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
