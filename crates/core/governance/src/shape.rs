//! How identifiers of other crates look in TOML and JSON: `#[serde(with = "..")]`.

macro_rules! by_text {
    ($(#[$doc:meta])* $name:ident, $type:ty, $what:literal) => {
        $(#[$doc])*
        pub mod $name {
            use serde::de::Error as _;
            use serde::{Deserialize, Deserializer, Serializer};

            pub fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&value.to_hex())
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let text = String::deserialize(deserializer)?;
                <$type>::from_hex(&text).ok_or_else(|| D::Error::custom(concat!("not ", $what, ": 64 hexadecimal digits")))
            }
        }
    };
}

by_text! {
    /// An actor's id as 64 hexadecimal digits.
    actor, synod_types::ActorId, "an actor's id"
}
by_text! {
    /// A digest as 64 hexadecimal digits.
    digest, synod_types::Digest, "a SHA-256 digest"
}

/// Actors' ids, each as 64 hexadecimal digits.
pub mod actors {
    use serde::de::Error as _;
    use serde::ser::SerializeSeq as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use synod_types::ActorId;

    use crate::bounded::Set;

    pub fn serialize<S: Serializer, const MAX: usize>(
        actors: &Set<ActorId, MAX>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(actors.len()))?;
        actors.iter().try_for_each(|actor| items.serialize_element(&actor.to_hex()))?;
        items.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const MAX: usize>(
        deserializer: D,
    ) -> Result<Set<ActorId, MAX>, D::Error> {
        let texts: Vec<String> = Vec::deserialize(deserializer)?;
        let actors: Option<Vec<ActorId>> = texts.iter().map(|text| ActorId::from_hex(text)).collect();
        let actors = actors.ok_or_else(|| D::Error::custom("not an actor's id: 64 hexadecimal digits"))?;
        Set::new(actors).map_err(|refused| D::Error::custom(refused.what))
    }
}

/// A node's slot as a number.
pub mod node {
    use serde::{Deserialize, Deserializer, Serializer};
    use synod_types::NodeId;

    pub fn serialize<S: Serializer>(node: &NodeId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(node.0)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
        u64::deserialize(deserializer).map(NodeId)
    }
}
