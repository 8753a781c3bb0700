//! One chunk file and the sparse index of its records.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use bytes::Bytes;
use synod_types::boundary::LogRecord;
use synod_types::chunk::{FILE_HEADER_SIZE, FileHeader, Placed, RECORD_OVERHEAD, Scan};
use synod_types::{Digest, LogIndex, Seqno};

use super::error::{LedgerError, doing};

/// A chunk file as far as it holds whole records.
#[derive(Debug)]
pub struct ChunkFile {
    pub path: PathBuf,
    pub first_index: LogIndex,
    pub next_index: LogIndex,
    /// How many bytes of the file are its header and whole records.
    pub size: u64,
    /// Where some of the records begin; the first one always, if there is one.
    entries: Vec<Entry>,
}

/// The place of one record.
#[derive(Clone, Copy, Debug)]
struct Entry {
    index: LogIndex,
    first_seqno: Seqno,
    offset: u64,
}

impl ChunkFile {
    /// A file that holds its header only.
    pub const fn new(path: PathBuf, first_index: LogIndex) -> Self {
        Self { path, first_index, next_index: first_index, size: FILE_HEADER_SIZE as u64, entries: Vec::new() }
    }

    /// Notes that `record` was appended.
    pub fn push(&mut self, record: &LogRecord) {
        if self.entries.last().is_none_or(|entry| self.size - entry.offset >= ENTRY_BYTES) {
            self.entries.push(Entry { index: record.index, first_seqno: record.first_seqno, offset: self.size });
        }
        self.next_index = record.index.next();
        self.size += (RECORD_OVERHEAD + record.payload.len()) as u64;
    }

    /// Notes that the record at `from` and all after it are gone, so that `size` bytes are left.
    pub fn cut(&mut self, from: LogIndex, size: u64) {
        self.entries.retain(|entry| entry.index < from);
        self.next_index = from;
        self.size = size;
    }

    /// The seqno of the first record; `None` if the file holds none.
    pub fn first_seqno(&self) -> Option<Seqno> {
        self.entries.first().map(|entry| entry.first_seqno)
    }

    /// Where the record at `index` begins, which the file holds.
    pub fn offset_of(&self, index: LogIndex) -> Result<u64, LedgerError> {
        let region = self.region_of_index(index).ok_or(LedgerError::NoSuchRecord(index))?;
        let start = self.entries[region].offset;
        let mut scan = self.scan(region)?;
        match scan.find_map(|placed| placed.map(|placed| (placed.record.index == index).then_some(placed)).transpose())
        {
            Some(Ok(placed)) => Ok(start + (placed.offset - FILE_HEADER_SIZE) as u64),
            Some(Err(damage)) => Err(LedgerError::FileDamaged { path: self.path.clone(), damage }),
            None => Err(LedgerError::NoSuchRecord(index)),
        }
    }

    /// The records of the region that holds `index`, from its first on, then of the regions behind it.
    pub fn records_from(
        &self,
        index: LogIndex,
    ) -> Result<impl Iterator<Item = Result<LogRecord, LedgerError>>, LedgerError> {
        let region = self.region_of_index(index).ok_or(LedgerError::NoSuchRecord(index))?;
        let regions = (region..self.entries.len()).flat_map(|region| match self.records_of(region) {
            Ok(records) => records,
            Err(error) => vec![Err(error)],
        });
        Ok(regions.skip_while(move |record| record.as_ref().is_ok_and(|record| record.index < index)))
    }

    /// The record of the block that holds `seqno`.
    pub fn covering(&self, seqno: Seqno) -> Result<LogRecord, LedgerError> {
        let missing = LedgerError::NoSuchTransaction(seqno);
        let regions = self.entries.partition_point(|entry| entry.first_seqno <= seqno);
        let Some(region) = regions.checked_sub(1) else { return Err(missing) };
        let holds =
            |record: &LogRecord| record.first_seqno <= seqno && seqno < record.first_seqno.plus(record.count.into());
        self.records_of(region)?.into_iter().find(|record| record.as_ref().map_or(true, holds)).unwrap_or(Err(missing))
    }

    fn region_of_index(&self, index: LogIndex) -> Option<usize> {
        self.entries.partition_point(|entry| entry.index <= index).checked_sub(1).filter(|_| index < self.next_index)
    }

    fn records_of(&self, region: usize) -> Result<Vec<Result<LogRecord, LedgerError>>, LedgerError> {
        let damaged = |damage| LedgerError::FileDamaged { path: self.path.clone(), damage };
        Ok(self.scan(region)?.map(|placed| placed.map(|placed: Placed| placed.record).map_err(damaged)).collect())
    }

    /// Reads a region as if it were a file of its own.
    fn scan(&self, region: usize) -> Result<Scan, LedgerError> {
        let Entry { index, offset, .. } = self.entries[region];
        let end = self.entries.get(region + 1).map_or(self.size, |next| next.offset);
        // The network was checked when the file was opened, and regions of one file are not mixed up.
        let mut bytes = FileHeader { network: Digest::default(), first_index: index }.to_bytes().to_vec();
        bytes.resize(FILE_HEADER_SIZE + (end - offset) as usize, 0);
        let file = File::open(&self.path).map_err(doing("open", &self.path))?;
        file.read_exact_at(&mut bytes[FILE_HEADER_SIZE..], offset).map_err(doing("read", &self.path))?;
        Scan::new(Bytes::from(bytes)).map_err(|damage| LedgerError::FileDamaged { path: self.path.clone(), damage })
    }
}

/// One entry of the index for each so many bytes of records: 24 bytes of memory for 64 KiB of file,
/// and one small read to find a record.
pub const ENTRY_BYTES: u64 = 64 << 10;
