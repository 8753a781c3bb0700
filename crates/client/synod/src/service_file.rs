//! The service's certificate in force, as a node's own directory tells it.
//!
//! A node's files hold the service's first key. Each later one follows from the one before, the session keys and the
//! ledger, where the block with the decision names its public part.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use synod_crypto::x509::{Validity, service_certificate};
use synod_crypto::{ServiceKey, SessionKeys};
use synod_ledger::{BlockKind, GovernancePublic, SealedBlock, ServiceHistory, ServiceIdentity};
use synod_types::boundary::EntryKind;
use synod_types::chunk::Scan;
use synod_types::{Decode, Seqno, Time, TxId};

use crate::command::ledger::files;
use crate::failure::{Failure, Hint};
use crate::node_dir::VALID_DAYS;

/// A key that members decided for.
struct Decided {
    identity: ServiceIdentity,
    txid: TxId,
    time: Time,
}

/// Reads the ledger in `dir`, whose node may be running, and makes the file that clients pin: the certificate in force and
/// the history of the keys. None if the service still has its first key, as far as the ledger tells what is committed.
///
/// # Errors
/// If the ledger cannot be read, or it is not that of these keys.
pub fn service_file(dir: &Path, first: &ServiceKey, keys: &SessionKeys) -> Result<Option<String>, Failure> {
    let first = ServiceIdentity::new(first.clone());
    let mut history = ServiceHistory::new(first.verifying_key().clone());
    let (decided, committed) = decided(dir, first, keys)?;
    let mut decided = decided.into_iter().filter(|one| one.txid.seqno <= committed).peekable();
    while let Some(Decided { identity, txid, time }) = decided.next() {
        history.push(identity.verifying_key().clone(), txid);
        if decided.peek().is_none() {
            let certificate = service_certificate(identity.key(), Validity::days(time, VALID_DAYS));
            return Ok(Some(certificate.to_pem() + &history.to_pem(&identity)));
        }
    }
    Ok(None)
}

/// Every key that follows the first in the ledger, and up to where it is known to be committed.
fn decided(dir: &Path, first: ServiceIdentity, keys: &SessionKeys) -> Result<(Vec<Decided>, Seqno), Failure> {
    let (mut found, mut committed): (Vec<Decided>, _) = (Vec::new(), Seqno(0));
    let hint = "name the directory of a node that follows";
    for (path, _) in files(dir)? {
        let bytes = fs::read(&path).hint(format!("check that {} may be read", path.display()))?;
        for record in Scan::new(Bytes::from(bytes)).hint(hint)? {
            // What is being written, or what a crash left, ends the ledger.
            let Ok(record) = record.map(|placed| placed.record) else { break };
            if record.kind != EntryKind::Block {
                continue;
            }
            let block = SealedBlock::from_bytes(&record.payload).hint(hint)?;
            let header = &block.header;
            committed = committed.max(header.committed);
            if header.kind != BlockKind::Governance {
                continue;
            }
            let Some(key) = GovernancePublic::from_bytes(&block.public).hint(hint)?.service else { continue };
            let before = found.last().map_or(&first, |last| &last.identity);
            let identity = before.next(keys, header.network, header.chain);
            if *identity.verifying_key() != key {
                let what = format!(
                    "the service's key after transaction {} does not follow from these keys",
                    header.first_seqno
                );
                return Err(Failure::new(what, hint));
            }
            let txid = TxId::new(header.view, header.first_seqno);
            found.push(Decided { identity, txid, time: header.time });
        }
    }
    Ok((found, committed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use synod_crypto::{Certificate, NodeKey};
    use synod_ledger::{AdminRecord, Content, GenesisParts, Moment, Sealed, Sealer, SignerChange, Tip, seal_genesis};
    use synod_types::chunk::{FileHeader, append_record, file_name};
    use synod_types::{Epoch, NodeId, View};

    use super::*;

    /// A ledger of one node, written block by block.
    struct Ledger {
        keys: SessionKeys,
        service: ServiceIdentity,
        tip: Tip,
        bytes: Vec<u8>,
    }

    impl Ledger {
        fn new() -> Self {
            let (service, keys) = (ServiceKey::from_seed(&[1; 32]), SessionKeys::generate(Epoch(1)));
            let nodes: BTreeMap<_, _> = [(NodeId(1), node_key().verifying_key().clone())].into();
            let (content, admin) =
                (Content { setup: Some(Bytes::new()), ..Content::default() }, AdminRecord::default());
            let parts = GenesisParts { content: &content, admin: &admin, admin_is_public: false };
            let Sealed { block, tip } = seal_genesis(&service, nodes, &keys, [3; 32], Time(1_000_000), parts).unwrap();
            let header = FileHeader { network: block.header.network, first_index: block.header.index };
            let mut bytes = header.to_bytes().to_vec();
            append_record(&block.to_record(), &mut bytes);
            let mut ledger = Self { keys, service: ServiceIdentity::new(service), tip, bytes };
            ledger.tip = ledger.tip.after_engine_entry(ledger.tip.index.next(), View(2)).unwrap();
            let mut engine = block.to_record();
            (engine.kind, engine.index, engine.view) = (EntryKind::Engine, ledger.tip.index, View(2));
            (engine.payload, engine.first_seqno, engine.count) = (Bytes::new(), ledger.tip.seqno, 0);
            append_record(&engine, &mut ledger.bytes);
            let moment = ledger.moment(Seqno(1));
            let opening = ledger.sealer().view_start(&ledger.tip, moment, [4; 32]);
            ledger.add(opening);
            ledger
        }

        fn sealer(&self) -> Sealer {
            Sealer::new(NodeId(1), node_key(), self.service.key().clone(), self.keys.clone())
        }

        fn moment(&self, committed: Seqno) -> Moment {
            Moment { view: View(2), time: Time(self.tip.time.0 + 1_000_000), committed }
        }

        fn add(&mut self, Sealed { block, tip }: Sealed) {
            append_record(&block.to_record(), &mut self.bytes);
            self.tip = tip;
        }

        /// A governance block, with which the service takes another key or not.
        fn govern(&mut self, rotates: bool, committed: Seqno) {
            let next = rotates.then(|| self.service.next(&self.keys, self.tip.network, self.tip.chain));
            let service = next.as_ref().map(|next| next.verifying_key().clone());
            let change = SignerChange { nodes: None, service };
            let moment = self.moment(committed);
            let sealed = self.sealer().governance(&self.tip, moment, &AdminRecord::default(), change).unwrap();
            self.add(sealed);
            self.service = next.unwrap_or_else(|| ServiceIdentity::new(self.service.key().clone()));
        }

        fn file(&self) -> Result<Option<String>, Failure> {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(file_name(synod_types::LogIndex(1))), &self.bytes).unwrap();
            service_file(dir.path(), &ServiceKey::from_seed(&[1; 32]), &self.keys)
        }
    }

    fn node_key() -> NodeKey {
        NodeKey::from_seed(&[2; 32])
    }

    #[test]
    fn the_key_in_force_is_the_last_one_that_a_later_block_tells_committed() {
        let mut ledger = Ledger::new();
        assert_eq!(ledger.file().unwrap(), None);
        ledger.govern(true, ledger.tip.seqno);
        assert_eq!(ledger.file().unwrap(), None, "nobody has told yet that it is committed");
        let (first, decided) = (ledger.service.verifying_key().clone(), ledger.tip.seqno);
        ledger.govern(false, decided);
        let text = ledger.file().unwrap().unwrap();
        assert_eq!(Certificate::from_pem(&text).unwrap().verifying_key().as_ref(), Ok(&first));
        let history = ServiceHistory::from_pem(&text, &first).unwrap().unwrap();
        assert_eq!(history.in_force().after, Some(TxId::new(View(2), decided)));

        ledger.govern(true, ledger.tip.seqno);
        ledger.govern(true, ledger.tip.seqno);
        let second = ledger.service.verifying_key().clone();
        ledger.govern(false, ledger.tip.seqno);
        ledger.bytes.extend_from_slice(b"a torn end");
        let text = ledger.file().unwrap().unwrap();
        assert_eq!(Certificate::from_pem(&text).unwrap().verifying_key().as_ref(), Ok(&second));
        assert_eq!(ServiceHistory::from_pem(&text, &second).unwrap().unwrap().terms().count(), 4);

        ledger.keys = SessionKeys::generate(Epoch(1));
        assert!(ledger.file().unwrap_err().to_string().contains("does not follow from these keys"));
    }
}
