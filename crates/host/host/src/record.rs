//! Recording of all that crosses the boundary, for tests that search it for what must not be there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use synod_types::Untrusted;
use synod_types::boundary::{LogRecord, ToEnclave, ToHost};

use crate::HostError;

/// A file that receives the bytes of every message: a line that names the message, then its bytes.
#[derive(Debug)]
pub struct Recorder(Mutex<BufWriter<File>>);

impl Recorder {
    pub fn create(path: &Path) -> Result<Self, HostError> {
        let failed = |source| HostError::SetupFailed { what: "the recording of the boundary", source };
        let file = File::options().create(true).append(true).open(path).map_err(failed)?;
        Ok(Self(Mutex::new(BufWriter::new(file))))
    }

    pub fn to_host(&self, message: &ToHost) {
        match message {
            ToHost::Write { connection, bytes } => self.write(&format!("> write {}", connection.0), bytes),
            ToHost::Append(append) => {
                if let Some(vote) = &append.vote {
                    self.write("> vote", vote);
                }
                for record in &append.records {
                    self.write(&format!("> record {}", record.index), &record.payload);
                }
            }
            ToHost::Stopped { reason, .. } => self.write("> stopped", reason.as_bytes()),
            other => self.write(&format!("> {other:?}"), b""),
        }
    }

    pub fn to_enclave(&self, message: &ToEnclave) {
        match message {
            ToEnclave::Received { connection, bytes } => {
                self.write(&format!("< received {}", connection.0), &open(bytes.clone()));
            }
            ToEnclave::LedgerRead { records: Ok(records), .. } => {
                for record in records {
                    let record: LogRecord = open(record.clone());
                    self.write(&format!("< record {}", record.index), &record.payload);
                }
            }
            other => self.write(&format!("< {other:?}"), b""),
        }
    }

    pub fn flush(&self) {
        let _ = self.lock().flush();
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let mut file = self.lock();
        // The recording is an aid for tests; a full disk shows in the ledger soon enough.
        let _ = writeln!(file, "{name} {}", bytes.len());
        let _ = file.write_all(bytes);
        let _ = file.write_all(b"\n");
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BufWriter<File>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The host made this value itself; only the enclave must not trust it.
fn open<T>(value: Untrusted<T>) -> T {
    let Ok(value) = value.check(Ok::<T, std::convert::Infallible>);
    value
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use synod_types::boundary::ConnectionId;

    use super::*;

    #[test]
    fn every_byte_of_both_directions_is_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boundary");
        let recorder = Recorder::create(&path).unwrap();
        let connection = ConnectionId(2);
        recorder.to_host(&ToHost::Write { connection, bytes: Bytes::from_static(b"out\xff") });
        recorder.to_enclave(&ToEnclave::Received { connection, bytes: Untrusted::new(Bytes::from_static(b"in")) });
        recorder.flush();
        assert_eq!(std::fs::read(&path).unwrap(), b"> write 2 4\nout\xff\n< received 2 2\nin\n");
    }
}
