//! Errors as clients see them: a status and `{"error": {"code", "message", "hint"}}`.

use synod_node::Refusal;
use synod_worker::Reply;

/// An error that a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    /// The kind, in CamelCase: stable, for programs.
    pub code: &'static str,
    /// What happened, for people.
    pub message: String,
    /// What to do next.
    pub hint: &'static str,
}

impl Failure {
    /// An error with these words.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { status, code, message: message.into(), hint }
    }

    /// The answer that tells it.
    pub fn reply(&self) -> Reply {
        let body = serde_json::json!({
            "error": { "code": self.code, "message": self.message, "hint": self.hint }
        });
        Reply::json(self.status, body.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (status, code, hint) = match refusal {
            Refusal::TooManyPending => {
                (503, "TooManyPending", "wait a moment, then send it again under the same request id")
            }
            Refusal::NotAuthorized => (403, "NotAuthorized", "ask the members to admit this certificate's key"),
            Refusal::NoLeader => (503, "NoLeader", "send it again under the same request id; it is done once at most"),
            Refusal::CallCountNotAllowed => (400, "CallCountNotAllowed", "send at least one call, and at most 1000"),
            Refusal::NotCommitted => (404, "NotCommitted", "ask GET /node/tx/<txid> what became of it"),
            Refusal::LedgerUnreadable => {
                (500, "LedgerUnreadable", "ask another node, and the operator to look at this one's disk")
            }
            Refusal::Stopping => (503, "Stopping", "send it to another node under the same request id"),
            Refusal::NodeRemoved => (
                503,
                "NodeRemoved",
                "members have removed this node: send it to another one, under the same request id",
            ),
            Refusal::Starting => (503, "Starting", "ask another node, or wait a moment"),
            Refusal::ProveAnew => {
                (503, "ProveAnew", "send it again under the same request id: this attempt did nothing")
            }
            Refusal::RequestIdReused => (
                422,
                "RequestIdReused",
                "give each request an id of its own; only a retry of the same request has the same",
            ),
            Refusal::TooLarge => (413, "TooLarge", "split the request"),
            Refusal::NoSuchAdapter => {
                (404, "NoSuchAdapter", "the path is /app/<adapter>/…, with an adapter of this network")
            }
        };
        Self::new(status, code, refusal.to_string(), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_json_whatever_its_words_are() {
        let reply = Failure::new(400, "Odd", "a \"quoted\"\nword", "try").reply();
        assert_eq!(reply.status, 400);
        assert_eq!(&reply.body[..], br#"{"error":{"code":"Odd","hint":"try","message":"a \"quoted\"\nword"}}"#);
    }
}
