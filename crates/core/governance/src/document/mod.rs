//! The constitution as a document for people: TOML, one text for genesis and for what is in force at any later time.
//!
//! [`Document::parse`] reads it, with the line of whatever is wrong; [`to_toml`] writes it with comments; [`diff`] says what
//! a proposal would change. Founders begin with one that leaves some things to files beside it: [`Document::parse_founding`]. References between entries are names: a node's owner, the members that a policy requires.

mod diff;
mod founding;
mod parse;
mod policy;
mod write;

pub use diff::{Change, diff, dry_run};
pub use founding::Beside;
pub use parse::{Document, Problem};
pub(crate) use write::short;
pub use write::to_toml;
