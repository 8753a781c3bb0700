//! One command's conversation with a network, as one actor.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;
use synod_client::governance::{Answer, Governance, GovernanceError, Refusal, Speaker, Submitted, finish};
use synod_client::{Client, Identity, Network};
use synod_governance::bounded::Blob;
use synod_governance::statement::{Body, StatementRefused, Unsigned, prepare};
use synod_governance::{Request, Statement};
use synod_types::Time;

use crate::cli::GovernArgs;
use crate::failure::{Failure, Hint};
use crate::output;

/// A network's governance, and who asks.
pub struct Session {
    pub governance: Governance,
    identity: Identity,
}

impl Session {
    /// Reads the files that `args` name. It connects when it is first used.
    ///
    /// # Errors
    /// If one of them is of no use.
    pub fn open(args: &GovernArgs) -> Result<Self, Failure> {
        let mut network = Network::load(&args.network.network)?;
        if let Some(path) = &args.identity {
            let hint = "name PATH.crt and PATH.key with --identity, without an extension, as in members/member-1";
            network.identity = Identity::load_pair(path).hint(hint)?;
        }
        let identity = network.identity.clone();
        Ok(Self { governance: Governance::new(&Client::new(network)?), identity })
    }

    /// For whom the identity speaks; or the certificates of the file `signer`.
    ///
    /// # Errors
    /// If no node answers, or the file holds no certificate.
    pub async fn speaker(&self, signer: Option<&Path>) -> Result<Speaker, Failure> {
        let constitution = self.governance.constitution().await?.view;
        let Some(path) = signer else { return Ok(Speaker::new(&constitution, self.identity.certificates())?) };
        let hint = format!("name the certificate of the key that signs, not {}", path.display());
        let text = fs::read(path).hint(hint.clone())?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::new(format!("{} holds no certificates: {error}", path.display()), hint))?;
        Ok(Speaker::new(&constitution, &certificates)?)
    }

    /// Signs `body` with the identity's key.
    ///
    /// # Errors
    /// If the key signs no statements.
    pub fn sign<B: Body>(&self, body: &B, speaker: &Speaker) -> Result<Statement, Failure> {
        let unsigned = unsigned(body, speaker)?;
        let signature = self.identity.sign(&unsigned.to_be_signed())?;
        let bytes = finish(&unsigned, &signature).hint("check that the identity's .crt and .key belong together")?;
        statement(bytes)
    }

    /// Submits `request`, and says what it did.
    ///
    /// # Errors
    /// If it is refused, or no node answers.
    pub async fn submit(&self, request: &Request) -> Result<Answer<Submitted>, Failure> {
        Ok(self.governance.submit(request).await?)
    }

    /// Submits what is about a proposal, and prints where that stands then.
    ///
    /// # Errors
    /// If it is refused, or no node answers.
    pub async fn submit_on_proposal(&self, request: &Request, json: bool) -> Result<(), Failure> {
        let answer = self.submit(request).await?;
        let txid = txid_of(&answer)?;
        let Submitted { proposal: Some(id), status: Some(status) } = &answer.view else {
            return Err(Failure::new("the node did not say which proposal this was", MISMATCH));
        };
        if json {
            return output::json(&json!({"proposal": id, "status": status, "txid": txid}));
        }
        if status == "Failed" {
            eprintln!("hint: synod proposal show {id} says why it failed");
        }
        output::text(&format!("proposal {id} {} at {txid}\n", status.to_lowercase()))
    }
}

/// The transaction of a write.
///
/// # Errors
/// If the node did not name it.
pub fn txid_of<T>(answer: &Answer<T>) -> Result<String, Failure> {
    let txid = answer.txid.map(|txid| txid.to_string());
    txid.ok_or_else(|| Failure::new("the node did not name the transaction", MISMATCH))
}

/// What `body` says, to be signed.
///
/// # Errors
/// If the signer's key signs no statements.
pub fn unsigned<B: Body>(body: &B, speaker: &Speaker) -> Result<Unsigned, Failure> {
    let made: Result<_, StatementRefused> = prepare(body, speaker.network, now(), speaker.chain.clone());
    made.hint("sign with a certificate whose key is on P-256 or P-384, or Ed25519")
}

/// Signed bytes as requests hold them.
///
/// # Errors
/// If they are too many.
pub fn statement(bytes: Vec<u8>) -> Result<Statement, Failure> {
    Blob::new(bytes).hint("propose less at once")
}

/// This machine's time.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

impl From<GovernanceError> for Failure {
    fn from(error: GovernanceError) -> Self {
        let hint = error.hint().to_owned();
        match error {
            GovernanceError::Refused(refusal) => Self::new(explained(&refusal), hint),
            GovernanceError::Client(error) => error.into(),
            other => Self::new(other, hint),
        }
    }
}

/// What the node said, and every reason with what to do about it.
fn explained(refusal: &Refusal) -> String {
    let Refusal { code, message, reasons, .. } = refusal;
    if reasons.is_empty() {
        return refusal.to_string();
    }
    // The message repeats the reasons; the list says them better.
    let message = message.split(": ").next().unwrap_or(message);
    let mut text = format!("{message} ({code})");
    for reason in reasons {
        let place = reason.action.map(|place| format!("action {}: ", place + 1)).unwrap_or_default();
        let _ = write!(text, "\n  {place}{} ({})", reason.message, reason.code);
        if let Some(hint) = &reason.hint {
            let _ = write!(text, "\n    hint: {hint}");
        }
    }
    text
}

const MISMATCH: &str = "check that client and nodes are of one version";

#[cfg(test)]
mod tests {
    use synod_client::governance::ReasonBody;

    use super::*;

    #[test]
    fn a_refusal_shows_every_reason_with_its_hint() {
        let reason = |action, code: &str| ReasonBody {
            action,
            code: code.into(),
            message: "no".into(),
            hint: Some("do".into()),
        };
        let refusal = Refusal {
            status: 422,
            code: "Actions".into(),
            message: "the proposal is refused: action 1: no; no".into(),
            hint: Some("each has one".into()),
            reasons: vec![reason(Some(0), "A"), reason(None, "B")],
        };
        let shown = Failure::from(GovernanceError::Refused(refusal)).to_string();
        assert_eq!(
            shown,
            "error: the proposal is refused (Actions)\n  action 1: no (A)\n    hint: do\n  no (B)\n    hint: do\n\
             hint: each has one\n"
        );
    }
}
