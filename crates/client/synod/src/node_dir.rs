//! What a node's directory holds before its node has ever run.
//!
//! ```text
//! slot.key slot.crt        the slot's key, and its certificate from the service
//! session.key service.key  keys of the network, in files until attestation and threshold keys arrive
//! service.crt              the service's certificate
//! ledger/                  the genesis block
//! ```

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use synod_crypto::x509::{NameRefused, Validity, node_certificate};
use synod_crypto::{NodeKey, ServiceKey, SessionKeys};
use synod_ledger::SealedBlock;
use synod_types::boundary::LogRecord;
use synod_types::chunk::{FileHeader, Scan, append_record, file_name};
use synod_types::limits::BLOCK_BYTES_MAX;
use synod_types::{Decode, LogIndex, NodeId, Time};

use crate::failure::{Failure, Hint};
use crate::sandbox::{Access, LEDGER, SERVICE_CERTIFICATE, write};

/// A node that has not run yet.
pub struct NewNode<'a> {
    /// Its slot.
    pub id: NodeId,
    /// Its key.
    pub key: &'a NodeKey,
    /// The DNS names and addresses at which clients reach it.
    pub names: &'a [String],
    /// The service's key.
    pub service: &'a ServiceKey,
    /// The service's certificate, PEM.
    pub service_certificate: &'a str,
    /// The session keys.
    pub session_keys: &'a SessionKeys,
    /// The genesis block.
    pub genesis: &'a LogRecord,
}

impl NewNode<'_> {
    /// Writes everything but `node.toml` into the directory at `path`.
    ///
    /// # Errors
    /// If a name is none, or a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let validity = Validity::days(now(), VALID_DAYS);
        let certificate = node_certificate(self.service, self.id, self.key.verifying_key(), self.names, validity);
        let certificate = certificate.map_err(|NameRefused| {
            let hint = "name the places where clients reach the node as DNS name or IP address";
            Failure::new(NameRefused, hint)
        })?;
        for (name, content, access) in [
            ("slot.key", self.key.expose_pem().as_bytes(), Access::Secret),
            ("slot.crt", certificate.to_pem().as_bytes(), Access::Public),
            ("session.key", self.session_keys.to_pem().as_bytes(), Access::Secret),
            ("service.key", self.service.expose_pem().as_bytes(), Access::Secret),
            (SERVICE_CERTIFICATE, self.service_certificate.as_bytes(), Access::Public),
        ] {
            write(&path.join(name), content, access)?;
        }
        let ledger = path.join(LEDGER).join(file_name(self.genesis.index));
        write(&ledger, &beginning(self.genesis), Access::Public)
    }
}

/// The first bytes of a ledger: they hold the genesis block and nothing else.
fn beginning(genesis: &LogRecord) -> Vec<u8> {
    let block = SealedBlock::from_bytes(&genesis.payload).expect("whoever has a genesis block has read it");
    let header = FileHeader { network: block.header.network, first_index: genesis.index };
    let mut chunk = header.to_bytes().to_vec();
    append_record(genesis, &mut chunk);
    chunk
}

/// The first record of the ledger in the directory `ledger`; the node whose it is may be running.
///
/// # Errors
/// If there is none.
pub fn first_record(ledger: &Path) -> Result<LogRecord, Failure> {
    let path = ledger.join(file_name(LogIndex(1)));
    let hint = "name a node's directory whose ledger goes back to the genesis block";
    let unreadable = |error| Failure::new(format!("cannot read {}: {error}", path.display()), hint);
    let mut bytes = Vec::new();
    let file = File::open(&path).map_err(unreadable)?;
    file.take(FIRST_RECORD_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    let mut scan = Scan::new(Bytes::from(bytes)).hint(hint)?;
    let first = scan.next().ok_or_else(|| Failure::new(format!("{} holds no record", path.display()), hint))?;
    Ok(first.hint(hint)?.record)
}

/// The time.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// As long as nobody but the node list ends a certificate: ten years.
pub const VALID_DAYS: u32 = 3_650;

/// How much of a ledger's first file is read: its first record is a block of at most the largest size, with its frame.
const FIRST_RECORD_BYTES_MAX: u64 = BLOCK_BYTES_MAX as u64 + (1 << 20);
