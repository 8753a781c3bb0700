//! The ordered part: executes calls one after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use synod_kv::{Lookup, Tx};
use synod_types::{Decode, Digest};
use synod_worker::{Adapter, BlockEnv, CallContext, ContentType, Reply, SetupError};

use crate::call::{Action, Call, SignedTransaction};
use crate::chain::{Chain, Taken};
use crate::code_cache::CodeCache;
use crate::configure::configure;
use crate::error::{HttpError, StateDamaged};
use crate::historic::{check_importer, put_instance};
use crate::instance::{Instance, Kind, Limits, is_name};
use crate::live::LiveBlock;
use crate::maps::{INSTANCES, Maps};
use crate::refusal::TxRefused;
use crate::rpc::error::RpcError;
use crate::rpc::render;
use crate::settings;

/// The EVM adapter's ordered part.
#[derive(Debug, Default)]
pub(crate) struct EvmAdapter {
    codes: CodeCache,
    /// Instances by name, each beside the record that it was read from: another record, another instance.
    chains: BTreeMap<String, (Bytes, Arc<Chain>)>,
    /// The blocks of live instances within the ledger block that is being executed.
    live: BTreeMap<String, LiveBlock>,
}

impl Adapter for EvmAdapter {
    fn genesis(&mut self, tx: &mut Tx<'_>, settings: &[u8]) -> Result<(), SetupError> {
        settings::write_genesis(tx, settings).map_err(|reason| SetupError { adapter: crate::NAME, reason })
    }

    fn configure(&mut self, tx: &mut Tx<'_>, old: &[u8], new: &[u8]) -> Result<(), SetupError> {
        configure(tx, old, new).map_err(|reason| SetupError { adapter: crate::NAME, reason })
    }

    fn open(&mut self, _tx: &mut Tx<'_>, _block: &BlockEnv) {
        self.live.clear();
    }

    fn execute(&mut self, tx: &mut Tx<'_>, context: &CallContext<'_>, input: &[u8]) -> Reply {
        let Ok(Call { instance, action }) = Call::from_bytes(input) else {
            return HttpError::bad_request("the call does not decode").reply();
        };
        match action {
            Action::Transact(transaction) => self
                .transact(tx, context, &instance, &transaction)
                .map_or_else(|error| render::call_error(&error), |taken| taken_reply(&taken)),
            Action::PendingNonce(address) => self
                .pending_nonce(tx, &instance, address)
                .map_or_else(|error| render::call_error(&error), render::call_quantity),
            other => self.administer(tx, context, &instance, other).unwrap_or_else(|error| error.reply()),
        }
    }

    fn close(&mut self, tx: &mut Tx<'_>, _block: &BlockEnv) {
        for (name, mut live) in std::mem::take(&mut self.live) {
            let chain = self.chain(tx, &name).ok().flatten().expect("an instance with an open block exists");
            if live.resync(&chain, tx) {
                live.close(&chain, tx, &self.codes).expect("this block's own records decode");
            }
        }
    }
}

impl EvmAdapter {
    /// The instance with this name.
    fn chain(&mut self, view: &impl Lookup, name: &str) -> Result<Option<Arc<Chain>>, StateDamaged> {
        let Some(record) = view.get(&INSTANCES, name.as_bytes()) else { return Ok(None) };
        if let Some((known, chain)) = self.chains.get(name)
            && known == record.as_slice()
        {
            return Ok(Some(Arc::clone(chain)));
        }
        let instance = Instance::from_bytes(record.as_slice()).map_err(|_| StateDamaged("instance"))?;
        let chain = Arc::new(Chain { instance, maps: Maps::of(name) });
        self.chains.insert(name.to_owned(), (record.to_bytes(), Arc::clone(&chain)));
        Ok(Some(chain))
    }

    fn transact(
        &mut self,
        tx: &mut Tx<'_>,
        context: &CallContext<'_>,
        name: &str,
        SignedTransaction { signers, raw }: &SignedTransaction,
    ) -> Result<Taken, RpcError> {
        let chain = self.chain(tx, name)?.ok_or_else(|| RpcError::instance_unknown(name))?;
        if !chain.instance.is_live() {
            return Err(RpcError::instance_is_historic(name));
        }
        let open = self.live.remove(name).and_then(|mut live| live.resync(&chain, tx).then_some(live));
        let mut live = match open {
            Some(live) => live,
            None => LiveBlock::open(&chain, tx, &self.codes, context.block, name)?,
        };
        let taken = live.take(&chain, tx, &self.codes, signers, raw);
        // A block whose first transaction was refused was not opened: what opening wrote is dropped with it.
        if taken.is_ok() || live.resync(&chain, tx) {
            self.live.insert(name.to_owned(), live);
        }
        Ok(taken?)
    }

    fn pending_nonce(&mut self, tx: &Tx<'_>, name: &str, address: alloy_primitives::Address) -> Result<u64, RpcError> {
        let chain = self.chain(tx, name)?.ok_or_else(|| RpcError::instance_unknown(name))?;
        let account = chain.store(tx, &self.codes).account(address)?;
        Ok(account.map_or(0, |account| account.nonce))
    }

    fn administer(
        &mut self,
        tx: &mut Tx<'_>,
        context: &CallContext<'_>,
        name: &str,
        action: Action,
    ) -> Result<Reply, HttpError> {
        if let Action::Create { chain_id, forks, alloc, ancestors } = action {
            let kind = Kind::Historic { importer: context.actor.id, complete: false };
            let instance = Instance { chain_id, forks, limits: Limits::DEFAULT, kind };
            return create(tx, name, instance, &alloc, &ancestors);
        }
        let chain = self.chain(tx, name)?.ok_or_else(|| HttpError::instance_unknown(name))?;
        check_importer(&chain.instance, context.actor.id)?;
        match action {
            Action::Import(SignedTransaction { signers, raw }) => {
                chain.import(tx, &self.codes, &signers, &raw).map(|taken| taken_reply(&taken))
            }
            Action::Allocate(alloc) => {
                chain.allocate(tx, &alloc)?;
                Ok(written(&json!({"instance": name, "accounts": alloc.len()})))
            }
            Action::OpenBlock { header, beside } => {
                let number = header.number;
                chain.open_block(tx, &self.codes, *header, beside)?;
                Ok(written(&json!({"instance": name, "number": number})))
            }
            Action::CloseBlock => {
                let block = chain.close_block(tx, &self.codes)?;
                Ok(Reply::json(200, render::closed_block(&chain.instance, &block)).with_writes())
            }
            Action::Complete => {
                let kind = Kind::Historic { importer: context.actor.id, complete: true };
                put_instance(tx, name, &Instance { kind, ..chain.instance.clone() });
                Ok(written(&json!({"instance": name, "complete": true})))
            }
            Action::Create { .. } | Action::Transact(_) | Action::PendingNonce(_) => {
                Err(HttpError::bad_request("the call came through the wrong door"))
            }
        }
    }
}

fn create(
    tx: &mut Tx<'_>,
    name: &str,
    instance: Instance,
    alloc: &crate::alloc::Alloc,
    ancestors: &[(u64, alloy_primitives::B256)],
) -> Result<Reply, HttpError> {
    if !is_name(name) {
        return Err(HttpError::bad_request("an instance's name is 1 to 32 characters of a-z, 0-9 and hyphen"));
    }
    if tx.has(&INSTANCES, name.as_bytes()) {
        let hint = "choose another name: instances are not replaced";
        return Err(HttpError::new(409, "InstanceExists", format!("there is an EVM instance {name} already"), hint));
    }
    put_instance(tx, name, &instance);
    let chain = Chain { instance, maps: Maps::of(name) };
    chain.allocate(tx, alloc)?;
    chain.note_ancestors(tx, ancestors);
    Ok(written(&json!({"instance": name, "accounts": alloc.len()})))
}

fn written(answer: &serde_json::Value) -> Reply {
    Reply::json(200, answer.to_string()).with_writes()
}

/// The reply to a transaction that was taken: its hash. [`crate::frontend`] makes the answer of it.
fn taken_reply(taken: &Taken) -> Reply {
    let body = Bytes::copy_from_slice(taken.hash.as_slice());
    Reply::new(200, ContentType::Binary, body).with_writes().with_claims(claims(taken))
}

/// What a ledger receipt says of a transaction: SHA-256 over this text, the transaction's hash, and
/// one byte that is 1 if it succeeded. Whoever has the signed transaction can compute it.
fn claims(taken: &Taken) -> Digest {
    synod_crypto::sha256(&[b"synod evm transaction v1", taken.hash.as_slice(), &[u8::from(taken.success)]])
}

impl From<TxRefused> for RpcError {
    fn from(refused: TxRefused) -> Self {
        Self::refused(&refused)
    }
}
