//! Telling a relay of the operator that governance happened, so that people learn of it who do not watch.
//!
//! The enclave says of each committed governance transaction that there is one, and nothing else; the host posts that to
//! the URL `governance_webhook` in `node.toml`, over plain HTTP: to a relay of the operator's on the same machine or
//! network, which adds what mail, chat or pager services want. Only the newest transaction is told, again and again until
//! the relay has taken it; nothing waits for it.
//!
//! ```text
//! POST /path HTTP/1.1
//! {"network": "5f0c..", "node": 1, "governance_txid": "2.14"}
//! ```

use std::io;
use std::time::Duration;

use synod_types::{Digest, NodeId, TxId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Where a relay listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrl {
    /// `host:port`.
    authority: String,
    path: String,
}

impl WebhookUrl {
    /// Reads `http://host:port/path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let form = "governance_webhook must be of the form http://host:port/path";
        if text.starts_with("https://") {
            return Err(
                "governance_webhook must begin with http://: a relay of the operator's adds what the other side wants",
            );
        }
        let rest = text.strip_prefix("http://").ok_or(form)?;
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = authority.rsplit_once(':').ok_or(form)?;
        // Nothing that could end the line of a request.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        if host.is_empty() || host.contains('@') || !is_port || !is_plain(rest) || rest.contains('#') {
            return Err(form);
        }
        Ok(Self { authority: authority.into(), path: path.into() })
    }
}

impl std::fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Tells the relay, if there is one.
#[derive(Debug)]
pub struct Webhook(Option<watch::Sender<Option<(NodeId, TxId)>>>);

impl Webhook {
    /// Begins to tell the relay at `url`. Within a runtime.
    pub fn start(url: Option<WebhookUrl>, network: Digest) -> Self {
        Self(url.map(|url| {
            let (sender, news) = watch::channel(None);
            tokio::spawn(tell(url, network, news));
            sender
        }))
    }

    /// A governance transaction is committed at this node.
    pub fn happened(&self, node: NodeId, txid: TxId) {
        if let Some(sender) = &self.0 {
            sender.send_replace(Some((node, txid)));
        }
    }
}

/// Tells the newest transaction until the relay has taken it, then waits for the next.
async fn tell(url: WebhookUrl, network: Digest, mut news: watch::Receiver<Option<(NodeId, TxId)>>) {
    let mut pause = PAUSE_MIN;
    loop {
        let latest = *news.borrow_and_update();
        if let Some((node, txid)) = latest {
            let body = format!(r#"{{"network": "{network}", "node": {node}, "governance_txid": "{txid}"}}"#);
            let posted = timeout(POST_TIME_MAX, post(&url, &body)).await;
            if let Err(error) = posted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                tracing::warn!(%error, %txid, ?pause, "the relay of governance_webhook has not taken the news");
                sleep(pause).await;
                pause = (2 * pause).min(PAUSE_MAX);
                continue;
            }
            pause = PAUSE_MIN;
        }
        // It fails when the host ends.
        if news.changed().await.is_err() {
            return;
        }
    }
}

async fn post(url: &WebhookUrl, body: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(&url.authority).await?;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        url.path,
        url.authority,
        body.len(),
    );
    stream.write_all(request.as_bytes()).await?;
    let mut line = [0; STATUS_LINE_BYTES];
    stream.read_exact(&mut line).await?;
    let is_taken = line.starts_with(b"HTTP/1.") && line[8] == b' ' && line[9] == b'2';
    let answer = String::from_utf8_lossy(&line).into_owned();
    if is_taken { Ok(()) } else { Err(io::Error::other(format!("the answer begins with {answer:?}"))) }
}

/// The beginning of an answer up to and with the status, as in `HTTP/1.1 204`.
const STATUS_LINE_BYTES: usize = 12;

/// How long one post may take.
const POST_TIME_MAX: Duration = Duration::from_secs(10);

/// How soon a post is tried again.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// How late a post is tried again: people are not to wait for longer once the relay is back.
const PAUSE_MAX: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_a_port_and_nothing_that_changes_the_request() {
        let url = |authority: &str, path: &str| Ok(WebhookUrl { authority: authority.into(), path: path.into() });
        assert_eq!(WebhookUrl::parse("http://127.0.0.1:9000/gov?x=1"), url("127.0.0.1:9000", "/gov?x=1"));
        assert_eq!(WebhookUrl::parse("http://relay.local:80"), url("relay.local:80", "/"));
        assert_eq!(WebhookUrl::parse("http://[::1]:80/a"), url("[::1]:80", "/a"));
        assert!(WebhookUrl::parse("https://a:1/").unwrap_err().contains("relay"));
        for text in [
            "",
            "a:1/x",
            "http://",
            "http://a",
            "http://a/x",
            "http://:1/x",
            "http://a:0/x",
            "http://a:70000/x",
            "http://u:p@a:1/x",
            "http://a:1/x y",
            "http://a:1/x\r\nhost: b",
            "http://a:1/x#y",
        ] {
            assert!(WebhookUrl::parse(text).is_err(), "{text}");
        }
    }
}
