//! `synod constitution`, `proposal`, `ballot`, `rule`, `revoke` and `gov`: members govern.

mod ballot;
mod constitution;
mod file;
mod prepared;
mod proposal;
mod revoke;
mod rule;
mod session;
mod show;
mod watch;
mod whole;

pub use ballot::ballot;
pub use constitution::constitution;
pub use proposal::proposal;
pub use revoke::revoke;
pub use rule::rule;
pub use watch::gov;
