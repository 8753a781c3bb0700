//! What members and participants sign: proposals, withdrawals, ballots and standing rules.
//!
//! Each is a [`synod_crypto::statement`]: the header names the network, the payload is one of the bodies below, after a byte with
//! the version. To sign with an HSM: [`prepare`], sign [`Unsigned::to_be_signed`], [`Unsigned::assemble`].
//!
//! A ballot names the proposal's digest, which covers the network and everything that would be done, so that it can be
//! neither moved to another proposal nor to another network.

use synod_crypto::sha256;
use synod_crypto::statement::{SignedStatement, StatementMalformed};
use synod_types::{ActorId, Decode, DecodeError, Digest, Encode, Time};

pub use synod_crypto::statement::Unsigned;

use crate::actions::Action;
use crate::bounded::{Blob, List, Note};
use crate::execute::Request;
use crate::format::VERSION;
use crate::limits::{ACTIONS_MAX, CHAIN_CERTIFICATES_MAX, PROPOSAL_BYTES_MAX};
use crate::macros::record;
use crate::standing::StandingRule;
use crate::tables::ProposalId;
use crate::tally::Choice;

/// What a statement says.
pub trait Body: Encode + Decode {
    /// The media type in the header, so that nothing signed as one kind of statement serves as another.
    const CONTENT_TYPE: &'static str;
}

record! {
    /// A proposal.
    pub struct ProposalBody {
        /// Who proposes.
        #[serde(with = "crate::shape::actor")]
        pub proposer: ActorId,
        /// Sixteen random bytes, so that the same can be proposed again and one proposal is submitted once.
        pub nonce: Blob<16>,
        /// What to do, all or nothing, in this order.
        pub actions: List<Action, ACTIONS_MAX>,
        /// The ledger time from which on it is closed, in microseconds since the Unix epoch; `None` for the
        /// constitution's expiry, if it has one.
        pub expires: Option<u64>,
        /// Why, for people.
        pub note: Note,
    }
}

record! {
    /// A proposer takes a proposal back.
    pub struct WithdrawalBody {
        /// The proposal's id.
        pub proposal: ProposalId,
        /// The proposal's digest.
        #[serde(with = "crate::shape::digest")]
        pub digest: Digest,
    }
}

record! {
    /// A ballot.
    pub struct BallotBody {
        /// The proposal's id.
        pub proposal: ProposalId,
        /// The proposal's digest.
        #[serde(with = "crate::shape::digest")]
        pub digest: Digest,
        /// What the member says.
        pub choice: Choice,
        /// Above that of the member's last ballot on this proposal, so that an old one cannot come back. From 1.
        pub counter: u64,
    }
}

record! {
    /// A member registers a standing rule.
    pub struct RuleBody {
        /// The rule.
        pub rule: StandingRule,
        /// Above that of the member's last statement on standing rules. From 1.
        pub counter: u64,
    }
}

record! {
    /// A member removes a standing rule.
    pub struct RuleRemovalBody {
        /// The rule's digest.
        #[serde(with = "crate::shape::digest")]
        pub rule: Digest,
        /// Above that of the member's last statement on standing rules. From 1.
        pub counter: u64,
    }
}

impl Body for ProposalBody {
    const CONTENT_TYPE: &'static str = "application/vnd.synod.proposal";
}

impl Body for WithdrawalBody {
    const CONTENT_TYPE: &'static str = "application/vnd.synod.withdrawal";
}

impl Body for BallotBody {
    const CONTENT_TYPE: &'static str = "application/vnd.synod.ballot";
}

impl Body for RuleBody {
    const CONTENT_TYPE: &'static str = "application/vnd.synod.standing-rule";
}

impl Body for RuleRemovalBody {
    const CONTENT_TYPE: &'static str = "application/vnd.synod.standing-rule-removal";
}

/// Why bytes are not a statement of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefused {
    /// They are no statement.
    #[error(transparent)]
    Malformed(#[from] StatementMalformed),
    /// It is a statement of another kind.
    #[error("this was signed as {found:?}, not as {expected}")]
    OtherKind {
        /// Its media type.
        found: String,
        /// The expected one.
        expected: &'static str,
    },
    /// What it says cannot be read.
    #[error("its content cannot be read: {0}")]
    Content(#[from] DecodeError),
    /// It is in a later format.
    #[error("its content is in a format that this version does not know")]
    Version,
    /// It says more than a proposal may.
    #[error("its content takes {size} bytes; {PROPOSAL_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// The signature is not of the leaf's key.
    #[error("its signature does not fit")]
    Signature,
    /// A number or value that no statement has.
    #[error("{what}")]
    Value {
        /// What is wrong.
        what: &'static str,
    },
}

/// Makes the statement that has to be signed. `chain` is the signer's certificates, leaf first, up to and with the
/// actor's.
///
/// # Errors
/// If the leaf is no certificate, or its key of a kind that signs no statements.
pub fn prepare<B: Body>(
    body: &B,
    network: Digest,
    created_at: Time,
    chain: Vec<Vec<u8>>,
) -> Result<Unsigned, StatementRefused> {
    let leaf = chain.first().and_then(|der| synod_crypto::Certificate::from_der(der.clone()).ok());
    let algorithm = leaf.and_then(|leaf| synod_crypto::Algorithm::of_spki(leaf.spki_der()));
    let algorithm = algorithm.ok_or(StatementRefused::Value { what: "the signer's key signs no statements" })?;
    let content_type = B::CONTENT_TYPE.to_owned();
    Ok(Unsigned { algorithm, content_type, chain, created_at, network, payload: payload(body) })
}

/// The digest of a proposal: of the network and everything that it says.
pub fn proposal_digest(network: &Digest, body: &ProposalBody) -> Digest {
    sha256(&[PROPOSAL_LABEL, &network.0, &payload(body)])
}

/// The digest of a standing rule.
pub fn rule_digest(rule: &StandingRule) -> Digest {
    sha256(&[RULE_LABEL, &rule.to_bytes()])
}

/// Reads a statement of this kind; nothing about its signer is checked.
pub(crate) fn open<B: Body>(bytes: &[u8]) -> Result<(B, SignedStatement), StatementRefused> {
    let statement = SignedStatement::read(bytes, CHAIN_CERTIFICATES_MAX)?;
    let Unsigned { content_type, payload, .. } = &statement.unsigned;
    if content_type != B::CONTENT_TYPE {
        return Err(StatementRefused::OtherKind { found: content_type.clone(), expected: B::CONTENT_TYPE });
    }
    if payload.len() > PROPOSAL_BYTES_MAX {
        return Err(StatementRefused::TooLarge { size: payload.len() });
    }
    match payload.split_first() {
        Some((&VERSION, body)) => Ok((B::from_bytes(body)?, statement)),
        _ => Err(StatementRefused::Version),
    }
}

/// Whether an encoded request may be a proposal: all others are told from it by their first byte.
pub fn may_propose(request: &[u8]) -> bool {
    request.first() == Some(&PROPOSE_TAG)
}

/// The tag of [`Request::Propose`].
const PROPOSE_TAG: u8 = 0;

/// What an encoded request proposes, if it does; nothing about its signer is checked.
pub fn proposed(request: &[u8]) -> Option<ProposalBody> {
    match Request::from_bytes(request).ok()? {
        Request::Propose(statement) => Some(open(&statement).ok()?.0),
        _ => None,
    }
}

fn payload(body: &impl Encode) -> Vec<u8> {
    [&[VERSION], &body.to_bytes()[..]].concat()
}

const PROPOSAL_LABEL: &[u8] = b"synod proposal v1\0";
const RULE_LABEL: &[u8] = b"synod standing rule v1\0";
