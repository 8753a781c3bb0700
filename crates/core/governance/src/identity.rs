//! Who speaks: from a chain of certificates to an actor.
//!
//! An actor is an X.509 certificate, usually an organisation's intermediate CA. Any leaf under it that fits the
//! actor's pins speaks for the actor, so that a leaf's roll-over needs no vote; the organisation takes a leaf back by a
//! revocation list signed with the actor's certificate. A presented chain contains the actor's certificate; if it
//! contains those of two actors (an organisation and one of its departments), the one nearer to the leaf speaks.

use synod_crypto::chain::{self, ChainRefused, Leaf};
use synod_crypto::sha256;
use synod_kv::{KeyCodec, State};
use synod_types::{ActorId, Digest, Seqno, Time};

use crate::bounded::Name;
use crate::entries::{ActorEntry, CertificateDer, CrlEntry, Pins, Role};
use crate::limits::{CERTIFICATE_BYTES_MAX, CHAIN_CERTIFICATES_MAX};
use crate::tables::{ACTORS, REVOKED, Read, Tables};

/// An actor who has proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The actor.
    pub actor: ActorId,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the public key that proved it: the leaf's.
    pub key: Digest,
    /// Until when the chain is valid.
    pub valid_until: Time,
}

/// Why a chain speaks for nobody, or not for this actor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRefused {
    /// The chain is not acceptable.
    #[error(transparent)]
    Chain(#[from] ChainRefused),
    /// More certificates, or larger ones, than are read.
    #[error("a chain has at most {CHAIN_CERTIFICATES_MAX} certificates of {CERTIFICATE_BYTES_MAX} bytes")]
    ChainTooLarge,
    /// No actor's certificate is the first of the chain, or one to which signatures lead from there.
    #[error("the chain leads to no certificate of an actor")]
    UnknownActor,
    /// The leaf lacks what the actor pinned.
    #[error("the leaf lacks the {what} that the actor pins")]
    Pin {
        /// What it lacks.
        what: &'static str,
    },
    /// The key is of a kind that signs nothing here.
    #[error("the key is not on P-256, on P-384, or Ed25519")]
    KeyKind,
    /// A revocation list is not newer than the one that is registered.
    #[error("the number {number} is not above {last}, that of the list that is registered")]
    CrlNotNewer {
        /// Its number.
        number: u64,
        /// The registered list's.
        last: u64,
    },
}

/// Finds the actor for whom `presented`, leaf first, speaks at ledger time `at`.
///
/// # Errors
/// The inner error says why it speaks for nobody; the outer that the tables cannot be read.
pub fn identify(tables: Tables<'_>, presented: &[Vec<u8>], at: Time) -> Read<Result<Caller, IdentityRefused>> {
    Ok(match speaker(tables, presented, at)? {
        Ok((actor, entry, leaf)) => {
            Ok(Caller { actor, role: entry.role, key: sha256(&[&leaf.spki]), valid_until: leaf.valid_until })
        }
        Err(refused) => Err(refused),
    })
}

/// What [`identify`] says of a chain, besides the time: by which transactions the tables know its certificates. While
/// they are the same, so is the answer, and it need not be worked out again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grounds(Vec<(Option<Seqno>, Option<Seqno>)>);

impl Grounds {
    /// Of a chain whose certificates have the keys of `ids`.
    pub fn of(state: &State, ids: &[ActorId]) -> Self {
        let written = |id: &ActorId| {
            let key = id.key_bytes();
            (state.version(ACTORS.name(), &key), state.version(REVOKED.name(), &key))
        };
        Self(ids.iter().map(written).collect())
    }
}

/// The last transactions that wrote anything on which [`Grounds`] rest: by them it is seen at once, and without any
/// certificate, that what a chain said at an earlier transaction still holds.
///
/// A chain says something else only after its actor's entry was written, or another that makes a nearer certificate an
/// actor's, or its actor's revocation list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastChange {
    actors: Seqno,
    any: Seqno,
}

impl LastChange {
    /// In these tables.
    pub fn of(state: &State) -> Self {
        let actors = state.newest(ACTORS.name()).unwrap_or_default();
        Self { actors, any: actors.max(state.newest(REVOKED.name()).unwrap_or_default()) }
    }

    /// Whether `state`, of which this is, may say something else of chains of `actor` than the tables after `seqno`. An
    /// actor that was removed has no entry to be found here: ask for it apart.
    pub fn is_after(&self, seqno: Seqno, state: &State, actor: &ActorId) -> bool {
        // Lists of others change nothing, and whoever registers one after the other must not hold others up.
        seqno < self.any && (seqno < self.actors || Some(seqno) < state.version(REVOKED.name(), &actor.key_bytes()))
    }
}

/// As [`identify`], with the actor's entry and the leaf.
pub(crate) fn speaker(
    tables: Tables<'_>,
    presented: &[Vec<u8>],
    at: Time,
) -> Read<Result<(ActorId, ActorEntry, Leaf), IdentityRefused>> {
    if presented.len() > CHAIN_CERTIFICATES_MAX || presented.iter().any(|der| der.len() > CERTIFICATE_BYTES_MAX) {
        return Ok(Err(IdentityRefused::ChainTooLarge));
    }
    let mut refused = IdentityRefused::UnknownActor;
    for der in presented {
        let Ok(certificate) = synod_crypto::Certificate::from_der(der.clone()) else {
            return Ok(Err(ChainRefused::Malformed { what: "certificate" }.into()));
        };
        let id = certificate.actor_id();
        let Some(entry) = tables.actor(&id)? else { continue };
        let crl = tables.revoked(&id)?;
        match verify(&entry, presented, at, crl.as_ref()) {
            // The order in which a chain is presented is its holder's choice, so what counts is the way that was
            // verified: whoever stands on it is nearer to the leaf.
            Ok(leaf) if !any_is_actor(tables, &leaf.sub_cas)? => return Ok(Ok((id, entry, leaf))),
            Ok(_) => {}
            // Who has nothing to do with the actor does not hear that it is one, whatever else is wrong with what it shows.
            Err(why) if refused == IdentityRefused::UnknownActor => {
                if chain::leads_to(entry.certificate.as_slice(), presented) {
                    refused = why;
                }
            }
            Err(_) => {}
        }
    }
    Ok(Err(refused))
}

fn any_is_actor(tables: Tables<'_>, keys: &[Digest]) -> Read<bool> {
    for key in keys {
        if tables.actor(&ActorId(key.0))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Checks that `presented`, leaf first, speaks for this actor at ledger time `at`.
///
/// # Errors
/// The first thing that is wrong.
pub fn verify(
    entry: &ActorEntry,
    presented: &[Vec<u8>],
    at: Time,
    crl: Option<&CrlEntry>,
) -> Result<Leaf, IdentityRefused> {
    let leaf = chain::verify(entry.certificate.as_slice(), presented, at, crl.map(|crl| &crl.der[..]))?;
    check_leaf(&entry.pins, &leaf)?;
    if synod_crypto::Algorithm::of_spki(&leaf.spki).is_none() {
        return Err(IdentityRefused::KeyKind);
    }
    Ok(leaf)
}

/// Of each kind of pin that there is, one has to fit.
fn check_leaf(pins: &Pins, leaf: &Leaf) -> Result<(), IdentityRefused> {
    let has = |of: &[String], name: &Name| of.iter().any(|text| text == name.as_str());
    let checks = [
        ("subject alternative name", pins.san.is_empty() || pins.san.iter().any(|name| has(&leaf.names, name))),
        (
            "organisational unit",
            pins.organizational_unit.is_empty() || pins.organizational_unit.iter().any(|unit| has(&leaf.units, unit)),
        ),
        (
            "certificate policy",
            pins.policy_oid.is_empty() || pins.policy_oid.iter().any(|oid| has(&leaf.policies, oid)),
        ),
        (
            "issuing sub-CA",
            pins.sub_ca.is_empty()
                || pins.sub_ca.iter().any(|pin| leaf.sub_cas.iter().any(|digest| digest.0[..] == pin[..])),
        ),
    ];
    match checks.into_iter().find(|(_, fits)| !fits) {
        Some((what, _)) => Err(IdentityRefused::Pin { what }),
        None => Ok(()),
    }
}

/// Checks that a certificate can be an actor's at ledger time `at`.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_actor_certificate(certificate: &CertificateDer, at: Time) -> Result<(), IdentityRefused> {
    Ok(chain::check_anchor(certificate.as_slice(), at)?)
}

/// Checks a revocation list that the actor registers at ledger time `at`; returns its number.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check_crl(
    entry: &ActorEntry,
    known: Option<&CrlEntry>,
    der: &[u8],
    at: Time,
) -> Result<u64, IdentityRefused> {
    let number = chain::check_crl(entry.certificate.as_slice(), der, at)?;
    match known {
        Some(known) if number <= known.number => Err(IdentityRefused::CrlNotNewer { number, last: known.number }),
        _ => Ok(number),
    }
}
