//! The bytes of file headers and records.

use crate::CONFIGURATION_CHANGE_SIZE;
use crate::boundary::{EntryKind, LogRecord};
use crate::{Digest, LogIndex, Seqno, View};

use super::DamageReason;

/// What a chunk file says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// The id of the network.
    pub network: Digest,
    /// The index of the file's first record.
    pub first_index: LogIndex,
}

/// The size of a file header, in bytes.
pub const FILE_HEADER_SIZE: usize = 64;

impl FileHeader {
    /// The header's bytes.
    pub fn to_bytes(&self) -> [u8; FILE_HEADER_SIZE] {
        let mut bytes = [0; FILE_HEADER_SIZE];
        bytes[..8].copy_from_slice(FILE_MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_index.0.to_le_bytes());
        bytes[24..56].copy_from_slice(&self.network.0);
        put_crc(&mut bytes);
        bytes
    }

    pub(super) fn parse(bytes: &[u8; FILE_HEADER_SIZE]) -> Result<Self, DamageReason> {
        if &bytes[..8] != FILE_MAGIC {
            return Err(DamageReason::NotAChunkFile);
        }
        check_crc(bytes)?;
        let version = u16::from_le_bytes(array(bytes, 8));
        if version != VERSION {
            return Err(DamageReason::VersionUnknown { version });
        }
        if bytes[10..16] != [0; 6] || bytes[56..60] != [0; 4] {
            return Err(DamageReason::HeaderFieldNotAllowed);
        }
        Ok(Self { network: Digest(array(bytes, 24)), first_index: LogIndex(u64::from_le_bytes(array(bytes, 16))) })
    }
}

/// What a record's header says; the payload follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) payload_size: usize,
    pub(super) index: LogIndex,
    view: View,
    first_seqno: Seqno,
    count: u32,
    kind: EntryKind,
    payload_crc: u32,
}

impl RecordHeader {
    pub(super) fn parse(bytes: &[u8; RECORD_HEADER_SIZE]) -> Result<Self, DamageReason> {
        check_crc(bytes)?;
        let header = Self {
            payload_size: u32::from_le_bytes(array(bytes, 4)) as usize,
            index: LogIndex(u64::from_le_bytes(array(bytes, 8))),
            view: View(u64::from_le_bytes(array(bytes, 16))),
            first_seqno: Seqno(u64::from_le_bytes(array(bytes, 24))),
            count: u32::from_le_bytes(array(bytes, 32)),
            kind: EntryKind::try_from(bytes[36]).map_err(|_| DamageReason::HeaderFieldNotAllowed)?,
            payload_crc: u32::from_le_bytes(array(bytes, 40)),
        };
        let empty = header.payload_size == 0 && header.count == 0;
        let allowed = match header.kind {
            EntryKind::Block => header.payload_size <= RECORD_PAYLOAD_BYTES_MAX,
            EntryKind::Engine => empty,
            EntryKind::Configuration => header.payload_size == CONFIGURATION_CHANGE_SIZE && header.count == 0,
        };
        // Whoever reads counts on: the next index, and the seqno after the record's transactions, are numbers too.
        let has_next = header.index.0 < u64::MAX && header.first_seqno.0.checked_add(header.count.into()).is_some();
        if &bytes[..4] == RECORD_MAGIC && bytes[37..40] == [0; 3] && allowed && has_next {
            Ok(header)
        } else {
            Err(DamageReason::HeaderFieldNotAllowed)
        }
    }

    pub(super) fn check_payload(&self, payload: &[u8], end: &[u8]) -> Result<(), DamageReason> {
        if crc32c::crc32c(payload) != self.payload_crc {
            return Err(DamageReason::PayloadChanged);
        }
        if end == RECORD_END { Ok(()) } else { Err(DamageReason::EndMarkChanged) }
    }

    pub(super) fn into_record(self, payload: bytes::Bytes) -> LogRecord {
        LogRecord {
            index: self.index,
            view: self.view,
            kind: self.kind,
            first_seqno: self.first_seqno,
            count: self.count,
            payload,
        }
    }
}

/// Appends a record's bytes to `out`: [`RECORD_OVERHEAD`] more than its payload has.
///
/// # Panics
/// If the payload is larger than a block may be: whoever made it capped it.
pub fn append_record(record: &LogRecord, out: &mut Vec<u8>) {
    assert!(record.payload.len() <= RECORD_PAYLOAD_BYTES_MAX, "a record's payload is capped by whoever made it");
    let mut header = [0; RECORD_HEADER_SIZE];
    header[..4].copy_from_slice(RECORD_MAGIC);
    header[4..8].copy_from_slice(&(record.payload.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&record.index.0.to_le_bytes());
    header[16..24].copy_from_slice(&record.view.0.to_le_bytes());
    header[24..32].copy_from_slice(&record.first_seqno.0.to_le_bytes());
    header[32..36].copy_from_slice(&record.count.to_le_bytes());
    header[36] = record.kind as u8;
    header[40..44].copy_from_slice(&crc32c::crc32c(&record.payload).to_le_bytes());
    put_crc(&mut header);
    out.reserve(record.payload.len() + RECORD_OVERHEAD);
    out.extend_from_slice(&header);
    out.extend_from_slice(&record.payload);
    out.extend_from_slice(RECORD_END);
}

/// The name of the chunk file whose first record has this index.
///
/// ```
/// use synod_types::{LogIndex, chunk};
///
/// assert_eq!(chunk::file_name(LogIndex(1)), "ledger_00000000000000000001.chunk");
/// assert_eq!(chunk::parse_file_name("ledger_00000000000000000001.chunk"), Some(LogIndex(1)));
/// ```
pub fn file_name(first: LogIndex) -> String {
    format!("{NAME_PREFIX}{:0width$}{NAME_SUFFIX}", first.0, width = NAME_DIGITS)
}

/// The index in a name that [`file_name`] made; `None` for any other name.
pub fn parse_file_name(name: &str) -> Option<LogIndex> {
    let digits = name.strip_prefix(NAME_PREFIX)?.strip_suffix(NAME_SUFFIX)?;
    let all_digits = digits.len() == NAME_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok().map(LogIndex)).flatten()
}

fn put_crc(header: &mut [u8]) {
    let (covered, crc) = header.split_at_mut(header.len() - 4);
    crc.copy_from_slice(&crc32c::crc32c(covered).to_le_bytes());
}

fn check_crc(header: &[u8]) -> Result<(), DamageReason> {
    let (covered, crc) = header.split_at(header.len() - 4);
    if crc32c::crc32c(covered).to_le_bytes() == *crc { Ok(()) } else { Err(DamageReason::HeaderChanged) }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

const FILE_MAGIC: &[u8; 8] = b"SYNODLOG";
const VERSION: u16 = 1;
const RECORD_MAGIC: &[u8; 4] = b"SYNR";
pub(super) const RECORD_HEADER_SIZE: usize = 48;
/// None of its bytes is zero; see the module's documentation.
pub(super) const RECORD_END: &[u8; 4] = b"END\n";
/// How many bytes a record takes beyond its payload.
pub const RECORD_OVERHEAD: usize = RECORD_HEADER_SIZE + RECORD_END.len();
const RECORD_PAYLOAD_BYTES_MAX: usize = crate::limits::BLOCK_BYTES_MAX;
const NAME_PREFIX: &str = "ledger_";
const NAME_SUFFIX: &str = ".chunk";
/// All that a 64-bit index can take, so that names sort as indexes do.
const NAME_DIGITS: usize = 20;
