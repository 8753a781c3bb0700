//! The enclave as a whole: its threads, and where messages go.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use synod_crypto::{Certificate, NodeKey, ServiceKey, SessionKeys};
use synod_ledger::{GenesisPublic, SealedBlock, ServiceIdentity, Tip, check_genesis};
use synod_node::{Action, Config, Event, GenesisRefused, Node, Start, StartError, Times, adapters_named};
use synod_types::boundary::{LogRecord, Restart, ToEnclave, ToHost};
use synod_types::{Decode, NodeId, TxId, Untrusted};
use synod_worker::{AdapterKit, Worker};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::clock::{Calendar, Clock};
use crate::credentials::Credentials;
use crate::governance::Governance;
use crate::governance::log::LOG_BYTES_MAX;
use crate::government::Governing;
use crate::hub::{Hub, ToHub};
use crate::manager::Manager;
use crate::manager_port::ManagerPort;
use crate::nodes::{NodeKeys, Peer};
use crate::peers::Peers;
use crate::pool::Pools;
use crate::rotation::Rotation;
use crate::service::Service;
use crate::slot::{self, SlotUnknown};
use crate::stream::HostSink;
use crate::tls::{self, Dialler, TlsSetupError};
use crate::worker;

/// What an enclave is started with.
///
/// Until attestation and threshold keys arrive, keys come from files that only the node's user may read.
pub struct Setup<R> {
    /// The slot's certificate, issued by the service, in PEM.
    pub slot_certificate: String,
    /// The slot's key, in PEM.
    pub slot_key: String,
    /// The service's key, in PEM.
    pub service_key: String,
    /// The session keys of the epoch, in PEM.
    pub session_keys: String,
    /// The ledger protocols that this software has.
    pub adapters: Vec<AdapterKit>,
    /// The records on disk, the genesis block first.
    pub records: R,
    /// The vote record on disk.
    pub vote: Option<Untrusted<Bytes>>,
    /// Times of elections; `None` for what suits a local network.
    pub times: Option<Times>,
    /// For how long a node that has no part any more keeps its channels; `None` for what suits any network.
    pub removed_grace: Option<Duration>,
}

/// Why an enclave does not start.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// A key or certificate is not in the form of its kind.
    #[error("the {what} is not valid")]
    KeyNotValid {
        /// Which one.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Keys, certificate and ledger do not agree which node this is.
    #[error("this node does not know its slot")]
    SlotUnknown(#[from] SlotUnknown),
    /// The ledger is empty, or its first record is not a genesis block.
    #[error("the ledger does not begin with a genesis block")]
    NoGenesis,
    /// The host could not read its records.
    #[error("the ledger could not be read")]
    LedgerUnreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The node refuses what is on disk.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The network has an adapter that this software has not.
    #[error(transparent)]
    Adapters(#[from] GenesisRefused),
    /// TLS does not take the slot's certificate and key.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsSetupError),
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

impl EnclaveError {
    /// Whether the node may be started from the same directory again, once what is wrong has been put right.
    pub const fn restart(&self) -> Restart {
        match self {
            Self::Start(error) => error.restart(),
            _ => Restart::Allowed,
        }
    }
}

/// A running enclave. It runs until the host asks it to stop, and tells the host when it has.
#[derive(Debug)]
pub struct Enclave {
    id: NodeId,
    port: EnclavePort,
}

/// Where the host sends its messages. Cheap to clone, and never blocks.
#[derive(Clone)]
pub struct EnclavePort {
    manager: ManagerPort,
    hub: UnboundedSender<ToHub>,
}

impl fmt::Debug for EnclavePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnclavePort")
    }
}

impl EnclavePort {
    /// Hands a message to the part of the enclave that it is for.
    pub fn send(&self, message: ToEnclave) {
        match message {
            ToEnclave::Persisted { ticket } => self.manager.event(Event::Persisted(ticket)),
            ToEnclave::LedgerRead { ticket, records } => self.manager.event(Event::LedgerRead { ticket, records }),
            ToEnclave::Shutdown => self.manager.event(Event::Shutdown),
            // Nobody serves sessions any more once the enclave has stopped.
            other => drop(self.hub.send(ToHub::Host(other))),
        }
    }
}

impl Enclave {
    /// Reads the ledger, then starts the threads; messages for the host go to `to_host`, which must not block.
    ///
    /// # Errors
    /// If keys, certificates or the ledger are not as they should be.
    pub fn start<R, E>(setup: Setup<R>, to_host: impl Fn(ToHost) + Send + Sync + 'static) -> Result<Self, EnclaveError>
    where
        R: IntoIterator<Item = Result<Untrusted<LogRecord>, E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        let host: HostSink = Arc::new(to_host);
        let (to_manager, manager_inbox) = channel();
        let manager = ManagerPort::new(to_manager);
        let clock = Clock::start();
        let resumed = resume(setup, &manager, clock)?;
        let Resumed { node, nodes, own, worker, service, credentials, rotation } = resumed;

        let peers = Arc::<Peers>::default();
        let hub = Hub {
            service: Arc::clone(&service),
            host: Arc::clone(&host),
            peers: Arc::clone(&peers),
            client_door: tls::client_door(&credentials)?,
            peer_door: tls::peer_door(&credentials, Arc::clone(&nodes), service.calendar.clone())?,
            dialler: Dialler::new(credentials, Arc::clone(&nodes), service.calendar.clone())?,
            nodes: Arc::clone(&nodes),
            own,
            clock,
        };
        let (to_hub, hub_inbox) = unbounded_channel();
        let (to_worker, worker_inbox) = channel();
        let port = EnclavePort { manager, hub: to_hub.clone() };

        let (worker_service, worker_hub, stopper) = (Arc::clone(&service), to_hub.clone(), Stopper(Arc::clone(&host)));
        spawn("worker", move || {
            let _stopper = stopper;
            worker::run(worker, &worker_inbox, &worker_service, &worker_hub);
        })?;
        let stopper = Stopper(Arc::clone(&host));
        let sessions = spawn("sessions", move || {
            let _stopper = stopper;
            run_hub(hub, hub_inbox);
        })?;
        let stopper = Stopper(Arc::clone(&host));
        let (host_port, worker) = (Arc::clone(&host), to_worker);
        let manager = Manager { node, clock, service, host: host_port, peers, nodes, rotation, worker, hub: to_hub };
        spawn("manager", move || {
            let _stopper = stopper;
            let hub = manager.hub.clone();
            let stop = manager.run(&manager_inbox);
            // The sessions first send what they have; if they are gone, there is nothing to send.
            let _ = hub.send(ToHub::Stop);
            let _ = sessions.join();
            host(match stop {
                Some(stop) => ToHost::Stopped { reason: stop.to_string(), restart: stop.restart() },
                None => ToHost::Stopped { reason: "every other part is gone".into(), restart: Restart::Allowed },
            });
        })?;
        Ok(Self { id: own.node, port })
    }

    /// The node's slot.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// Where the host sends its messages.
    pub fn port(&self) -> EnclavePort {
        self.port.clone()
    }
}

/// What the keys and the disk make.
struct Resumed {
    own: Peer,
    node: Node,
    nodes: Arc<NodeKeys>,
    worker: Worker,
    service: Arc<Service>,
    credentials: Credentials,
    rotation: Rotation,
}

/// Replays the ledger.
fn resume<R, E>(setup: Setup<R>, manager: &ManagerPort, clock: Clock) -> Result<Resumed, EnclaveError>
where
    R: IntoIterator<Item = Result<Untrusted<LogRecord>, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    let unreadable = |error: E| EnclaveError::LedgerUnreadable(Box::new(error));
    let mut records = setup.records.into_iter().map(|record| record.map_err(unreadable));
    let genesis = records.next().ok_or(EnclaveError::NoGenesis)??;
    let (public, tip) = genesis.clone().check(|record| read_genesis(&record).ok_or(EnclaveError::NoGenesis))?;

    let node_key = NodeKey::from_pem(&setup.slot_key).map_err(not_valid("slot's key"))?;
    let mut nodes = NodeKeys::new(public.keys.service.clone());
    if let Some(grace) = setup.removed_grace {
        nodes.set_grace(grace);
    }
    let nodes = Arc::new(nodes);
    let certificate = Certificate::from_pem(&setup.slot_certificate).map_err(not_valid("slot's certificate"))?;
    let id = slot::own_slot(&certificate, node_key.verifying_key(), &public)?;
    let own = slot::peer(id, node_key.verifying_key());
    let credentials = Credentials::from_pem(setup.slot_certificate.as_bytes(), setup.slot_key.as_bytes())?;
    let service_key = ServiceKey::from_pem(&setup.service_key).map_err(not_valid("service's key"))?;
    let first = Arc::new(ServiceIdentity::new(service_key.clone()));
    let config = Config {
        id,
        node_key,
        service_key,
        session_keys: SessionKeys::from_pem(&setup.session_keys).map_err(not_valid("file of session keys"))?,
        seed: synod_crypto::random_bytes(),
        times: setup.times,
    };

    let mut start = Start::new(config, genesis)?;
    let kits = adapters_named(&setup.adapters, start.government().adapters().iter().map(String::as_str))?;
    let mut worker = Worker::new(&kits);
    let pools = Pools::start().map_err(EnclaveError::Thread)?;
    let governance = Governance::new(tip.network, LOG_BYTES_MAX);
    let service = Arc::new(Service::new(worker.reader(), Calendar::new(clock), manager.clone(), pools, governance));
    let (shared_nodes, shared_service) = (Arc::clone(&nodes), Arc::clone(&service));
    let (slot, first) = ((id, certificate), (first, tip.time));
    let mut rotation = Rotation::new(slot, first, credentials.clone(), shared_nodes, shared_service);
    let state = start.government().committed().clone();
    nodes.govern(&state);
    service.govern(Governing::new(TxId::new(tip.tx_view, tip.seqno), tip.time, state));
    replay(&mut start, &mut worker, &service, &nodes, &mut rotation);
    for record in records {
        start.push(record?)?;
        replay(&mut start, &mut worker, &service, &nodes, &mut rotation);
    }
    slot::check_listed(own, &nodes)?;
    let node = start.finish(clock.now(), setup.vote)?;
    // Before the first session.
    service.serving.set(node.serving());
    Ok(Resumed { own, node, nodes, worker, service, credentials, rotation })
}

/// Hands on what the worker must know of the records read so far.
fn replay(start: &mut Start, worker: &mut Worker, service: &Service, nodes: &NodeKeys, rotation: &mut Rotation) {
    while let Some(action) = start.poll_action() {
        match action {
            Action::Worker(message) => {
                // Only executions are answered, and nothing is executed before the node runs.
                let _ = worker.handle(message);
            }
            Action::Committed { txid, time } => service.committed(txid, time),
            Action::ServiceRotated(next) => rotation.rotated(next),
            Action::Governed(governed) => {
                nodes.govern(&governed.state);
                service.governed(governed);
            }
            other => unreachable!("a node that reads its disk only tells its worker: {other:?}"),
        }
    }
}

fn read_genesis(record: &LogRecord) -> Option<(GenesisPublic, Tip)> {
    check_genesis(&SealedBlock::from_bytes(&record.payload).ok()?).ok()
}

fn not_valid<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl FnOnce(E) -> EnclaveError {
    move |source| EnclaveError::KeyNotValid { what, source: Box::new(source) }
}

/// Runs the sessions until the node has stopped.
fn run_hub(hub: Hub, inbox: UnboundedReceiver<ToHub>) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without sockets needs nothing that the system could refuse");
    runtime.block_on(hub.run(inbox));
    // Sessions are dropped with the runtime, which closes their connections; what still runs in the
    // pools has nobody to tell.
}

/// Tells the host that the enclave has stopped if its thread ends by a failed assertion: a node that
/// does not know its own state must not go on.
struct Stopper(HostSink);

impl Drop for Stopper {
    fn drop(&mut self) {
        if thread::panicking() {
            let reason = "an assertion failed; the log names its place".into();
            (self.0)(ToHost::Stopped { reason, restart: Restart::Allowed });
        }
    }
}

/// Has panics tell their place and nothing else. A panic's words may hold what an enclave keeps
/// private, and standard error belongs to the host. For the process that runs an enclave.
pub fn redact_panics() {
    std::panic::set_hook(Box::new(|info| match info.location() {
        Some(place) => tracing::error!(%place, "assertion failed"),
        None => tracing::error!("assertion failed"),
    }));
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>, EnclaveError> {
    thread::Builder::new().name(name.into()).spawn(work).map_err(EnclaveError::Thread)
}
