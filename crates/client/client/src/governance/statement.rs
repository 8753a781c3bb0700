//! Making statements, and checking those of others.

use rustls_pki_types::CertificateDer;
use serde::Deserialize as _;
use synod_crypto::statement::Unsigned;
use synod_crypto::{Algorithm, Certificate};
use synod_governance::bounded::{Blob, List, Note};
use synod_governance::document::Document;
use synod_governance::statement::proposal_digest;
use synod_governance::{Action, Constitution, ProposalBody};
use synod_types::{ActorId, Digest};

use super::{ConstitutionView, GovernanceError, ProposalView};

/// Who speaks in which network: what a statement has to name.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The network.
    pub network: Digest,
    /// The actor for whom the certificates speak.
    pub actor: ActorId,
    /// The certificates, leaf first, up to and with the actor's.
    pub chain: Vec<Vec<u8>>,
    /// The constitution in force.
    pub constitution: Constitution,
}

impl Speaker {
    /// The actor of this constitution for whom `certificates`, leaf first, speak: the one nearest to the leaf. If they
    /// speak for none, the last one is taken; a node will say what it thinks of that.
    ///
    /// # Errors
    /// If the node's answer holds no constitution, or there is no certificate.
    pub fn new(view: &ConstitutionView, certificates: &[CertificateDer<'_>]) -> Result<Self, GovernanceError> {
        let not = |why: String| GovernanceError::AnswerNotUnderstood { why };
        let network = Digest::from_hex(&view.network).ok_or_else(|| not("the network's id is none".into()))?;
        let document = Document::parse(&view.toml).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            not(format!("the constitution cannot be read: {first}"))
        })?;
        let constitution = document.constitution().clone();
        let ids: Vec<_> = certificates
            .iter()
            .map(|der| Certificate::from_der(der.to_vec()).map(|certificate| certificate.actor_id()))
            .collect::<Result<_, _>>()
            .map_err(|refused| not(format!("the own certificates cannot be read: {refused}")))?;
        let place = ids.iter().position(|id| constitution.name_of(id).is_some()).or(ids.len().checked_sub(1));
        let place = place.ok_or_else(|| not("there is no certificate to speak with".into()))?;
        let chain = certificates[..=place].iter().map(|der| der.to_vec()).collect();
        Ok(Self { network, actor: ids[place], chain, constitution })
    }
}

/// A signature that is not the signer's on this statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit the statement and the signer's certificate")]
pub struct SignatureRefused;

/// Joins a statement and its signature: `r || s`, or the DER form in which most tools and HSMs give it.
///
/// # Errors
/// If it is not the signature of the certificate's key on the statement.
pub fn finish(unsigned: &Unsigned, signature: &[u8]) -> Result<Vec<u8>, SignatureRefused> {
    let leaf =
        unsigned.chain.first().and_then(|der| Certificate::from_der(der.clone()).ok()).ok_or(SignatureRefused)?;
    let message = unsigned.to_be_signed();
    let fits = |signature: &Vec<u8>| unsigned.algorithm.verify(leaf.spki_der(), &message, signature).is_ok();
    let forms = [Some(signature.to_vec()), fixed_size(unsigned.algorithm, signature)];
    let signature = forms.into_iter().flatten().find(fits).ok_or(SignatureRefused)?;
    Ok(unsigned.assemble(&signature))
}

/// An ECDSA signature in DER (RFC 3279, section 2.2.3) as COSE has it: both numbers in full size.
pub(crate) fn fixed_size(algorithm: Algorithm, der: &[u8]) -> Option<Vec<u8>> {
    let size = match algorithm {
        Algorithm::Es256 => 32,
        Algorithm::Es384 => 48,
        Algorithm::EdDsa => return None,
    };
    let mut numbers = element(0x30, &mut { der }).filter(|(_, rest)| rest.is_empty())?.0;
    let mut out = Vec::with_capacity(2 * size);
    for _ in 0..2 {
        let (number, rest) = element(0x02, &mut { numbers })?;
        let digits = number.strip_prefix(&[0]).unwrap_or(number);
        out.resize(out.len() + size.checked_sub(digits.len())?, 0);
        out.extend_from_slice(digits);
        numbers = rest;
    }
    numbers.is_empty().then_some(out)
}

/// The content of a DER element of less than 128 bytes, and what follows it.
fn element<'a>(tag: u8, input: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let rest = input.strip_prefix(&[tag])?;
    let (size, rest) = rest.split_first()?;
    (*size < 0x80).then(|| rest.split_at_checked(usize::from(*size))).flatten()
}

/// A node shows another proposal than the one that its digest names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the node shows is not what the proposer signed: {what}")]
pub struct TamperedProposal {
    /// What is wrong.
    pub what: &'static str,
}

/// Puts together what the proposer of `view` signed, and checks that its digest is the one that ballots name.
///
/// # Errors
/// If it is not: then nothing that the node says of the proposal is to be relied on.
pub fn check_proposal(view: &ProposalView, network: &Digest) -> Result<ProposalBody, TamperedProposal> {
    let not = |what| TamperedProposal { what };
    let summary = &view.summary;
    let actions = view.actions.iter().map(|action| Action::deserialize(action).map_err(|_| not("an action is none")));
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    let body = ProposalBody {
        proposer: ActorId::from_hex(&summary.proposer).ok_or(not("the proposer is none"))?,
        nonce: Blob::from_hex(&view.nonce).ok_or(not("the nonce is none"))?,
        actions: List::new(actions).map_err(|_| not("there are too many actions"))?,
        expires: view.expires_signed,
        note: Note::new(summary.note.clone()).map_err(|_| not("the note is none"))?,
    };
    if proposal_digest(network, &body).to_hex() != summary.digest {
        return Err(not("its digest is another"));
    }
    Ok(body)
}
