//! One request of a JSON-RPC body, read as the nodes read it.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// One request of a body.
pub enum Item<'a> {
    /// A request that is worked off.
    Call {
        /// Nothing for a notification, which is worked off and not answered.
        id: Option<&'a RawValue>,
        /// What to do.
        method: Cow<'a, str>,
        /// With what.
        params: Option<&'a RawValue>,
    },
    /// No JSON-RPC request, or one under an id that the nodes refuse: it is answered, and nothing is done.
    Refused(&'a RawValue),
}

impl<'a> Item<'a> {
    /// Reads one request.
    pub fn read(json: &'a RawValue) -> Self {
        match serde_json::from_str(json.get()) {
            Ok(Call { id, method: Some(method), params }) if id.is_none_or(is_scalar) => {
                Self::Call { id, method, params }
            }
            _ => Self::Refused(json),
        }
    }

    /// Whether the method is one of these.
    pub fn is_one_of(&self, methods: &[&str]) -> bool {
        matches!(self, Self::Call { method, .. } if methods.contains(&method.as_ref()))
    }

    /// Whether the nodes answer it.
    pub const fn is_answered(&self) -> bool {
        !matches!(self, Self::Call { id: None, .. })
    }
}

/// The requests of a body, one or many; `None` if it is not JSON.
pub fn split(body: &[u8]) -> Option<Body<'_>> {
    match serde_json::from_slice(body) {
        Ok(items) => Some(Body { items, is_batch: true }),
        Err(_) => Some(Body { items: vec![serde_json::from_slice(body).ok()?], is_batch: false }),
    }
}

/// A body, taken apart.
pub struct Body<'a> {
    /// Its requests.
    pub items: Vec<&'a RawValue>,
    /// Whether they came as an array.
    pub is_batch: bool,
}

/// Whether `body` has one of these names anywhere: a quick look before parsing. A name that is written with
/// escapes is not found, and left to the nodes.
pub fn mentions(body: &[u8], names: &[&str]) -> bool {
    let finds = |at: usize| names.iter().any(|name| body[at..].starts_with(name.as_bytes()));
    body.iter().enumerate().any(|(at, byte)| *byte == b'e' && finds(at))
}

/// A request as the nodes read it.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(default, borrow, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

/// Null is not the same as nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn is_scalar(json: &RawValue) -> bool {
    !json.get().starts_with(['{', '['])
}
