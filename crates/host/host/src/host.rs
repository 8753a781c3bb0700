//! The host as a whole.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use synod_types::boundary::{Door, Restart, ToEnclave, ToHost};
use synod_types::{NodeId, Untrusted};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until};

use crate::disk::{self, Job};
use crate::ledger::{Ledger, Records};
use crate::network::{self, Network, Sink};
use crate::peer_book::PeerBook;
use crate::record::Recorder;
use crate::webhook::Webhook;
use crate::{HostError, NodeConfig, refused};

/// A host that holds its directory and its ports, and waits for the enclave.
#[derive(Debug)]
pub struct Host {
    config: NodeConfig,
    book: PeerBook,
    ledger: Ledger,
    clients: TcpListener,
    peers: TcpListener,
    recorder: Option<Arc<Recorder>>,
    port: HostPort,
    from_enclave: UnboundedReceiver<ToHost>,
    jobs: Receiver<Job>,
}

/// Where the enclave sends its messages. Cheap to clone, and never blocks.
#[derive(Clone, Debug)]
pub struct HostPort {
    network: UnboundedSender<ToHost>,
    disk: Sender<Job>,
    recorder: Option<Arc<Recorder>>,
}

impl HostPort {
    /// Sends a message. One that comes after the host has ended is dropped.
    pub fn send(&self, message: ToHost) {
        if let Some(recorder) = &self.recorder {
            recorder.to_host(&message);
        }
        // A send fails only if the host has ended, and then nobody needs the answer.
        let _ = match message {
            ToHost::Append(append) => self.disk.send(Job::Append(append)).ok(),
            ToHost::ReadLedger { ticket, range } => self.disk.send(Job::Read(ticket, range)).ok(),
            other => self.network.send(other).ok(),
        };
    }
}

impl Host {
    /// Locks and checks the ledger's directory, cuts a torn tail, and takes the ports.
    ///
    /// # Errors
    /// If another process holds the directory, a file in it is damaged, a port is taken, or an earlier run left
    /// the mark that forbids a start.
    pub fn open(config: NodeConfig) -> Result<Self, HostError> {
        refused::check(&config.directory)?;
        let ledger = Ledger::open(&config.directory, config.network, config.durability).map_err(HostError::from);
        let ledger = ledger.inspect_err(|error| refused::mark_if_final(&config.directory, error))?;
        let clients = network::listen(&config.client_address)?;
        let peers = network::listen(&config.peer_address)?;
        let recorder = config.record_boundary.as_deref().map(Recorder::create).transpose()?.map(Arc::new);
        let (network, from_enclave) = unbounded_channel();
        let (disk, jobs) = mpsc::channel();
        let port = HostPort { network, disk, recorder: recorder.clone() };
        let book = PeerBook::new(&config);
        Ok(Self { config, book, ledger, clients, peers, recorder, port, from_enclave, jobs })
    }

    /// Gives the directory up, because the enclave does not start from it: it bears the mark that forbids another start
    /// from now on.
    pub fn refuse(self, reason: String) -> HostError {
        let error = HostError::SlotRefused { reason };
        refused::mark_if_final(&self.config.directory, &error);
        error
    }

    /// The records on disk, oldest first, read as the iterator advances.
    pub fn records(&self) -> Records {
        self.ledger.records()
    }

    /// The vote record on disk, if there is one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn vote(&self) -> Result<Option<Untrusted<Bytes>>, HostError> {
        Ok(self.ledger.vote()?.map(Untrusted::new))
    }

    /// Where the enclave sends its messages.
    pub fn port(&self) -> HostPort {
        self.port.clone()
    }

    /// Where clients connect; tells the number if `node.toml` asked for port 0.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn client_address(&self) -> std::io::Result<SocketAddr> {
        self.clients.local_addr()
    }

    /// Where the other nodes connect.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn peer_address(&self) -> std::io::Result<SocketAddr> {
        self.peers.local_addr()
    }

    /// Says where a node listens, in place of what `node.toml` says.
    pub fn set_peer(&mut self, node: NodeId, address: impl Into<String>) {
        self.book.fix(node, address.into());
    }

    /// Carries messages until the enclave has stopped, and returns the reason that it gave. Once
    /// `stop` completes, the enclave is asked to stop. Messages go to `to_enclave`, which must not block.
    ///
    /// # Errors
    /// If the disk or the setup fails, or the network refuses the node; nothing that was not persisted has then been
    /// reported as persisted. After an error that [is final](HostError::is_final) the directory bears the mark that
    /// forbids another start.
    pub fn run(
        self,
        to_enclave: impl Fn(ToEnclave) + Send + Sync + 'static,
        stop: impl Future<Output = ()>,
    ) -> Result<String, HostError> {
        let directory = self.config.directory.clone();
        self.carry(to_enclave, stop).inspect_err(|error| refused::mark_if_final(&directory, error))
    }

    fn carry(
        self,
        to_enclave: impl Fn(ToEnclave) + Send + Sync + 'static,
        stop: impl Future<Output = ()>,
    ) -> Result<String, HostError> {
        let failed = |what| move |source| HostError::SetupFailed { what, source };
        let Self { config, book, ledger, clients, peers, recorder, port, mut from_enclave, jobs } = self;
        let sink = recording(to_enclave, recorder.clone());

        let (disk_done, mut disk_ended) = oneshot::channel();
        let disk_sink = Arc::clone(&sink);
        let disk = thread::Builder::new().name("disk".into()).spawn(move || {
            // If nobody waits any more, the host has ended for another reason.
            let _ = disk_done.send(disk::run(ledger, &jobs, &disk_sink));
        });
        let disk = disk.map_err(failed("the disk thread"))?;

        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed("the runtime"))?;
        let end = runtime.block_on(async {
            let network = Network::new(&config, book, Arc::clone(&sink));
            for (listener, door) in [(clients, Door::Client), (peers, Door::Peer)] {
                let listener = tokio::net::TcpListener::from_std(listener).map_err(failed("a listener"))?;
                tokio::spawn(network.clone().accept(listener, door));
            }
            tokio::spawn(network.clone().sweep());
            tokio::spawn(network.clone().look_up_peers());
            let webhook = Webhook::start(config.governance_webhook.clone(), config.network);
            let end = serve((&network, &webhook), &mut from_enclave, &sink, stop, &mut disk_ended).await?;
            finish(&network, &mut from_enclave).await;
            Ok::<_, HostError>(end)
        })?;
        // The receiver may be gone only if the thread has ended, which the join shows.
        let _ = port.disk.send(Job::Stop);
        let _ = disk.join();
        if let Ok(Err(error)) = disk_ended.try_recv() {
            return Err(error.into());
        }
        if let Some(recorder) = recorder {
            recorder.flush();
        }
        match end {
            End { reason, restart: Restart::Allowed } => Ok(reason),
            End { reason, restart: Restart::Refused } => Err(HostError::SlotRefused { reason }),
        }
    }
}

/// Completes when the process is asked to end: by SIGTERM, or SIGINT (Ctrl-C).
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

fn recording(to_enclave: impl Fn(ToEnclave) + Send + Sync + 'static, recorder: Option<Arc<Recorder>>) -> Sink {
    match recorder {
        None => Arc::new(to_enclave),
        Some(recorder) => Arc::new(move |message| {
            recorder.to_enclave(&message);
            to_enclave(message);
        }),
    }
}

type DiskEnded = oneshot::Receiver<Result<(), crate::LedgerError>>;

/// How the enclave has ended.
struct End {
    reason: String,
    restart: Restart,
}

impl End {
    /// An end that says nothing of the disk.
    fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), restart: Restart::Allowed }
    }
}

/// Carries out messages until the enclave has stopped or the disk has failed.
async fn serve(
    (network, webhook): (&Network, &Webhook),
    from_enclave: &mut UnboundedReceiver<ToHost>,
    sink: &Sink,
    stop: impl Future<Output = ()>,
    disk_ended: &mut DiskEnded,
) -> Result<End, HostError> {
    tokio::pin!(stop);
    let mut deadline = None;
    let mut messages = Vec::new();
    loop {
        tokio::select! {
            count = from_enclave.recv_many(&mut messages, MESSAGES_AT_ONCE) => {
                if count == 0 {
                    return Ok(End::because("the enclave is gone"));
                }
                for message in messages.drain(..) {
                    match message {
                        ToHost::Stopped { reason, restart } => return Ok(End { reason, restart }),
                        ToHost::GovernanceHappened { node, txid } => webhook.happened(node, txid),
                        other => network.handle(other),
                    }
                }
            }
            result = &mut *disk_ended => match result {
                Ok(Err(error)) => return Err(error.into()),
                Ok(Ok(())) | Err(_) => return Ok(End::because("the disk thread has ended")),
            },
            () = &mut stop, if deadline.is_none() => {
                deadline = Some(Instant::now() + STOP_TIME_MAX);
                sink(ToEnclave::Shutdown);
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                let reason = format!("the enclave did not stop within {} s", STOP_TIME_MAX.as_secs());
                return Ok(End::because(reason));
            }
        }
    }
}

/// Lets connections send what the enclave left for them.
async fn finish(network: &Network, from_enclave: &mut UnboundedReceiver<ToHost>) {
    while let Ok(message) = from_enclave.try_recv() {
        if !matches!(message, ToHost::Stopped { .. } | ToHost::GovernanceHappened { .. }) {
            network.handle(message);
        }
    }
    let end = Instant::now() + FLUSH_TIME_MAX;
    while network.has_unsent() && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
}

/// How many messages are taken from the queue at once.
const MESSAGES_AT_ONCE: usize = 256;

/// How long the enclave may take to stop: longer than handing leadership over takes.
const STOP_TIME_MAX: Duration = Duration::from_secs(15);

/// How long connections may take to send what is left when the host stops.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);
