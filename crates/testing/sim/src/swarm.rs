//! Which faults a run has, and how strong: drawn anew for each seed.
//!
//! A run with every fault at once explores little, because nothing gets far. So each seed turns on a
//! few kinds and leaves the others off (swarm testing: Groce et al., ISSTA 2012).

use crate::consortium::{ACTORS, RESERVE};
use crate::prng::Prng;
use crate::sabotage::Sabotage;

/// A range of microseconds, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

/// How the links treat messages.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// In order and without loss, as long as the channel stands.
    Stream,
    /// Each by itself, in chances per million.
    Datagrams {
        /// A message is lost.
        drop_ppm: u32,
        /// A message arrives twice.
        double_ppm: u32,
    },
}

/// What is wrong with the network all the time.
#[derive(Clone, Copy, Debug)]
pub struct LinkFaults {
    /// Loss, doubling and order.
    pub manner: Manner,
    /// How far apart nodes are: drawn once for each link.
    pub distance: Delay,
    /// Drawn for each message on top.
    pub jitter: Delay,
    /// How often a message is held up by [`LinkFaults::stall`].
    pub stall_ppm: u32,
    /// How long then.
    pub stall: Delay,
    /// How long it takes to make a channel.
    pub dialling: Delay,
}

/// What is wrong with the disks all the time.
#[derive(Clone, Copy, Debug)]
pub struct DiskFaults {
    /// How long a step takes that need not reach the medium.
    pub write: Delay,
    /// How long a sync takes.
    pub sync: Delay,
    /// How often a sync takes [`DiskFaults::slow`] instead.
    pub slow_ppm: u32,
    /// How long then.
    pub slow: Delay,
    /// How often the node crashes before a step of the disk.
    pub crash_ppm: u32,
    /// How often a read fails.
    pub read_fails_ppm: u32,
    /// How often the host hands over something else than what was asked for.
    pub read_lies_ppm: u32,
    /// When a chunk file is full.
    pub chunk_bytes_max: usize,
}

/// What clients do.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// How many clients there are, besides one stranger who may do nothing.
    pub clients: usize,
    /// How many operations each does before the faults end.
    pub operations: usize,
    /// The pause between an answer and the next operation.
    pub think: Delay,
    /// How many keys there are.
    pub keys: u64,
    /// The most calls in one request.
    pub calls_max: u64,
    /// How long a client waits for an answer before it asks another node under the same id.
    pub patience: Delay,
    /// How often a client asks two nodes at once.
    pub hedges_ppm: u32,
}

/// The rules in the genesis document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleSet {
    /// As a network has them by default.
    Default,
    /// Small blocks, two ahead of the committed one.
    Tight,
    /// One block at a time.
    Serial,
}

/// Something that members decide at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A node joins.
    AddNode,
    /// A node is removed.
    RemoveNode {
        /// Which.
        who: Who,
    },
    /// A node is removed, and another one joins.
    ReplaceNode {
        /// Which is removed.
        who: Who,
    },
    /// As many nodes as may go at once are removed, and others join.
    ReplaceMany,
    /// The service takes another key.
    RotateService,
    /// The same, and with it a node is removed, and another one joins.
    RotateServiceAndReplaceNode {
        /// Which is removed.
        who: Who,
    },
    /// A participant is removed, or let in.
    TurnParticipant {
        /// Which.
        number: usize,
    },
}

/// Something that goes wrong at some time.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Nodes crash together, and each is down for a while.
    Crash {
        /// Who.
        who: Who,
        /// For how long at most, in microseconds.
        lasts: u64,
    },
    /// A node stands still, then goes on where it was.
    Pause {
        /// Who.
        who: Who,
        /// For how long.
        lasts: u64,
    },
    /// Some nodes are cut off from the others.
    Partition {
        /// Who.
        who: Who,
        /// In which directions.
        direction: Direction,
        /// For how long.
        lasts: u64,
    },
    /// The channels of a node break, and are made again.
    Cut {
        /// Who.
        who: Who,
    },
    /// A node is asked to stop, and started again.
    Shutdown {
        /// Who.
        who: Who,
    },
    /// A node's clock jumps ahead.
    ClockStep {
        /// Who.
        who: Who,
        /// How far.
        by: u64,
    },
    /// The disk of a node is put back to an earlier state while it is down.
    RollBack {
        /// Who.
        who: Who,
    },
    /// The host of a node adds to its log while it is down.
    Forge {
        /// Who.
        who: Who,
    },
}

/// Whom a trouble hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The node that leads at that time; if none does, any.
    Leader,
    /// Any one.
    Anyone,
    /// Any two.
    Two,
    /// All of them.
    Everyone,
}

/// The directions that a partition blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    Both,
    /// What the nodes hit would hear.
    Inbound,
    /// What the nodes hit would say.
    Outbound,
}

/// All that a seed decides before a run begins.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// How many nodes there are.
    pub nodes: u64,
    /// The rules for blocks.
    pub rules: RuleSet,
    /// What clients do.
    pub workload: Workload,
    /// The network.
    pub links: LinkFaults,
    /// The disks.
    pub disks: DiskFaults,
    /// How long the worker takes for a message.
    pub worker: Delay,
    /// How often a node crashes between two of its actions.
    pub crash_between_actions_ppm: u32,
    /// The step of any disk, counted over all, before which its node crashes.
    pub crash_at_disk_step: Option<u64>,
    /// How many of the crashes, in a million, are losses of power; the others are deaths of a process, which leave the
    /// system's memory of the disk as it is.
    pub power_fails_ppm: u32,
    /// How many messages with blocks, in a million, are sent with one byte of a block changed.
    pub falsified_ppm: u32,
    /// What breaks its contract. No seed draws that.
    pub sabotage: Option<Sabotage>,
    /// How far a clock is from the simulation's at most, in microseconds.
    pub skew_max: u64,
    /// How much a clock gains or loses at most, in microseconds per second.
    pub drift_max_ppm: u64,
    /// How many bytes of committed entries a node keeps in memory.
    pub retained_bytes_max: usize,
    /// How long faults go on.
    pub faults_last: u64,
    /// What goes wrong when.
    pub troubles: Vec<(u64, Trouble)>,
    /// How many machines there are besides those of genesis, switched off.
    pub newcomers: u64,
    /// How many of them, in a million, are switched on by themselves some time after they are proposed.
    pub newcomers_start_ppm: u32,
    /// What members decide when.
    pub decisions: Vec<(u64, Decision)>,
}

impl Swarm {
    /// What `seed` decides.
    pub fn draw(seed: u64) -> Self {
        let mut prng = Prng::new(seed, "swarm");
        let prng = &mut prng;
        let nodes = *prng.pick(&[1, 3, 3, 3, 3, 3, 3, 5, 5, 5]);
        let faults_last = prng.between(3_000_000, 8_000_000);
        Self {
            nodes,
            rules: *prng.pick(&[RuleSet::Default, RuleSet::Default, RuleSet::Tight, RuleSet::Serial]),
            workload: Workload::draw(prng, faults_last),
            links: LinkFaults::draw(prng),
            disks: DiskFaults::draw(prng),
            worker: *prng.pick(&[Delay::QUICK, Delay::QUICK, Delay { min: 100, max: 20_000 }]),
            crash_between_actions_ppm: *prng.pick(&[0, 0, 0, 500, 2_000]),
            crash_at_disk_step: None,
            power_fails_ppm: *prng.pick(&[1_000_000, 500_000, 0]),
            falsified_ppm: *prng.pick(&[0, 0, 0, 20_000]),
            sabotage: None,
            skew_max: *prng.pick(&[0, 0, 200_000, 29_000_000]),
            drift_max_ppm: *prng.pick(&[0, 100, 20_000, 200_000]),
            retained_bytes_max: *prng.pick(&[0, 8 << 10, 64 << 20]),
            faults_last,
            troubles: troubles(prng, nodes, faults_last),
            newcomers: 0,
            newcomers_start_ppm: 0,
            decisions: Vec::new(),
        }
        .with_decisions(seed)
    }

    /// In some runs members decide; what else happens in a run is drawn as if they did not.
    fn with_decisions(mut self, seed: u64) -> Self {
        let mut prng = Prng::new(seed, "decisions");
        if !prng.chance(DECIDING_PPM) {
            return self;
        }
        self.newcomers = RESERVE;
        self.newcomers_start_ppm = 700_000;
        for _ in 0..prng.between(1, 5) {
            let at = prng.between(500_000, self.faults_last);
            self.decisions.push((at, decision(&mut prng)));
        }
        self.decisions.sort_by_key(|(at, _)| *at);
        // A voter that is gone for good is one that members have to remove, which they do not know here.
        let is_for_good = |trouble: &Trouble| matches!(trouble, Trouble::RollBack { .. } | Trouble::Forge { .. });
        self.troubles.retain(|(_, trouble)| !is_for_good(trouble));
        self
    }

    /// A cluster in which nothing goes wrong, for scenarios that bring their own trouble.
    pub fn calm(nodes: u64) -> Self {
        Self {
            nodes,
            rules: RuleSet::Default,
            workload: Workload::none(),
            links: LinkFaults::none(),
            disks: DiskFaults::none(),
            worker: Delay::QUICK,
            crash_between_actions_ppm: 0,
            crash_at_disk_step: None,
            power_fails_ppm: 1_000_000,
            falsified_ppm: 0,
            sabotage: None,
            skew_max: 0,
            drift_max_ppm: 0,
            retained_bytes_max: 0,
            faults_last: 0,
            troubles: Vec::new(),
            newcomers: 0,
            newcomers_start_ppm: 0,
            decisions: Vec::new(),
        }
    }
}

/// In how many runs of a million members decide.
const DECIDING_PPM: u32 = 300_000;

fn decision(prng: &mut Prng) -> Decision {
    match prng.below(13) {
        0..3 => Decision::AddNode,
        3..5 => Decision::RemoveNode { who: who(prng) },
        5..8 => Decision::ReplaceNode { who: who(prng) },
        8 => Decision::TurnParticipant { number: prng.index(ACTORS) },
        9..11 => Decision::RotateService,
        11 => Decision::RotateServiceAndReplaceNode { who: who(prng) },
        _ => Decision::ReplaceMany,
    }
}

/// Up to eight troubles, most of a few kinds.
fn troubles(prng: &mut Prng, nodes: u64, faults_last: u64) -> Vec<(u64, Trouble)> {
    let mut kinds: Vec<_> = (0..KINDS).collect();
    prng.shuffle(&mut kinds);
    kinds.truncate(prng.between(1, 3) as usize);
    let count = prng.between(0, 8);
    let mut troubles = Vec::new();
    for _ in 0..count {
        let (at, kind) = (prng.between(500_000, faults_last), *prng.pick(&kinds));
        troubles.push((at, trouble(prng, kind)));
    }
    if nodes > 1 && prng.chance(150_000) {
        let (at, who) = (prng.between(faults_last / 4, faults_last), who(prng));
        troubles.push((at, if prng.chance(800_000) { Trouble::RollBack { who } } else { Trouble::Forge { who } }));
    }
    troubles.sort_by_key(|(at, _)| *at);
    troubles
}

const KINDS: u8 = 6;

fn trouble(prng: &mut Prng, kind: u8) -> Trouble {
    let lasts = Delay { min: 1_000, max: 4_000_000 }.draw(prng);
    match kind {
        0 => Trouble::Crash { who: *prng.pick(&[Who::Leader, Who::Anyone, Who::Two, Who::Everyone]), lasts },
        1 => Trouble::Pause { who: who(prng), lasts },
        2 => {
            let direction = *prng.pick(&[Direction::Both, Direction::Both, Direction::Inbound, Direction::Outbound]);
            Trouble::Partition { who: *prng.pick(&[Who::Leader, Who::Anyone, Who::Two]), direction, lasts }
        }
        3 => Trouble::Cut { who: who(prng) },
        4 => Trouble::Shutdown { who: who(prng) },
        _ => {
            let by = if prng.chance(100_000) { 300_000_000 } else { prng.between(10_000, 3_000_000) };
            Trouble::ClockStep { who: who(prng), by }
        }
    }
}

fn who(prng: &mut Prng) -> Who {
    *prng.pick(&[Who::Leader, Who::Anyone])
}

impl Delay {
    /// What a machine takes that has little to do.
    pub const QUICK: Self = Self { min: 20, max: 400 };
}

impl LinkFaults {
    fn draw(prng: &mut Prng) -> Self {
        let datagrams = Manner::Datagrams { drop_ppm: 20_000, double_ppm: 20_000 };
        let manner = *prng.pick(&[Manner::Stream, Manner::Stream, Manner::Stream, datagrams]);
        let quiet = Self { manner, ..Self::none() };
        match prng.below(3) {
            0 => quiet,
            1 => Self { distance: Delay { min: 1_000, max: 60_000 }, ..quiet },
            _ => Self { stall_ppm: 10_000, stall: Delay { min: 1_000, max: 900_000 }, ..quiet },
        }
    }

    /// A network in one hall.
    pub const fn none() -> Self {
        Self {
            manner: Manner::Stream,
            distance: Delay { min: 100, max: 1_000 },
            jitter: Delay { min: 0, max: 300 },
            stall_ppm: 0,
            stall: Delay { min: 0, max: 0 },
            dialling: Delay { min: 500, max: 60_000 },
        }
    }
}

impl DiskFaults {
    fn draw(prng: &mut Prng) -> Self {
        let sound = Self { chunk_bytes_max: *prng.pick(&[4 << 10, 16 << 10, 1 << 20]), ..Self::none() };
        match prng.below(5) {
            0 => Self { slow_ppm: 30_000, slow: Delay { min: 10_000, max: 1_500_000 }, ..sound },
            1 => Self { crash_ppm: 4_000, ..sound },
            2 => Self { sync: Delay { min: 5_000, max: 40_000 }, ..sound },
            3 => Self { read_fails_ppm: 200_000, read_lies_ppm: 200_000, ..sound },
            _ => sound,
        }
    }

    /// A disk as it should be.
    pub const fn none() -> Self {
        Self {
            write: Delay { min: 5, max: 50 },
            sync: Delay { min: 300, max: 3_000 },
            slow_ppm: 0,
            slow: Delay { min: 0, max: 0 },
            crash_ppm: 0,
            read_fails_ppm: 0,
            read_lies_ppm: 0,
            chunk_bytes_max: 1 << 20,
        }
    }
}

impl Workload {
    fn draw(prng: &mut Prng, faults_last: u64) -> Self {
        let operations = prng.between(5, 40);
        // Most clients have something to do for about as long as things go wrong; short delays are more frequent.
        let spread = Delay { min: 0, max: 3 * faults_last / operations };
        Self {
            clients: prng.between(1, 5) as usize,
            operations: operations as usize,
            think: *prng.pick(&[Delay { min: 0, max: 1_000 }, spread, spread]),
            keys: *prng.pick(&[1, 3, 8]),
            calls_max: *prng.pick(&[1, 4, 12]),
            patience: *prng.pick(&[Delay { min: 100_000, max: 1_000_000 }, Delay { min: 1_000_000, max: 5_000_000 }]),
            hedges_ppm: *prng.pick(&[0, 0, 300_000]),
        }
    }

    /// No client asks by itself.
    pub const fn none() -> Self {
        Self {
            clients: 2,
            operations: 0,
            think: Delay { min: 0, max: 0 },
            keys: 3,
            calls_max: 1,
            patience: Delay { min: 1_000_000, max: 1_000_000 },
            hedges_ppm: 0,
        }
    }
}
