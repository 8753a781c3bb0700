//! Reading records back.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use synod_types::boundary::{LedgerRange, LogRecord};
use synod_types::chunk::Scan;
use synod_types::{LogIndex, Seqno, Untrusted};

use super::Ledger;
use super::error::{LedgerError, doing};

impl Ledger {
    /// Reads what `range` asks for. Everything written before is seen.
    ///
    /// # Errors
    /// If there is no such record, or it cannot be read.
    pub fn read(&self, range: LedgerRange) -> Result<Vec<LogRecord>, LedgerError> {
        debug_assert!(self.buffer.is_empty(), "groups are flushed before reads");
        match range {
            LedgerRange::Indexes { from, to, bytes_max } => self.read_indexes(from, to, bytes_max),
            LedgerRange::Covering(seqno) => self.read_covering(seqno).map(|record| vec![record]),
        }
    }

    /// All records, oldest first. One file at a time is in memory.
    pub fn records(&self) -> Records {
        let files = self.files.iter().map(|file| (file.path.clone(), file.size)).collect();
        Records { files, current: None }
    }

    fn read_indexes(&self, from: LogIndex, to: LogIndex, bytes_max: usize) -> Result<Vec<LogRecord>, LedgerError> {
        let mut records = Vec::new();
        let mut size = 0;
        let first = self.files.partition_point(|file| file.next_index <= from);
        for file in &self.files[first..] {
            let start = file.first_index.max(from);
            if start > to || start >= file.next_index {
                break;
            }
            for record in file.records_from(start)? {
                let record = record?;
                size += record.payload.len();
                if record.index > to || (size > bytes_max && !records.is_empty()) {
                    return Ok(records);
                }
                records.push(record);
            }
        }
        if records.first().is_some_and(|record| record.index == from) {
            Ok(records)
        } else {
            Err(LedgerError::NoSuchRecord(from))
        }
    }

    fn read_covering(&self, seqno: Seqno) -> Result<LogRecord, LedgerError> {
        let holding = self.files.iter().filter(|file| file.first_seqno().is_some());
        let candidates = holding.take_while(|file| file.first_seqno().is_some_and(|first| first <= seqno));
        candidates.last().ok_or(LedgerError::NoSuchTransaction(seqno))?.covering(seqno)
    }
}

/// All records of a ledger, as [`Ledger::records`] gives them.
#[derive(Debug)]
pub struct Records {
    files: VecDeque<(PathBuf, u64)>,
    current: Option<(PathBuf, Scan)>,
}

impl Records {
    fn open_next(&mut self) -> Option<Result<(), LedgerError>> {
        let (path, size) = self.files.pop_front()?;
        let scan = fs::read(&path).map_err(doing("read", &path)).and_then(|mut bytes| {
            bytes.truncate(size as usize);
            Scan::new(Bytes::from(bytes)).map_err(|damage| LedgerError::FileDamaged { path: path.clone(), damage })
        });
        Some(scan.map(|scan| self.current = Some((path, scan))))
    }
}

impl Iterator for Records {
    type Item = Result<Untrusted<LogRecord>, LedgerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((path, scan)) = &mut self.current
                && let Some(placed) = scan.next()
            {
                let damaged = |damage| LedgerError::FileDamaged { path: path.clone(), damage };
                return Some(placed.map(|placed| Untrusted::new(placed.record)).map_err(damaged));
            }
            match self.open_next()? {
                Ok(()) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
