//! A whole run of a seed, and what it came to.

use std::fmt;

use crate::check::{Checked, Violation};
use crate::clock::Instant;
use crate::swarm::Swarm;
use crate::world::World;

macro_rules! probes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often things happened: a simulation in which something never happens does not test it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Probes {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Probes {
            /// Each with its name.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Adds those of another run.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

probes! {
    /// Things that happened in the simulation.
    events,
    /// Starts of a process.
    starts,
    /// Crashes, of whatever kind.
    crashes,
    /// Crashes that took the process only, not what the system remembered of its disk.
    deaths_of_processes,
    /// Losses of power soon after such a death.
    losses_of_power_after,
    /// Messages sent with a byte of a block changed.
    falsified,
    /// Crashes between two actions of a node.
    crashes_between_actions,
    /// Crashes before a step of the disk.
    crashes_at_disk_steps,
    /// Steps of disks.
    disk_steps,
    /// Disks whose last write a crash cut short.
    torn_tails,
    /// Machines that stood still.
    pauses,
    /// Partitions.
    partitions,
    /// Channels that broke.
    cuts,
    /// Leaders that were asked to stop.
    hand_overs,
    /// Logs of which a part was replaced.
    truncations,
    /// Views that had a leader.
    views,
    /// Blocks that committed under a successor of their leader.
    committed_by_successors,
    /// Entries committed.
    committed,
    /// Answers to requests.
    answered,
    /// Refusals of requests.
    refused,
    /// Refusals of someone who is not in the tables.
    strangers_refused,
    /// Requests made again under their id.
    asked_again,
    /// Requests answered after they had been made more than once.
    answered_again,
    /// Requests whose client gave up.
    given_up,
    /// Reads of snapshots.
    reads,
    /// Linearizable reads confirmed.
    read_indexes,
    /// Questions refused.
    questions_refused,
    /// Transactions said to be invalid.
    invalid,
    /// Receipts handed out.
    receipts,
    /// Ledger reads for followers that lag behind what is in memory.
    reads_for_peers,
    /// Decisions of members.
    decisions,
    /// Changes of who takes part in consensus.
    changes,
    /// Keys that the service took.
    rotations,
    /// Nodes that learned that members had removed them.
    removed,
    /// Disks put back to an earlier state.
    roll_backs,
    /// Those of a node that led.
    leaders_rolled_back,
    /// Nodes refused because of that.
    roll_backs_refused,
    /// Logs to which a host added entries that nobody signs.
    forgeries_refused,
}

/// What came of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The digest of the event log.
    pub trace: u64,
    /// What happened how often.
    pub probes: Probes,
    /// How long the cluster took to serve everyone after the faults had ended, in microseconds.
    pub recovery: u64,
}

/// A seed whose run violates a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// When it was seen.
    pub at: Instant,
    /// What does not hold.
    pub violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, at, violation } = self;
        write!(f, "seed {seed} at {at} s: {violation}\n  replay it: cargo run -p synod-sim -- --seed {seed} --log")
    }
}

impl std::error::Error for Failure {}

/// Runs the cluster that `seed` draws, to the end and through the audit. `prints`: each event becomes a line on stdout.
///
/// # Errors
/// The first claim that does not hold.
pub fn simulate(seed: u64, prints: bool) -> Result<Report, Failure> {
    simulate_swarm(seed, Swarm::draw(seed), prints)
}

/// Waiting until nobody waits any more takes as much virtual time again as all the rest.
const PATIENCE_OUTLASTED_EVERY: u64 = 4;

/// Runs a cluster with these faults.
///
/// # Errors
/// The first claim that does not hold.
pub fn simulate_swarm(seed: u64, swarm: Swarm, prints: bool) -> Result<Report, Failure> {
    let faults_last = Instant(swarm.faults_last);
    let mut world = World::new(seed, swarm, prints);
    let run = |world: &mut World| -> Checked<u64> {
        world.run_until(faults_last)?;
        let recovery = world.recover()?;
        if seed.is_multiple_of(PATIENCE_OUTLASTED_EVERY) {
            world.outlast_patience()?;
        }
        world.audit(seed)?;
        Ok(recovery)
    };
    match run(&mut world) {
        Ok(recovery) => Ok(Report { trace: world.trace_digest(), probes: world.final_probes(), recovery }),
        Err(violation) => {
            world.remark_violation(&violation);
            Err(Failure { seed, at: world.now(), violation })
        }
    }
}
