//! What happened: a digest of it always, and lines to read if asked for.

use std::io::Write;

use synod_types::NodeId;

use crate::clock::Instant;

/// The event log of a run.
///
/// Two runs of one seed have the same digest. Nothing that depends on a signature's bytes goes in.
#[derive(Debug, Default)]
pub struct Trace {
    digest: u64,
    lines: u64,
    prints: bool,
}

/// One number of a line, with its name.
pub type Field = (&'static str, u64);

impl Trace {
    /// A trace that also prints each line, if `prints`.
    pub fn new(prints: bool) -> Self {
        Self { digest: 0xcbf2_9ce4_8422_2325, lines: 0, prints }
    }

    /// Notes that `what` happened at `node` (0: at none).
    pub fn note(&mut self, at: Instant, node: NodeId, what: &'static str, fields: &[Field]) {
        self.lines += 1;
        self.mix(at.0);
        self.mix(node.0);
        what.bytes().for_each(|byte| self.mix(u64::from(byte)));
        fields.iter().for_each(|(_, value)| self.mix(*value));
        if self.prints {
            print(at, node, what, fields);
        }
    }

    /// Notes a line that only readers need: it is not part of the digest.
    pub fn remark(&self, at: Instant, node: NodeId, text: impl FnOnce() -> String) {
        if self.prints {
            write_line(&format!("{at}  {}  # {}", name(node), text()));
        }
    }

    /// The digest of all that was noted.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// How many lines were noted.
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// FNV-1a's step with a whole word at a time and a final rotation: fast, and any difference spreads.
    const fn mix(&mut self, value: u64) {
        self.digest = (self.digest ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}

/// The first eight bytes of a digest, as a field.
pub fn short(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn print(at: Instant, node: NodeId, what: &str, fields: &[Field]) {
    let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    write_line(&format!("{at}  {}  {what}{fields}", name(node)));
}

fn name(node: NodeId) -> String {
    if node == NodeId(0) { "       ".into() } else { format!("node {node:<2}") }
}

fn write_line(line: &str) {
    // A reader that closed the pipe has seen enough.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
