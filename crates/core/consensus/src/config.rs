//! What a node is told about its part in consensus, and the limits that hold there.

use std::time::Duration;

use synod_types::NodeId;
use synod_types::limits::NODES_MAX;

/// How one node takes part. [`Config::new`] fills in what suits a local network.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's slot: one of `voters`, or one that has joined since, or is to join.
    pub id: NodeId,
    /// The nodes whose majority decided when the network began, in any order.
    pub voters: Vec<NodeId>,
    /// The least and the largest time without a leader's message after which a node stands for
    /// election; each wait is drawn from this range, the upper end excluded.
    ///
    /// The least is also how long a leader goes without hearing from a majority before it steps
    /// down (CheckQuorum), and how long nodes refuse to vote after hearing from a leader.
    pub election_timeout: (Duration, Duration),
    /// How often a leader that has nothing else to say is heard.
    pub heartbeat: Duration,
    /// The resolution of the times above. Nothing wakes at each tick: see `poll_timeout`.
    pub tick: Duration,
    /// Where election timeouts are drawn from. Different at each start, so that an answer to a
    /// read of an earlier start is not taken for one of this start.
    pub seed: u64,
    /// How many bytes of committed entries are kept in memory for followers that lag.
    pub retained_bytes_max: usize,
}

impl Config {
    /// Defaults for node `id` among `voters`: elections after 500 to 1,000 ms of silence, so that
    /// writes go on within two seconds of a leader's death even if a first election splits;
    /// heartbeats each 100 ms, so that a follower misses four before it stirs and idling costs
    /// ten small messages a second.
    pub fn new(id: NodeId, voters: impl IntoIterator<Item = NodeId>, seed: u64) -> Self {
        Self {
            id,
            voters: voters.into_iter().collect(),
            election_timeout: (Duration::from_millis(500), Duration::from_millis(1_000)),
            heartbeat: Duration::from_millis(100),
            tick: Duration::from_millis(10),
            seed,
            retained_bytes_max: RETAINED_BYTES_MAX,
        }
    }

    /// Checks the values against each other.
    ///
    /// # Errors
    /// If they contradict each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.ticks().map(|_| ())
    }

    /// Checks the values against each other and converts the times to ticks.
    pub(crate) fn ticks(&self) -> Result<Ticks, ConfigError> {
        let mut voters = self.voters.clone();
        voters.sort_unstable();
        voters.dedup();
        if voters.len() != self.voters.len() || voters.is_empty() || voters.len() > NODES_MAX {
            return Err(ConfigError::VotersNotDistinct { voters: self.voters.len() });
        }
        if voters.contains(&NodeId(0)) || self.id == NodeId(0) {
            return Err(ConfigError::NodeZero);
        }
        let tick = self.tick.as_micros();
        if tick == 0 {
            return Err(ConfigError::TimesOutOfOrder);
        }
        let count = |time: Duration| usize::try_from(time.as_micros() / tick).unwrap_or(usize::MAX);
        let ticks = Ticks {
            heartbeat: count(self.heartbeat),
            election_min: count(self.election_timeout.0),
            election_max: count(self.election_timeout.1),
        };
        let in_order = 0 < ticks.heartbeat
            && ticks.heartbeat < ticks.election_min
            && ticks.election_min < ticks.election_max
            && ticks.election_max <= ELECTION_TICKS_MAX;
        if in_order { Ok(ticks) } else { Err(ConfigError::TimesOutOfOrder) }
    }
}

/// The times of a [`Config`] in ticks: `0 < heartbeat < election_min < election_max`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    pub heartbeat: usize,
    pub election_min: usize,
    pub election_max: usize,
}

/// Why a [`Config`] is refused. The operator's or the genesis document's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A voter is named twice, there is none, or there are too many.
    #[error("the {voters} voters are not between 1 and {NODES_MAX} distinct nodes")]
    VotersNotDistinct {
        /// How many were given.
        voters: usize,
    },
    /// Node 0 is no node.
    #[error("node 0 is named; slots begin at 1")]
    NodeZero,
    /// The log changes the configuration in a way that is no step from where it stands.
    #[error("the log changes who takes part in a way that is no step from where it stands")]
    ConfigurationNotAllowed,
    /// The times contradict each other.
    #[error("times must satisfy tick <= heartbeat < least election timeout < largest election timeout")]
    TimesOutOfOrder,
}

/// The default of [`Config::retained_bytes_max`]: some seconds of blocks at full rate, so that a
/// follower that restarts catches up without a ledger read, and small beside the state itself.
pub const RETAINED_BYTES_MAX: usize = 64 << 20;

/// The most bytes of entries in one message, unless one entry alone is larger: large enough that
/// the cost of a message is lost in it, small enough that a heartbeat is not stuck behind it.
pub(crate) const MESSAGE_ENTRIES_BYTES_MAX: u64 = 256 << 10;

/// The most appends on their way to one follower: a leader that closes a block each millisecond
/// outlives a sync of 100 ms, and a lagging follower holds at most 32 MiB of small entries.
pub(crate) const APPENDS_IN_FLIGHT_MAX: usize = 128;

/// Keeps tick arithmetic far from overflow: a day of 10 ms ticks.
const ELECTION_TICKS_MAX: usize = 24 * 60 * 60 * 100;
