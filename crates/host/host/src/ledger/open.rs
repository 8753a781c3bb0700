//! Opening a directory: every record is read once, and only a torn tail is cut.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use synod_types::chunk::{Scan, Tail, parse_file_name};
use synod_types::{Digest, LogIndex};

use super::chunk_file::ChunkFile;
use super::error::{LedgerError, doing};
use super::{CHUNK_BYTES_MAX, Ledger, TEMPORARY_EXTENSION};
use crate::config::Durability;
use crate::{sync, vote};

impl Ledger {
    /// Locks `directory`, which is made if it is not there, checks every file in it, cuts a torn tail, and syncs
    /// everything that was read: the node will count on it.
    ///
    /// # Errors
    /// If another process holds the directory, or anything in it is not as a crash could have left it.
    pub fn open(directory: &Path, network: Digest, durability: Durability) -> Result<Self, LedgerError> {
        fs::create_dir_all(directory).map_err(doing("make", directory))?;
        let lock = lock(directory)?;
        let paths = chunk_paths(directory)?;
        let mut files = Vec::new();
        let mut expected = None;
        let last = paths.len().saturating_sub(1);
        for (place, (first_index, path)) in paths.into_iter().enumerate() {
            let (file, tail) = check(path, first_index, expected, network)?;
            expected = Some(file.next_index);
            match tail {
                Tail::Whole => files.push(file),
                Tail::Torn { offset } if place != last => {
                    return Err(LedgerError::FileCutShort { path: file.path, offset });
                }
                Tail::Torn { offset } => files.extend(cut(file, offset)?),
            }
        }
        sync_all(directory, &files, durability)?;
        Ok(Self {
            directory: directory.into(),
            network,
            durability,
            files,
            current: None,
            buffer: Vec::new(),
            chunk_bytes_max: CHUNK_BYTES_MAX,
            _lock: lock,
        })
    }
}

fn lock(directory: &Path) -> Result<File, LedgerError> {
    let path = directory.join("lock");
    let file = OpenOptions::new().create(true).append(true).open(&path).map_err(doing("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::DirectoryInUse { path: directory.into() }),
        Err(TryLockError::Error(error)) => Err(doing("lock", &path)(error)),
    }
}

/// The chunk files in order. What a crash left of a file that was being begun is removed.
fn chunk_paths(directory: &Path) -> Result<Vec<(LogIndex, PathBuf)>, LedgerError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(doing("list", directory))? {
        let entry = entry.map_err(doing("list", directory))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if let Some(first_index) = parse_file_name(name) {
            paths.push((first_index, entry.path()));
        } else if name.ends_with(TEMPORARY_EXTENSION) {
            fs::remove_file(entry.path()).map_err(doing("remove", &entry.path()))?;
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads a file from front to end. `expected` is the index with which the files before it go on.
fn check(
    path: PathBuf,
    first_index: LogIndex,
    expected: Option<LogIndex>,
    network: Digest,
) -> Result<(ChunkFile, Tail), LedgerError> {
    let bytes = Bytes::from(fs::read(&path).map_err(doing("read", &path))?);
    let damaged = |damage| LedgerError::FileDamaged { path: path.clone(), damage };
    let mut scan = Scan::new(bytes).map_err(damaged)?;
    let mut file = ChunkFile::new(path.clone(), first_index);
    if let Some(header) = scan.header() {
        if header.network != network {
            return Err(LedgerError::NetworkDiffers { path, expected: network, found: header.network });
        }
        let expected = expected.unwrap_or(first_index);
        if header.first_index != expected || header.first_index != first_index {
            return Err(LedgerError::FileOutOfOrder { path, expected, found: header.first_index });
        }
    }
    for placed in &mut scan {
        file.push(&placed.map_err(damaged)?.record);
    }
    Ok((file, scan.tail()))
}

/// Cuts the torn tail off the last file; gives nothing if not even the header is whole.
fn cut(file: ChunkFile, offset: usize) -> Result<Option<ChunkFile>, LedgerError> {
    tracing::info!(file = %file.path.display(), offset, "cutting an incomplete write off the end of the ledger");
    if offset == 0 {
        fs::remove_file(&file.path).map_err(doing("remove", &file.path))?;
        return Ok(None);
    }
    let opened = OpenOptions::new().write(true).open(&file.path).map_err(doing("open", &file.path))?;
    opened.set_len(offset as u64).map_err(doing("truncate", &file.path))?;
    Ok(Some(file))
}

/// What was read may be in the memory of the system alone: written by a process that died before its sync, by one
/// that was told not to sync, or by whoever copied the files. A sync of what is on disk already costs next to nothing.
///
/// Records and vote become safe before names do. A loss of power on the way leaves what it might have left without
/// the start, since nothing is promised before this returns.
fn sync_all(directory: &Path, files: &[ChunkFile], durability: Durability) -> Result<(), LedgerError> {
    if durability == Durability::Memory {
        return Ok(());
    }
    for ChunkFile { path, .. } in files {
        let file = File::open(path).map_err(doing("open", path))?;
        sync::file(&file, path, durability)?;
    }
    vote::sync(directory, durability)?;
    sync::directory(directory, durability)?;
    // The directory itself may be new.
    directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or(Ok(()), |parent| sync::directory(parent, durability))
}
