//! The nodes.

// Addresses to be read and compared; sockets are not in `core`.
use core::net::IpAddr;
use std::fmt;

use synod_types::codec::DecodeReason;
use synod_types::{ActorId, Decode, DecodeError, Decoder, Encode, Encoder};

use crate::bounded::{Blob, Name};
use crate::entries::{Measurement, Platform};
use crate::limits::PUBLIC_KEY_BYTES_MAX;
use crate::macros::record;

record! {
    /// A slot in the node list.
    pub struct NodeEntry {
        /// What people call it; no other node has this name.
        pub name: Name,
        /// Whose node it is.
        #[serde(with = "crate::shape::actor")]
        pub owner: ActorId,
        /// The key that signs its blocks and proves it on channels: SubjectPublicKeyInfo, DER.
        pub public_key: Blob<PUBLIC_KEY_BYTES_MAX>,
        /// Where others reach it.
        pub address: Address,
        /// The code that it is to run, if the proposal named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub code: Option<Measurement>,
        /// The platform that it is to run on, if the proposal named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub platform: Option<Platform>,
    }
}

/// Where a node is reached: `name:port` or `address:port`, as in `vn1.example.org:7001`, `10.0.0.7:7001`, `[::1]:7001`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

/// A text that is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address is a lower-case DNS name or an IP address, a colon, and a port, such as vn1.example.org:7001")]
pub struct AddressRefused;

impl Address {
    /// The address with this text.
    ///
    /// # Errors
    /// If it is not of the form above. There is one text of each address, so IP addresses are written as usual.
    pub fn new(text: impl Into<String>) -> Result<Self, AddressRefused> {
        let text = text.into();
        let (host, port) = text.rsplit_once(':').ok_or(AddressRefused)?;
        let number: u16 = port.parse().map_err(|_| AddressRefused)?;
        let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(v6) => matches!(v6.parse(), Ok(IpAddr::V6(ip)) if ip.to_string() == v6),
            None => is_ip4(host) || is_dns_name(host),
        };
        if is_host && number != 0 && number.to_string() == port { Ok(Self(text)) } else { Err(AddressRefused) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the port.
    pub fn host(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(host, _)| host)
    }
}

fn is_ip4(host: &str) -> bool {
    matches!(host.parse(), Ok(IpAddr::V4(ip)) if ip.to_string() == host)
}

/// RFC 1123, section 2.1; the last label is not all digits, so that no name looks like an address.
fn is_dns_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or("");
    host.len() <= DNS_NAME_BYTES_MAX && host.split('.').all(is_label) && !last.bytes().all(|b| b.is_ascii_digit())
}

/// The longest DNS name, in bytes: RFC 1035, section 2.3.4, without the root's dot.
const DNS_NAME_BYTES_MAX: usize = 253;

/// The longest address, in bytes: the longest name, a colon and a port.
const ADDRESS_BYTES_MAX: usize = DNS_NAME_BYTES_MAX + 6;

impl TryFrom<String> for Address {
    type Error = AddressRefused;

    fn try_from(text: String) -> Result<Self, AddressRefused> {
        Self::new(text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

/// Prints the size only: where nodes are is private.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({} bytes)", self.0.len())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Encode for Address {
    fn encode(&self, out: &mut Encoder) {
        out.bytes(self.0.as_bytes());
    }
}

impl Decode for Address {
    fn decode(input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let at = input.clone();
        let text = std::str::from_utf8(input.bytes(ADDRESS_BYTES_MAX)?);
        text.ok().and_then(|text| Self::new(text).ok()).ok_or_else(|| at.error(DecodeReason::ValueNotAllowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_text_and_nothing_else_is_one() {
        for text in ["vn1.example.org:7001", "localhost:1", "10.0.0.7:65535", "[::1]:7001", "1a.b-c:80"] {
            assert_eq!(Address::new(text).unwrap().as_str(), text);
        }
        for text in [
            "",
            "a",
            "a:",
            ":80",
            "a:0",
            "a:65536",
            "a:+80",
            "a:080",
            "A:80",
            "a..b:80",
            "-a:80",
            "a_b:80",
            "::1:80",
            "[::0001]:80",
            "010.0.0.7:80",
            "10.0.0.256:80",
            "10.0.0.7.:80",
            "a b:80",
            "[10.0.0.7]:80",
        ] {
            assert_eq!(Address::new(text), Err(AddressRefused), "{text}");
        }
        assert_eq!(Address::new("[::1]:7001").unwrap().host(), "[::1]");
    }
}
