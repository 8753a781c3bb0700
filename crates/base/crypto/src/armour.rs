//! PEM (RFC 7468), with line feeds as line ends.

use pem::{EncodeConfig, LineEnding, Pem};

/// `bytes` as PEM under `tag`.
pub fn encode(tag: &str, bytes: &[u8]) -> String {
    pem::encode_config(&Pem::new(tag, bytes), EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// The bytes of the first PEM block of `text`; `None` if there is none, or its tag is another.
pub fn decode(tag: &str, text: &str) -> Option<Vec<u8>> {
    let parsed = pem::parse(text).ok()?;
    (parsed.tag() == tag).then(|| parsed.into_contents())
}

/// The bytes of the first PEM block of `text` under `tag`, whatever else the text holds; `None` if there is none.
pub fn find(tag: &str, text: &str) -> Option<Vec<u8>> {
    let parsed = pem::parse_many(text).ok()?;
    parsed.into_iter().find(|block| block.tag() == tag).map(Pem::into_contents)
}
