//! What can go wrong, and how each protocol says it.

use bytes::Bytes;
use serde::Serialize;
use synod_worker::{ContentType, Reply};

/// A record in the adapter's maps that does not decode: another version wrote it, or the state is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored {0} does not decode")]
pub(crate) struct StateDamaged(pub(crate) &'static str);

impl revm::database_interface::DBErrorMarker for StateDamaged {}

/// A refusal outside JSON-RPC: an HTTP status and the JSON error object of Synod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpError {
    status: u16,
    code: &'static str,
    message: String,
    hint: &'static str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    code: &'a str,
    message: &'a str,
    hint: &'a str,
}

impl HttpError {
    /// A refusal with this status and code.
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>, hint: &'static str) -> Self {
        Self { status, code, message: message.into(), hint }
    }

    /// The request is not of the form that its path asks for.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message, "see the EVM adapter's reference for the form of this request")
    }

    /// No instance has this name.
    pub(crate) fn instance_unknown(name: &str) -> Self {
        Self::new(
            404,
            "InstanceUnknown",
            format!("there is no EVM instance {name}"),
            "GET /app/evm lists the instances",
        )
    }

    /// The refusal as a reply.
    pub(crate) fn reply(&self) -> Reply {
        let error = Content { code: self.code, message: &self.message, hint: self.hint };
        let body = serde_json::to_vec(&Envelope { error }).expect("strings serialise");
        Reply::new(self.status, ContentType::Json, Bytes::from(body))
    }
}

impl From<StateDamaged> for HttpError {
    fn from(damaged: StateDamaged) -> Self {
        Self::new(500, "StateDamaged", damaged.to_string(), "compare this node's software version with the others'")
    }
}
