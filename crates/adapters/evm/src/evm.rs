//! Running the EVM: one transaction or call on one state.

use std::cell::RefCell;

use alloy_primitives::{Address, Bytes};
use revm::context::JournalTr as _;
use revm::context::result::{EVMError, ExecutionResult, ResultAndState};
use revm::context::{BlockEnv, CfgEnv, Context, FrameStack, LocalContext, TxEnv};
use revm::handler::instructions::EthInstructions;
use revm::handler::{EthFrame, EthPrecompiles, ExecuteEvm, MainnetContext, MainnetEvm, SystemCallEvm};
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;
use revm::state::EvmState;
use revm::{Database, Journal};

use crate::error::StateDamaged;
use crate::fork::blob_fraction;
use crate::instance::Instance;

/// Why a transaction or call could not begin, or what broke while it ran.
pub(crate) type RunError = EVMError<StateDamaged>;

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A signed transaction.
    Transaction,
    /// A question: nobody signed, the nonce is not checked, and a contract may ask.
    Question,
}

/// The rules for `instance` under `fork`.
pub(crate) fn rules(instance: &Instance, fork: SpecId, purpose: Purpose) -> CfgEnv {
    let mut cfg = CfgEnv::new_with_spec(fork).with_chain_id(instance.chain_id);
    cfg.blob_base_fee_update_fraction = Some(blob_fraction(fork));
    if instance.is_live() {
        // Policy in place of EIP-7825's cap and EIP-170's size.
        cfg.tx_gas_limit_cap = Some(instance.limits.gas_limit);
        cfg.limit_contract_code_size = usize::try_from(instance.limits.code_size_max).ok();
    }
    if purpose == Purpose::Question {
        cfg.disable_nonce_check = true;
        cfg.disable_eip3607 = true;
        // The caller has capped gas already; a question may be about any chain id.
        cfg.tx_gas_limit_cap = Some(u64::MAX);
    }
    cfg
}

/// Runs one transaction or call, and returns what came of it and every account it touched.
pub(crate) fn run(
    database: impl Database<Error = StateDamaged>,
    cfg: CfgEnv,
    block: BlockEnv,
    tx: TxEnv,
) -> Result<ResultAndState, RunError> {
    with_evm(database, cfg, block, |evm| evm.transact(tx))
}

/// Calls a system contract as the protocol does at the beginning or end of a block (EIP-4788 and others).
pub(crate) fn run_system_call(
    database: impl Database<Error = StateDamaged>,
    cfg: CfgEnv,
    block: BlockEnv,
    contract: Address,
    input: Bytes,
) -> Result<EvmState, RunError> {
    let outcome = with_evm(database, cfg, block, |evm| evm.system_call(contract, input))?;
    // A failing system call leaves the state as it was; whether the block is then valid is not ours to say.
    Ok(if matches!(outcome.result, ExecutionResult::Success { .. }) { outcome.state } else { EvmState::default() })
}

thread_local! {
    /// Call frames hold stacks of 32 KiB each, which this thread's next run uses again. Nothing of a
    /// run is left in them: revm clears a frame when it enters it.
    static FRAMES: RefCell<FrameStack<EthFrame>> = RefCell::new(FrameStack::new_prealloc(8));
}

fn with_evm<D: Database<Error = StateDamaged>, T>(
    database: D,
    cfg: CfgEnv,
    block: BlockEnv,
    run: impl FnOnce(&mut MainnetEvm<MainnetContext<D>>) -> Result<T, RunError>,
) -> Result<T, RunError> {
    let spec = cfg.spec;
    let context = Context {
        block,
        tx: TxEnv::default(),
        cfg,
        journaled_state: Journal::new(database),
        chain: (),
        local: LocalContext::default(),
        error: Ok(()),
    };
    let mut evm = MainnetEvm {
        ctx: context,
        inspector: (),
        instruction: EthInstructions::<EthInterpreter, _>::new_mainnet_with_spec(spec),
        precompiles: EthPrecompiles::new(spec),
        frame_stack: FRAMES.take(),
    };
    let outcome = run(&mut evm);
    evm.frame_stack.clear();
    FRAMES.set(evm.frame_stack);
    outcome
}
