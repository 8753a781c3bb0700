//! How long the parts of a block's way take, for figures only.

/// Is told as a block passes a stage. The node does not look at what a probe does, so a probe may
/// read a clock where the node may not.
pub trait Probe: Send {
    /// A block has passed `stage` just now.
    fn passed(&mut self, stage: Stage);
}

/// A point on a block's way through its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The worker's result is here; sealing begins.
    Executed,
    /// The block is sealed; signing begins.
    Sealed,
    /// The block is signed; consensus has it next.
    Signed,
}

/// The probe of a node that nobody measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn passed(&mut self, _stage: Stage) {}
}
