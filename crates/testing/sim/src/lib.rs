//! A seeded simulation of whole clusters: real [`synod_node::Node`]s and workers, and everything around
//! them made of chance.
//!
//! One seed decides how many nodes there are, what clients ask, how the network and the disks behave, who
//! crashes when, and how far clocks are apart. Time is virtual, so a run of some ten simulated seconds takes
//! a few milliseconds, and the same seed gives the same event log. After the faults end the cluster must
//! elect, converge and serve everyone; then everything that was promised is compared with everything that is
//! on disk. See [`check`] for what must hold.
//!
//! ```text
//! cargo run -p synod-sim -- --seed 7 --log       replays one seed and prints what happens
//! cargo run -p synod-sim -- --count 10000        runs many
//! ```
//!
//! What is real: nodes, consensus, ledger, sealing, worker, the log adapter, chunk files and their scan, the
//! offline verifier, receipts. What is modelled: channels between nodes (proven and secret, see [`network`]),
//! the host's disk thread (see [`disk`]), sessions (a token), clocks.
//!
//! Deviation from TigerBeetle's VOPR and FoundationDB's simulator, which inspired this: nodes are honest here.
//! The adversary is the host, who may roll a disk back, hand over wrong records, and look at everything it files; and
//! a block may reach a follower with a byte changed, which the channels exclude and the follower must refuse anyway.

mod actions;
pub mod check;
pub mod client;
pub mod clock;
pub mod consortium;
pub mod disk;
mod falsify;
pub mod governor;
pub mod medium;
pub mod network;
pub mod prng;
pub mod queue;
mod recovery;
pub mod report;
pub mod sabotage;
pub mod scenario;
pub mod site;
pub mod swarm;
pub mod trace;
mod trouble;
pub mod world;

pub use recovery::RECOVERY_MAX;
pub use report::{Failure, Probes, Report, simulate, simulate_swarm};
pub use swarm::Swarm;
pub use world::World;
