//! Reading chunk files, and telling a torn tail from damage.

use bytes::Bytes;

use crate::LogIndex;
use crate::boundary::LogRecord;

use super::format::{FILE_HEADER_SIZE, FileHeader, RECORD_HEADER_SIZE, RECORD_OVERHEAD, RecordHeader};

/// Reads a chunk file from its first record to its last.
///
/// ```
/// use bytes::Bytes;
/// use synod_types::boundary::{EntryKind, LogRecord};
/// use synod_types::chunk::{FileHeader, Scan, Tail, append_record};
/// use synod_types::{Digest, LogIndex, Seqno, View};
///
/// let record = LogRecord {
///     index: LogIndex(7),
///     view: View(2),
///     kind: EntryKind::Block,
///     first_seqno: Seqno(5),
///     count: 1,
///     payload: Bytes::from_static(b"sealed"),
/// };
/// let mut file = FileHeader { network: Digest([9; 32]), first_index: LogIndex(7) }.to_bytes().to_vec();
/// append_record(&record, &mut file);
/// let whole = file.len();
/// file.extend_from_slice(b"SYNR"); // a write that a crash cut short
///
/// let mut scan = Scan::new(Bytes::from(file))?;
/// assert_eq!(scan.next().expect("one record is there")?.record, record);
/// assert!(scan.next().is_none());
/// assert_eq!(scan.tail(), Tail::Torn { offset: whole });
/// # Ok::<(), synod_types::chunk::Damage>(())
/// ```
#[derive(Debug)]
pub struct Scan {
    file: Bytes,
    header: Option<FileHeader>,
    next_index: LogIndex,
    offset: usize,
    tail: Tail,
}

/// A record and its place in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The offset of the record's first byte.
    pub offset: usize,
    /// How many bytes it takes.
    pub size: usize,
    /// The record.
    pub record: LogRecord,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// With its last record, or after its header.
    Whole,
    /// With an incomplete write, which begins here and is to be cut off.
    Torn {
        /// The offset after the last whole record.
        offset: usize,
    },
}

/// Bytes that are neither a record nor a torn tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {offset} (within {size} bytes): {reason}")]
pub struct Damage {
    /// Where the damaged header, payload or end mark begins.
    pub offset: usize,
    /// How many bytes it takes.
    pub size: usize,
    /// What is wrong with it.
    pub reason: DamageReason,
}

/// What is wrong with bytes in a chunk file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DamageReason {
    /// The file begins with other bytes than a chunk file does.
    #[error("not a chunk file")]
    NotAChunkFile,
    /// The file is of a version that this program does not know.
    #[error("chunk file version {version} is not known")]
    VersionUnknown {
        /// The version in the file.
        version: u16,
    },
    /// A header's CRC does not fit.
    #[error("header changed after it was written")]
    HeaderChanged,
    /// A header's CRC fits, but a field has a value that is never written.
    #[error("header holds a value that is never written")]
    HeaderFieldNotAllowed,
    /// The payload's CRC does not fit.
    #[error("payload changed after it was written")]
    PayloadChanged,
    /// The mark after the payload is not there.
    #[error("end mark changed after it was written")]
    EndMarkChanged,
    /// The record is not the one that follows.
    #[error("record {found} stands where {expected} belongs")]
    IndexOutOfOrder {
        /// The index that belongs here.
        expected: LogIndex,
        /// The index found.
        found: LogIndex,
    },
}

impl Scan {
    /// Begins at the front of `file`.
    ///
    /// # Errors
    /// If the file header is damaged.
    pub fn new(file: Bytes) -> Result<Self, Damage> {
        let mut scan =
            Self { file, header: None, next_index: LogIndex(0), offset: FILE_HEADER_SIZE, tail: Tail::Whole };
        let Some(bytes) = scan.file.first_chunk() else {
            scan.tear(0);
            return Ok(scan);
        };
        match FileHeader::parse(bytes) {
            Ok(header) => {
                scan.header = Some(header);
                scan.next_index = header.first_index;
                Ok(scan)
            }
            Err(_) if scan.ends_in_zeros_from_within(FILE_HEADER_SIZE) => {
                scan.tear(0);
                Ok(scan)
            }
            Err(reason) => Err(Damage { offset: 0, size: FILE_HEADER_SIZE, reason }),
        }
    }

    /// The file's header; `None` if the file ends before it does.
    pub const fn header(&self) -> Option<&FileHeader> {
        self.header.as_ref()
    }

    /// The index of the record after the last one read.
    pub const fn next_index(&self) -> LogIndex {
        self.next_index
    }

    /// How the file ends. Means something once the last record was read.
    pub const fn tail(&self) -> Tail {
        self.tail
    }

    fn tear(&mut self, offset: usize) {
        self.tail = Tail::Torn { offset };
        self.offset = self.file.len();
    }

    /// Whether the file ends in zeros, at least two, that begin before `end`.
    ///
    /// A whole file ends in an end mark, so that one changed byte cannot bring this about.
    fn ends_in_zeros_from_within(&self, end: usize) -> bool {
        let zeros = self.file.iter().rev().take_while(|byte| **byte == 0).count();
        zeros >= 2 && self.file.len() - zeros < end
    }

    fn read(&mut self) -> Result<Option<Placed>, Damage> {
        let start = self.offset;
        let Some(header) = self.file[start..].first_chunk::<RECORD_HEADER_SIZE>() else {
            self.tear(start);
            return Ok(None);
        };
        let payload_at = start + RECORD_HEADER_SIZE;
        let header = match RecordHeader::parse(header) {
            Ok(header) => header,
            Err(_) if self.ends_in_zeros_from_within(payload_at) => {
                self.tear(start);
                return Ok(None);
            }
            Err(reason) => return Err(Damage { offset: start, size: RECORD_HEADER_SIZE, reason }),
        };
        let size = RECORD_OVERHEAD + header.payload_size;
        let Some(body) = self.file.get(payload_at..start + size) else {
            self.tear(start);
            return Ok(None);
        };
        let (payload, end) = body.split_at(header.payload_size);
        if let Err(reason) = header.check_payload(payload, end) {
            if self.ends_in_zeros_from_within(start + size) {
                self.tear(start);
                return Ok(None);
            }
            return Err(Damage { offset: payload_at, size: body.len(), reason });
        }
        if header.index != self.next_index {
            let reason = DamageReason::IndexOutOfOrder { expected: self.next_index, found: header.index };
            return Err(Damage { offset: start, size: RECORD_HEADER_SIZE, reason });
        }
        let payload = self.file.slice(payload_at..payload_at + header.payload_size);
        self.offset = start + size;
        self.next_index = header.index.next();
        Ok(Some(Placed { offset: start, size, record: header.into_record(payload) }))
    }
}

impl Iterator for Scan {
    type Item = Result<Placed, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.file.len() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.offset = self.file.len();
        }
        read.transpose()
    }
}

/// Reads the one record that fills `bytes`, as read from a place that an index of the file names.
///
/// # Errors
/// If `bytes` is anything else.
pub fn read_record(bytes: &Bytes) -> Result<LogRecord, Damage> {
    let changed = |size, reason| Damage { offset: 0, size, reason };
    let Some(header) = bytes.first_chunk() else {
        return Err(changed(bytes.len(), DamageReason::HeaderChanged));
    };
    let header = RecordHeader::parse(header).map_err(|reason| changed(RECORD_HEADER_SIZE, reason))?;
    let payload_end = RECORD_HEADER_SIZE + header.payload_size;
    if bytes.len() != RECORD_OVERHEAD + header.payload_size {
        return Err(changed(bytes.len(), DamageReason::PayloadChanged));
    }
    let payload = bytes.slice(RECORD_HEADER_SIZE..payload_end);
    header.check_payload(&payload, &bytes[payload_end..]).map_err(|reason| changed(bytes.len(), reason))?;
    Ok(header.into_record(payload))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
