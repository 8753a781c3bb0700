//! What a TLS client asks for with its first bytes: the server name, which travels in the clear (RFC 8446, section 4.1.2;
//! RFC 6066, section 3).
//!
//! The host gives a place on the strength of it and nothing else; TLS itself, and who the client is, are the enclave's.

/// Whether the ClientHello that begins `bytes` asks for this name. `None` if not all of it has come.
pub fn asks_for(bytes: &[u8], name: &str) -> Option<bool> {
    let Some((&[kind, _, _, high, low], rest)) = bytes.split_first_chunk::<5>() else {
        return bytes.first().is_some_and(|kind| *kind != HANDSHAKE).then_some(false);
    };
    let size = usize::from(u16::from_be_bytes([high, low]));
    if kind != HANDSHAKE || size > HELLO_BYTES_MAX {
        return Some(false);
    }
    // One that is cut into several records is taken for one that asks for nothing.
    Some(server_name(rest.get(..size)?) == Some(name.as_bytes()))
}

/// The name in a handshake message; `None` if there is none, or it is no ClientHello.
fn server_name(message: &[u8]) -> Option<&[u8]> {
    let (&[kind, _, _, _], body) = message.split_first_chunk::<4>()?;
    // The version, and the random bytes.
    let body = body.get(2 + 32..).filter(|_| kind == CLIENT_HELLO)?;
    let (_session, body) = vector::<1>(body)?;
    let (_suites, body) = vector::<2>(body)?;
    let (_compression, body) = vector::<1>(body)?;
    let (mut extensions, _) = vector::<2>(body)?;
    while let Some((&extension, rest)) = extensions.split_first_chunk::<2>() {
        let (content, rest) = vector::<2>(rest)?;
        if extension == SERVER_NAME {
            let (names, _) = vector::<2>(content)?;
            let (&kind, names) = names.split_first()?;
            return (kind == HOST_NAME).then(|| vector::<2>(names)).flatten().map(|(name, _)| name);
        }
        extensions = rest;
    }
    None
}

/// Takes bytes off the front, whose number is told in the `SIZE` bytes before them.
fn vector<const SIZE: usize>(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk::<SIZE>()?;
    let size = size.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
    rest.split_at_checked(size)
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: [u8; 2] = [0, 0];
const HOST_NAME: u8 = 0;

/// The most bytes of a ClientHello that are looked at: they have some hundred, and two thousand with a large key share.
pub const HELLO_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
pub mod tests {
    use super::*;

    fn sized<const SIZE: usize>(content: &[u8]) -> Vec<u8> {
        [&content.len().to_be_bytes()[8 - SIZE..], content].concat()
    }

    /// A ClientHello that asks for `name`, behind another extension.
    pub fn hello(name: Option<&str>) -> Vec<u8> {
        let mut extensions = [&[0, 43][..], &sized::<2>(&[2, 3, 4])].concat();
        if let Some(name) = name {
            let entry = [&[HOST_NAME][..], &sized::<2>(name.as_bytes())].concat();
            extensions.extend([&SERVER_NAME[..], &sized::<2>(&sized::<2>(&entry))].concat());
        }
        let parts = [
            vec![3, 3],
            vec![7; 32],
            sized::<1>(&[9; 32]),
            sized::<2>(&[0x13, 1]),
            sized::<1>(&[0]),
            sized::<2>(&extensions),
        ];
        let message = [&[CLIENT_HELLO][..], &sized::<3>(&parts.concat())].concat();
        [&[HANDSHAKE, 3, 1][..], &sized::<2>(&message)].concat()
    }

    #[test]
    fn the_name_is_found_once_all_has_come_and_only_if_it_is_the_one() {
        let asks = hello(Some("governance.example"));
        for end in 0..asks.len() {
            assert_eq!(asks_for(&asks[..end], "governance.example"), None, "{end}");
        }
        assert_eq!(asks_for(&asks, "governance.example"), Some(true));
        assert_eq!(asks_for(&[&asks[..], b"more"].concat(), "governance.example"), Some(true));
        for other in ["governance.exampl", "governance.example.org", ""] {
            assert_eq!(asks_for(&asks, other), Some(false), "{other}");
        }
        assert_eq!(asks_for(&hello(None), "governance.example"), Some(false));
        assert_eq!(asks_for(b"GET / HTTP/1.1\r\n", "governance.example"), Some(false));
        assert_eq!(asks_for(b"G", "governance.example"), Some(false));
        assert_eq!(asks_for(&[HANDSHAKE, 3, 1, 0xff, 0xff], "governance.example"), Some(false));
    }

    #[test]
    fn no_bytes_are_too_wrong_to_be_looked_at() {
        let asks = hello(Some("governance.example"));
        for place in 0..asks.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut wrong = asks.clone();
                wrong[place] = byte;
                let _ = asks_for(&wrong, "governance.example");
            }
        }
    }
}
