//! Why something is refused: closed lists, each reason with a stable code, a text and a hint.

use synod_kv::EntryRefused;
use synod_types::{ActorId, NodeId};

use crate::actions::ActionKind;
use crate::bounded::{List, Name, Note};
use crate::entries::{Platform, Status};
use crate::identity::IdentityRefused;
use crate::limits::{ACTORS_MAX, PERIOD_SECONDS_MAX, PROPOSALS_A_DAY_MAX, REASONS_MAX, STANDING_RULES_MAX};
use crate::macros::coded;
use crate::policy::PolicyRefused;
use crate::standing::RuleRefused;
use crate::statement::StatementRefused;
use crate::tables::ProposalId;

coded! {
    /// Why an action, or what a proposal would leave behind, is refused.
    pub enum Reason {
        /// Two actors would have one key.
        #[error("{name} has the same key as this certificate")]
        ActorExists {
            /// The actor that has it.
            name: Name,
        } => "an organisation with two identities needs two keys",
        /// Two would have one name.
        #[error("the name {name:?} is taken", name = name.as_str())]
        NameTaken {
            /// The name.
            name: Name,
        } => "choose a name that tells the two apart",
        /// There is no such actor in this role.
        #[error("there is no {role} {id}")]
        NoSuchActor {
            /// `member`, `participant` or `actor`.
            role: &'static str,
            /// Its id.
            id: ActorId,
        } => "list the actors with `synod constitution show`",
        /// The certificate is none, or of a kind that cannot be used.
        #[error("the certificate of {name:?} cannot be used: {why}", name = name.as_str())]
        CertificateUnusable {
            /// Whose.
            name: Name,
            /// What is wrong with it.
            why: IdentityRefused,
        } => "give an X.509 certificate that is valid now, on P-256 or P-384",
        /// A pin can never fit.
        #[error("the pin {pin:?} is not of the form {form}")]
        PinMalformed {
            /// The pin.
            pin: String,
            /// What is expected.
            form: &'static str,
        } => "pins are dns:, email: or uri: names, units, dotted policy numbers, and SHA-256 digests of sub-CAs' keys",
        /// There would be too many actors.
        #[error("there would be more than {ACTORS_MAX} actors")]
        TooManyActors => "remove an actor in the same proposal",
        /// There is no such node.
        #[error("there is no node {node}")]
        NoSuchNode {
            /// Its slot.
            node: NodeId,
        } => "list the nodes with `synod constitution show`",
        /// The node's public key is none that Synod uses.
        #[error("the public key of node {name:?} is not on P-256", name = name.as_str())]
        NodeKeyRefused {
            /// The node's name.
            name: Name,
        } => "give the key as the node printed it (SubjectPublicKeyInfo)",
        /// Two nodes would have one key or one address.
        #[error("node {node} has the same {what}")]
        NodeTaken {
            /// The node that has it.
            node: NodeId,
            /// `key` or `address`.
            what: &'static str,
        } => "each node has a key and an address of its own",
        /// There would be too many nodes.
        #[error("there would be {count} nodes; 1 to {} are allowed", synod_types::limits::NODES_MAX)]
        NodeCount {
            /// How many.
            count: usize,
        } => "add or remove nodes in the same proposal",
        /// Those that stay could not go on without those that come.
        #[error("{kept} of {before} nodes would stay as they are, under their keys: too few to go on if no other one comes")]
        TooFewNodesStay {
            /// How many stay, with their keys.
            kept: usize,
            /// How many there are.
            before: usize,
        } => "do it in several decisions: add nodes first, and remove or replace others once those take part; of three nodes or more a majority stays each time",
        /// A node's owner would be no actor.
        #[error("node {node} ({name:?}) would belong to nobody: {owner} is no actor", name = name.as_str())]
        NodeWithoutOwner {
            /// The node.
            node: NodeId,
            /// Its name.
            name: Name,
            /// Its owner.
            owner: ActorId,
        } => "remove the node, or give it another owner, in the same proposal",
        /// Nothing would be different.
        #[error("this changes nothing")]
        NothingChanges => "leave the action out",
        /// There is no such adapter.
        #[error("the network has no adapter {name:?}", name = name.as_str())]
        NoSuchAdapter {
            /// Its name.
            name: Name,
        } => "the adapters are those of genesis",
        /// An adapter would not take its settings. Carrying a proposal out never comes to this, since governance cannot read
        /// settings: nodes ask their adapters before they hand a proposal on.
        #[error("adapter {name:?} refuses the settings: {why}", name = name.as_str())]
        AdapterRefuses {
            /// The adapter.
            name: Name,
            /// The adapter's reason.
            why: String,
        } => "start from the settings in `synod constitution show`, and change what the adapter can change",
        /// A measurement has another size.
        #[error("a measurement has 32, 48 or 64 bytes, not {size}")]
        MeasurementSize {
            /// Its size.
            size: usize,
        } => "give the measurement as `synod code measure` prints it",
        /// There is no such entry.
        #[error("there is no such {what}")]
        NoSuchEntry {
            /// What it would be.
            what: &'static str,
        } => "list them with `synod constitution show`",
        /// A table would have too many entries.
        #[error("there would be too many {what}")]
        TooManyEntries {
            /// Of what.
            what: &'static str,
        } => "remove entries that are no longer needed in the same proposal",
        /// A policy makes no sense.
        #[error("the policy for {of} makes no sense: {why}")]
        PolicyMalformed {
            /// What it is for.
            of: Name,
            /// What is wrong.
            why: PolicyRefused,
        } => "thresholds count members: at least one, and no more than there are",
        /// A policy could not be fulfilled even if all members accepted.
        #[error("the policy for {of} ({policy}) could never be fulfilled by the {members} members there would be")]
        PolicyUnreachable {
            /// What it is for.
            of: Name,
            /// The policy.
            policy: String,
            /// How many members there would be.
            members: usize,
        } => "change the policy in the same proposal",
        /// A limit of automatic votes has a predicate that nothing fulfils.
        #[error("the limit of automatic votes on {kind} requires what can never hold")]
        AutoVoteMalformed {
            /// The kind of action.
            kind: ActionKind,
        } => "a list of actors or kinds names one at least, and a number of nodes is at least 1",
        /// Nobody could govern.
        #[error("there would be no member")]
        NoMember => "add a member in the same proposal",
        /// The network has two ways to order transactions.
        #[error("quorums of {commit} to commit and {election} to elect break consensus among {nodes} nodes")]
        QuorumsDoNotMeet {
            /// To commit.
            commit: u32,
            /// To elect.
            election: u32,
            /// How many nodes there would be.
            nodes: usize,
        } => "each is 1 at least and the number of nodes at most, and together they are more than the nodes",
        /// This version has majorities only.
        #[error("quorums of {commit} to commit and {election} to elect among {nodes} nodes are not majorities")]
        QuorumsNotSupported {
            /// To commit.
            commit: u32,
            /// To elect.
            election: u32,
            /// How many nodes there would be.
            nodes: usize,
        } => "this version's consensus takes majorities: leave the sizes out",
        /// This version syncs before it acknowledges.
        #[error("this version acknowledges only what is synced")]
        DurabilityNotSupported => "leave the setting out",
        /// Rules for blocks under which nothing would move.
        #[error("{what} is {value}; {range} is allowed")]
        RuleOutOfRange {
            /// The rule.
            what: &'static str,
            /// Its value.
            value: u64,
            /// What is allowed.
            range: String,
        } => "choose a value within the range",
        /// A time that makes no sense.
        #[error("{what} is {seconds} s; 1 to {PERIOD_SECONDS_MAX} are allowed")]
        PeriodOutOfRange {
            /// Of what.
            what: &'static str,
            /// Its seconds.
            seconds: u64,
        } => "choose a time within the range, or leave it out for the default",
        /// A node names code that members did not approve.
        #[error("the code that node {name:?} names is not approved", name = name.as_str())]
        CodeNotApproved {
            /// The node.
            name: Name,
        } => "approve the measurement in the same proposal, before the node",
        /// A node names a platform that members did not allow.
        #[error("the platform {platform:?} that node {name:?} names is not allowed", name = name.as_str())]
        PlatformNotAllowed {
            /// The node.
            name: Name,
            /// The platform.
            platform: Platform,
        } => "set a rule for the platform in the same proposal, before the node",
    }
}

/// A reason, and the action that it is about: its place in the proposal from 0, or `None` if it is about what all of
/// them together would leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionReason {
    /// The place of the action.
    pub action: Option<usize>,
    /// The reason.
    pub reason: Reason,
}

impl std::fmt::Display for ActionReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.action {
            Some(place) => write!(f, "action {}: {}", place + 1, self.reason),
            None => self.reason.fmt(f),
        }
    }
}

/// Reasons as they stay on record.
pub(crate) fn notes(reasons: &[ActionReason]) -> List<Note, REASONS_MAX> {
    let note = |reason: &ActionReason| Note::lossy(&format!("{}: {reason}", reason.reason.code()));
    List::new(reasons.iter().take(REASONS_MAX).map(note).collect()).expect("cut to as many as are kept")
}

coded! {
    /// Why a request is refused. Nothing was written.
    pub enum Refused {
        /// What was signed is not a statement, or not this one.
        #[error("the signed statement is refused: {why}")]
        Statement {
            /// What is wrong with it.
            why: StatementRefused,
        } => "sign what `synod ballot prepare` or `synod proposal prepare` printed, without changing it",
        /// Who signed does not speak for an actor.
        #[error("the signer's certificate is refused: {why}")]
        Identity {
            /// What is wrong with it.
            why: IdentityRefused,
        } => "sign with a leaf under the actor's certificate that is valid now and fits the actor's pins",
        /// Somebody submits what another actor signed.
        #[error("this was signed by another actor than the one that submits it")]
        SignerIsNotCaller => "each actor submits its own statements",
        /// It was signed for another network.
        #[error("this was signed for another network")]
        OtherNetwork => "prepare the statement against this network",
        /// Who was removed, or never was let in, asks for nothing.
        #[error("{id} is no actor of this network")]
        NotAnActor {
            /// Who.
            id: ActorId,
        } => "ask a member to propose you",
        /// Only members vote, and have standing rules.
        #[error("{id} is not a member")]
        NotAMember {
            /// Who.
            id: ActorId,
        } => "only members vote; a participant can ask a member",
        /// The constitution lets only members propose this.
        #[error("action {place}: only members may propose {kind}, or this one is not about the proposer")]
        MayNotPropose {
            /// The place of the action, from 1.
            place: usize,
            /// Its kind.
            kind: ActionKind,
        } => "ask a member to propose it; a participant proposes its own nodes only",
        /// A proposal without actions.
        #[error("the proposal has no action")]
        NoActions => "name at least one action",
        /// Actions of it are refused, or what they would leave behind.
        #[error("the proposal is refused: {}", listed(reasons))]
        Actions {
            /// All reasons.
            reasons: Vec<ActionReason>,
        } => "each reason has a hint of its own",
        /// It was submitted before.
        #[error("this is proposal {id} already")]
        ProposalKnown {
            /// Its id.
            id: ProposalId,
        } => "vote on it; to propose the same again, prepare it anew",
        /// Too many are open.
        #[error("as many proposals of members, or of participants, are open already as may be")]
        TooManyOpen => "vote on open proposals, or withdraw some",
        /// Too many of this actor are open.
        #[error("this actor has as many proposals open already as a member, or a participant, may have")]
        TooManyOpenOfActor => "withdraw some, or have them decided",
        /// Too many were proposed today.
        #[error("this participant has proposed {PROPOSALS_A_DAY_MAX} times today")]
        TooManyToday => "propose tomorrow, or ask a member to propose it",
        /// It would be closed at once.
        #[error("the proposal would expire before it is submitted, or in more than ten years")]
        ExpiryOutOfRange => "give a later time, or none",
        /// There is no such proposal.
        #[error("there is no proposal {id}")]
        NoSuchProposal {
            /// The id.
            id: ProposalId,
        } => "list the proposals with `synod proposal list`",
        /// The statement names another proposal's digest.
        #[error("this was signed for another proposal than {id}")]
        OtherProposal {
            /// The id that it names.
            id: ProposalId,
        } => "prepare the ballot again, and compare the proposal's digest",
        /// It is decided already.
        #[error("proposal {id} is closed: {status:?}")]
        ProposalClosed {
            /// The id.
            id: ProposalId,
            /// Where it stands.
            status: Status,
        } => "show it with `synod proposal show`",
        /// The same again, or an older ballot.
        #[error("this member has voted on proposal {id} already: the counter {counter} is not above {last}, or the choice is the same")]
        AlreadyVoted {
            /// The id.
            id: ProposalId,
            /// The counter of this ballot.
            counter: u64,
            /// The counter of the ballot that counts.
            last: u64,
        } => "to change a vote, prepare a new ballot with the other choice",
        /// Only who proposed can withdraw.
        #[error("proposal {id} is another actor's")]
        NotTheProposer {
            /// The id.
            id: ProposalId,
        } => "vote against it",
        /// The standing rule is beyond the constitution's limits, or makes no sense.
        #[error("the standing rule is refused: {why}")]
        Rule {
            /// What is wrong with it.
            why: RuleRefused,
        } => "show the limits of automatic votes with `synod constitution show`",
        /// It is registered already.
        #[error("this standing rule is registered already")]
        RuleKnown => "nothing needs to be done",
        /// There is none to remove.
        #[error("this member has no such standing rule")]
        NoSuchRule => "list them with `synod rule list`",
        /// Too many rules.
        #[error("a member has at most {STANDING_RULES_MAX} standing rules")]
        TooManyRules => "remove one first",
        /// An older statement.
        #[error("the counter {counter} is not above {last}, that of the newest statement")]
        CounterNotAbove {
            /// The counter of this one.
            counter: u64,
            /// The counter of the newest one.
            last: u64,
        } => "prepare the statement again",
        /// A revocation list that is not newer, or not of this actor.
        #[error("the revocation list is refused: {why}")]
        Crl {
            /// What is wrong with it.
            why: IdentityRefused,
        } => "sign the list with the actor's own certificate, under a higher number",
        /// Nothing has expired.
        #[error("no open proposal has expired")]
        NothingExpired => "nothing needs to be done",
        /// Another version of the code wrote the tables.
        #[error("the governance table {map} cannot be read")]
        Unreadable {
            /// The map.
            map: String,
        } => "this is a defect of the service or its upgrade; show the log to its developers",
    }
}

fn listed(reasons: &[ActionReason]) -> String {
    let texts: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl From<EntryRefused> for Refused {
    fn from(refused: EntryRefused) -> Self {
        Self::Unreadable { map: refused.map.to_string() }
    }
}

impl From<StatementRefused> for Refused {
    fn from(why: StatementRefused) -> Self {
        Self::Statement { why }
    }
}

impl From<IdentityRefused> for Refused {
    fn from(why: IdentityRefused) -> Self {
        Self::Identity { why }
    }
}
