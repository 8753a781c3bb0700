//! A chunk file that a byte string makes: shared by the property test and the fuzz target.
//!
//! The script's bytes choose, step by step, what becomes of the file: a record is appended, the one that follows or
//! another; any bytes are; the end is cut off or cleared, as a crash leaves it; a byte is changed. What must hold of any
//! file is checked at the end.

use std::collections::BTreeMap;

use bytes::Bytes;
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::chunk::{FILE_HEADER_SIZE, FileHeader, Scan, Tail, append_record, read_record};
use synod_types::{Digest, LogIndex, Seqno, View};

/// What scripts made happen, to show that they reach far.
#[derive(Debug, Default)]
pub struct Reached {
    pub records: u64,
    pub whole: u64,
    pub torn: u64,
    /// Damage, by reason.
    pub damaged: BTreeMap<String, u64>,
}

/// Makes a file as `script` says, and checks what any file must be to those who read it.
pub fn play(script: &[u8]) -> Reached {
    let mut script = Script { bytes: script };
    let first_index = LogIndex(script.number());
    let mut file = FileHeader { network: Digest([7; 32]), first_index }.to_bytes().to_vec();
    let mut next = first_index;
    while !script.bytes.is_empty() {
        step(&mut script, &mut file, &mut next);
    }
    check(&Bytes::from(file))
}

fn step(script: &mut Script<'_>, file: &mut Vec<u8>, next: &mut LogIndex) {
    match script.byte() {
        0..232 => {
            append_record(&script.record(*next), file);
            *next = LogIndex(next.0.wrapping_add(1));
        }
        232..240 => {
            let index = LogIndex(script.number());
            append_record(&script.record(index), file);
        }
        240..243 => {
            let size = usize::from(script.byte());
            file.extend_from_slice(script.take(size));
        }
        243..245 => file.extend(std::iter::repeat_n(0, usize::from(script.byte()))),
        245..248 => {
            let size = usize::from(script.byte());
            file.truncate(file.len().saturating_sub(size));
        }
        248..250 => {
            // Sectors that did not reach the disk.
            let size = usize::from(script.byte()).min(file.len());
            let from = file.len() - size;
            file[from..].fill(0);
        }
        250..253 => {
            let (near, change) = (usize::from(script.byte()), script.byte());
            let at = file.len().saturating_sub(near + 1);
            file.get_mut(at).into_iter().for_each(|byte| *byte ^= change);
        }
        253..255 => {
            let (at, change) = (usize::from(script.byte()), script.byte());
            file.get_mut(at).into_iter().for_each(|byte| *byte ^= change);
        }
        255 => {
            // Nothing of ours at all.
            *file = script.take(usize::MAX).to_vec();
        }
    }
}

/// Whoever reads `file` finds records that lie where they say, and ends with one of three findings.
fn check(file: &Bytes) -> Reached {
    let mut reached = Reached::default();
    let mut scan = match Scan::new(file.clone()) {
        Ok(scan) => scan,
        Err(damage) => {
            assert!(damage.offset == 0 && damage.size <= file.len());
            *reached.damaged.entry(damage.reason.to_string()).or_default() += 1;
            return reached;
        }
    };
    let mut end = if scan.header().is_some() { FILE_HEADER_SIZE } else { 0 };
    let mut index = Some(scan.next_index());
    while let Some(read) = scan.next() {
        let placed = match read {
            Ok(placed) => placed,
            Err(damage) => {
                assert!(damage.offset >= end && damage.offset + damage.size <= file.len(), "{damage}");
                assert!(scan.next().is_none(), "nothing is read behind damage");
                *reached.damaged.entry(reason(&damage.reason.to_string())).or_default() += 1;
                return reached;
            }
        };
        assert_eq!((placed.offset, Some(placed.record.index)), (end, index));
        end += placed.size;
        index = placed.record.index.0.checked_add(1).map(LogIndex);
        // Its bytes are the only ones that say this, and it can be read alone.
        let mut written = Vec::new();
        append_record(&placed.record, &mut written);
        let bytes = file.slice(placed.offset..end);
        let _ = placed.record.first_seqno.plus(placed.record.count.into());
        assert_eq!(written, bytes);
        assert_eq!(read_record(&bytes).as_ref(), Ok(&placed.record));
        reached.records += 1;
    }
    // Read as a place that an index names, anything else is refused or a record, and never a panic.
    let _ = read_record(&file.slice(end..));
    match scan.tail() {
        Tail::Whole => {
            assert_eq!(end, file.len());
            reached.whole += 1;
        }
        Tail::Torn { offset } => {
            assert_eq!(offset, end, "what is cut off begins behind the last record");
            let mut cut = Scan::new(file.slice(..offset)).expect("what is left begins as before");
            assert_eq!(cut.by_ref().filter(Result::is_ok).count() as u64, reached.records);
            assert!(offset == 0 || cut.tail() == Tail::Whole, "what is left is whole");
            reached.torn += 1;
        }
    }
    reached
}

/// A reason without its numbers.
fn reason(text: &str) -> String {
    text.chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// What is left of the script; zeros behind its end.
struct Script<'a> {
    bytes: &'a [u8],
}

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    fn take(&mut self, size: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(size.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    fn record(&mut self, index: LogIndex) -> LogRecord {
        let (kind, size) = (self.byte(), usize::from(self.byte() % 16));
        let payload = Bytes::copy_from_slice(self.take(size));
        let (view, first_seqno) = (View(self.number()), Seqno(self.number()));
        let engine = LogRecord { index, view, kind: EntryKind::Engine, first_seqno, count: 0, payload: Bytes::new() };
        let block = LogRecord {
            kind: EntryKind::Block,
            count: if kind < 72 { u32::MAX } else { kind.into() },
            payload,
            ..engine.clone()
        };
        match kind {
            // What the format does not allow: an engine's entry with content, and a change of the wrong size.
            0 => LogRecord { kind: EntryKind::Engine, ..block },
            1 => LogRecord { kind: EntryKind::Configuration, ..block },
            2..64 => engine,
            _ => block,
        }
    }

    /// Small numbers, and the greatest ones.
    fn number(&mut self) -> u64 {
        let byte = self.byte();
        if byte < 240 { u64::from(byte) } else { u64::MAX - u64::from(255 - byte) }
    }
}
