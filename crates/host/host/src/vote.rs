//! The vote file: small, and replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;

use crate::config::Durability;
use crate::ledger::doing;
use crate::{LedgerError, sync};

/// Reads the vote; `None` if there never was one.
pub fn read(directory: &Path) -> io::Result<Option<Bytes>> {
    match fs::read(directory.join(NAME)) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the vote: after a crash the old one or the new one is there, and after the return the new one.
pub fn replace(directory: &Path, vote: &[u8], durability: Durability) -> Result<(), LedgerError> {
    let path = directory.join(NAME);
    let temporary = directory.join(NAME_TEMPORARY);
    let mut file = File::create(&temporary).map_err(doing("create", &temporary))?;
    file.write_all(vote).map_err(doing("write", &temporary))?;
    sync::file(&file, &temporary, durability)?;
    fs::rename(&temporary, &path).map_err(doing("replace", &path))?;
    sync::directory(directory, durability)
}

/// Makes the vote that [`read`] gives survive a loss of power, whoever wrote it. Its name is the directory's to sync.
pub fn sync(directory: &Path, durability: Durability) -> Result<(), LedgerError> {
    let path = directory.join(NAME);
    match File::open(&path) {
        Ok(file) => sync::file(&file, &path, durability),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(doing("open", &path)(error)),
    }
}

const NAME: &str = "vote";
const NAME_TEMPORARY: &str = "vote.new";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_vote_reads_back_also_if_a_write_was_cut_short() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(read(path).unwrap(), None);
        replace(path, b"one", Durability::Disk).unwrap();
        replace(path, b"two", Durability::Memory).unwrap();
        fs::write(path.join(NAME_TEMPORARY), b"thr").unwrap();
        assert_eq!(read(path).unwrap(), Some(Bytes::from_static(b"two")));
        replace(path, b"four", Durability::Disk).unwrap();
        assert_eq!(read(path).unwrap(), Some(Bytes::from_static(b"four")));
    }
}
