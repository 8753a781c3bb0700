//! The gateway: a network's Ethereum instance as plain HTTP JSON-RPC on this machine.
//!
//! A front-end system outside every enclave: whoever runs it sees what its clients send and read, so
//! it runs beside its clients, and listens on 127.0.0.1 alone. To the nodes it speaks mutual TLS as
//! one participant. It adds what stock tools do not know: the high-water mark, so that they read
//! their own writes at any node; request ids, so that a transaction sent again after a lost node is
//! done once; patience with transactions that overtook those before them; and filters, which the
//! nodes, where no client has a state of its own, do not keep.

mod batch;
mod filters;
mod forward;
mod item;
mod request_id;
mod server;
mod turn;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use synod_client::{Client, ClientOptions, Network};
use tokio::net::TcpListener;

use filters::Filters;

use crate::failure::{Failure, Hint};

/// A gateway that holds its port.
pub struct Gateway {
    listener: TcpListener,
    client: Client,
    origins: Origins,
    /// Where it hears of nodes that joined, if anywhere.
    network_file: Option<PathBuf>,
}

/// Which web pages a browser lets talk to the gateway. Programs that are not browsers are not concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Any page: for sandboxes, whose content is nobody's secret.
    Any,
    /// Pages of this origin, such as `https://wallet.example`.
    One(String),
    /// None.
    None,
}

impl Gateway {
    /// Takes `port` on 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// If the port is taken, or the network's certificates cannot be used.
    pub async fn bind(port: u16, network: Network, origins: Origins) -> Result<Self, Failure> {
        let options = ClientOptions { connections: UPSTREAM_CONNECTIONS, ..ClientOptions::default() };
        let client = Client::with_options(network, options)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| port_taken(port, error))?;
        Ok(Self { listener, client, origins, network_file: None })
    }

    /// Keeps to the nodes that the network file at `path` lists from time to time.
    #[must_use]
    pub fn following(self, path: PathBuf) -> Self {
        Self { network_file: Some(path), ..self }
    }

    /// Where tools connect.
    ///
    /// # Errors
    /// If the operating system does not say which port was taken.
    pub fn url(&self) -> Result<String, Failure> {
        let address: SocketAddr = self.listener.local_addr().hint("try another --rpc-port")?;
        Ok(format!("http://{address}"))
    }

    /// Serves until the task is dropped.
    pub async fn serve(self) {
        let door = Arc::new(Door::new(self.client, self.origins));
        let follow_the_file = async {
            if let Some(path) = self.network_file {
                door.client
                    .follow(&path, |error| eprintln!("warning: {error}; the nodes stay those known so far"))
                    .await;
            }
        };
        tokio::join!(server::serve(self.listener, Arc::clone(&door)), follow_the_leader(&door), follow_the_file);
    }
}

/// Keeps to the leader while there is something to do: followers only hand on what is written.
async fn follow_the_leader(door: &Door) {
    let mut seen = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = door.requests.load(Ordering::Relaxed);
        if now != seen {
            seen = now;
            door.client.prefer_leader().await;
        }
    }
}

/// What all connections of a gateway share.
struct Door {
    client: Client,
    origins: Origins,
    filters: Filters,
    /// How many requests have come so far.
    requests: AtomicU64,
}

impl Door {
    fn new(client: Client, origins: Origins) -> Self {
        Self { client, origins, filters: Filters::default(), requests: AtomicU64::new(0) }
    }
}

fn port_taken(port: u16, error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AddrInUse {
        let message = format!("port {port} of 127.0.0.1 is taken by another program");
        return Failure::new(
            message,
            format!("choose another, as in --rpc-port {}, or --rpc-port 0 for a free one", port.saturating_add(1)),
        );
    }
    Failure::new(format!("cannot listen on port {port} of 127.0.0.1: {error}"), "choose another --rpc-port")
}

/// How often the leader is looked for, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Connections to the node in use: a slow call holds up only what shares its connection.
const UPSTREAM_CONNECTIONS: usize = 4;

#[cfg(test)]
mod tests;
