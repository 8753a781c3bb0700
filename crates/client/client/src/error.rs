//! What can go wrong for a client, and what the user can do about it.

use std::io;
use std::path::PathBuf;

use synod_types::NodeId;

use crate::LinkError;

/// Why a client could not be made, or a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file could not be read.
    #[error("cannot read the {what} {}", path.display())]
    FileUnreadable {
        /// What the file holds.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("the {what} {} is not valid: {reason}", path.display())]
    FileNotValid {
        /// What the file should hold.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates or keys that TLS refuses.
    #[error("the certificates cannot be used for TLS")]
    CertificatesRefused(#[source] rustls::Error),
    /// A private key that signs no statements.
    #[error("the private key cannot sign")]
    KeyRefused(#[source] rustls::Error),
    /// The network has no node to ask.
    #[error("the network file lists no node")]
    NoNodes,
    /// No node answered in the time that the client retries.
    #[error("no node answered within {within:?}; the last one asked was node {node}")]
    NoNodeAnswered {
        /// For how long the client tried.
        within: std::time::Duration,
        /// The last node asked.
        node: NodeId,
        /// What went wrong there.
        source: LinkError,
    },
    /// A node answered that the request was not done.
    #[error("node {node} refused: {message}")]
    Refused {
        /// The node that answered.
        node: NodeId,
        /// The HTTP status.
        status: u16,
        /// What the node said.
        message: String,
        /// What the node says to do next.
        hint: Option<String>,
    },
    /// A node answered something that a node of this network would not.
    #[error("node {node} answered with {what}")]
    AnswerNotUnderstood {
        /// The node that answered.
        node: NodeId,
        /// What was wrong with the answer.
        what: String,
    },
}

impl ClientError {
    /// What to do next, in the form that follows `hint:`.
    pub fn hint(&self) -> &str {
        match self {
            Self::FileUnreadable { .. } => {
                "set SYNOD_NODES (or --nodes) to the network.json that synod sandbox wrote, or to its directory"
            }
            Self::FileNotValid { .. } => "let synod sandbox write the file anew, or see synod node status --help",
            Self::CertificatesRefused(_) => {
                "check that certificate and key belong together: those of --identity, or of the network file"
            }
            Self::KeyRefused(_) => "sign with a key on P-256 or P-384, or an Ed25519 key",
            Self::NoNodes => "list at least one node in the network file",
            Self::NoNodeAnswered { .. } => {
                "check with synod node status which nodes run; start them with synod sandbox --dir"
            }
            Self::Refused { hint, .. } => hint.as_deref().unwrap_or("the message says what the node did not accept"),
            Self::AnswerNotUnderstood { .. } => "check that client and nodes are of one version",
        }
    }
}
