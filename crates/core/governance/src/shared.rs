//! Which tables a governance transaction has not written to.
//!
//! Most transactions are ballots, and write nothing about actors or nodes. Whoever keeps something that it has made of such
//! tables, all of which it would have to read to make it again, looks here first.

use synod_kv::State;

use crate::tables::{ACTORS, ADAPTERS, NODES, REVOKED};

/// Two states, of which one may have been made from the other.
///
/// ```
/// use synod_governance::Shared;
/// use synod_kv::State;
///
/// let before = State::default();
/// let after = before.clone();
/// assert!(Shared::between(&before, &after).actors());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Shared<'s>(&'s State, &'s State);

impl<'s> Shared<'s> {
    /// What these two share.
    pub const fn between(one: &'s State, other: &'s State) -> Self {
        Self(one, other)
    }

    /// Whether the actors are the same.
    pub fn actors(self) -> bool {
        self.0.shares(self.1, ACTORS.name())
    }

    /// Whether the actors' lists of revoked certificates are the same.
    pub fn revoked(self) -> bool {
        self.0.shares(self.1, REVOKED.name())
    }

    /// Whether the nodes are the same.
    pub fn nodes(self) -> bool {
        self.0.shares(self.1, NODES.name())
    }

    /// Whether the adapters and their settings are the same.
    pub fn adapters(self) -> bool {
        self.0.shares(self.1, ADAPTERS.name())
    }
}
