//! What a proposal can do. Adding an action is one file that implements [`Rule`], and one line in the registry below.

mod add_actor;
mod add_node;
mod code;
mod grant_auditor;
mod release_rule;
mod remove_actor;
mod remove_node;
mod replace_actor;
mod replace_node;
mod revoke_auditor;
mod roster;
mod rotate_service_identity;
mod set_adapter;
mod set_auto_vote;
mod set_blocks;
mod set_durability;
mod set_epochs;
mod set_period;
mod set_policy;
mod set_proposers;
mod set_quorums;
mod set_tee_rule;

pub use add_actor::AddActor;
pub use add_node::AddNode;
pub(crate) use add_node::check_node;
pub use code::{ApproveCode, DenyCode, ForgetCode};
pub use grant_auditor::GrantAuditor;
pub use release_rule::{ReleaseValue, SetReleaseRule};
pub use remove_actor::RemoveActor;
pub use remove_node::RemoveNode;
pub use replace_actor::ReplaceActor;
pub use replace_node::{Owner, ReplaceNode};
pub use revoke_auditor::RevokeAuditor;
pub(crate) use roster::Roster;
pub use rotate_service_identity::RotateServiceIdentity;
pub use set_adapter::SetAdapter;
pub use set_auto_vote::SetAutoVote;
pub use set_blocks::SetBlocks;
pub use set_durability::SetDurability;
pub use set_epochs::SetEpochs;
pub use set_period::{SetLease, SetProposalExpiry};
pub use set_policy::SetPolicy;
pub(crate) use set_policy::key_name;
pub use set_proposers::SetProposers;
pub use set_quorums::SetQuorums;
pub use set_tee_rule::SetTeeRule;

use synod_kv::Tx;
use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder};

use crate::entries::{Proposers, Role};
use crate::execute::Env;
use crate::reason::Reason;
use crate::standing::Subject;
use crate::tables::{Read, Tables};

/// What an action does. Code reads nothing but the tables, the action and the transaction's facts, so that whoever
/// executes it again gets the same.
pub(crate) trait Rule {
    /// Adds every reason against carrying the action out on these tables.
    fn check(&self, scene: &Scene<'_>, reasons: &mut Vec<Reason>) -> Read<()>;

    /// Carries the action out. Called only if [`Rule::check`] had no reason against it on the same tables.
    fn apply(&self, kind: ActionKind, env: &Env, tx: &mut Tx<'_>) -> Read<()>;

    /// The action in one line for people; what it quotes is escaped.
    fn summary(&self, kind: ActionKind) -> String;

    /// What predicates of standing rules ask about.
    fn subject(&self, _tables: Tables<'_>) -> Read<Subject> {
        Ok(Subject::default())
    }

    /// Whether the action is about `actor` itself or what it owns. One that is about nobody in particular is.
    fn is_about(&self, _actor: &ActorId, _tables: Tables<'_>) -> Read<bool> {
        Ok(true)
    }

    /// The actors who come, go or change by the action.
    fn actors(&self) -> Vec<ActorId> {
        Vec::new()
    }

    /// Another policy that has to accept besides that of the action's own kind: whoever changes how something is
    /// decided must convince those who decide it now.
    fn also_decided_by(&self) -> Option<PolicyKey> {
        None
    }
}

/// Where an action is to be carried out.
pub(crate) struct Scene<'a> {
    /// The tables as the actions before this one leave them.
    pub tables: Tables<'a>,
    /// The facts of the transaction.
    pub env: &'a Env,
    /// The kind of the action.
    pub kind: ActionKind,
    /// Who acts, if the action is about an actor.
    pub roster: &'a Roster,
}

/// A policy: the default, or that of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyKey {
    /// The policy of every kind that has none of its own.
    Default,
    /// The policy of one kind.
    Kind(ActionKind),
}

macro_rules! registry {
    ($( $tag:literal => $variant:ident($type:ty), $name:literal, $doc:literal; )*) => {
        /// One thing that a proposal does.
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "action", rename_all = "snake_case")]
        pub enum Action {
            $( #[doc = $doc] $variant($type), )*
        }

        /// The kinds of actions: policies, proposers and automatic votes are set for each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum ActionKind {
            $( #[doc = $doc] $variant = $tag, )*
        }

        impl ActionKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$( Self::$variant, )*];

            /// The kind's name, as in documents.
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                }
            }

            /// What actions of this kind do, for people.
            pub const fn description(self) -> &'static str {
                match self {
                    $( Self::$variant => $doc, )*
                }
            }
        }

        impl Action {
            /// The action's kind.
            pub const fn kind(&self) -> ActionKind {
                match self {
                    $( Self::$variant(_) => ActionKind::$variant, )*
                }
            }

            pub(crate) fn rule(&self) -> &dyn Rule {
                match self {
                    $( Self::$variant(action) => action, )*
                }
            }
        }

        /// The kind's tag, then the action's fields.
        impl Encode for Action {
            fn encode(&self, out: &mut Encoder) {
                self.kind().encode(out);
                match self {
                    $( Self::$variant(action) => action.encode(out), )*
                }
            }
        }

        impl Decode for Action {
            fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Ok(match ActionKind::decode(input)? {
                    $( ActionKind::$variant => Self::$variant(<$type>::decode(input)?), )*
                })
            }
        }
    };
}

registry! {
    1 => AddMember(AddActor), "add_member", "Lets an organisation govern.";
    2 => RemoveMember(RemoveActor), "remove_member", "Ends a membership.";
    3 => ReplaceMember(ReplaceActor), "replace_member", "Gives a member another certificate, name or pins.";
    4 => AddParticipant(AddActor), "add_participant", "Lets an organisation transact.";
    5 => RemoveParticipant(RemoveActor), "remove_participant", "Ends a participation.";
    6 => ReplaceParticipant(ReplaceActor), "replace_participant", "Gives a participant another certificate, name or pins.";
    7 => AddNode(AddNode), "add_node", "Adds a node.";
    8 => RemoveNode(RemoveNode), "remove_node", "Removes a node.";
    9 => ReplaceNode(ReplaceNode), "replace_node", "Changes a node's owner, key, address, code or name.";
    10 => ApproveCode(ApproveCode), "approve_code", "Lets nodes run a build.";
    11 => DenyCode(DenyCode), "deny_code", "Forbids a build, whatever a signed release says.";
    12 => ForgetCode(ForgetCode), "forget_code", "Takes back what was said of a build.";
    13 => SetReleaseRule(SetReleaseRule), "set_release_rule", "Lets nodes run what a publisher signs; without value no more.";
    14 => SetTeeRule(SetTeeRule), "set_tee_rule", "Says whether a platform is trusted; without value it is not.";
    15 => SetPolicy(SetPolicy), "set_policy", "Says how proposals are decided; without value by the default.";
    16 => SetProposers(SetProposers), "set_proposers", "Says who may propose; without value the default.";
    17 => SetAutoVote(SetAutoVote), "set_auto_vote", "Sets the limits of automatic votes; without value there are none.";
    18 => SetBlocks(SetBlocks), "set_blocks", "Sets the rules for blocks; without value the default.";
    19 => SetEpochs(SetEpochs), "set_epochs", "Sets how long session keys are used and kept; without value the default.";
    20 => SetQuorums(SetQuorums), "set_quorums", "Sets how many nodes decide; without value the default.";
    21 => SetDurability(SetDurability), "set_durability", "Sets when a block is acknowledged; without value the default.";
    22 => SetLease(SetLease), "set_lease", "Sets how long a node runs before it proves itself anew; without value there is no such time.";
    23 => SetProposalExpiry(SetProposalExpiry), "set_proposal_expiry", "Sets how long proposals stay open; without value until they are decided.";
    24 => SetAdapter(SetAdapter), "set_adapter", "Changes an adapter's settings.";
    25 => GrantAuditor(GrantAuditor), "grant_auditor", "Lets an auditor read a part of the ledger.";
    26 => RevokeAuditor(RevokeAuditor), "revoke_auditor", "Ends an auditor's grant.";
    27 => RotateServiceIdentity(RotateServiceIdentity), "rotate_service_identity", "Has the service make itself a new identity.";
}

impl ActionKind {
    /// The kind's number in formats.
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.tag() == tag)
    }

    /// Who may propose the kind if the constitution does not say.
    pub const fn proposers_default(self) -> Proposers {
        match self {
            Self::AddNode | Self::RemoveNode | Self::ReplaceNode => Proposers::Actors,
            _ => Proposers::Members,
        }
    }

    /// Whether the kind adds, removes or replaces actors.
    pub(crate) const fn is_about_actors(self) -> bool {
        matches!(
            self,
            Self::AddMember
                | Self::RemoveMember
                | Self::ReplaceMember
                | Self::AddParticipant
                | Self::RemoveParticipant
                | Self::ReplaceParticipant
        )
    }

    /// The role of those whom the kind is about.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::AddParticipant | Self::RemoveParticipant | Self::ReplaceParticipant => Role::Participant,
            _ => Role::Member,
        }
    }
}

impl Action {
    /// The action in one line for people; what it quotes is escaped.
    pub fn summary(&self) -> String {
        self.rule().summary(self.kind())
    }

    /// The policies that have to accept it.
    pub(crate) fn decided_by(&self) -> impl Iterator<Item = PolicyKey> {
        [Some(PolicyKey::Kind(self.kind())), self.rule().also_decided_by()].into_iter().flatten()
    }
}

impl std::fmt::Display for ActionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Encode for ActionKind {
    fn encode(&self, out: &mut Encoder) {
        self.tag().encode(out);
    }
}

impl Decode for ActionKind {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.reading("kind of an action").clone();
        Self::from_tag(u8::decode(input)?).ok_or_else(|| at.error(DecodeReason::ValueNotAllowed))
    }
}
