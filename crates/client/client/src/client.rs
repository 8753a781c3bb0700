//! A client of a whole network: chooses a node, retries at another, reads its own writes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use synod_types::limits::RETRY_TIME_MAX;
use synod_types::{NodeId, TxId};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    ClientError, Connection, LinkError, Method, Network, NodeEntry, NodeStatus, Outcome, Purpose, Request, RequestIds,
    Response, tls_config,
};

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// What its connections are for.
    pub purpose: Purpose,
    /// Connections to the node in use; requests go to the one with the fewest in flight, since
    /// answers on one connection come in order.
    pub connections: usize,
    /// How long one node may take to answer before another is asked.
    pub answer_within: Duration,
    /// How long a request is retried before it fails. Beyond [`RETRY_TIME_MAX`] a write may be done twice.
    pub retry_for: Duration,
    /// Whether every request asks for a state that holds all that this client was shown before.
    pub reads_own_writes: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            purpose: Purpose::Application,
            connections: 1,
            answer_within: Duration::from_secs(10),
            retry_for: RETRY_TIME_MAX,
            reads_own_writes: true,
        }
    }
}

/// A client of one network, shared by cloning. Must be used within a tokio runtime.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// As the client began; the nodes may be others by now.
    network: Network,
    tls: Arc<rustls::ClientConfig>,
    options: ClientOptions,
    known: RwLock<Arc<Known>>,
    preferred: AtomicUsize,
    mark: Mutex<Option<TxId>>,
    ids: Mutex<RequestIds>,
}

/// The nodes that a client knows, at least one.
#[derive(Debug)]
struct Known {
    nodes: Vec<NodeEntry>,
    /// The connections to each.
    pools: Vec<Pool>,
}

/// Connections to one node.
type Pool = Arc<Mutex<Vec<Connection>>>;

impl Client {
    /// A client with the usual options. It connects when it is first used.
    ///
    /// # Errors
    /// If the network lists no node or its certificates cannot be used.
    pub fn new(network: Network) -> Result<Self, ClientError> {
        Self::with_options(network, ClientOptions::default())
    }

    /// A client with options.
    ///
    /// # Errors
    /// If the network lists no node or its certificates cannot be used.
    pub fn with_options(network: Network, options: ClientOptions) -> Result<Self, ClientError> {
        if network.nodes.is_empty() {
            return Err(ClientError::NoNodes);
        }
        let tls = tls_config(&network.service, &network.identity)?;
        Ok(Self::with_tls(network, tls, options))
    }

    fn with_tls(network: Network, tls: Arc<rustls::ClientConfig>, options: ClientOptions) -> Self {
        let (nodes, pools) = (network.nodes.clone(), network.nodes.iter().map(|_| Pool::default()).collect());
        let inner = Inner {
            network,
            tls,
            options,
            known: RwLock::new(Arc::new(Known { nodes, pools })),
            preferred: AtomicUsize::new(0),
            mark: Mutex::default(),
            ids: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A client of the same network for its governance, with connections of its own. It too reads what this one wrote.
    ///
    /// ```no_run
    /// # async fn example(client: synod_client::Client) -> Result<(), synod_client::ClientError> {
    /// let members = client.governance();
    /// let constitution = members.send(synod_client::Request::get("/gov/constitution")).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn governance(&self) -> Self {
        let inner = &*self.inner;
        let options = ClientOptions { purpose: Purpose::Governance, ..inner.options.clone() };
        let network = Network { nodes: self.nodes(), ..inner.network.clone() };
        let governance = Self::with_tls(network, Arc::clone(&inner.tls), options);
        if let Some(mark) = self.mark() {
            governance.raise_mark(mark);
        }
        governance
    }

    /// The nodes that this client knows.
    pub fn nodes(&self) -> Vec<NodeEntry> {
        self.known().nodes.clone()
    }

    /// From now on this client knows these nodes, if there are any, and no others. Connections to those that it knew already
    /// go on, and so do requests under way: at nodes that it knows now, from the next attempt on.
    pub fn learn(&self, nodes: Vec<NodeEntry>) {
        let mut known = self.inner.known.write().unwrap_or_else(PoisonError::into_inner);
        if nodes.is_empty() || nodes == known.nodes {
            return;
        }
        let preferred = known.at(self.inner.preferred.load(Ordering::Relaxed)).id;
        let same = |node: &NodeEntry| {
            known.nodes.iter().position(|other| (other.id, other.address) == (node.id, node.address))
        };
        let pool = |node| same(node).map_or_else(Pool::default, |place| Arc::clone(&known.pools[place]));
        let pools = nodes.iter().map(pool).collect();
        let place = nodes.iter().position(|node| node.id == preferred).unwrap_or(0);
        self.inner.preferred.store(place, Ordering::Relaxed);
        *known = Arc::new(Known { nodes, pools });
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.inner.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The TLS settings, for links of one's own.
    pub fn tls(&self) -> &Arc<rustls::ClientConfig> {
        &self.inner.tls
    }

    /// The highest transaction id that any answer carried: the high-water mark.
    pub fn mark(&self) -> Option<TxId> {
        *lock(&self.inner.mark)
    }

    /// Raises the high-water mark to `txid`, if it is not there yet.
    pub fn raise_mark(&self, txid: TxId) {
        let mut mark = lock(&self.inner.mark);
        *mark = (*mark).max(Some(txid));
    }

    /// Sends a request, to the preferred node first, then to the others in turn, until one answers or
    /// the time is up. A write without an id is given one, so that it is done once however often it is sent.
    ///
    /// An answer of refusal is an answer, except for those that say "not now" (status 429 and 503).
    ///
    /// # Errors
    /// If no node answered in time.
    pub async fn send(&self, mut request: Request) -> Result<Response, ClientError> {
        if request.id.is_none() && request.method != Method::Get {
            request.id = Some(lock(&self.inner.ids).next_id());
        }
        let give_up_at = Instant::now() + self.inner.options.retry_for;
        let mut pause = PAUSE_FIRST;
        loop {
            let known = self.known();
            let place = self.inner.preferred.load(Ordering::Relaxed) % known.nodes.len();
            if self.inner.options.reads_own_writes {
                request.at_least = request.at_least.max(self.mark());
            }
            let error = match self.ask(&known, place, &request, give_up_at).await {
                Ok(response) if !is_not_now(&response) => {
                    self.note(&response);
                    return Ok(response);
                }
                Ok(response) => LinkError::Busy(response.summary()),
                Err(error) => error,
            };
            self.turn_from(&known, place);
            let again_at = Instant::now() + pause;
            if again_at >= give_up_at {
                let within = self.inner.options.retry_for;
                return Err(ClientError::NoNodeAnswered { within, node: known.nodes[place].id, source: error });
            }
            sleep_until(again_at).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Sends a request to one node, once.
    ///
    /// # Errors
    /// If that node does not answer in the time that one node has, or is not one of [`Client::nodes`].
    pub async fn send_to(&self, node: NodeId, request: &Request) -> Result<Response, LinkError> {
        let known = self.known();
        let place = known.nodes.iter().position(|entry| entry.id == node).ok_or(LinkError::NotKnown { node })?;
        let response = self.ask(&known, place, request, Instant::now() + self.inner.options.answer_within).await?;
        self.note(&response);
        Ok(response)
    }

    /// How a node is.
    ///
    /// # Errors
    /// If it does not answer, or not with a status.
    pub async fn status(&self, node: NodeId) -> Result<NodeStatus, LinkError> {
        let response = self.send_to(node, &Request::get("/node/status")).await?;
        serde_json::from_slice(&response.body).map_err(|_| LinkError::NotAnAnswer("a status that is not one"))
    }

    /// Waits until it is final what became of `txid`, as long as a request is retried. Answers to writes
    /// come after their commit; this is for ids from elsewhere.
    ///
    /// # Errors
    /// If no node answers, or the answer is not understood.
    pub async fn outcome(&self, txid: TxId) -> Result<Outcome, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            status: Outcome,
        }
        let give_up_at = Instant::now() + self.inner.options.retry_for;
        loop {
            let response = self.send(Request::get(format!("/node/tx/{txid}"))).await?;
            let node = self.preferred();
            let what = || response.summary();
            let Answer { status } = serde_json::from_slice(&response.body)
                .map_err(|_| ClientError::AnswerNotUnderstood { node, what: what() })?;
            if status.is_final() || Instant::now() >= give_up_at {
                return Ok(status);
            }
            sleep_until(Instant::now() + PAUSE_FIRST).await;
        }
    }

    /// Fetches the receipt of a committed transaction; [`crate::verify_receipt`] checks it.
    ///
    /// # Errors
    /// If no node answers, or the transaction is not committed.
    pub async fn receipt(&self, txid: TxId) -> Result<Bytes, ClientError> {
        let response = self.send(Request::get(format!("/node/receipt/{txid}"))).await?;
        if response.is_success() {
            return Ok(response.body);
        }
        let node = self.preferred();
        let hint = response.error().and_then(|error| error.hint);
        Err(ClientError::Refused { node, status: response.status, message: response.summary(), hint })
    }

    /// Finds the leader and sends to it from now on. `None` if no node says it leads.
    pub async fn prefer_leader(&self) -> Option<NodeId> {
        for node in self.nodes() {
            if self.status(node.id).await.is_ok_and(|status| status.is_leader()) {
                // Its place may be another one by now.
                let place = self.known().nodes.iter().position(|known| known.id == node.id)?;
                self.inner.preferred.store(place, Ordering::Relaxed);
                return Some(node.id);
            }
        }
        None
    }

    /// The node that requests go to first, and that answered the last one.
    pub(crate) fn preferred(&self) -> NodeId {
        self.known().at(self.inner.preferred.load(Ordering::Relaxed)).id
    }

    /// The service's certificate that this client pins.
    pub(crate) fn pinned(&self) -> &CertificateDer<'static> {
        &self.inner.network.service
    }

    async fn ask(
        &self,
        known: &Known,
        place: usize,
        request: &Request,
        give_up_at: Instant,
    ) -> Result<Response, LinkError> {
        let until = give_up_at.min(Instant::now() + self.inner.options.answer_within);
        let answer = timeout_at(until, async {
            let connection = self.connection(known, place).await?;
            connection.send(request.clone()).await
        });
        match answer.await {
            Ok(answer) => answer,
            Err(_) => {
                // What is behind an answer that does not come is stuck too: begin anew.
                lock(&known.pools[place]).clear();
                Err(LinkError::TimedOut)
            }
        }
    }

    /// The least busy connection to a node; a new one while there are fewer than wanted and none is idle.
    async fn connection(&self, known: &Known, place: usize) -> Result<Connection, LinkError> {
        {
            let mut pool = lock(&known.pools[place]);
            pool.retain(Connection::is_open);
            let best = pool.iter().min_by_key(|connection| connection.load());
            if let Some(best) = best.filter(|best| best.load() == 0 || pool.len() >= self.inner.options.connections) {
                return Ok(best.clone());
            }
        }
        let fresh =
            Connection::open_for(self.inner.options.purpose, known.nodes[place].address, &self.inner.tls).await?;
        let mut pool = lock(&known.pools[place]);
        if pool.len() < self.inner.options.connections {
            pool.push(fresh.clone());
        }
        Ok(fresh)
    }

    fn note(&self, response: &Response) {
        if let Some(txid) = response.txid {
            self.raise_mark(txid);
        }
    }

    /// Asks the next node from now on, unless somebody else turned already.
    fn turn_from(&self, known: &Known, place: usize) {
        let next = (place + 1) % known.nodes.len();
        let _ = self.inner.preferred.compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Known {
    /// The node at this place, counted round and round.
    fn at(&self, place: usize) -> &NodeEntry {
        &self.nodes[place % self.nodes.len()]
    }
}

/// Whether a node says that it cannot do this now, so that the same request may be sent again.
pub(crate) const fn is_not_now(response: &Response) -> bool {
    matches!(response.status, 429 | 503)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pause before the first retry: a node that restarts needs longer, a leader that just changed does not.
const PAUSE_FIRST: Duration = Duration::from_millis(20);

/// The longest pause between retries: an election takes about this long.
const PAUSE_MAX: Duration = Duration::from_millis(500);
