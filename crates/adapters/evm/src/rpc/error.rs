//! JSON-RPC errors, in the codes and words that tools decide by.

use alloy_primitives::{Bytes, U256};
use revm::context::result::{HaltReason, OutOfGasError};

use crate::error::StateDamaged;
use crate::hex;
use crate::refusal::TxRefused;

/// An error object of JSON-RPC 2.0, with Ethereum's codes (EIP-1474) and go-ethereum's messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
    /// What a reverting contract returned.
    pub(crate) data: Option<Bytes>,
}

/// The request is not JSON.
const PARSE: i64 = -32700;
/// The request is not a JSON-RPC request.
const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
const METHOD_UNKNOWN: i64 = -32601;
/// The parameters are not the method's.
const INVALID_PARAMS: i64 = -32602;
/// This node failed.
const INTERNAL: i64 = -32603;
/// The request is fine, what it asks for is not to be had.
const SERVER: i64 = -32000;
/// A signed transaction was refused.
const REJECTED: i64 = -32003;
/// More is asked for than one request may take.
const LIMIT: i64 = -32005;
/// A contract reverted.
const REVERTED: i64 = 3;

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The request is not JSON.
    pub(crate) fn parse(reason: &serde_json::Error) -> Self {
        Self::new(PARSE, format!("parse error: {reason}"))
    }

    /// The request is JSON, but not a JSON-RPC request.
    pub(crate) fn invalid_request(reason: &str) -> Self {
        Self::new(INVALID_REQUEST, reason)
    }

    /// There is no such method. ethers takes this wording for "not supported here".
    pub(crate) fn method_unknown(method: &str) -> Self {
        Self::new(METHOD_UNKNOWN, format!("the method {method} does not exist/is not available"))
    }

    /// The parameters are not the method's.
    pub(crate) fn invalid_params(reason: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, reason)
    }

    /// The request is fine, what it asks for is not to be had.
    pub(crate) fn server(reason: impl Into<String>) -> Self {
        Self::new(SERVER, reason)
    }

    /// More is asked for than one request may take.
    pub(crate) fn limit(reason: impl Into<String>) -> Self {
        Self::new(LIMIT, reason)
    }

    /// No instance has this name.
    pub(crate) fn instance_unknown(name: &str) -> Self {
        Self::server(format!("there is no EVM instance {name}"))
    }

    /// The instance takes no new transactions.
    pub(crate) fn instance_is_historic(name: &str) -> Self {
        Self::new(REJECTED, format!("instance {name} is historic: it takes no new transactions"))
    }

    /// A signed transaction was refused.
    pub(crate) fn refused(refused: &TxRefused) -> Self {
        let code = match refused {
            TxRefused::Signed(crate::signed::SignedRefused::Malformed(_)) => INVALID_PARAMS,
            TxRefused::Broken(_) => INTERNAL,
            // Tools that send again after a lost answer look for what every Ethereum node says then.
            TxRefused::AlreadyKnown => SERVER,
            _ => REJECTED,
        };
        Self::new(code, refused.to_string())
    }

    /// A contract reverted with this output.
    pub(crate) fn reverted(output: Bytes) -> Self {
        let message = match revert_reason(&output) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".into(),
        };
        Self { code: REVERTED, message, data: Some(output) }
    }

    /// A call ended in another way than by returning or reverting.
    pub(crate) fn halted(reason: &HaltReason) -> Self {
        Self::server(match reason {
            HaltReason::OutOfGas(OutOfGasError::Basic | OutOfGasError::Memory) => "out of gas".to_owned(),
            HaltReason::OpcodeNotFound | HaltReason::InvalidFEOpcode | HaltReason::NotActivated => {
                "invalid opcode".into()
            }
            HaltReason::StackUnderflow => "stack underflow".into(),
            HaltReason::CreateContractSizeLimit => "max code size exceeded".into(),
            HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
            HaltReason::StateChangeDuringStaticCall => "write protection".into(),
            HaltReason::CreateCollision => "contract address collision".into(),
            HaltReason::OutOfFunds => "insufficient balance for transfer".into(),
            other => other.to_string(),
        })
    }

    /// Appends the member `"error":{…}`.
    pub(crate) fn put(&self, out: &mut String) {
        out.push_str("\"error\":{\"code\":");
        out.push_str(&self.code.to_string());
        out.push_str(",\"message\":");
        out.push_str(&serde_json::to_string(&self.message).expect("a string serialises"));
        if let Some(data) = &self.data {
            out.push_str(",\"data\":\"");
            hex::put_data(out, data);
            out.push('"');
        }
        out.push('}');
    }
}

impl From<StateDamaged> for RpcError {
    fn from(damaged: StateDamaged) -> Self {
        Self::new(INTERNAL, format!("internal error: {damaged}"))
    }
}

/// What Solidity says in `output`: `Error(string)` or `Panic(uint256)`, in go-ethereum's words (accounts/abi).
fn revert_reason(output: &[u8]) -> Option<String> {
    let (selector, arguments) = output.split_at_checked(4)?;
    match selector {
        [0x08, 0xc3, 0x79, 0xa0] => {
            let word = |at: usize| arguments.get(at..at.checked_add(32)?).map(U256::from_be_slice);
            let at = usize::try_from(word(0)?).ok()?;
            let size = usize::try_from(word(at)?).ok()?;
            let from = at.checked_add(32)?;
            let text = arguments.get(from..from.checked_add(size)?)?;
            Some(String::from_utf8_lossy(text).into_owned())
        }
        [0x4e, 0x48, 0x7b, 0x71] if arguments.len() == 32 => {
            let code = U256::from_be_slice(arguments);
            let known = u8::try_from(code).ok().and_then(panic_reason);
            Some(known.map_or_else(|| format!("unknown panic code: {code:#x}"), str::to_owned))
        }
        _ => None,
    }
}

fn panic_reason(code: u8) -> Option<&'static str> {
    Some(match code {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    #[test]
    fn revert_reasons_are_told_as_go_ethereum_tells_them() {
        let error = hex!(
            "08c379a0"
            "0000000000000000000000000000000000000000000000000000000000000020"
            "0000000000000000000000000000000000000000000000000000000000000005"
            "68656c6c6f000000000000000000000000000000000000000000000000000000"
        );
        let panic = |code: u8| [&hex!("4e487b71")[..], &U256::from(code).to_be_bytes::<32>()].concat();
        let rows = [
            (error.to_vec(), "execution reverted: hello"),
            (panic(0x11), "execution reverted: arithmetic underflow or overflow"),
            (panic(0x99), "execution reverted: unknown panic code: 0x99"),
            (hex!("e450d38c").to_vec(), "execution reverted"),
            (Vec::new(), "execution reverted"),
            (error[..40].to_vec(), "execution reverted"),
        ];
        for (output, message) in rows {
            let error = RpcError::reverted(output.clone().into());
            assert_eq!((error.code, error.message.as_str()), (3, message));
            let mut json = String::new();
            error.put(&mut json);
            assert!(json.ends_with(&format!("\"data\":\"0x{}\"}}", hex::encode(output))), "{json}");
        }
    }
}
