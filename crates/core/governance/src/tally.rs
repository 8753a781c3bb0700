//! Ballots as counted: what each current member says to one proposal.

use std::collections::BTreeMap;

use synod_types::ActorId;

use crate::macros::tagged;

tagged! {
    /// What a ballot says.
    #[derive(Copy)]
    pub enum Choice {
        /// Do it.
        0 => Accept,
        /// Do not.
        1 => Reject,
    }
}

/// What each current member says to one proposal; `None` if nothing yet.
///
/// Ballots of those who are no longer members are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    members: BTreeMap<ActorId, Option<Choice>>,
}

impl Tally {
    /// The tally of these members.
    pub fn new(members: impl IntoIterator<Item = (ActorId, Option<Choice>)>) -> Self {
        Self { members: members.into_iter().collect() }
    }

    /// The tally if all of these members accepted.
    pub fn of_all_accepting(members: impl IntoIterator<Item = ActorId>) -> Self {
        Self::new(members.into_iter().map(|member| (member, Some(Choice::Accept))))
    }

    /// How many members there are.
    pub fn members(&self) -> u64 {
        self.members.len() as u64
    }

    /// How many accept.
    pub fn accepting(&self) -> u64 {
        self.count(Choice::Accept)
    }

    /// How many reject.
    pub fn rejecting(&self) -> u64 {
        self.count(Choice::Reject)
    }

    /// What `actor` says: the outer `None` if it is no member.
    pub fn of(&self, actor: &ActorId) -> Option<Option<Choice>> {
        self.members.get(actor).copied()
    }

    fn count(&self, choice: Choice) -> u64 {
        self.members.values().filter(|said| **said == Some(choice)).count() as u64
    }
}
