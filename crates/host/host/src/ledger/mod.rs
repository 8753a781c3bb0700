//! The ledger's directory: chunk files that are appended to, cut where a newer leader replaces
//! records, and read back by index or by seqno.
//!
//! ```text
//! lock                              held while a process uses the directory
//! vote                              the last vote record
//! ledger_<first index>.chunk ...    records without gaps, see synod_types::chunk
//! ```
//! In memory lies only a sparse index: one entry for each [`chunk_file::ENTRY_BYTES`] of a file.

mod chunk_file;
mod error;
mod open;
mod read;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use synod_types::boundary::{Append, LogRecord};
use synod_types::chunk::{FILE_HEADER_SIZE, FileHeader, append_record, file_name};
use synod_types::{Digest, LogIndex};

use crate::config::Durability;
use crate::{sync, vote};
use chunk_file::ChunkFile;
pub use error::LedgerError;
pub(crate) use error::doing;
pub use read::Records;

/// The records of one node, on disk.
#[derive(Debug)]
pub struct Ledger {
    directory: PathBuf,
    network: Digest,
    durability: Durability,
    /// In order of their records; the last one is appended to.
    files: Vec<ChunkFile>,
    /// The last file, open for appending.
    current: Option<File>,
    /// Bytes on their way to the last file.
    buffer: Vec<u8>,
    chunk_bytes_max: usize,
    /// Held for as long as this value lives.
    _lock: File,
}

impl Ledger {
    /// Files one group: all of it is on disk when this returns. A group of many appends costs one sync.
    ///
    /// The vote goes first: a vote without the records that came with it is harmless, records of a
    /// view in which the node does not remember to have voted are not.
    ///
    /// # Errors
    /// If the disk fails, or the records do not continue the ledger. What reached the disk is then
    /// not known, and the ledger must not be written to any more.
    pub fn write(&mut self, appends: &[Append]) -> Result<(), LedgerError> {
        if let Some(vote) = appends.iter().rev().find_map(|append| append.vote.as_ref()) {
            vote::replace(&self.directory, vote, self.durability)?;
        }
        for append in appends {
            if let Some(from) = append.truncate_from {
                self.flush()?;
                self.truncate(from)?;
            }
            append.records.iter().try_for_each(|record| self.append(record))?;
        }
        if appends.iter().any(|append| !append.records.is_empty()) {
            self.flush()?;
            self.sync()?;
        }
        Ok(())
    }

    /// The vote record, if one was ever written.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn vote(&self) -> Result<Option<Bytes>, LedgerError> {
        vote::read(&self.directory).map_err(doing("read the vote in", &self.directory))
    }

    /// The index that the next record has; `None` if the ledger is empty and any record may be the first.
    pub fn next_index(&self) -> Option<LogIndex> {
        self.files.last().map(|file| file.next_index)
    }

    fn append(&mut self, record: &LogRecord) -> Result<(), LedgerError> {
        if self.next_index().is_some_and(|next| next != record.index) {
            return Err(LedgerError::RecordOutOfOrder { expected: self.next_index(), found: record.index });
        }
        let begun = self.files.last().map(|file| file.size);
        if begun.is_none_or(|size| size >= self.chunk_bytes_max as u64) {
            self.begin_file(record.index)?;
        }
        append_record(record, &mut self.buffer);
        let file = self.files.last_mut().expect("a file was just begun if there was none");
        file.push(record);
        if self.buffer.len() >= BUFFER_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Begins the next file. Its name appears only with its header, so that no crash leaves half of one.
    fn begin_file(&mut self, first_index: LogIndex) -> Result<(), LedgerError> {
        self.flush()?;
        self.sync()?;
        let path = self.directory.join(file_name(first_index));
        let temporary = path.with_extension(TEMPORARY_EXTENSION);
        let header = FileHeader { network: self.network, first_index }.to_bytes();
        // In append mode, so that writing goes on at the end after a truncation too.
        let file = OpenOptions::new().append(true).create_new(true).open(&temporary);
        let mut file = file.map_err(doing("begin", &temporary))?;
        file.write_all(&header).map_err(doing("begin", &temporary))?;
        sync::file(&file, &temporary, self.durability)?;
        fs::rename(&temporary, &path).map_err(doing("begin", &path))?;
        sync::directory(&self.directory, self.durability)?;
        self.current = Some(file);
        self.files.push(ChunkFile::new(path, first_index));
        Ok(())
    }

    /// Drops the record at `from` and all after it, last file first, so that what is left is always without gaps.
    fn truncate(&mut self, from: LogIndex) -> Result<(), LedgerError> {
        let mut removed = false;
        // The first file stays even if all of its records go: its header says where the ledger begins.
        while self.files.len() > 1
            && let Some(file) = self.files.pop_if(|file| file.first_index >= from)
        {
            self.current = None;
            fs::remove_file(&file.path).map_err(doing("remove", &file.path))?;
            removed = true;
        }
        if removed {
            sync::directory(&self.directory, self.durability)?;
        }
        let Some(file) = self.files.last_mut().filter(|file| file.next_index > from) else {
            return self.open_current();
        };
        let size = file.offset_of(from)?;
        self.open_current()?;
        let (file, current) = (self.files.last_mut(), self.current.as_ref());
        let (file, current) = file.zip(current).expect("open_current opened the last file");
        current.set_len(size).map_err(doing("truncate", &file.path))?;
        file.cut(from, size);
        self.sync()
    }

    fn open_current(&mut self) -> Result<(), LedgerError> {
        if let (None, Some(file)) = (&self.current, self.files.last()) {
            let opened = OpenOptions::new().append(true).open(&file.path).map_err(doing("open", &file.path))?;
            self.current = Some(opened);
        }
        Ok(())
    }

    /// Hands the buffer to the operating system.
    fn flush(&mut self) -> Result<(), LedgerError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.open_current()?;
        let file = self.files.last().expect("what is in the buffer belongs to the last file");
        let mut current = self.current.as_ref().expect("open_current opened it");
        current.write_all(&self.buffer).map_err(doing("append to", &file.path))?;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        Ok(())
    }

    fn sync(&self) -> Result<(), LedgerError> {
        match (&self.current, self.files.last()) {
            (Some(current), Some(file)) => sync::data(current, &file.path, self.durability),
            _ => Ok(()),
        }
    }
}

/// A file is continued until it is this large: small enough to be read as a whole when a node starts.
const CHUNK_BYTES_MAX: usize = 32 << 20;

/// How much is gathered before it is handed to the operating system, within one group.
const BUFFER_BYTES_MAX: usize = 4 << 20;

const TEMPORARY_EXTENSION: &str = "chunk.new";

const _: () = assert!(CHUNK_BYTES_MAX > FILE_HEADER_SIZE);

#[cfg(test)]
mod tests;
