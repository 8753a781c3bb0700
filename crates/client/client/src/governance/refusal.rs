//! A node's No, with every reason.

use serde::Deserialize;

use crate::{ClientError, LinkError, Response};

/// Why a governance request has no answer, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum GovernanceError {
    /// No node answered.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A node refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection for events broke, and could not be made again.
    #[error("the stream of events broke")]
    Events(#[source] LinkError),
    /// A node answered something that a node of this network would not.
    #[error("a node's answer is not understood: {why}")]
    AnswerNotUnderstood {
        /// What was wrong with it.
        why: String,
    },
}

/// A refusal. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The kind, in CamelCase: stable, for programs.
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Every reason, if there are several.
    pub reasons: Vec<ReasonBody>,
}

/// One of several reasons.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReasonBody {
    /// The place of the action that it is about, from 0; none if it is about all of them together.
    #[serde(default)]
    pub action: Option<u64>,
    /// The kind: stable, for programs.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub hint: Option<String>,
}

impl GovernanceError {
    /// What to do next, in the form that follows `hint:`.
    pub fn hint(&self) -> &str {
        match self {
            Self::Client(error) => error.hint(),
            Self::Refused(refusal) => refusal.hint.as_deref().unwrap_or("the message says what was not accepted"),
            Self::Events(_) => "check with synod node status which nodes run",
            Self::AnswerNotUnderstood { .. } => "check that client and nodes are of one version",
        }
    }
}

impl Refusal {
    /// The refusal that `response` is.
    pub(super) fn of(response: &Response) -> Self {
        #[derive(Default, Deserialize)]
        struct Listed {
            #[serde(default)]
            reasons: Vec<ReasonBody>,
        }
        #[derive(Default, Deserialize)]
        struct Envelope {
            #[serde(default)]
            error: Listed,
            #[serde(default)]
            reasons: Vec<ReasonBody>,
        }
        let Envelope { error: Listed { reasons: inner }, reasons } =
            serde_json::from_slice(&response.body).unwrap_or_default();
        let reasons = if reasons.is_empty() { inner } else { reasons };
        let status = response.status;
        match response.error() {
            Some(error) => Self { status, code: error.code, message: error.message, hint: error.hint, reasons },
            None => Self {
                status,
                code: "Unexplained".into(),
                message: format!("a node answered with status {status}"),
                hint: None,
                reasons,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_refusal_keeps_code_message_hint_and_every_reason() {
        let reasons = r#""reasons":[{"action":1,"code":"B","message":"b","hint":"hb"},{"code":"C","message":"c"}]"#;
        for body in [
            format!(r#"{{"error":{{"code":"A","message":"a","hint":"h"}},{reasons}}}"#),
            format!(r#"{{"error":{{"code":"A","message":"a","hint":"h",{reasons}}}}}"#),
        ] {
            let refusal = Refusal::of(&Response { status: 422, txid: None, body: Bytes::from(body) });
            assert_eq!(refusal.to_string(), "a (A)");
            let second = &refusal.reasons[1];
            assert_eq!((refusal.reasons[0].action, &second.code[..], &second.hint), (Some(1), "C", &None));
        }
        let bare = Refusal::of(&Response { status: 421, txid: None, body: Bytes::from("x") });
        assert_eq!(bare.to_string(), "a node answered with status 421 (Unexplained)");
    }
}
