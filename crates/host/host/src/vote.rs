//! The vote file: small, and replaced as a whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;

use crate::config::Durability;

/// Reads the vote; `None` if there never was one.
pub fn read(directory: &Path) -> io::Result<Option<Bytes>> {
    match fs::read(directory.join(NAME)) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces the vote: after a crash the old one or the new one is there, and after the return the new one.
pub fn replace(directory: &Path, vote: &[u8], durability: Durability) -> io::Result<()> {
    let temporary = directory.join(NAME_TEMPORARY);
    let mut file = File::create(&temporary)?;
    file.write_all(vote)?;
    if durability == Durability::Disk {
        file.sync_all()?;
    }
    fs::rename(&temporary, directory.join(NAME))?;
    sync_directory(directory, durability)
}

/// Makes names that were created, changed or removed in `directory` survive a crash.
pub fn sync_directory(directory: &Path, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Disk => File::open(directory)?.sync_all(),
        Durability::Memory => Ok(()),
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
