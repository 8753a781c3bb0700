//! Syncing: the only place where bytes and names become safe from a loss of power.
//!
//! After a sync that failed nobody can say what reached the disk, and a second try may succeed
//! without having written anything: the system has dropped what it could not write. So a failure is
//! an error of its own kind, [`LedgerError::SyncFailed`], and final.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::LedgerError;
use crate::config::Durability;

/// Makes the bytes of a file, and how many they are, survive.
pub fn data(file: &File, path: &Path, durability: Durability) -> Result<(), LedgerError> {
    sync(path, durability, || file.sync_data())?;
    #[cfg(test)]
    safe::note_file(file, path, durability);
    Ok(())
}

/// Makes a file survive with all that the system knows of it.
pub fn file(file: &File, path: &Path, durability: Durability) -> Result<(), LedgerError> {
    sync(path, durability, || file.sync_all())?;
    #[cfg(test)]
    safe::note_file(file, path, durability);
    Ok(())
}

/// Makes names that were created, changed or removed in a directory survive.
pub fn directory(path: &Path, durability: Durability) -> Result<(), LedgerError> {
    sync(path, durability, || File::open(path)?.sync_all())?;
    #[cfg(test)]
    safe::note_directory(path, durability);
    Ok(())
}

fn sync(path: &Path, durability: Durability, work: impl FnOnce() -> io::Result<()>) -> Result<(), LedgerError> {
    match durability {
        Durability::Disk => work().map_err(|source| LedgerError::SyncFailed { path: path.into(), source }),
        Durability::Memory => Ok(()),
    }
}

/// For tests: what a loss of power would leave of a directory.
#[cfg(test)]
pub mod safe {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, HashMap};
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::{DirEntryExt, MetadataExt};
    use std::path::PathBuf;

    use super::*;

    /// What was synced on this thread: files by inode, names by directory.
    #[derive(Default)]
    struct Safe {
        files: HashMap<u64, Vec<u8>>,
        names: HashMap<PathBuf, BTreeMap<OsString, u64>>,
    }

    thread_local! {
        static SAFE: RefCell<Safe> = RefCell::default();
    }

    pub fn note_file(file: &File, path: &Path, durability: Durability) {
        // A file that was cut off from its name while open is of no use after a crash.
        if let (Durability::Disk, Ok(bytes)) = (durability, fs::read(path)) {
            let inode = file.metadata().unwrap().ino();
            SAFE.with_borrow_mut(|safe| safe.files.insert(inode, bytes));
        }
    }

    pub fn note_directory(path: &Path, durability: Durability) {
        if durability == Durability::Disk {
            let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
            let names = entries.map(|entry| (entry.file_name(), entry.ino())).collect();
            SAFE.with_borrow_mut(|safe| safe.names.insert(path.into(), names));
        }
    }

    /// Makes `directory` hold what was synced and nothing else.
    pub fn lose_power(directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        SAFE.with_borrow(|safe| {
            for (name, inode) in safe.names.get(directory).into_iter().flatten() {
                let bytes = safe.files.get(inode).cloned().unwrap_or_default();
                fs::write(directory.join(name), bytes).unwrap();
            }
        });
    }
}
