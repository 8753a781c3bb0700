//! A ledger that a byte string falsifies: shared by the property test and the fuzz target.
//!
//! The script's bytes choose, step by step, what somebody does to a sound ledger who has no key, but knows the format
//! and mends its checksums: records are dropped, doubled, exchanged, given other numbers or other contents; then files are
//! cut, cleared, exchanged, renamed, overwritten. Whatever comes of it, the verifier says Yes or No; and it never says
//! Yes to a block that was not signed for its place.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use synod_ledger::{Failure, FailureReason, Verifier};
use synod_types::boundary::{EntryKind, LogRecord};
use synod_types::chunk::{FileHeader, file_name};
use synod_types::{CONFIGURATION_CHANGE_SIZE, Digest, Encode, LogIndex, Seqno, View};

use crate::common::{Network, files, records};

/// What scripts made happen, to show that they reach far.
#[derive(Debug, Default)]
pub struct Reached {
    /// Ledgers that were taken for sound, by how many blocks they hold.
    pub accepted: BTreeMap<u64, u64>,
    /// Refusals, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

/// Falsifies a ledger as `script` says, and checks what the verifier says of it.
pub fn play(script: &[u8]) -> Reached {
    let mut script = Script { bytes: script };
    let mut records = SOUND.1.clone();
    for _ in 0..script.byte() % 8 {
        change_records(&mut script, &mut records);
    }
    if script.byte().is_multiple_of(2) {
        // Else nearly all ledgers end where the first record is missing.
        records.iter_mut().zip(1..).for_each(|(record, index)| record.index = LogIndex(index));
    }
    let per_file = 1 + usize::from(script.byte() % 12);
    let mut files = files(SOUND.0, &records, per_file);
    for _ in 0..script.byte() % 4 {
        change_files(&mut script, &mut files);
    }
    verify(&files)
}

/// A network's id, and a ledger of it.
static SOUND: LazyLock<(Digest, Vec<LogRecord>)> = LazyLock::new(|| {
    let network = Network::new();
    (network.genesis.tip.network, records(&network))
});

fn change_records(script: &mut Script<'_>, records: &mut Vec<LogRecord>) {
    let at = usize::from(script.byte()) % (records.len() + 1);
    if at == records.len() {
        let place = script.number() as usize % (records.len() + 1);
        return records.insert(place, script.unsigned_entry());
    }
    let record = &mut records[at];
    match script.byte() % 12 {
        0 => drop(records.remove(at)),
        1 => records.truncate(at.max(1)),
        2 => records.insert(at, records[at].clone()),
        3 => {
            let other = usize::from(script.byte()) % records.len();
            records.swap(at, other);
        }
        4 => record.index = LogIndex(script.number() % (u64::MAX - 1)),
        5 => record.view = View(script.number()),
        6 => record.first_seqno = Seqno(script.number() / 2),
        7 => record.count = u32::from(script.byte()),
        8 if record.kind == EntryKind::Block => {
            let (place, change) = (script.number() as usize, script.byte());
            let mut payload = record.payload.to_vec();
            let place = place % payload.len().max(1);
            payload.get_mut(place).into_iter().for_each(|byte| *byte ^= change);
            record.payload = payload.into();
        }
        9 if record.kind == EntryKind::Block => {
            let size = script.number() as usize % (record.payload.len() + 1);
            record.payload.truncate(size);
        }
        10 if record.kind == EntryKind::Block => {
            let size = usize::from(script.byte());
            record.payload = [&record.payload[..], script.take(size)].concat().into();
        }
        _ => *record = script.unsigned_entry(),
    }
}

fn change_files(script: &mut Script<'_>, files: &mut Vec<(String, Vec<u8>)>) {
    if files.is_empty() {
        return;
    }
    let (at, other) = (usize::from(script.byte()) % files.len(), usize::from(script.byte()) % files.len());
    let (name, bytes) = &mut files[at];
    let near_end = bytes.len().saturating_sub(usize::from(script.byte()));
    match script.byte() % 10 {
        0 => drop(files.remove(at)),
        1 => files.swap(at, other),
        2 => bytes.truncate(near_end),
        3 => bytes[near_end..].fill(0),
        4 => bytes.extend_from_slice(script.take(40)),
        5 => {
            let (place, change) = (script.number() as usize % bytes.len().max(1), script.byte());
            bytes.get_mut(place).into_iter().for_each(|byte| *byte ^= change);
        }
        6 => *name = String::from_utf8_lossy(script.take(30)).into_owned(),
        7 => *name = file_name(LogIndex(script.number())),
        8 => {
            let network = if script.byte() < 128 { SOUND.0 } else { Digest([1; 32]) };
            let header = FileHeader { network, first_index: LogIndex(script.number()) }.to_bytes();
            bytes.iter_mut().zip(header).for_each(|(byte, other)| *byte = other);
        }
        _ => *bytes = script.take(200).to_vec(),
    }
}

fn verify(files: &[(String, Vec<u8>)]) -> Reached {
    let mut reached = Reached::default();
    let mut verifier = Verifier::new();
    let mut blocks = 0;
    for (name, bytes) in files {
        let checked = verifier.file(name, Bytes::copy_from_slice(bytes), |entry| {
            if let Some(block) = entry.block {
                let sound = SOUND.1.iter().find(|record| record.index == entry.index);
                let is_sound = sound.is_some_and(|record| record.payload == block.to_bytes());
                assert!(is_sound, "a block that was not signed for place {} was verified", entry.index);
                blocks += 1;
            }
        });
        if let Err(failure) = checked {
            assert!(&failure.file == name || files.iter().any(|(other, _)| *other == failure.file), "{failure}");
            return refused(reached, &failure);
        }
    }
    match verifier.finish() {
        Ok(report) => {
            assert_eq!(report.blocks, blocks);
            assert_eq!(report.network, SOUND.0);
            *reached.accepted.entry(blocks).or_default() += 1;
            reached
        }
        Err(failure) => refused(reached, &failure),
    }
}

fn refused(mut reached: Reached, failure: &Failure) -> Reached {
    let reason = match failure.reason {
        FailureReason::Damaged(_) => "Damaged",
        FailureReason::EndsEarly { .. } => "EndsEarly",
        FailureReason::OtherNetwork => "OtherNetwork",
        FailureReason::RecordsMissing { .. } => "RecordsMissing",
        FailureReason::NameDiffers { .. } => "NameDiffers",
        FailureReason::NotABlock(_) => "NotABlock",
        FailureReason::RecordDiffers => "RecordDiffers",
        FailureReason::Refused(_) => "Refused",
        FailureReason::OtherService => "OtherService",
        FailureReason::NoGenesis => "NoGenesis",
    };
    *reached.refused.entry(reason).or_default() += 1;
    reached
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

    /// Mostly small numbers, else up to 65,535 or the greatest ones.
    fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..160 => u64::from(byte % 16),
            160..240 => u64::from(self.byte()) << 8 | u64::from(self.byte()),
            byte => u64::MAX - u64::from(255 - byte),
        }
    }

    /// An entry that nobody signs: of the engine, or a change of its configuration.
    fn unsigned_entry(&mut self) -> LogRecord {
        let (index, view, first_seqno) = (self.number() % (u64::MAX - 1), self.number(), self.number());
        let (kind, payload) = match self.byte() % 4 {
            0 => {
                let mut change = [0; CONFIGURATION_CHANGE_SIZE];
                change.iter_mut().zip(self.take(2)).for_each(|(byte, scripted)| *byte = scripted % 4);
                (EntryKind::Configuration, Bytes::copy_from_slice(&change))
            }
            _ => (EntryKind::Engine, Bytes::new()),
        };
        LogRecord { index: LogIndex(index), view: View(view), kind, first_seqno: Seqno(first_seqno), count: 0, payload }
    }
}
