//! What the tables hold.

mod actor;
mod code;
mod node;
mod proposal;
mod settings;
mod standing;

pub use actor::{ActorEntry, AuditorEntry, CertificateDer, CrlEntry, Part, Pins, Role};
pub use code::{CodeEntry, CodeVerdict, Measurement, Platform, ReleaseRule, TcbComponent, TeeRule};
pub use node::{Address, AddressRefused, NodeEntry};
pub use proposal::{BallotRecord, Count, Decision, Outline, PolicyCount, Proposal, Source, Status};
pub use settings::{
    AdapterEntry, AdminPart, Durability, Epochs, NetworkEntry, Proposers, Quorums, Rules, ServiceEntry, Settings,
    digest_key,
};
pub use standing::{AutoVote, RuleRecord};
